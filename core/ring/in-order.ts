import type { Chain } from './chain.ts';

/**
 * What a device needs for VIRTIO_F_IN_ORDER (virtio 1.3 § 2.7.9, § 2.8.9): chains are used in the order in which they
 * were made available. One that is finished early waits here for those before it. No allocation once made.
 */
export class CompletionOrder {
  /** By head: bytes written to the chain. */
  declare readonly written: Uint32Array;
  /**
   * By head, 1: the whole writable part was written. Only such a chain may be left out of the used ring: the driver
   * takes one without an element of its own for "used completely".
   */
  declare readonly complete: Uint8Array;
  declare private readonly size: number;
  declare private readonly finished: Uint8Array;
  declare private readonly writable: Float64Array;
  /** Heads in the order they were taken. */
  declare private readonly order: Uint16Array;
  private firstAt = 0;
  private count = 0;

  /** @param size the queue's */
  constructor(size: number) {
    this.size = size;
    this.written = new Uint32Array(size);
    this.complete = new Uint8Array(size);
    this.finished = new Uint8Array(size);
    this.writable = new Float64Array(size);
    this.order = new Uint16Array(size);
  }

  /** A chain was taken. */
  take(chain: Chain): void {
    const { head } = chain;
    let at = this.firstAt + this.count++;
    if (at >= this.size) at -= this.size;
    this.order[at] = head;
    this.finished[head] = 0;
    this.writable[head] = chain.writableBytes;
  }

  /** A chain that was taken is done with. @throws RangeError if that was said before */
  finish(head: number, written: number): void {
    if (this.finished[head] !== 0) throw new RangeError(`head ${head} was returned already`);
    this.finished[head] = 1;
    this.written[head] = written;
    this.complete[head] = this.written[head] === this.writable[head] ? 1 : 0;
  }

  /** The head of the chain to be used next; −1 while that one is not finished. */
  first(): number {
    if (this.count === 0) return -1;
    const head = this.order[this.firstAt];
    return this.finished[head] === 0 ? -1 : head;
  }

  /** The first chain was used. */
  drop(): void {
    this.count--;
    if (++this.firstAt === this.size) this.firstAt = 0;
  }
}
