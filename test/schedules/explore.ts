/** Starts pairs of sides, hands them tasks and collects what they found. */
import { Worker } from 'node:worker_threads';
import { pickCpus } from '../../benchmarks/micro/affinity.ts';
import type { Edit } from './edits.ts';
import type { Scenario } from './scenario.ts';
import type { SideData } from './side.ts';
import { BELL_CELLS, newMemory } from './stage.ts';
import type { Task, TaskResult } from './tasks.ts';
import { DEVICE, DRIVER, type Side, TURN_CELLS } from './turns.ts';

export interface ExploreOptions {
  readonly scenarios: readonly Scenario[];
  /** Begun in order; with two pairs not ended in order. */
  readonly tasks: readonly Task[];
  readonly edits?: readonly Edit[];
  /** How many of them run at a time, one a CPU. Default: one for each of two CPUs. */
  readonly pairs?: 1 | 2;
  /** Called as each task is done. */
  readonly progress?: (result: TaskResult) => void;
  /** Ends it early. */
  readonly signal?: AbortSignal;
}

/**
 * Carries the tasks out.
 * @returns a result each, as they came; fewer when the signal ended it
 * @throws what a side threw outside of a run, such as an edit that finds no text
 */
export async function explore(options: ExploreOptions): Promise<TaskResult[]> {
  const { scenarios, tasks, edits = [], progress, signal } = options;
  const picked = pickCpus();
  const cpus: readonly number[] = 'value' in picked ? picked.value : [-1];
  const pairs = Math.min(options.pairs ?? 2, tasks.length, cpus.length);
  const results: TaskResult[] = [];
  const workers: Worker[] = [];
  let next = 0;

  const runPair = (cpu: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const data: Omit<SideData, 'side'> = {
        turns: new Int32Array(new SharedArrayBuffer(4 * TURN_CELLS)),
        memory: newMemory(),
        bells: new Int32Array(new SharedArrayBuffer(4 * BELL_CELLS)),
        scenarios,
        edits,
        cpu,
      };
      const start = (side: Side): Worker => new Worker(new URL('./side.ts', import.meta.url), { workerData: { ...data, side } });
      const pair = [start(DRIVER), start(DEVICE)];
      workers.push(...pair);
      let ready = 0;
      let ended = 0;
      const [leader] = pair;
      const proceed = (): void => leader.postMessage(signal?.aborted === true ? null : (tasks[next++] ?? null));
      for (const worker of pair) {
        worker.on('message', (message: TaskResult | 'ready') => {
          if (message === 'ready') {
            if (++ready === 2) proceed();
            return;
          }
          results.push(message);
          progress?.(message);
          proceed();
        });
        worker.once('error', reject);
        worker.once('exit', () => {
          if (++ended === 2) resolve();
        });
      }
    });

  const stopped = new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }));
  try {
    const all = Promise.all(Array.from({ length: pairs }, (_, i) => runPair(cpus[i])));
    await (signal === undefined ? all : Promise.race([all, stopped]));
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return results;
}
