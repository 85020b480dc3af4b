import type { Clock } from '../core/measure/clock.ts';
import { Counter, type Counters } from '../core/measure/counters.ts';
import type { AtomicsDoorbell } from '../core/ring/doorbell.ts';

/** One side as its thread's outer loop drives it. */
export interface Side {
  /** One turn. @returns whether anything progressed */
  turn(): boolean;
  prepareSleep(): boolean;
  endSleep(): void;
  /** When the side has something to do by itself, ns. */
  readonly deadline: Float64Array;
  readonly finished: boolean;
}

const pause: () => void = typeof Atomics.pause === 'function' ? Atomics.pause : () => {};
/** Turns without progress between two looks at the clock. */
const TURNS_PER_CLOCK_READ = 16;

/**
 * Runs a side until it has finished: turns while there is work, then spins (turning) for the budget, then asks to be
 * woken and sleeps on its doorbell until rung or until its deadline.
 */
export function runLoop(side: Side, bell: AtomicsDoorbell, clock: Clock, counters: Counters, spinNs: number): void {
  // A slot, not an argument: a double that is passed on would be boxed.
  const times = new Float64Array(2);
  while (!side.finished) {
    const sample = bell.sample();
    if (side.turn()) continue;
    clock.read();
    times[0] = clock.slot[0];
    times[1] = times[0] + spinNs;
    const progressed = spin(side, clock, times);
    clock.read();
    counters.add(Counter.spinNs, clock.slot[0] - times[0]);
    if (progressed) continue;
    bell.deadline[0] = side.deadline[0];
    if (!side.prepareSleep() && clock.slot[0] < bell.deadline[0]) bell.blockUntilDeadline(sample);
    side.endSleep();
  }
}

/** Turns without progress until `times[1]`. A function of its own so that a profile names it. @returns true when a turn progressed */
function spin(side: Side, clock: Clock, times: Float64Array): boolean {
  for (;;) {
    for (let i = 0; i < TURNS_PER_CLOCK_READ; i++) {
      if (side.finished) return true;
      if (side.turn()) return true;
      pause();
    }
    clock.read();
    if (clock.slot[0] >= times[1]) return false;
  }
}
