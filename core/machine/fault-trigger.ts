import { Counter, type Counters } from '../measure/counters.ts';
import type { Fault, FaultName } from './faults.ts';

/** What a fault can do to threads; given by whoever runs the machine. */
export interface FaultHooks {
  /**
   * Ends a side's thread where it stands. Does not return when that is the caller's own.
   * @param how terminated by the supervisor, by process.exit without an error, or by filling its heap
   */
  end(side: 'guest' | 'host', how: 'terminate' | 'exit' | 'out of memory'): void;
}

/**
 * Says when the faults of one name are due: each once in a session, also across threads that were started anew, because
 * what has happened is kept in the side's counters.
 */
export class Trigger {
  readonly #cells: Float64Array;
  readonly #frame: Float64Array;
  readonly #bit: Int32Array;
  #left: number;

  constructor(faults: readonly Fault[], name: FaultName, counters: Counters) {
    this.#cells = counters.cells;
    const bits = faults.flatMap((fault, bit) => (fault.name === name ? [bit] : []));
    this.#bit = Int32Array.from(bits);
    this.#frame = Float64Array.from(bits, (bit) => faults[bit].frame);
    this.#left = bits.length;
  }

  /** There is such a fault: without one nothing needs to be wrapped. */
  get planned(): boolean {
    return this.#bit.length > 0;
  }

  /** Whether one would fire now. */
  get due(): boolean {
    return this.#find() >= 0;
  }

  /** True once for each fault, from its frame on: it happens now. */
  fires(): boolean {
    const at = this.#find();
    if (at < 0) return false;
    const cells = this.#cells;
    cells[Counter.faultsFired] = (cells[Counter.faultsFired] | (1 << this.#bit[at])) >>> 0;
    cells[Counter.faultsInjected] += 1;
    this.#left--;
    return true;
  }

  #find(): number {
    if (this.#left === 0) return -1;
    const flushes = this.#cells[Counter.flushes];
    const fired = this.#cells[Counter.faultsFired] | 0;
    for (let i = 0; i < this.#bit.length; i++) {
      if (flushes > this.#frame[i] && (fired & (1 << this.#bit[i])) === 0) return i;
    }
    return -1;
  }
}

/** The faults of one side: what its parts with faults built in are made from. */
export class SideFaults {
  protected readonly hooks: FaultHooks;
  readonly #faults: readonly Fault[];
  readonly #counters: Counters;

  constructor(faults: readonly Fault[], counters: Counters, hooks: FaultHooks) {
    this.hooks = hooks;
    this.#faults = faults;
    this.#counters = counters;
  }

  trigger(name: FaultName): Trigger {
    return new Trigger(this.#faults, name, this.#counters);
  }
}
