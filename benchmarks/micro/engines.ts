/** The two engines that time a prepared benchmark, in the process that set it up. */
import { monotonicNowNs } from '../../core/measure/clock.ts';
import type { Prepared, Work } from './benchmark.ts';

export const ENGINES = ['tinybench', 'mitata'] as const;
export type Engine = (typeof ENGINES)[number];

/** Averages a call or buffer; null: this machine has no such counters, or its kernel gives none away. */
export interface HardwareCounters {
  readonly cycles: number;
  readonly instructions: number;
  readonly cacheMisses: number;
}

export interface EngineResult {
  /** Nanoseconds a call or buffer, median over samples. */
  readonly ns: number;
  readonly samples: number;
  /** Only mitata counts. */
  readonly counters: HardwareCounters | null;
}

/** A sample is at least so long where a benchmark does not say how much is done at one go. */
const SAMPLE_NS = 50_000;
const MOST_AT_ONCE = 1 << 20;
/** Warm-up: both threads' hot loops are compiled in it, by a third thread that has to get a CPU for it. */
const WARM_UP_MS = 150;
const WARM_UP_SAMPLES = 32;

export async function measureWith(engine: Engine, prepared: Prepared, seconds: number): Promise<EngineResult> {
  const count = prepared.count ?? (await countFor(prepared.run));
  return engine === 'tinybench' ? await withTinybench(prepared.run, count, seconds) : await withMitata(prepared.run, count, seconds);
}

async function countFor(run: Work): Promise<number> {
  for (let count = 1; ; count *= 2) {
    const start = monotonicNowNs();
    await run(count);
    if (monotonicNowNs() - start >= SAMPLE_NS || count === MOST_AT_ONCE) return count;
  }
}

async function withTinybench(run: Work, count: number, seconds: number): Promise<EngineResult> {
  const { Bench } = await import('tinybench');
  const bench = new Bench({
    time: seconds * 1000,
    iterations: 1,
    warmupTime: WARM_UP_MS,
    warmupIterations: WARM_UP_SAMPLES,
    throws: true,
  });
  bench.add('work', () => run(count));
  await bench.run();
  const result = bench.tasks[0].result;
  if (result.state !== 'completed') throw new Error(`the measurement ended as ${result.state}`);
  return { ns: (result.latency.p50 * 1e6) / count, samples: result.latency.samplesCount, counters: null };
}

/** What @mitata/counters gives, as far as it is used: averages of a sample on Linux. */
interface RawCounters {
  readonly cycles?: { readonly avg?: number };
  readonly instructions?: { readonly avg?: number };
  readonly cache?: { readonly misses?: { readonly avg?: number } };
}

async function withMitata(run: Work, count: number, seconds: number): Promise<EngineResult> {
  const { measure } = await import('mitata');
  const options = { min_cpu_time: seconds * 1e9, min_samples: 2, $counters: await countersModule() };
  const stats = await measure(() => run(count), options);
  return { ns: stats.p50 / count, samples: stats.samples.length, counters: countersOf(stats.counters as RawCounters | undefined, count) };
}

/** An optional dependency; false: without. */
async function countersModule(): Promise<object | false> {
  const name: string = '@mitata/counters';
  try {
    return (await import(name)) as object;
  } catch {
    return false;
  }
}

function countersOf(raw: RawCounters | undefined, count: number): HardwareCounters | null {
  const cycles = raw?.cycles?.avg ?? 0;
  // Without a PMU, or without the right to read it, everything is 0.
  if (!(cycles > 0)) return null;
  return {
    cycles: cycles / count,
    instructions: (raw?.instructions?.avg ?? 0) / count,
    cacheMisses: (raw?.cache?.misses?.avg ?? 0) / count,
  };
}
