import { Worker } from 'node:worker_threads';
import { plannedDisplays } from '../../core/machine/host-machine.ts';
import { DeviceRegisters } from '../../core/ring/registers.ts';
import type { VhostEncoder } from '../encode/vhost-encoder.ts';
import { ONE_EVENT, SignalWatch } from '../native/event-fd.ts';
import { Libc } from '../native/libc.ts';
import { Remote } from '../remote.ts';
import type { HostNews, HostStart, HostTask } from './host-task.ts';

const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './host-worker.ts' : './host-worker.js', import.meta.url);

/** Why a vhost-user host cannot run here and what to do; null: it can. */
export function whyNoVhostUser(): string | null {
  const libc = Libc.load();
  return typeof libc === 'string' ? libc : null;
}

/** A vhost-user host on a thread of its own. */
export class VhostUserHost {
  readonly #registers: DeviceRegisters;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  readonly #libc: Libc;
  readonly #remote: Remote;
  readonly #refreshHz: number;
  readonly #watch: SignalWatch;
  /** An eventfd; −1 when the thread has ended. */
  #wakeFd: number;

  /**
   * @param onNews all that the thread tells but its end
   * @param encoder that frames are presented to; null: none. It stays the caller's
   * @throws Error where `whyNoVhostUser` says why
   */
  constructor(task: HostTask, onNews: (news: HostNews) => void, encoder: VhostEncoder | null = null) {
    const libc = Libc.load();
    if (typeof libc === 'string') throw new Error(libc);
    this.#libc = libc;
    this.#wakeFd = encoder?.wakeFd ?? libc.eventfd();
    const encode = encoder?.link ?? null;
    this.#watch = new SignalWatch(libc);
    const displays = plannedDisplays(task.plan.options);
    this.#remote = new Remote(task.plan.control, displays);
    this.#refreshHz = displays[0].refreshHz;
    this.#registers = new DeviceRegisters(new Int32Array(task.plan.control));
    this.#worker = new Worker(ENTRY, {
      workerData: { task, wakeFd: this.#wakeFd, remote: this.#remote.buffer, watched: this.#watch.watched, encode } satisfies HostStart,
      transferList: encode === null ? [] : [encode.port],
    });
    this.#ended = new Promise((resolve, reject) => {
      let failure: string | null = null;
      this.#worker.on('message', (news: HostNews) => {
        if (news.kind === 'failed') failure = news.message;
        else if (news.kind !== 'ended') onNews(news);
      });
      this.#worker.on('error', reject);
      this.#worker.on('exit', () => {
        libc.close(this.#wakeFd);
        this.#wakeFd = -1;
        this.#watch.close();
        if (failure === null) resolve();
        else reject(new Error(failure));
      });
    });
  }

  /** Resolves when the thread has ended. @throws Error why it could not go on */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Connects a display to a head, changes its size, or takes it away (null): of the session that runs, and of those after it. */
  setDisplay(head: number, display: { readonly width: number; readonly height: number } | null): void {
    this.#remote.setDisplay(head, display === null ? null : { ...display, refreshHz: this.#refreshHz });
    this.#wake();
  }

  /** Asks it to end; what was recorded is written. */
  stop(): void {
    this.#registers.requestStop();
    this.#wake();
  }

  #wake(): void {
    if (this.#wakeFd >= 0) this.#libc.write(this.#wakeFd, ONE_EVENT);
  }
}
