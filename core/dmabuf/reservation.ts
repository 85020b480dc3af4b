import { LockError } from './errors.ts';
import type { Fence } from './fence.ts';

/**
 * What a fence on a reservation stands for (enum dma_resv_usage, linux/dma-resv.h). Whoever waits for one
 * usage waits for all of lower value too.
 */
export const FenceUsage = {
  /** Memory management (moving, clearing): everyone waits for it. */
  KERNEL: 0,
  /** Implicitly synchronised writes. */
  WRITE: 1,
  /** Implicitly synchronised reads. */
  READ: 2,
  /** No implicit synchronisation: only memory management waits for it. */
  BOOKKEEP: 3,
} as const;
export type FenceUsage = (typeof FenceUsage)[keyof typeof FenceUsage];

/**
 * A buffer's lock and its fences (struct dma_resv). The lock is a flag: the model's callers are on one
 * thread, so taking it while held could never succeed and throws. Waiting while it is held is legitimate
 * (move_notify does): the injected wait lets the other side run, which signals fences without the lock.
 */
export class Reservation {
  #held = false;
  #fences: (Fence | null)[] = [null, null, null, null];
  #generation = new Int32Array(4);
  #usage = new Uint8Array(4);
  #count = 0;

  get held(): boolean {
    return this.#held;
  }

  /** @throws LockError if held: it would wait for itself */
  lock(): void {
    if (this.#held) throw new LockError('reservation locked twice: this would wait for itself for ever');
    this.#held = true;
  }

  /** Takes the lock unless held. @returns whether it was taken */
  tryLock(): boolean {
    if (this.#held) return false;
    this.#held = true;
    return true;
  }

  /** @throws LockError if not held */
  unlock(): void {
    if (!this.#held) throw new LockError('reservation unlocked while not held');
    this.#held = false;
  }

  /** @throws LockError unless the lock is held @param what the operation that needs it */
  assertHeld(what: string): void {
    if (!this.#held) throw new LockError(`${what} needs the reservation held`);
  }

  /** @throws LockError if the lock is held @param what the operation that must not run under it */
  assertNotHeld(what: string): void {
    if (this.#held) throw new LockError(`${what} needs the reservation not held`);
  }

  /**
   * Adds a pending fence. Finished fences make room, and a fence takes the place of an earlier one of its context
   * that is of the same usage or a weaker one (dma_resv_add_fence); a steady state allocates nothing.
   * @throws LockError unless the lock is held
   */
  addFence(fence: Fence, usage: FenceUsage): void {
    this.assertHeld('adding a fence');
    let kept = 0;
    for (let i = 0; i < this.#count; i++) {
      const old = this.#fences[i];
      if (old === null || !this.#isPending(i)) continue;
      if (old.context === fence.context && this.#usage[i] >= usage && fence.seqno >= old.seqno) continue;
      this.#fences[kept] = old;
      this.#generation[kept] = this.#generation[i];
      this.#usage[kept] = this.#usage[i];
      kept++;
    }
    const before = this.#count;
    if (kept === this.#fences.length) this.#grow();
    this.#fences[kept] = fence;
    this.#generation[kept] = fence.generation;
    this.#usage[kept] = usage;
    this.#count = kept + 1;
    for (let i = kept + 1; i < before; i++) this.#fences[i] = null;
  }

  /** Whether no fence of a usage ≤ `usage` is pending. Needs no lock. */
  idle(usage: FenceUsage): boolean {
    return this.#firstPending(usage) < 0;
  }

  /** One pending fence of a usage ≤ `usage`, the oldest added, or null. Needs no lock. */
  pendingFence(usage: FenceUsage): Fence | null {
    const at = this.#firstPending(usage);
    return at < 0 ? null : this.#fences[at];
  }

  /** Fences remembered, finished ones not yet pruned included. */
  get fenceCount(): number {
    return this.#count;
  }

  #firstPending(usage: FenceUsage): number {
    for (let i = 0; i < this.#count; i++) {
      if (this.#usage[i] <= usage && this.#isPending(i)) return i;
    }
    return -1;
  }

  /** A pooled fence that was reset since stands for other work: the one that was added has finished. */
  #isPending(at: number): boolean {
    const fence = this.#fences[at];
    return fence !== null && fence.state === 'pending' && fence.generation === this.#generation[at];
  }

  #grow(): void {
    const capacity = this.#fences.length * 2;
    while (this.#fences.length < capacity) this.#fences.push(null);
    const generation = new Int32Array(capacity);
    generation.set(this.#generation);
    this.#generation = generation;
    const usage = new Uint8Array(capacity);
    usage.set(this.#usage);
    this.#usage = usage;
  }
}
