import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { DeviceRegisters } from '../../core/ring/registers.ts';
import { Libc } from '../native/libc.ts';
import type { HostNews, HostTask } from './host-task.ts';

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
  #stopFd = -1;

  /** @param onNews all that the thread tells but its end */
  constructor(task: HostTask, onNews: (news: HostNews) => void) {
    this.#registers = new DeviceRegisters(new Int32Array(task.plan.control));
    this.#worker = new Worker(ENTRY, { workerData: task });
    this.#ended = new Promise((resolve, reject) => {
      let failure: string | null = null;
      this.#worker.on('message', (news: HostNews) => {
        if (news.kind === 'listening' || news.kind === 'connecting') {
          this.#stopFd = news.stopFd;
          // Asked for before there was anything to wake.
          if (this.#registers.stopRequested) this.stop();
        } else if (news.kind === 'ended' || news.kind === 'failed') {
          this.#stopFd = -1;
          if (news.kind === 'failed') failure = news.message;
          return;
        }
        onNews(news);
      });
      this.#worker.on('error', reject);
      this.#worker.on('exit', () => (failure === null ? resolve() : reject(new Error(failure))));
    });
  }

  /** Resolves when the thread has ended. @throws Error why it could not go on */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Asks it to end; what was recorded is written. */
  stop(): void {
    this.#registers.requestStop();
    if (this.#stopFd >= 0) writeSync(this.#stopFd, new Uint8Array(new BigUint64Array([1n]).buffer));
  }
}
