import type { MemoryRegion } from '../memory/region.ts';
import { SegmentList } from '../memory/segments.ts';

const KEPT = 8;
/** Segments of room too much that do not matter. */
const SLACK = 64;
/** In a place past a list's end, which nobody reads. */
const NOTHING = undefined as unknown as MemoryRegion;

/**
 * Segment lists of released buffers, kept for the next ones: a list of a fully scattered 4K frame is 200 KB
 * of arrays, too much to allocate anew at each import.
 */
export class SegmentPool {
  readonly #free: SegmentList[] = [];

  /**
   * An empty list with room for `capacity` segments, and not for many more: a guest is charged for the segments of its
   * buffers, not for the room of the lists they are in.
   */
  take(capacity: number): SegmentList {
    for (let i = 0; i < this.#free.length; i++) {
      const list = this.#free[i];
      const room = list.offset.length;
      if (room < capacity || room > capacity * 2 + SLACK) continue;
      // Oldest first, as `give` needs it; a splice would allocate.
      for (let j = i + 1; j < this.#free.length; j++) this.#free[j - 1] = this.#free[j];
      this.#free.pop();
      return list;
    }
    return new SegmentList(capacity);
  }

  /** The caller uses the list no more. */
  give(list: SegmentList): void {
    // Not clear(): it drops the region array, which would have to grow anew. A region left in it would keep the memory of a
    // machine that is gone, or of a device that was unplugged.
    list.region.fill(NOTHING, 0, list.count);
    list.count = 0;
    list.length = 0;
    if (this.#free.length === KEPT) {
      for (let j = 1; j < KEPT; j++) this.#free[j - 1] = this.#free[j];
      this.#free.pop();
    }
    this.#free.push(list);
  }
}
