import type { Clock } from '../core/measure/clock.ts';
import { Counter, type Counters } from '../core/measure/counters.ts';
import { SpinBudget } from './spin-budget.ts';

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

/** What a loop sleeps on: an AtomicsDoorbell, or file descriptors. */
export interface Bell {
  /** Of the next `blockUntilDeadline`, ns; Infinity: none. */
  readonly deadline: Float64Array;
  sample(): number;
  /** Sleeps while the bell has not been rung since `expected` was sampled. @returns false at the deadline */
  blockUntilDeadline(expected: number): boolean;
}

const pause: () => void = typeof Atomics.pause === 'function' ? Atomics.pause : () => {};
/** Turns without progress between two looks at the clock. */
const TURNS_PER_CLOCK_READ = 16;
/** A sleeper turns again after so long, whatever happens to the notification. */
const RECHECK_NS = 100e6;
/** A ring that comes so much later than what it announces is not lost. */
const LATE_RING_NS = 5e6;

/**
 * Runs a side until it has finished: turns while there is work, then spins (turning) for a budget that adapts to its
 * sleeps, then asks to be woken and sleeps on its doorbell until rung or until its deadline.
 * @param spinNs the most that it spins before a sleep
 */
export function runLoop(side: Side, bell: Bell, clock: Clock, counters: Counters, spinNs: number): void {
  // A slot, not an argument: a double that is passed on would be boxed.
  const times = new Float64Array(3);
  const budget = new SpinBudget(spinNs);
  while (!side.finished) {
    const sample = bell.sample();
    if (side.turn()) continue;
    clock.read();
    times[0] = clock.slot[0];
    if (budget.ns[0] > 0) {
      times[1] = times[0] + budget.ns[0];
      const progressed = spin(side, clock, times);
      counters.add(Counter.spinNs, times[2] - times[0]);
      if (progressed) continue;
    }
    budget.slept[0] = clock.slot[0];
    bell.deadline[0] = side.deadline[0];
    if (!side.prepareSleep() && clock.slot[0] < bell.deadline[0]) {
      times[0] = clock.slot[0] + RECHECK_NS;
      const recheck = times[0] < bell.deadline[0];
      if (recheck) bell.deadline[0] = times[0];
      const rung = bell.blockUntilDeadline(sample);
      clock.read();
      budget.slept[0] = clock.slot[0] - budget.slept[0];
      budget.adapt();
      // Before `endSleep`: work that is published after it rings nobody, and rightly so.
      if (!rung && recheck) lookAgain(side, bell, sample, clock, counters);
    }
    side.endSleep();
  }
}

/**
 * Nobody has rung and nothing is due: what there is to do all the same was announced by a notification that went missing, or
 * that comes a moment later (who publishes rings afterwards). The clock has just been read.
 */
function lookAgain(side: Side, bell: Bell, sample: number, clock: Clock, counters: Counters): void {
  // A thread that a busy computer wakes late may find its deadline passed.
  const due = clock.slot[0] >= side.deadline[0];
  if (!side.turn() || due) return;
  clock.read();
  bell.deadline[0] = clock.slot[0] + LATE_RING_NS;
  if (!bell.blockUntilDeadline(sample)) counters.add(Counter.lostNotifications, 1);
}

/**
 * Turns without progress until `times[1]`. A function of its own so that a profile names it. `times[2]` says when it was last
 * seen to have nothing to do: the turn that ends a spin may copy a frame, which is no spinning.
 * @returns true when a turn progressed
 */
function spin(side: Side, clock: Clock, times: Float64Array): boolean {
  times[2] = times[0];
  for (;;) {
    for (let i = 0; i < TURNS_PER_CLOCK_READ; i++) {
      if (side.finished) return true;
      if (side.turn()) return true;
      pause();
    }
    clock.read();
    times[2] = clock.slot[0];
    if (times[2] >= times[1]) return false;
  }
}
