import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { extname } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { treeCpuMs } from './tree-cpu.ts';

const ENTRY = fileURLToPath(new URL(`./browser-process${extname(import.meta.url)}`, import.meta.url));
/** How long Chromium may take for an answer, its start included, ms. */
const ANSWER_MS = 30_000;
/** Of what it says on stderr. */
const KEPT = 2000;

interface Answer {
  readonly id?: number;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

interface Waiting {
  readonly resolve: (result: Record<string, unknown>) => void;
  readonly reject: (error: Error) => void;
}

/** A page that a browser shows. */
export interface Page {
  /** What an expression is in the page. @throws Error when it cannot be had */
  evaluate(expression: string): Promise<unknown>;
  close(): Promise<void>;
}

/** A headless Chromium in a process of its own, driven by the DevTools protocol through a pipe. It ends with this process. */
export class Browser {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #ended: Promise<void>;
  readonly #waiting = new Map<number, Waiting>();
  #count = 0;
  #said = '';
  #over = false;

  /** @param program as `findBrowser` has it */
  constructor(program: string) {
    const { SCANOUT_REEXECUTED: _, NODE_OPTIONS: __, ...env } = process.env;
    // Out of reach of a terminal's Ctrl-C: this process ends it.
    const child = spawn(process.execPath, [ENTRY, program, String(process.pid)], { env, detached: true, stdio: 'pipe' });
    this.#child = child;
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\0');
      rest = parts.pop() ?? '';
      for (const part of parts) this.#hear(JSON.parse(part) as Answer);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-KEPT);
    });
    // `close` follows.
    child.stdin.on('error', () => {});
    this.#ended = new Promise((resolve) => {
      const end = (): void => {
        this.#over = true;
        for (const { reject } of this.#waiting.values()) reject(this.#gone());
        this.#waiting.clear();
        resolve();
      };
      child.on('error', end);
      child.on('close', end);
    });
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** As `Chrome 142`. */
  async name(): Promise<string> {
    const { product } = await this.#ask('Browser.getVersion', {});
    return String(product)
      .replace(/^Headless/, '')
      .replace(/^(\w+)\/(\d+).*$/, '$1 $2');
  }

  /** @throws Error why it does not open the page */
  async open(url: string): Promise<Page> {
    const { targetId } = await this.#ask('Target.createTarget', { url, newWindow: true, width: 1280, height: 900 });
    const { sessionId } = await this.#ask('Target.attachToTarget', { targetId, flatten: true });
    return {
      evaluate: async (expression) => {
        const { result } = await this.#ask('Runtime.evaluate', { expression, returnByValue: true }, String(sessionId));
        return (result as { readonly value?: unknown } | undefined)?.value;
      },
      close: async () => {
        if (!this.#over) await this.#ask('Target.closeTarget', { targetId });
      },
    };
  }

  /** CPU time of all its processes until now, ms. */
  cpuMs(): number {
    return treeCpuMs(this.#child.pid ?? 0);
  }

  async close(): Promise<void> {
    this.#child.stdin.destroy();
    await this.#ended;
  }

  #ask(method: string, params: object, sessionId?: string): Promise<Record<string, unknown>> {
    if (this.#over) return Promise.reject(this.#gone());
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`Chromium does not answer ${method}`));
      }, ANSWER_MS);
      const done = (): void => clearTimeout(timer);
      this.#waiting.set(id, {
        resolve: (result) => {
          done();
          resolve(result);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      });
      this.#child.stdin.write(`${JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) })}\0`);
    });
  }

  #hear({ id, result, error }: Answer): void {
    // What it tells of its own accord has no number.
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (id === undefined || waiting === undefined) return;
    this.#waiting.delete(id);
    if (error === undefined) waiting.resolve(result ?? {});
    else waiting.reject(new Error(`Chromium: ${error.message}`));
  }

  #gone(): Error {
    return new Error(`Chromium ended: ${this.#said.trim().split('\n').at(-1) ?? ''}`);
  }
}
