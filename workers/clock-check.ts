import { type Clock, monotonicNowNs } from '../core/measure/clock.ts';
import { Counter, type Counters } from '../core/measure/counters.ts';

/** What a clock and CLOCK_MONOTONIC may differ by over a run, ns. */
const TOLERANCE_NS = 2e6;
/** Two reads of CLOCK_MONOTONIC further apart than this say nothing of what was read between them, ns. */
const CLOSE_NS = 100e3;

/** Holds a side's clock against CLOCK_MONOTONIC from beginning to end: one that stepped, or stood, makes a run invalid. */
export class ClockCheck {
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #difference: number;

  constructor(clock: Clock, counters: Counters) {
    this.#clock = clock;
    this.#counters = counters;
    this.#difference = difference(clock);
  }

  end(): void {
    const moved = Math.abs(difference(this.#clock) - this.#difference);
    // Not a number either: a clock that has saturated.
    if (!(moved <= TOLERANCE_NS)) this.#counters.add(Counter.clockSteps, 1);
  }
}

/** The clock less CLOCK_MONOTONIC, ns, from the closest of a few readings. */
function difference(clock: Clock): number {
  let best = 0;
  let closest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 16 && closest > CLOSE_NS; i++) {
    const before = monotonicNowNs();
    clock.read();
    const after = monotonicNowNs();
    if (after - before >= closest) continue;
    closest = after - before;
    best = clock.slot[0] - (before + after) / 2;
  }
  return best;
}
