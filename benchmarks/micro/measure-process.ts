/** One measurement of one benchmark: the entry file of a fresh process. Prints a `ProcessResult` as JSON. */
import { inlineRings } from '../../workers/v8-flags.ts';
import { reasonOf } from '../limits/available.ts';
import type { CpuPair } from './affinity.ts';
import { type Engine, type EngineResult, measureWith } from './engines.ts';
import { MICRO_BENCHMARKS } from './index.ts';

/** The process's one argument, as JSON. */
export interface ProcessPlan {
  readonly name: string;
  readonly engine: Engine;
  readonly seconds: number;
  readonly cpus: CpuPair | null;
}

export type ProcessResult = (EngineResult & { readonly pinned: boolean | null }) | { readonly unavailable: string };

inlineRings();
process.stdout.write(`${JSON.stringify(await measure(JSON.parse(process.argv[2]) as ProcessPlan))}\n`);

async function measure({ name, engine, seconds, cpus }: ProcessPlan): Promise<ProcessResult> {
  const benchmark = MICRO_BENCHMARKS.find((candidate) => candidate.name === name);
  if (benchmark === undefined) throw new RangeError(`no benchmark is named ${name}`);
  try {
    const prepared = await benchmark.setUp(benchmark.threads === 2 ? cpus : null);
    const result = await measureWith(engine, prepared, seconds);
    await prepared.close?.();
    return { ...result, pinned: prepared.pinned ?? null };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') return { unavailable: reasonOf(error) };
    throw error;
  }
}
