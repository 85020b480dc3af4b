import { Worker } from 'node:worker_threads';
import type { MachinePlan } from '../../core/machine/plan.ts';
import { DeviceRegisters } from '../../core/ring/registers.ts';
import type { Libc } from '../native/libc.ts';
import { MemfdMemory } from '../native/memfd-memory.ts';
import type { GuestReport, SideTask, Window } from '../task.ts';
import { inlineRings } from '../v8-flags.ts';
import type { BackEndOffer } from './guest-connect.ts';
import type { GuestNews } from './guest-worker.ts';

const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './guest-worker.ts' : './guest-worker.js', import.meta.url);

/** How a guest ended. */
export type GuestEnd =
  | { readonly kind: 'done'; readonly report: GuestReport }
  /** It was stopped before it had anything to report. */
  | { readonly kind: 'stopped' }
  /** The back end went, or did not do its part. */
  | { readonly kind: 'peer'; readonly why: string };

/**
 * Runs a machine's guest against a back end, on a thread of its own, its memory shared with the back end by sealed files.
 * Leaves neither files nor mappings; the connection stays the caller's.
 * @param signal stops it: what it did until then is reported
 * @throws NativeError when there is no memory; Error what else made the thread fail
 */
export async function runVhostUserGuest(
  libc: Libc,
  { front, lo, hi, numScanouts, numCapsets }: BackEndOffer,
  plan: MachinePlan,
  window: Window,
  signal: AbortSignal,
): Promise<GuestEnd> {
  const registers = new DeviceRegisters(new Int32Array(plan.control));
  registers.setDeviceFeatures(lo, hi);
  registers.numScanouts = numScanouts === 0 ? plan.options.heads : numScanouts;
  registers.numCapsets = numCapsets;
  const memory = new MemfdMemory(libc, plan.regions);
  const stop = (): void => registers.requestStop();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    const regions = plan.regions.map(({ gpa, size }, i) => ({ gpa, size, userAddress: gpa, fileOffset: 0, fd: memory.fds[i] }));
    const task: SideTask = { role: 'guest', plan, window, transport: { socket: front.fd, requests: front.requests, regions } };
    const news = await runThread(task);
    if (news.kind === 'ended') return news.report?.role === 'guest' ? { kind: 'done', report: news.report } : { kind: 'stopped' };
    if (news.isPeer) return { kind: 'peer', why: news.message };
    throw new Error(news.message);
  } finally {
    signal.removeEventListener('abort', stop);
    memory.close();
  }
}

/** @throws Error when the thread ends without a word */
async function runThread(task: SideTask): Promise<GuestNews> {
  inlineRings();
  const worker = new Worker(ENTRY, { workerData: task });
  return await new Promise((resolve, reject) => {
    let news: GuestNews | null = null;
    worker.on('message', (told: GuestNews) => {
      news = told;
    });
    worker.on('error', reject);
    worker.on('exit', (code) => (news === null ? reject(new Error(`the guest's thread ended with exit code ${code}`)) : resolve(news)));
  });
}
