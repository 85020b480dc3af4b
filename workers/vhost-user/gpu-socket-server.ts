import { Worker } from 'node:worker_threads';
import { VhostUser } from '../../core/protocol/vhost-user.ts';
import { ONE_EVENT } from '../native/event-fd.ts';
import type { Libc } from '../native/libc.ts';
import type { FrontEnd } from './front-end.ts';
import { DISPLAY_COUNTS, type DisplayCount, type GpuDisplayTask } from './gpu-socket.ts';
import type { GpuSocketTask } from './gpu-socket-worker.ts';

const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './gpu-socket-worker.ts' : './gpu-socket-worker.js', import.meta.url);
/** How long what is still on its way is read after the back end was let go, ms. */
const DRAIN_MS = 1000;

/** A display for a back end that wants a GPU socket, on a thread of its own. */
export class GpuSocketServer {
  readonly #libc: Libc;
  readonly #counts = new SharedArrayBuffer(DISPLAY_COUNTS * 8);
  readonly #socket: number;
  readonly #stopFd: number;
  readonly #ended: Promise<void>;
  #fault: string | null = null;

  /**
   * Gives the back end its end of the socket.
   * @param onFault why the display cannot go on: the back end broke the socket's protocol
   * @throws PeerError when the back end is gone
   */
  constructor(libc: Libc, front: FrontEnd, display: Omit<GpuDisplayTask, 'counts'>, onFault: (why: string) => void) {
    this.#libc = libc;
    const [own, others] = libc.socketpair();
    try {
      front.tell(VhostUser.GPU_SET_SOCKET, new Uint8Array(0), [others]);
    } catch (error) {
      libc.close(own);
      throw error;
    } finally {
      libc.close(others);
    }
    this.#socket = own;
    this.#stopFd = libc.eventfd();
    const task: GpuSocketTask = { ...display, counts: this.#counts, socket: own, stopFd: this.#stopFd };
    const worker = new Worker(ENTRY, { workerData: task });
    this.#ended = new Promise((resolve, reject) => {
      worker.on('message', (why: string | null) => {
        this.#fault = why;
        if (why !== null) onFault(why);
      });
      worker.on('error', reject);
      worker.on('exit', () => resolve());
    });
  }

  /** Of the `DisplayCount`s. */
  get(count: (typeof DisplayCount)[keyof typeof DisplayCount]): number {
    return new Float64Array(this.#counts)[count];
  }

  /** What the back end did against the socket's protocol; null: nothing. */
  get fault(): string | null {
    return this.#fault;
  }

  /** Reads what is still on its way, once the back end has been let go, and ends the thread. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.#libc.write(this.#stopFd, ONE_EVENT), DRAIN_MS);
    try {
      await this.#ended;
    } finally {
      clearTimeout(timer);
      this.#libc.close(this.#socket);
      this.#libc.close(this.#stopFd);
    }
  }
}
