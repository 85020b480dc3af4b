import type { Chain } from './chain.ts';
import { CompletionOrder } from './in-order.ts';
import type { DeviceQueue } from './queue.ts';
import type { RingRecord } from './ring-record.ts';

/**
 * A device's queue that another process can go on with when this one is killed. Chains are used in the order in which they were
 * taken, one by one: what is in flight is then all that the ring holds from its used position on, as the driver wrote it, and comes
 * again. (A packed ring's used descriptors would else be written over those of chains before them.) Where the queue stands is noted
 * before and after each.
 */
export class KeptQueue implements DeviceQueue {
  readonly size: number;
  readonly #queue: DeviceQueue;
  readonly #record: RingRecord;
  readonly #returned: (head: number) => void;
  readonly #order: CompletionOrder;
  /** By head: the position after its chain. */
  readonly #next: Uint16Array;
  #waiting = 0;

  /** @param returned told of each chain right before the driver can see that it was used */
  constructor(queue: DeviceQueue, record: RingRecord, returned: (head: number) => void) {
    this.size = queue.size;
    this.#queue = queue;
    this.#record = record;
    this.#returned = returned;
    this.#order = new CompletionOrder(queue.size);
    this.#next = new Uint16Array(queue.size);
  }

  get base(): number {
    return this.#queue.base;
  }

  get inFlight(): number {
    return this.#queue.inFlight - this.#waiting;
  }

  pop(chain: Chain): boolean {
    if (!this.#queue.pop(chain)) return false;
    this.#order.take(chain);
    this.#next[chain.head] = this.#queue.base;
    return true;
  }

  push(head: number, written: number): void {
    this.#order.finish(head, written);
    this.#waiting++;
  }

  publish(): boolean {
    let wanted = false;
    for (let head = this.#order.first(); head >= 0; head = this.#order.first()) {
      const written = this.#order.written[head];
      this.#record.beginUse(head, written, this.#next[head]);
      this.#returned(head);
      this.#queue.push(head, written);
      if (this.#queue.publish()) wanted = true;
      this.#record.endUse();
      this.#order.drop();
      this.#waiting--;
    }
    return wanted;
  }

  enableKicks(): boolean {
    return this.#queue.enableKicks();
  }

  disableKicks(): void {
    this.#queue.disableKicks();
  }
}
