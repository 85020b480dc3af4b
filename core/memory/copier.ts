import { type BatchCopyKernel, type CopyKernel, isBatchCopyKernel, RUN_WORDS } from './copy-kernels.ts';
import type { CopyStage, Ledger } from './ledger.ts';
import type { MemoryRegion } from './region.ts';
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
  /** The kernel again if it takes batches, and the runs gathered for it: how many, between which regions. */
  readonly #batch: BatchCopyKernel | null;
  readonly #capacity: number;
  #pending = 0;
  #pendingTo: MemoryRegion | null = null;
  #pendingFrom: MemoryRegion | null = null;

  constructor(kernel: CopyKernel, ledger: Ledger) {
    this.name = kernel.name;
    this.#kernel = kernel;
    this.#batch = isBatchCopyKernel(kernel) ? kernel : null;
    this.#capacity = this.#batch === null ? 0 : Math.floor(this.#batch.runs.length / RUN_WORDS);
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
      this.#flush();
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
      this.#flush();
    }
    this.#ledger.charge(stage, bytes);
  }

  /** Copies a checked range; the two indices are at or before the segments it starts in. */
  #run(to: SegmentList, toOffset: number, from: SegmentList, fromOffset: number, bytes: number): void {
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
      this.#piece(to.region[toIndex], to.offset[toIndex] + toSkip, from.region[fromIndex], from.offset[fromIndex] + fromSkip, run);
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

  /** Copies one run now, or gathers it for a kernel that takes batches. */
  #piece(to: MemoryRegion, toOffset: number, from: MemoryRegion, fromOffset: number, bytes: number): void {
    const batch = this.#batch;
    if (batch === null || bytes > 0xffff_ffff) {
      this.#flush();
      this.#kernel.copy(to, toOffset, from, fromOffset, bytes);
      return;
    }
    if (to !== this.#pendingTo || from !== this.#pendingFrom || this.#pending === this.#capacity) {
      this.#flush();
      this.#pendingTo = to;
      this.#pendingFrom = from;
    }
    const at = this.#pending * RUN_WORDS;
    batch.runs[at] = toOffset;
    batch.runs[at + 1] = fromOffset;
    batch.runs[at + 2] = bytes;
    this.#pending++;
  }

  #flush(): void {
    const count = this.#pending;
    if (count === 0 || this.#batch === null || this.#pendingTo === null || this.#pendingFrom === null) return;
    // First: runs of a copy that failed must not be copied with the next one.
    this.#pending = 0;
    this.#batch.copyRuns(this.#pendingTo, this.#pendingFrom, count);
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
