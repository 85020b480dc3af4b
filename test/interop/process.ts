import { type ChildProcess, spawn } from 'node:child_process';

/** Lines quoted where a wait is in vain. */
const QUOTED = 25;

/** A program under test: what it says, line by line, and its end. */
export class Process {
  readonly lines: string[] = [];
  /** Resolves with the exit code; null: ended by a signal. */
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #name: string;
  #rest = '';
  #over = false;
  #waiting: (() => void)[] = [];

  /** @param takesLines whether `write` may be called */
  constructor(name: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, takesLines = false) {
    this.#name = name;
    const stdin = takesLines ? 'pipe' : 'ignore';
    this.#child = spawn(command, args, { stdio: [stdin, 'pipe', 'pipe'], env: { ...process.env, ...env } });
    // Who has ended takes nothing.
    this.#child.stdin?.on('error', () => {});
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    this.ended = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', (code) => {
        this.#take('\n');
        this.#over = true;
        this.#wake();
        resolve(code);
      });
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.#name} did not start`);
    return this.#child.pid;
  }

  /** To its standard input. */
  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  kill(signal: NodeJS.Signals): void {
    if (!this.#over) this.#child.kill(signal);
  }

  /**
   * Waits for a line.
   * @param from lines before this one do not count
   * @throws Error with what it said last, when it ends without it
   */
  async until(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    for (let next = from; ; ) {
      for (; next < this.lines.length; next++) {
        const found = pattern.exec(this.lines[next]);
        if (found !== null) return found;
      }
      if (this.#over) throw new Error(`${this.#name} ended without ${pattern}:\n${this.lines.slice(-QUOTED).join('\n')}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #take(text: string): void {
    const parts = (this.#rest + text).split(/\r*\n/);
    this.#rest = parts.pop() ?? '';
    this.lines.push(...parts);
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
