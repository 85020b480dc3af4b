/** What the driver's side can be asked to explore, and what it answers. Plain data: posted between threads. */
import type { Finding } from './explorer.ts';

/** Scenarios are given by their index in the list that both sides have. */
export type Task =
  | {
      readonly kind: 'all';
      readonly scenario: number;
      readonly preemptions: number;
      /** False: runs what comes to the same too. Default true. */
      readonly reduce?: boolean;
      /** End at the first finding. Default false. */
      readonly first?: boolean;
      /** Say which orders of conflicting accesses there were. Default false. */
      readonly orders?: boolean;
    }
  /** Schedules `from` to `from + count` of the seed, the scenarios in turns. */
  | { readonly kind: 'random'; readonly seed: number; readonly from: number; readonly count: number }
  | { readonly kind: 'replay'; readonly scenario: number; readonly schedule: readonly number[] }
  /** Compares a split ring whose indices were set with one that was used so often. */
  | { readonly kind: 'preset'; readonly scenario: number };

export interface TaskResult {
  readonly task: Task;
  /** Schedules that were run. */
  readonly run: number;
  /** Preemptions passed over, for one that was tried comes to the same. */
  readonly passed: number;
  readonly findings: readonly (Finding & { readonly scenario: number })[];
  /** Of the longest run. */
  readonly steps: number;
  readonly seconds: number;
  readonly orders: readonly number[];
}
