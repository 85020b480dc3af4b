/** The thread of a guest whose host is another process: a worker's entry file. */
import { parentPort, workerData } from 'node:worker_threads';
import { DriverError } from '../../core/guest/errors.ts';
import run from '../entry.ts';
import type { SideReport, SideTask } from '../task.ts';
import { PeerError } from './peer-error.ts';

/** What the thread tells, once. */
export type GuestNews =
  /** null: it could not go on because it had been told to stop. */
  | { readonly kind: 'ended'; readonly report: SideReport | null }
  /** `peer`: the back end did not do its part, or refused what the guest needs. */
  | { readonly kind: 'failed'; readonly message: string; readonly isPeer: boolean };

let news: GuestNews;
try {
  news = { kind: 'ended', report: run(workerData as SideTask) };
} catch (error) {
  const isPeer = error instanceof PeerError || error instanceof DriverError;
  news = { kind: 'failed', message: error instanceof Error ? error.message : String(error), isPeer };
}
parentPort?.postMessage(news);
