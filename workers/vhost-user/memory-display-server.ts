import { spawn } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FrameColumn, FrameLog } from '../../core/measure/frame-log.ts';
import { VhostUser } from '../../core/protocol/vhost-user.ts';
import type { Libc } from '../native/libc.ts';
import type { FrontEnd } from './front-end.ts';
import type { DisplayCount, DisplayLog } from './gpu-socket.ts';
import type { MemoryDisplayOptions } from './memory-display.ts';
import type { MemoryDisplayReport } from './memory-display-process.ts';

const ENTRY = fileURLToPath(new URL(`./memory-display-process${extname(import.meta.url)}`, import.meta.url));
/** How long the display may take to end once the back end was let go, ms. */
const END_MS = 5000;

/** A display in a process of its own that looks at frames in the guest's memory. What it saw is known once it has ended. */
export class MemoryDisplayServer {
  readonly #heads: number;
  readonly #log: DisplayLog | null;
  readonly #ended: Promise<MemoryDisplayReport | string>;
  readonly #kill: () => void;
  /** Of its process; 0: it did not start. */
  readonly pid: number;
  /** Resolves when the display is there, or has failed: a guest that starts before has its first frame wait. */
  readonly ready: Promise<void>;
  #report: MemoryDisplayReport | string | null = null;

  /** Gives the back end its end of the socket. @throws PeerError when the back end is gone */
  constructor(libc: Libc, front: FrontEnd, { heads, verify, log }: { heads: number; verify: boolean; log: DisplayLog | null }) {
    this.#heads = heads;
    this.#log = log;
    const options: MemoryDisplayOptions = { heads, verify, capacity: log?.capacity ?? 1, originNs: log?.originNs ?? 0 };
    const [own, others] = libc.socketpair();
    try {
      const { SCANOUT_REEXECUTED: _, NODE_OPTIONS: __, ...env } = process.env;
      // Out of reach of a terminal's Ctrl-C: it ends with the back end's socket.
      const child = spawn(process.execPath, [ENTRY, JSON.stringify(options)], {
        env,
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe', own],
      });
      this.#kill = () => child.kill('SIGKILL');
      this.pid = child.pid ?? 0;
      let isThere: () => void = () => {};
      this.ready = new Promise((resolve) => {
        isThere = resolve;
      });
      this.#ended = new Promise((resolve) => {
        let out = '';
        let said = '';
        child.stdout?.setEncoding('utf8').on('data', (text: string) => {
          out += text;
          isThere();
        });
        child.stderr?.setEncoding('utf8').on('data', (text: string) => {
          said = (said + text).slice(-2000);
        });
        child.on('error', (error) => resolve(`the display did not start: ${error.message}`));
        child.on('close', (code) => {
          isThere();
          resolve(
            code === 0 && out.trim() !== ''
              ? (JSON.parse(out) as MemoryDisplayReport)
              : `the display ended by itself: ${said.trim().split('\n').at(-1) ?? ''}`,
          );
        });
      });
      front.tell(VhostUser.GPU_SET_SOCKET, new Uint8Array(0), [others]);
    } finally {
      libc.close(own);
      libc.close(others);
    }
  }

  /** Of the `DisplayCount`s; 0 before the end. */
  get(count: (typeof DisplayCount)[keyof typeof DisplayCount]): number {
    return this.#report === null || typeof this.#report === 'string' ? 0 : (this.#report.counts[count] ?? 0);
  }

  /** What the back end did against the protocol, or how the display failed; null: nothing. */
  get fault(): string | null {
    return typeof this.#report === 'string' ? this.#report : (this.#report?.fault ?? null);
  }

  /** Waits for its end, once the back end has been let go; the times of its frames are then in the log. */
  async close(): Promise<void> {
    if (this.#report !== null) return;
    const timer = setTimeout(this.#kill, END_MS);
    this.#report = await this.#ended;
    clearTimeout(timer);
    if (typeof this.#report !== 'string' && this.#log !== null) this.#takeTimes(this.#report, this.#log);
  }

  #takeTimes({ times }: MemoryDisplayReport, { buffer, capacity }: DisplayLog): void {
    const bytes = Buffer.from(times, 'base64');
    const seen = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    const log = new FrameLog(buffer, this.#heads, capacity);
    for (let head = 0; head < this.#heads; head++) {
      for (let i = 0; i < capacity; i++) {
        const at = 2 * (head * capacity + i);
        const frame = seen[at] - 1;
        if (frame < 0) continue;
        const row = log.row(head, frame);
        // Submitted after it was looked at: the row is a later frame's.
        if (log.cells[row + FrameColumn.submit] > seen[at + 1]) continue;
        log.cells[row + FrameColumn.present] = seen[at + 1];
        log.cells[row + FrameColumn.release] = seen[at + 1];
      }
    }
  }
}
