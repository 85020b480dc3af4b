import type { MemoryRegion } from './region.ts';

/**
 * A buffer as it lies: segments of regions, in order. Adjacent pieces are joined as they are appended, as
 * the kernel's scatter lists are. `start[i]` is the buffer offset of segment i, for look-up by bisection.
 */
export class SegmentList {
  count = 0;
  /** Bytes in all. */
  length = 0;
  region: MemoryRegion[] = [];
  offset: Float64Array;
  bytes: Float64Array;
  start: Float64Array;

  constructor(capacity = 16) {
    this.offset = new Float64Array(capacity);
    this.bytes = new Float64Array(capacity);
    this.start = new Float64Array(capacity);
  }

  /** Adds `bytes` at `offset` of `region` to the end. The caller has checked the bounds. */
  append(region: MemoryRegion, offset: number, bytes: number): void {
    const last = this.count - 1;
    if (last >= 0 && this.region[last] === region && this.offset[last] + this.bytes[last] === offset) {
      this.bytes[last] += bytes;
      this.length += bytes;
      return;
    }
    if (this.count === this.offset.length) this.#grow();
    this.region[this.count] = region;
    this.offset[this.count] = offset;
    this.bytes[this.count] = bytes;
    this.start[this.count] = this.length;
    this.count++;
    this.length += bytes;
  }

  /** Index of the segment that holds byte `at` of the buffer; `at` must lie inside. */
  find(at: number): number {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.start[middle] <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  clear(): void {
    this.count = 0;
    this.length = 0;
    this.region.length = 0;
  }

  #grow(): void {
    const capacity = this.offset.length * 2;
    this.offset = grown(this.offset, capacity);
    this.bytes = grown(this.bytes, capacity);
    this.start = grown(this.start, capacity);
  }
}

function grown(from: Float64Array, capacity: number): Float64Array {
  const to = new Float64Array(capacity);
  to.set(from);
  return to;
}
