import { PAGE_SIZE } from '../memory/address.ts';
import type { SegmentList } from '../memory/segments.ts';

/** Longest DMA segment: mem_entry's length is a u32, and segments end on pages. */
export const MAX_DMA_SEGMENT = 2 ** 32 - PAGE_SIZE;

/**
 * A buffer mapped for a device (struct sg_table): DMA segments in order. DMA addresses are guest-physical:
 * the model's IOMMU is identity.
 */
export class SgTable {
  count = 0;
  totalBytes = 0;
  /** By segment: DMA address. */
  address: Float64Array;
  /** By segment: bytes, 1 … MAX_DMA_SEGMENT. */
  length: Float64Array;

  constructor(capacity = 16) {
    this.address = new Float64Array(capacity);
    this.length = new Float64Array(capacity);
  }

  clear(): void {
    this.count = 0;
    this.totalBytes = 0;
  }

  /** Adds a segment; one longer than MAX_DMA_SEGMENT becomes several. */
  append(address: number, bytes: number): void {
    let at = address;
    let rest = bytes;
    while (rest > 0) {
      const length = rest > MAX_DMA_SEGMENT ? MAX_DMA_SEGMENT : rest;
      if (this.count === this.address.length) this.#reserve(this.count * 2 + 16);
      this.address[this.count] = at;
      this.length[this.count] = length;
      this.count++;
      this.totalBytes += length;
      at += length;
      rest -= length;
    }
  }

  /** Replaces the contents by the guest-physical addresses of `pages`. */
  fill(pages: SegmentList): void {
    this.clear();
    if (pages.count > this.address.length) this.#reserve(pages.count);
    for (let i = 0; i < pages.count; i++) this.append(pages.region[i].gpa + pages.offset[i], pages.bytes[i]);
  }

  #reserve(capacity: number): void {
    const address = new Float64Array(capacity);
    address.set(this.address);
    this.address = address;
    const length = new Float64Array(capacity);
    length.set(this.length);
    this.length = length;
  }
}
