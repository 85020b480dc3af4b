import type { Clock } from '../measure/clock.ts';
import type { Counters } from '../measure/counters.ts';
import { Counter } from '../measure/counters.ts';

/**
 * One cell a side for everything that can wake it: kicks or interrupts of all its queues, sink releases,
 * config changes, stop. A waiter takes `sample()`, looks for work, and sleeps only while the cell still
 * holds that sample, so no ring is ever lost.
 */
export interface Doorbell {
  /** The cell's value, to be passed to `sleep` after the caller has looked for work. */
  sample(): number;
  /** Wakes the other side, or makes its next `sleep` return at once. The system call is made only if it sleeps. */
  ring(): void;
  /**
   * Waits until the cell differs from `expected` or the clock reaches `deadlineNs` (Infinity: none): spins for
   * the doorbell's spin budget, then sleeps.
   * @returns true if the cell changed, false at the deadline
   */
  sleep(expected: number, deadlineNs: number): boolean;
}

/** Cells a doorbell takes: sequence and sleeper flag. */
export const DOORBELL_WORDS = 2;

export interface DoorbellOptions {
  /** How long `sleep` spins before it makes a system call. */
  readonly spinNs: number;
  /** Counter of rings that had to wake a sleeper. */
  readonly rangCounter: number;
  /** Counter of rings that needed no system call. */
  readonly suppressedCounter: number;
}

/** `Atomics.wait` oversleeps by about 60 µs: the last stretch before a deadline is spun. */
const WAKE_MARGIN_NS = 150_000;
/** A sleeper looks again by itself after so long, whatever happens to the notification. */
const RECHECK_MS = 100;
/** Polls of the cell between two reads of the clock. */
const POLLS_PER_CLOCK_READ = 8;

const pause: () => void = typeof Atomics.pause === 'function' ? Atomics.pause : () => {};

/**
 * A doorbell of two shared cells, for two threads of one process. cells[index] is the sequence, cells[index + 1]
 * is 1 while the other side is in `Atomics.wait`. The ringing and the sleeping side each have an instance of
 * their own, with their own counters; only one thread may sleep on a doorbell.
 *
 * No ring is lost: the sleeper sets its flag, then compares the sequence (inside `Atomics.wait`); the ringer moves
 * the sequence, then reads the flag. All four are sequentially consistent, so one side sees the other's write.
 *
 * The clock must move by itself: with a virtual clock a deadline never comes.
 */
export class AtomicsDoorbell implements Doorbell {
  /** Sleeps that ended by the timed re-check although the sequence had moved: a notification went missing. */
  lostWakeUps = 0;
  /** Of the next `blockUntilDeadline`, ns; Infinity: none. */
  readonly deadline = new Float64Array(1);
  readonly #times = new Float64Array(2);
  readonly #cells: Int32Array;
  readonly #index: number;
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #spinNs: number;
  readonly #rang: number;
  readonly #suppressed: number;

  constructor(cells: Int32Array, index: number, clock: Clock, counters: Counters, options: DoorbellOptions) {
    if (!(cells.buffer instanceof SharedArrayBuffer)) throw new RangeError('a doorbell needs shared memory');
    if (!Number.isInteger(index) || index < 0 || index + DOORBELL_WORDS > cells.length) {
      throw new RangeError(`no doorbell at cell ${index} of ${cells.length}`);
    }
    if (!(options.spinNs >= 0)) throw new RangeError(`a doorbell cannot spin for ${options.spinNs} ns`);
    this.#cells = cells;
    this.#index = index;
    this.#clock = clock;
    this.#counters = counters;
    this.#spinNs = options.spinNs;
    this.#rang = options.rangCounter;
    this.#suppressed = options.suppressedCounter;
  }

  sample(): number {
    return Atomics.load(this.#cells, this.#index);
  }

  ring(): void {
    Atomics.add(this.#cells, this.#index, 1);
    if (Atomics.load(this.#cells, this.#index + 1) !== 0) {
      Atomics.notify(this.#cells, this.#index, 1);
      this.#counters.add(this.#rang, 1);
    } else {
      this.#counters.add(this.#suppressed, 1);
    }
  }

  sleep(expected: number, deadlineNs: number): boolean {
    if (Atomics.load(this.#cells, this.#index) !== expected) return true;
    if (this.#spinNs > 0 && this.spin(expected, deadlineNs)) return true;
    return this.block(expected, deadlineNs);
  }

  /** Polls the cell for the spin budget, at most until the deadline. Returns whether the cell changed. */
  spin(expected: number, deadlineNs: number): boolean {
    const clock = this.#clock;
    clock.read();
    const start = clock.slot[0];
    const until = Math.min(start + this.#spinNs, deadlineNs);
    return this.#poll(expected, start, until);
  }

  /** Sleeps until the cell changes or the deadline comes; spins the last stretch. Returns whether the cell changed. */
  block(expected: number, deadlineNs: number): boolean {
    this.deadline[0] = deadlineNs;
    return this.blockUntilDeadline(expected);
  }

  /** As `block`, until `deadline[0]`: a loop that sleeps every frame passes no double, which would be boxed. */
  blockUntilDeadline(expected: number): boolean {
    const cells = this.#cells;
    const index = this.#index;
    const clock = this.#clock;
    // Slots, not variables: a double that lives across Atomics.wait would be boxed.
    const times = this.#times;
    const counted = this.#counters.cells;
    for (;;) {
      clock.read();
      times[0] = clock.slot[0];
      times[1] = this.deadline[0] - times[0] - WAKE_MARGIN_NS;
      if (times[1] <= 0) return this.#poll(expected, times[0], this.deadline[0]);
      Atomics.store(cells, index + 1, 1);
      const outcome = Atomics.wait(cells, index, expected, times[1] >= RECHECK_MS * 1e6 ? RECHECK_MS : times[1] / 1e6);
      Atomics.store(cells, index + 1, 0);
      clock.read();
      counted[Counter.sleeps] += 1;
      counted[Counter.sleepNs] += clock.slot[0] - times[0];
      if (Atomics.load(cells, index) !== expected) {
        // A ring right after the time-out is no loss, but it looks the same: this counts both.
        if (outcome === 'timed-out') this.lostWakeUps++;
        return true;
      }
    }
  }

  #poll(expected: number, start: number, until: number): boolean {
    const cells = this.#cells;
    const index = this.#index;
    const clock = this.#clock;
    let changed = false;
    for (;;) {
      for (let i = 0; i < POLLS_PER_CLOCK_READ; i++) {
        if (Atomics.load(cells, index) !== expected) {
          changed = true;
          break;
        }
        pause();
      }
      clock.read();
      if (changed || clock.slot[0] >= until) break;
    }
    this.#counters.add(Counter.spins, 1);
    this.#counters.add(Counter.spinNs, clock.slot[0] - start);
    return changed;
  }
}
