import { type BatchCopyKernel, type CopyKernel, isBatchCopyKernel, RUN_WORDS } from './copy-kernels.ts';
import type { CopyStage, Ledger } from './ledger.ts';
import type { MemoryRegion } from './region.ts';
import type { SegmentList } from './segments.ts';

export { type CopyKernel, copyKernelNamed, copyKernels } from './copy-kernels.ts';
export { pickCopyKernel } from './pick-copy-kernel.ts';

/**
 * The one way pixels are copied: between two buffers as they lie, charged to the ledger. The two byte ranges
 * must not share bytes: what the destination then holds is unspecified.
 */
export class Copier {
  readonly name: string;
  readonly #kernel: CopyKernel;
  /** Part of a rectangle's rows that is copied twice; 0 in every run that is to be believed. */
  readonly #handicap: number;
  readonly #ledger: Ledger;
  /** Segments the last run ended in: where the next row's search starts. */
  #toIndex = 0;
  #fromIndex = 0;
  /** The kernel again if it takes batches, its table (else empty), and the words gathered there, between which regions. */
  readonly #batch: BatchCopyKernel | null;
  readonly #table: Uint32Array;
  #pending = 0;
  #pendingTo: MemoryRegion | null = null;
  #pendingFrom: MemoryRegion | null = null;

  /** @param handicapPercent of each rectangle's bytes, copied again without a charge: a known slowdown, for a positive control */
  constructor(kernel: CopyKernel, ledger: Ledger, handicapPercent = 0) {
    this.#handicap = handicapPercent / 100;
    this.name = kernel.name;
    this.#kernel = kernel;
    this.#batch = isBatchCopyKernel(kernel) ? kernel : null;
    this.#table = this.#batch === null ? new Uint32Array(0) : this.#batch.runs;
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
      if (this.#handicap > 0) {
        this.#toIndex = to.find(toOffset);
        this.#fromIndex = from.find(fromOffset);
        // The first rows: after a large frame they have left the caches again.
        const again = Math.round(rows * this.#handicap);
        for (let row = 0; row < again; row++) this.#run(to, toOffset + row * toStride, from, fromOffset + row * fromStride, rowBytes);
        this.#flush();
      }
    }
    this.#ledger.charge(stage, bytes);
  }

  /**
   * Copies a checked range, or gathers its runs for a kernel that takes batches; the two indices are at or before
   * the segments it starts in. What the loop needs is in locals: V8 reloads fields after each store.
   */
  #run(to: SegmentList, toOffset: number, from: SegmentList, fromOffset: number, bytes: number): void {
    const { region: toRegions, offset: toOffsets, bytes: toBytes } = to;
    const { region: fromRegions, offset: fromOffsets, bytes: fromBytes } = from;
    const table = this.#table;
    let toIndex = this.#toIndex;
    let fromIndex = this.#fromIndex;
    while (to.start[toIndex] + toBytes[toIndex] <= toOffset) toIndex++;
    while (from.start[fromIndex] + fromBytes[fromIndex] <= fromOffset) fromIndex++;
    let toSkip = toOffset - to.start[toIndex];
    let fromSkip = fromOffset - from.start[fromIndex];
    let left = bytes;
    let pending = this.#pending;
    let pendingTo = this.#pendingTo;
    let pendingFrom = this.#pendingFrom;
    this.#toIndex = toIndex;
    this.#fromIndex = fromIndex;
    while (left > 0) {
      const toLeft = toBytes[toIndex] - toSkip;
      const fromLeft = fromBytes[fromIndex] - fromSkip;
      let run = toLeft < fromLeft ? toLeft : fromLeft;
      if (left < run) run = left;
      const toRegion = toRegions[toIndex];
      const fromRegion = fromRegions[fromIndex];
      const direct = table.length === 0 || run > 0xffff_ffff;
      if (direct || toRegion !== pendingTo || fromRegion !== pendingFrom || pending === table.length) {
        this.#pending = pending;
        this.#flush();
        pending = 0;
        this.#pendingTo = pendingTo = toRegion;
        this.#pendingFrom = pendingFrom = fromRegion;
      }
      if (direct) {
        this.#kernel.copy(toRegion, toOffsets[toIndex] + toSkip, fromRegion, fromOffsets[fromIndex] + fromSkip, run);
      } else {
        table[pending] = toOffsets[toIndex] + toSkip;
        table[pending + 1] = fromOffsets[fromIndex] + fromSkip;
        table[pending + 2] = run;
        pending += RUN_WORDS;
      }
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
    this.#pending = pending;
  }

  #flush(): void {
    const words = this.#pending;
    if (words === 0 || this.#batch === null || this.#pendingTo === null || this.#pendingFrom === null) return;
    // First: runs of a copy that failed must not be copied with the next one.
    this.#pending = 0;
    this.#batch.copyRuns(this.#pendingTo, this.#pendingFrom, words / RUN_WORDS);
  }
}

function check(list: SegmentList, offset: number, stride: number, rowBytes: number, rows: number): void {
  const sane =
    Number.isSafeInteger(offset) &&
    offset >= 0 &&
    Number.isSafeInteger(stride) &&
    stride >= 0 &&
    Number.isSafeInteger(rowBytes) &&
    rowBytes >= 0 &&
    Number.isSafeInteger(rows) &&
    rows >= 0;
  const end = rows === 0 ? offset : offset + (rows - 1) * stride + rowBytes;
  if (!sane || end > list.length) {
    throw new RangeError(`${rows} × ${rowBytes} bytes, ${stride} apart, at ${offset} do not lie in a buffer of ${list.length} bytes`);
  }
}
