import v8 from 'node:v8';
import type { MessagePort, Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { MachinePlan } from '../core/machine/plan.ts';
import { DeviceRegisters } from '../core/ring/registers.ts';
import { ContentThread } from './content/content-thread.ts';
import { EncodeThread } from './encode/encode-thread.ts';
import type { EncodeShare } from './encode/link.ts';
import type { MemoryTask, ThreadMemory } from './memory.ts';
import { Libc } from './native/libc.ts';
import { MemfdMemory } from './native/memfd-memory.ts';
import { deathOf, Supervisor } from './supervisor.ts';
import type { GuestReport, HostReport, SideReport, SideTask, Window } from './task.ts';
import { inlineRings } from './v8-flags.ts';

/** A machine ran to its end, or why it did not. */
export type SessionOutcome =
  | {
      readonly kind: 'done';
      readonly guest: GuestReport;
      readonly host: HostReport;
      /** With the sink `encode`: what the encode thread wrote down. */
      readonly encode?: { readonly share: EncodeShare };
    }
  | { readonly kind: 'failed'; readonly side: 'guest' | 'host' | 'session'; readonly reason: string }
  | { readonly kind: 'aborted' };

/** Whoever streams what the sink `encode` makes. */
export interface EncodeTap {
  /** Transferred to the encode thread: each packet is posted there, a `StreamPacket`. */
  readonly packets: MessagePort;
  /** Called with the encode thread before the machine starts. */
  readonly started: (encoder: EncodeThread) => void;
  /** As `EncodeStart`'s. */
  readonly fallBack?: (why: string) => void;
}

/** Workers: the guest's and the host's. */
const THREADS = 2;
/** Size of a worker's young generation half, MiB. */
const NURSERY_MB = 64;

type Role = SideTask['role'];

/** How long a side may take to end after a stop was asked for, before its thread is terminated, ms. */
const STOP_GRACE_MS = 400;

/**
 * Runs machines one after the other on two warm workers: starts both sides, supervises them, aborts and times them
 * out. A worker that is gone without having said anything is a failure with a reason, and the next machine gets new ones.
 */
export class SessionRunner {
  /** Told in a line what is amiss and ends no machine. */
  onNotice: (text: string) => void = () => {};
  #pool: Piscina | null = null;
  readonly #entry: string;

  /** @param entry file that the workers run; replaced by tests */
  constructor(entry: string = new URL(import.meta.url.endsWith('.ts') ? './entry.ts' : './entry.js', import.meta.url).href) {
    this.#entry = entry;
  }

  /**
   * @param timeoutMs after this long without an end both sides are stopped
   * @param signal aborts: both sides are stopped, the outcome is `aborted`
   * @param remote a `Remote`'s buffer: what the machine is asked while it runs
   * @param tap with the sink `encode`: who has its packets
   */
  async run(
    plan: MachinePlan,
    window: Window,
    timeoutMs: number,
    signal?: AbortSignal,
    remote?: SharedArrayBuffer,
    tap?: EncodeTap,
  ): Promise<SessionOutcome> {
    const files = plan.options.memory === 'memfd' ? memfdMemory(plan) : null;
    let encoder: EncodeThread | null = null;
    let content: ContentThread | null = null;
    try {
      const shown = await this.#contentThread(plan);
      if (typeof shown === 'string') return { kind: 'failed', side: 'session', reason: shown };
      content = shown;
      encoder = plan.options.sink === 'encode' ? await encodeThread(plan, tap) : null;
      if (encoder !== null) tap?.started(encoder);
      return await this.#run(plan, window, timeoutMs, signal, remote, encoder, content, files?.fds);
    } finally {
      await content?.stop();
      // Before the memory goes that it reads.
      await encoder?.stop();
      files?.close();
    }
  }

  async #run(
    plan: MachinePlan,
    window: Window,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    remote: SharedArrayBuffer | undefined,
    encoder: EncodeThread | null,
    content: ContentThread | null,
    files: readonly number[] | undefined,
  ): Promise<SessionOutcome> {
    if (signal?.aborted) return { kind: 'aborted' };
    const pool = this.#open();
    const registers = new DeviceRegisters(new Int32Array(plan.control));
    let end: (outcome: SessionOutcome) => void = () => {};
    const ended = new Promise<SessionOutcome>((resolve) => {
      end = resolve;
    });
    const abort = (): void => end({ kind: 'aborted' });
    signal?.addEventListener('abort', abort, { once: true });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      end({
        kind: 'failed',
        side: 'session',
        reason: `no end after ${timeoutMs} ms: guest ${alive(registers.guestAlive)}, host ${alive(registers.hostAlive)}`,
      });
    }, timeoutMs);
    const running = new Set<Role>();
    const supervisor = new Supervisor(plan, pool);
    const start = async (role: Role): Promise<SideReport | null> => {
      const extras = { ...(remote === undefined ? {} : { remote }), ...(files === undefined ? {} : { files }) };
      const task: SideTask = { role, plan, window, ...extras };
      running.add(role);
      try {
        if (encoder === null || role === 'guest') return (await pool.run(task)) as SideReport | null;
        const { link } = encoder;
        // A list, as Piscina wants it; its type was drawn from an overload of Node's that takes none.
        return (await pool.run({ ...task, encode: link }, { transferList: [link.port] as never })) as SideReport | null;
      } catch (error) {
        if (await supervisor.mayReplace(role, error)) return await start(role);
        // The first to fail is the cause; the other side is told to end because of it.
        end({ kind: 'failed', side: role, reason: reasonOf(error) });
        return null;
      } finally {
        running.delete(role);
      }
    };
    const sides = Promise.all([start('host'), start('guest')]);
    void sides.then(([host, guest]) => {
      const encode = encoder === null ? {} : { encode: { share: encoder.link.share } };
      if (host?.role === 'host' && guest?.role === 'guest') end({ kind: 'done', guest, host, ...encode });
      else end({ kind: 'failed', side: 'session', reason: 'a side ended without a report' });
    });
    void content?.failed.then((why) => end({ kind: 'failed', side: 'session', reason: notShown(plan, why) }));
    void encoder?.failed.then((why) => end({ kind: 'failed', side: 'session', reason: `the encode thread failed: ${why}` }));
    const outcome = await ended;
    clearTimeout(timer);
    supervisor.stop();
    signal?.removeEventListener('abort', abort);
    if (outcome.kind === 'done') return outcome;
    // Both sides look at the stop word at each turn; one that does not is terminated with its pool.
    registers.requestStop();
    await Promise.race([sides, delay(STOP_GRACE_MS)]);
    const [hung] = running.size === 1 ? running : [];
    // A pool of which a worker was lost or hung is not used again.
    if (outcome.kind === 'failed' || running.size > 0) await this.close();
    return late && hung !== undefined && outcome.kind === 'failed'
      ? { ...outcome, side: hung, reason: `${outcome.reason}; the ${hung} did not stop either` }
      : outcome;
  }

  /** What each worker holds after a collection, between two machines. Starts the workers where there are none. */
  async memory(): Promise<ThreadMemory[]> {
    const pool = this.#open();
    const meeting = new SharedArrayBuffer(4);
    const task: MemoryTask = { role: 'memory', meeting, threads: THREADS };
    return await Promise.all(Array.from({ length: THREADS }, async () => (await pool.run(task)) as ThreadMemory));
  }

  /** The workers there are: none before the first machine, or after one that was lost. For profilers. */
  get threads(): readonly Worker[] {
    return this.#pool?.threads ?? [];
  }

  /** Ends the workers. */
  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = null;
    if (pool !== null) await pool.destroy();
  }

  /** @returns the thread that decodes what the guest shows; null: it draws by itself; a string: why it cannot be shown */
  async #contentThread(plan: MachinePlan): Promise<ContentThread | string | null> {
    const { options, content, originNs } = plan;
    if (options.content === undefined || content === undefined) return null;
    const { name } = options.content;
    const damaged = (why: string): void => this.onNotice(`${name}: a part cannot be decoded, what can is shown: ${why}`);
    try {
      return await ContentThread.start(options.content, content, options.rateHz !== null, originNs, damaged);
    } catch (error) {
      return notShown(plan, error instanceof Error ? error.message : String(error));
    }
  }

  #open(): Piscina {
    if (this.#pool !== null) return this.#pool;
    // Workers begin with a nursery of 1 MiB, which the few bytes a sleep costs fill in a while: a collection in the
    // middle of a measurement. Isolates made from here on begin with room for a whole repetition.
    v8.setFlagsFromString(`--min-semi-space-size=${NURSERY_MB}`);
    v8.setFlagsFromString(`--max-semi-space-size=${NURSERY_MB}`);
    inlineRings();
    const pool = new Piscina({
      filename: this.#entry,
      minThreads: THREADS,
      maxThreads: THREADS,
      // One more would let a repetition wait behind another one's side.
      concurrentTasksPerWorker: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      recordTiming: false,
      // Of the flags of this process, a worker refuses V8's; those hold for it anyway.
      execArgv: [],
    });
    // A worker lost between two tasks has no task to tell; without a listener the event would end the process.
    pool.on('error', () => {
      if (this.#pool === pool) void this.close();
    });
    this.#pool = pool;
    return pool;
  }
}

const ALIVE = ['not started', 'starting', 'running', 'stopped', 'failed'] as const;
const alive = (word: number): string => ALIVE[word] ?? `unknown (${word})`;

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return deathOf(error) ?? `${error.name}: ${error.message}`;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(), ms);
    timer.unref();
  });
}

const notShown = ({ options }: MachinePlan, why: string): string => `${options.content?.name ?? 'the content'} cannot be shown: ${why}`;

/** @throws Error why this machine cannot encode */
async function encodeThread({ options, control, originNs }: MachinePlan, tap?: EncodeTap): Promise<EncodeThread> {
  const { heads, maxRefreshHz, encoder } = options;
  const start = { heads, maxRefreshHz, encoder, originNs, wake: { kind: 'doorbell', control }, output: null } as const;
  if (tap === undefined) return await EncodeThread.start(start);
  const { packets, fallBack } = tap;
  return await EncodeThread.start({ ...start, packets, ...(fallBack === undefined ? {} : { fallBack }) });
}

/** Lays files under the guest's memory. @throws Error when this machine cannot */
function memfdMemory(plan: MachinePlan): MemfdMemory {
  const libc = Libc.load();
  if (typeof libc === 'string') throw new Error(libc);
  return new MemfdMemory(libc, plan.regions);
}
