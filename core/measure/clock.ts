/**
 * A clock writes the time into a slot instead of returning it: a returned double that is not inlined is
 * boxed (16 bytes a read), which alone would break the "no collection" promise of the frame loop.
 */
export interface Clock {
  /** `slot[0]`: nanoseconds since the session's origin, as of the last `read()`. */
  readonly slot: Float64Array;
  /** Stores the current time in `slot[0]`. */
  read(): void;
}

/**
 * CLOCK_MONOTONIC (through `performance.now`, which V8 reads without allocation once optimised), placed on
 * the one timeline that all threads of a process share: nanoseconds since `originNs`, a value of
 * `monotonicNowNs()` taken once by whoever starts the session.
 */
export class MonotonicClock implements Clock {
  readonly slot = new Float64Array(1);
  /** What to add to this thread's `performance.now()` (in ns) to be on the shared timeline. */
  readonly #shift: number;

  constructor(originNs: number) {
    // performance.now() counts from this thread's own start; hrtime is the same for all threads. The
    // smallest of several differences has the least time between the two reads.
    let shift = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 32; i++) {
      const own = performance.now() * 1e6;
      const shared = monotonicNowNs();
      shift = Math.min(shift, shared - own);
    }
    this.#shift = shift - originNs;
  }

  read(): void {
    this.slot[0] = performance.now() * 1e6 + this.#shift;
  }
}

/** CLOCK_MONOTONIC in nanoseconds, the same for every thread. Allocates: for setting up only. */
export function monotonicNowNs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e9 + nanoseconds;
}

/** Time that moves only when told to: the inline runner's and the tests' clock. */
export class VirtualClock implements Clock {
  readonly slot = new Float64Array(1);
  #now = 0;

  read(): void {
    this.slot[0] = this.#now;
  }

  /** @param ns nanoseconds to move forward by; negative is refused. */
  advance(ns: number): void {
    if (!(ns >= 0)) throw new RangeError(`a clock cannot move by ${ns} ns`);
    this.#now += ns;
  }

  /** Moves to `ns` if that lies ahead; does nothing otherwise. */
  advanceTo(ns: number): void {
    if (ns > this.#now) this.#now = ns;
  }
}
