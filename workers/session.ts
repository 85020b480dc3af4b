import v8 from 'node:v8';
import { Piscina } from 'piscina';
import type { MachinePlan } from '../core/machine/plan.ts';
import { DeviceRegisters } from '../core/ring/registers.ts';
import type { GuestReport, HostReport, SideReport, SideTask, Window } from './task.ts';

/** A machine ran to its end, or why it did not. */
export type SessionOutcome =
  | { readonly kind: 'done'; readonly guest: GuestReport; readonly host: HostReport }
  | { readonly kind: 'failed'; readonly side: 'guest' | 'host' | 'session'; readonly reason: string }
  | { readonly kind: 'aborted' };

/** Size of a worker's young generation half, MiB. */
const NURSERY_MB = 64;

/** How long a side may take to end after a stop was asked for, before its thread is terminated, ms. */
const STOP_GRACE_MS = 400;

/**
 * Runs machines one after the other on two warm workers: starts both sides, supervises them, aborts and times them
 * out. A worker that is gone without having said anything is a failure with a reason.
 */
export class SessionRunner {
  #pool: Piscina | null = null;
  readonly #entry: string;

  /** @param entry file that the workers run; replaced by tests */
  constructor(entry: string = new URL(import.meta.url.endsWith('.ts') ? './entry.ts' : './entry.js', import.meta.url).href) {
    this.#entry = entry;
  }

  /**
   * @param timeoutMs after this long without an end both sides are stopped
   * @param signal aborts: both sides are stopped, the outcome is `aborted`
   */
  async run(plan: MachinePlan, window: Window, timeoutMs: number, signal?: AbortSignal): Promise<SessionOutcome> {
    if (signal?.aborted) return { kind: 'aborted' };
    const pool = this.#open();
    const registers = new DeviceRegisters(new Int32Array(plan.control));
    let end: (outcome: SessionOutcome) => void = () => {};
    const ended = new Promise<SessionOutcome>((resolve) => {
      end = resolve;
    });
    const abort = (): void => end({ kind: 'aborted' });
    signal?.addEventListener('abort', abort, { once: true });
    const timer = setTimeout(() => {
      end({ kind: 'failed', side: 'session', reason: `no end after ${timeoutMs} ms: guest ${alive(registers.guestAlive)}, host ${alive(registers.hostAlive)}` });
    }, timeoutMs);
    const start = (role: 'guest' | 'host'): Promise<SideReport | null> => {
      const task: SideTask = { role, plan, window };
      return (pool.run(task) as Promise<SideReport>).catch((error: unknown) => {
        // The first to fail is the cause; the other side is told to end because of it.
        end({ kind: 'failed', side: role, reason: reasonOf(error) });
        return null;
      });
    };
    const sides = Promise.all([start('host'), start('guest')]);
    void sides.then(([host, guest]) => {
      if (host?.role === 'host' && guest?.role === 'guest') end({ kind: 'done', guest, host });
    });
    const outcome = await ended;
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    if (outcome.kind !== 'done') {
      registers.requestStop();
      // Both sides look at the stop word at each turn; one that does not is terminated with its pool.
      const stopped = await Promise.race([sides.then(() => true), delay(STOP_GRACE_MS)]);
      if (!stopped || outcome.kind === 'failed') await this.close();
    }
    return outcome;
  }

  /** Ends the workers. */
  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = null;
    if (pool !== null) await pool.destroy();
  }

  #open(): Piscina {
    // Workers begin with a nursery of 1 MiB, which the few bytes a sleep costs fill in a while: a collection in the
    // middle of a measurement. Isolates made from here on begin with room for a whole repetition.
    v8.setFlagsFromString(`--min-semi-space-size=${NURSERY_MB}`);
    v8.setFlagsFromString(`--max-semi-space-size=${NURSERY_MB}`);
    this.#pool ??= new Piscina({
      filename: this.#entry,
      minThreads: 2,
      maxThreads: 2,
      // One more would let a repetition wait behind another one's side.
      concurrentTasksPerWorker: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      recordTiming: false,
      execArgv: process.execArgv.filter((argument) => !argument.startsWith('--cpu-prof')),
    });
    return this.#pool;
  }
}

const ALIVE = ['not started', 'starting', 'running', 'stopped', 'failed'] as const;
const alive = (word: number): string => ALIVE[word] ?? `unknown (${word})`;

function reasonOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

function delay(ms: number): Promise<false> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms);
    timer.unref();
  });
}
