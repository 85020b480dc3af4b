/** Measures micro benchmarks in fresh processes; a ring in turns with its limit, so that both meet the same machine. */

import { seededRandom } from '../../reports/random.ts';
import { bootstrapInterval, median, ratioOfPairs } from '../../reports/statistics.ts';
import { findCompiler } from '../compiler.ts';
import { C_ORDERS, type COrder, CRings } from '../limits/c-ring.ts';
import { type CpuPair, pickCpus } from './affinity.ts';
import type { MicroBenchmark } from './benchmark.ts';
import type { MicroDocument, MicroResult, Spread } from './document.ts';
import type { Engine, HardwareCounters } from './engines.ts';
import { RING_WORKS, UNPADDED_WORKS } from './ring-work.ts';
import { measureInProcess } from './start-process.ts';

export interface MicroOptions {
  readonly benchmarks: readonly MicroBenchmark[];
  /** Of a two-thread benchmark and its limit; others run in a third as many processes. */
  readonly pairs: number;
  readonly seconds: number;
  readonly engine: Engine;
  readonly signal: AbortSignal;
  readonly onStep?: (done: number, total: number, what: string) => void;
}

/** Rings that a peer, or a ring whose sides share cache lines, is measured beside: they carry what it carries. */
const BESIDE: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries([...UNPADDED_WORKS.keys()].map((name) => [name, [name.replace('/unpadded', '')]])),
  'peer/ringbuf.js/threads': ['split', 'packed'].flatMap((layout) => [`ring/${layout}/threads/batch-1`, `ring/${layout}/threads/batch-16`]),
};

/** One who takes turns: the benchmark itself, a ring beside it, or a C ring. Times of all turns; why there are none. */
interface Contestant {
  readonly key: string;
  readonly times: number[];
  pinned: boolean | null;
  counters: HardwareCounters | null;
  unavailable: string | null;
  failed: string | null;
  readonly turn: () => Promise<void>;
}

export function processesOf(benchmark: MicroBenchmark, pairs: number): number {
  return benchmark.threads === 2 ? pairs : Math.max(1, Math.ceil(pairs / 3));
}

export async function runMicro(options: MicroOptions): Promise<MicroDocument> {
  const { benchmarks, pairs, seconds, engine, signal, onStep } = options;
  const picked = pickCpus();
  const cpus = 'value' in picked ? picked.value : null;
  const compiler = await findCompiler();
  const rings = compiler === null ? null : new CRings(compiler);
  const document: MicroDocument = {
    benchmarks: [],
    unavailable: [],
    failed: [],
    engine,
    node: process.versions.node,
    seconds,
    cpus: 'value' in picked ? picked.value : picked,
    interrupted: false,
  };
  const total = benchmarks.reduce((sum, benchmark) => sum + processesOf(benchmark, pairs), 0);
  let done = 0;
  try {
    for (const benchmark of benchmarks) {
      const contestants = contestantsOf(benchmark, options, cpus, rings);
      const turns = processesOf(benchmark, pairs);
      for (let turn = 0; turn < turns; turn++) {
        onStep?.(done++, total, benchmark.name);
        // A B B A: what drifts favours neither.
        const order = turn % 2 === 0 ? contestants : contestants.toReversed();
        for (const contestant of order) if (contestant.unavailable === null && contestant.failed === null) await contestant.turn();
        if (contestants[0].unavailable !== null || contestants[0].failed !== null) {
          done += turns - turn - 1;
          break;
        }
      }
      conclude(document, benchmark, contestants);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    document.interrupted = true;
  } finally {
    await rings?.close();
  }
  return document;
}

function contestantsOf(benchmark: MicroBenchmark, options: MicroOptions, cpus: CpuPair | null, rings: CRings | null): Contestant[] {
  const { seconds, engine, signal } = options;
  const inProcess = (name: string): Contestant => {
    const self: Contestant = contestant(name, async () => {
      const result = await measureInProcess({ name, engine, seconds, cpus }, signal);
      if ('unavailable' in result) self.unavailable = result.unavailable;
      else if ('failed' in result) self.failed = result.failed;
      else {
        self.times.push(result.ns);
        self.counters = result.counters;
        if (result.pinned !== null) self.pinned = self.pinned !== false && result.pinned;
      }
    });
    return self;
  };
  const inC = (order: COrder): Contestant => {
    const self: Contestant = contestant(order, async () => {
      const work = RING_WORKS.get(benchmark.name);
      if (work === undefined || rings === null) {
        self.unavailable = 'no C compiler (cc, gcc or clang) is on the PATH';
        return;
      }
      const measured = await rings.measure(work, order, seconds, cpus, signal);
      if ('unavailable' in measured) self.unavailable = measured.unavailable;
      else self.times.push(measured.value.ns);
    });
    return self;
  };
  return [
    inProcess(benchmark.name),
    ...(benchmark.limit === null ? [] : C_ORDERS.map(inC)),
    ...(BESIDE[benchmark.name] ?? []).map(inProcess),
  ];
}

function contestant(key: string, turn: () => Promise<void>): Contestant {
  return { key, times: [], pinned: null, counters: null, unavailable: null, failed: null, turn };
}

function conclude(document: MicroDocument, benchmark: MicroBenchmark, contestants: readonly Contestant[]): void {
  const { name, unit, limit } = benchmark;
  for (const { key, unavailable, failed } of contestants) {
    const what = key === name || key.includes('/') ? key : `${limit} (${key})`;
    if (unavailable !== null) document.unavailable.push({ name: what, reason: unavailable });
    if (failed !== null) document.failed.push({ name: what, reason: failed });
  }
  const own = contestants[0];
  if (own.times.length === 0) return;
  const of = (key: string): Contestant | undefined => contestants.find((candidate) => candidate.key === key);
  const seqCst = of('seq_cst');
  const acquireRelease = of('acq_rel');
  const result: MicroResult = {
    name,
    unit,
    ...spreadOf(own.times),
    ratioToLimit: ratioOf(seqCst, own),
    ratioToAcquireRelease: ratioOf(acquireRelease, own),
    limit: limit === null ? null : { name: limit, seqCst: timesOf(seqCst), acquireRelease: timesOf(acquireRelease) },
    rings: contestants.slice(1).flatMap((ring) => {
      const ratio = ring.key.includes('/') ? ratioOf(own, ring) : null;
      return ratio === null ? [] : [{ name: ring.key, ...ratio }];
    }),
    runs: own.times.length,
    pinned: own.pinned,
    counters: document.engine === 'mitata' ? (own.counters ?? 'unavailable') : null,
  };
  document.benchmarks.push(result);
}

/** Head's time over base's, pair by pair; null without pairs. */
function ratioOf(head: Contestant | undefined, base: Contestant): Spread | null {
  if (head === undefined || head.times.length === 0 || head.times.length !== base.times.length) return null;
  const { median: estimate, low, high } = ratioOfPairs(head.times.map((ns, i) => [ns, base.times[i]]));
  return { median: estimate, low, high };
}

function timesOf(contestant: Contestant | undefined): Spread | null {
  return contestant === undefined || contestant.times.length === 0 ? null : spreadOf(contestant.times);
}

function spreadOf(times: readonly number[]): Spread {
  const estimator = (values: Float64Array): number => median(values);
  return { median: median(times), ...bootstrapInterval(times, estimator, 0.95, seededRandom(1)) };
}
