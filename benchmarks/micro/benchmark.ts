import type { CpuPair } from './affinity.ts';

/** What is timed: does its work `count` times. Promises are awaited within the time. */
export type Work = (count: number) => void | Promise<void>;

/** A benchmark that was set up, in the process that measures it. */
export interface Prepared {
  readonly run: Work;
  /** How often `run` is to do its work at one go; found by trial when absent. */
  readonly count?: number;
  /** Whether all threads are on CPUs of their own; null where none was to be pinned. */
  readonly pinned?: boolean | null;
  /** Ends threads. */
  close?(): Promise<void>;
}

/** A micro benchmark, defined once for every engine. */
export interface MicroBenchmark {
  /** A path: `ring/split/threads/batch-16`. */
  readonly name: string;
  /** `ns/buffer`, `ns/round trip`, `ns/call`: a time, so less is better. */
  readonly unit: string;
  /** What its times are compared with: the C ring of the same work. Null: nothing. */
  readonly limit: string | null;
  /** Threads that run at once; each pair of a two-thread benchmark is measured beside its limit. */
  readonly threads: 1 | 2;
  /** @param cpus for the threads, or null to pin none */
  setUp(cpus: CpuPair | null): Prepared | Promise<Prepared>;
}
