import { ContractError } from './errors.ts';

export type FenceState = 'pending' | 'signalled' | 'cancelled';

/**
 * Completion of one piece of work (linux/dma-fence.h). Fences of one context finish in the order of their
 * sequence numbers. A fence may be pooled: `reset` makes it stand for new work, and whoever remembered the
 * old work tells by `generation` that it has finished.
 */
export class Fence {
  /** The timeline it belongs to. */
  readonly context: number;
  /** Position on that timeline; grows. */
  seqno: number;
  state: FenceState = 'pending';
  /** Counts resets. */
  generation = 0;

  constructor(context: number, seqno = 0) {
    this.context = context;
    this.seqno = seqno;
  }

  get pending(): boolean {
    return this.state === 'pending';
  }

  /** The work is done. Signalling a finished fence changes nothing: a cancelled one never becomes signalled. */
  signal(): void {
    if (this.state === 'pending') this.state = 'signalled';
  }

  /** The work will never be done (device reset). */
  cancel(): void {
    if (this.state === 'pending') this.state = 'cancelled';
  }

  /** Takes the fence for new work. @throws ContractError while its old work is pending */
  reset(seqno: number): void {
    if (this.state === 'pending') throw new ContractError(`fence ${this.context}:${this.seqno} is reused while pending`);
    this.seqno = seqno;
    this.generation = (this.generation + 1) | 0;
    this.state = 'pending';
  }
}
