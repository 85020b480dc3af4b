import type { Clock } from '../measure/clock.ts';

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

export type DoorbellClock = Clock;
