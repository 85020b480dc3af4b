/** The other thread of a two-thread benchmark: started, pinned, waited for. */
import { once } from 'node:events';
import { extname } from 'node:path';
import { parentPort, type Transferable, Worker, workerData } from 'node:worker_threads';
import { pinThread } from './affinity.ts';

export interface OtherThread {
  readonly worker: Worker;
  readonly pinned: boolean;
  /** Resolves when the thread has ended; rejects with what it threw. */
  readonly ended: Promise<unknown>;
}

interface Start<T> {
  readonly plan: T;
  readonly cpu: number | null;
}

interface Started {
  readonly pinned: boolean;
}

/**
 * Starts an entry file of this folder and waits until it is ready.
 * @param entry file name without extension (`.ts` in a clone, `.js` when built)
 * @param cpu where the thread is to run, or null for anywhere
 */
export async function startThread<T>(entry: string, plan: T, cpu: number | null, transfer: Transferable[] = []): Promise<OtherThread> {
  const file = new URL(`./${entry}${extname(import.meta.url)}`, import.meta.url);
  const worker = new Worker(file, { workerData: { plan, cpu } satisfies Start<T>, transferList: transfer, execArgv: [] });
  const ended = once(worker, 'exit');
  ended.catch(() => {}); // Whoever waits for `ended` hears of it.
  const [{ pinned }] = (await once(worker, 'message')) as [Started];
  return { worker, pinned, ended };
}

/** On the other thread: its plan, and what to call when it is ready. Pins it first. */
export async function threadPlan<T>(): Promise<{ plan: T; started: () => void }> {
  const { plan, cpu } = workerData as Start<T>;
  const pinned = cpu !== null && (await pinThread(cpu)) === null;
  return { plan, started: () => parentPort?.postMessage({ pinned } satisfies Started) };
}
