import type { MemoryRegion } from './region.ts';
import type { SegmentList } from './segments.ts';

/**
 * Where the first word of each row of an image lies, worked out once a buffer, so that stamping or checking a
 * frame needs no look-up. Stamps have to be word-aligned: offset and stride are multiples of 4.
 */
export class RowTable {
  rows = 0;
  /** Word index of row r in `views[view[r]]`. */
  word = new Int32Array(0);
  view = new Uint8Array(0);
  readonly views: Uint32Array[] = [];
  readonly #regions: MemoryRegion[] = [];

  /**
   * @param stride bytes from row to row
   * @throws RangeError if a row's first word does not lie in the buffer, is not word-aligned where it lies or is cut by
   *   the end of a segment, or if the image lies in more than 256 regions
   */
  build(segments: SegmentList, offset: number, stride: number, rows: number): void {
    if (offset % 4 !== 0 || stride % 4 !== 0) throw new RangeError(`offset ${offset} or stride ${stride} is not a multiple of 4`);
    if (offset < 0 || stride < 0) throw new RangeError(`offset ${offset} or stride ${stride} is negative`);
    if (rows > 0 && offset + (rows - 1) * stride + 4 > segments.length) {
      throw new RangeError(`row ${rows - 1} lies past the buffer's ${segments.length} bytes`);
    }
    if (this.word.length < rows) {
      this.word = new Int32Array(rows);
      this.view = new Uint8Array(rows);
    }
    this.rows = rows;
    this.views.length = 0;
    this.#regions.length = 0;
    for (let r = 0; r < rows; r++) {
      const at = offset + r * stride;
      const i = segments.find(at);
      const inside = at - segments.start[i];
      if ((segments.offset[i] + inside) % 4 !== 0 || inside + 4 > segments.bytes[i]) {
        throw new RangeError(`row ${r} does not begin with a whole, aligned word`);
      }
      const region = segments.region[i];
      let known = this.#regions.indexOf(region);
      if (known < 0) {
        known = this.#regions.push(region) - 1;
        if (known > 255) throw new RangeError('an image in more than 256 regions');
        this.views.push(region.u32);
      }
      this.view[r] = known;
      this.word[r] = (segments.offset[i] + inside) / 4;
    }
  }
}
