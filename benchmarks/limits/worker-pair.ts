import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type Measured, reasonOf, unavailable } from './available.ts';

export type PairRole = 'first' | 'second';

export interface PairPlan {
  readonly role: PairRole;
  readonly shared: SharedArrayBuffer;
  readonly seconds: number;
}

/** Beyond a pair's own time: for starting two workers on a busy machine. */
const GRACE_SECONDS = 1.5;

/**
 * Runs one entry file of this folder in two workers over one shared buffer until both have ended by themselves or are late.
 * @param entry file name without extension (`.ts` in a clone, `.js` when built)
 * @returns the buffer, with what was stored until then, or why it holds nothing
 */
export async function runPair(entry: string, bytes: number, seconds: number, signal?: AbortSignal): Promise<Measured<SharedArrayBuffer>> {
  if (availableParallelism() < 2) return unavailable('two spinning threads need two CPUs');
  signal?.throwIfAborted();
  const shared = new SharedArrayBuffer(bytes);
  const file = new URL(`./${entry}${extname(import.meta.url)}`, import.meta.url);
  const limit = AbortSignal.timeout(Math.ceil((seconds + GRACE_SECONDS) * 1000));
  const stop = signal ? AbortSignal.any([signal, limit]) : limit;
  const workers = (['first', 'second'] as const).map(
    (role) => new Worker(file, { workerData: { role, shared, seconds } satisfies PairPlan, execArgv: [] }),
  );
  try {
    const codes = await Promise.all(workers.map((worker) => once(worker, 'exit', { signal: stop })));
    return codes.every(([code]) => code === 0) ? { value: shared } : unavailable(`a worker of ${entry} ended early`);
  } catch (error) {
    signal?.throwIfAborted();
    return limit.aborted ? { value: shared } : unavailable(reasonOf(error));
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
