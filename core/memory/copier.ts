import { type CopyKernel } from './copy-kernels.ts';
import type { CopyStage, Ledger } from './ledger.ts';
import type { SegmentList } from './segments.ts';

export { type CopyKernel, copyKernels } from './copy-kernels.ts';
export { pickCopyKernel } from './pick-copy-kernel.ts';

/**
 * The one way pixels are copied: between two buffers as they lie, charged to the ledger. The two byte ranges
 * must not share bytes: what the destination then holds is unspecified.
 */
export class Copier {
  readonly name: string;
  readonly #kernel: CopyKernel;
  readonly #ledger: Ledger;
  /** Segments the last run ended in: where the next row's search starts. */
  #toIndex = 0;
  #fromIndex = 0;

  constructor(kernel: CopyKernel, ledger: Ledger) {
    this.name = kernel.name;
    this.#kernel = kernel;
    this.#ledger = ledger;
  }

  /**
   * Copies `bytes` bytes and charges them once.
   * @throws RangeError, nothing copied or charged, unless both ranges lie in their buffers
   */
  copy(to: SegmentList, toOffset: number, from: SegmentList, fromOffset: number, bytes: number, stage: CopyStage): void {
    check(to, toOffset, 0, bytes, 1);
    check(from, fromOffset, 0, bytes, 1);
    if (bytes > 0) {
      this.#toIndex = to.find(toOffset);
      this.#fromIndex = from.find(fromOffset);
      this.#run(to, toOffset, from, fromOffset, bytes);
    }
    this.#ledger.charge(stage, bytes);
  }

  /**
   * Copies `rows` rows of `rowBytes` bytes that start `toStride` and `fromStride` bytes apart, and charges them once.
   * @throws RangeError, nothing copied or charged, unless every row lies in its buffer
   */
  copyRect(
    to: SegmentList,
    toOffset: number,
    toStride: number,
    from: SegmentList,
    fromOffset: number,
    fromStride: number,
    rowBytes: number,
    rows: number,
    stage: CopyStage,
  ): void {
    check(to, toOffset, toStride, rowBytes, rows);
    check(from, fromOffset, fromStride, rowBytes, rows);
    const bytes = rowBytes * rows;
    if (bytes > 0) {
      this.#toIndex = to.find(toOffset);
      this.#fromIndex = from.find(fromOffset);
      if (toStride === rowBytes && fromStride === rowBytes) {
        this.#run(to, toOffset, from, fromOffset, bytes);
      } else {
        for (let row = 0; row < rows; row++) this.#run(to, toOffset + row * toStride, from, fromOffset + row * fromStride, rowBytes);
      }
    }
    this.#ledger.charge(stage, bytes);
  }

  /** Copies a checked range; the two indices are at or before the segments it starts in. */
  #run(to: SegmentList, toOffset: number, from: SegmentList, fromOffset: number, bytes: number): void {
    const kernel = this.#kernel;
    let toIndex = this.#toIndex;
    let fromIndex = this.#fromIndex;
    while (to.start[toIndex] + to.bytes[toIndex] <= toOffset) toIndex++;
    while (from.start[fromIndex] + from.bytes[fromIndex] <= fromOffset) fromIndex++;
    this.#toIndex = toIndex;
    this.#fromIndex = fromIndex;
    let toSkip = toOffset - to.start[toIndex];
    let fromSkip = fromOffset - from.start[fromIndex];
    let left = bytes;
    while (left > 0) {
      const toLeft = to.bytes[toIndex] - toSkip;
      const fromLeft = from.bytes[fromIndex] - fromSkip;
      const run = Math.min(toLeft, fromLeft, left);
      kernel.copy(to.region[toIndex], to.offset[toIndex] + toSkip, from.region[fromIndex], from.offset[fromIndex] + fromSkip, run);
      left -= run;
      if (run === toLeft) {
        toIndex++;
        toSkip = 0;
      } else toSkip += run;
      if (run === fromLeft) {
        fromIndex++;
        fromSkip = 0;
      } else fromSkip += run;
    }
  }
}

function check(list: SegmentList, offset: number, stride: number, rowBytes: number, rows: number): void {
  const sane =
    Number.isSafeInteger(offset) && offset >= 0 &&
    Number.isSafeInteger(stride) && stride >= 0 &&
    Number.isSafeInteger(rowBytes) && rowBytes >= 0 &&
    Number.isSafeInteger(rows) && rows >= 0;
  const end = rows === 0 ? offset : offset + (rows - 1) * stride + rowBytes;
  if (!sane || end > list.length) {
    throw new RangeError(`${rows} × ${rowBytes} bytes, ${stride} apart, at ${offset} do not lie in a buffer of ${list.length} bytes`);
  }
}
