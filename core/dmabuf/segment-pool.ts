import { SegmentList } from '../memory/segments.ts';

const KEPT = 8;

/**
 * Segment lists of released buffers, kept for the next ones: a list of a fully scattered 4K frame is 200 KB
 * of arrays, too much to allocate anew at each import.
 */
export class SegmentPool {
  readonly #free: SegmentList[] = [];

  /** An empty list with room for `capacity` segments. */
  take(capacity: number): SegmentList {
    for (let i = 0; i < this.#free.length; i++) {
      const list = this.#free[i];
      if (list.offset.length < capacity) continue;
      this.#free[i] = this.#free[this.#free.length - 1];
      this.#free.pop();
      return list;
    }
    return new SegmentList(capacity);
  }

  /** The caller uses the list no more. */
  give(list: SegmentList): void {
    // Not clear(): it drops the region array, which would have to grow anew. At most KEPT lists' regions stay referenced.
    list.count = 0;
    list.length = 0;
    if (this.#free.length < KEPT) this.#free.push(list);
  }
}
