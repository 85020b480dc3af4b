import type { DeviceQueue } from '../ring/queue.ts';

/**
 * Fenced responses leave in the order their commands came, over all heads: the guest signals the fence of a
 * response together with every earlier one (virtio-gpu §1), so none may overtake. The response itself lies in
 * the guest's memory already; what waits here is only its return through the used ring.
 */
export class FenceTimeline {
  readonly #mask: number;
  readonly #head: Int32Array;
  readonly #written: Int32Array;
  readonly #done: Uint8Array;
  #first = 0;
  #next = 0;

  /** @param capacity a power of two, at least the queue's size: each entry is a chain in flight */
  constructor(capacity: number) {
    this.#mask = capacity - 1;
    this.#head = new Int32Array(capacity);
    this.#written = new Int32Array(capacity);
    this.#done = new Uint8Array(capacity);
  }

  get empty(): boolean {
    return this.#first === this.#next;
  }

  /** @returns the entry, for `finish` */
  enqueue(chainHead: number, written: number, done: boolean): number {
    const at = this.#next & this.#mask;
    this.#next = (this.#next + 1) | 0;
    this.#head[at] = chainHead;
    this.#written[at] = written;
    this.#done[at] = done ? 1 : 0;
    return at;
  }

  finish(entry: number): void {
    this.#done[entry] = 1;
  }

  /** Returns the chains of all leading finished entries. @returns how many */
  drain(queue: DeviceQueue): number {
    let pushed = 0;
    while (this.#first !== this.#next) {
      const at = this.#first & this.#mask;
      if (this.#done[at] === 0) break;
      queue.push(this.#head[at], this.#written[at]);
      this.#first = (this.#first + 1) | 0;
      pushed++;
    }
    return pushed;
  }

  /** Drops everything: the device was reset. */
  clear(): void {
    this.#first = 0;
    this.#next = 0;
  }
}
