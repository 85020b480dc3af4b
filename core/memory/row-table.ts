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

  /** @throws RangeError if the image does not lie in the buffer or is not word-aligned, or lies in more than 256 regions */
  build(segments: SegmentList, offset: number, stride: number, rows: number): void {
    if (offset % 4 !== 0 || stride % 4 !== 0) throw new RangeError(`offset ${offset} or stride ${stride} is not a multiple of 4`);
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
      const region = segments.region[i];
      let known = this.#regions.indexOf(region);
      if (known < 0) {
        known = this.#regions.push(region) - 1;
        if (known > 255) throw new RangeError('an image in more than 256 regions');
        this.views.push(region.u32);
      }
      this.view[r] = known;
      this.word[r] = (segments.offset[i] + at - segments.start[i]) / 4;
    }
  }
}
