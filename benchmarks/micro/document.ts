/** What `scanout micro --json` prints. */
import type { CpuPair } from './affinity.ts';
import type { Engine, HardwareCounters } from './engines.ts';

export interface Spread {
  readonly median: number;
  /** 95% bootstrap interval of the median. */
  readonly low: number;
  readonly high: number;
}

export interface MicroResult extends Spread {
  readonly name: string;
  /** Of `median`, `low` and `high`: a time, so less is better. */
  readonly unit: string;
  /** The sequentially consistent C ring's time divided by this one, of interleaved pairs: 1 is as fast as C, 0.5 takes twice as long. */
  readonly ratioToLimit: Spread | null;
  /** Likewise, to the C ring with acquire and release. */
  readonly ratioToAcquireRelease: Spread | null;
  /** The C rings' times in the same pairs. */
  readonly limit: { readonly name: string; readonly seqCst: Spread | null; readonly acquireRelease: Spread | null } | null;
  /** This one's time divided by that of each ring measured beside it: how many times as fast the ring is. */
  readonly rings: readonly (Spread & { readonly name: string })[];
  /** Processes measured: pairs, where there is a limit. */
  readonly runs: number;
  /** Whether both threads were held on CPUs of their own in every run; null: not tried. */
  readonly pinned: boolean | null;
  /** With --deep: of the calling thread, a call or buffer. */
  readonly counters: HardwareCounters | 'unavailable' | null;
}

export interface MicroDocument {
  readonly benchmarks: MicroResult[];
  /** What could not be measured here, and why. */
  readonly unavailable: { readonly name: string; readonly reason: string }[];
  /** Measurements that broke: a fault. */
  readonly failed: { readonly name: string; readonly reason: string }[];
  readonly engine: Engine;
  readonly node: string;
  /** Of one measurement, without its warm-up. */
  readonly seconds: number;
  /** CPUs of the driver's and the device's thread, or why threads were left where they ran. */
  readonly cpus: CpuPair | { readonly unavailable: string };
  /** Ended early by Ctrl-C: what is there is complete in itself. */
  interrupted: boolean;
}
