import { PassThrough } from 'node:stream';
import { dispatch } from '../../benchmarks/cli.ts';

/** A command of this program that runs meanwhile: what it said, and its end. */
export class Running {
  text = '';
  /** Its standard input. */
  readonly stdin = new PassThrough();
  readonly ended: Promise<number>;
  readonly #stop = new AbortController();
  #heard: (() => void)[] = [];

  constructor(argv: string[]) {
    const hear = (text: string): void => {
      this.text += text;
      for (const resolve of this.#heard.splice(0)) resolve();
    };
    this.ended = dispatch(argv, { stdout: hear, stderr: hear, stdin: this.stdin, signal: this.#stop.signal });
  }

  /** Waits for words. @param from where in what it said, in characters */
  async says(words: string, from = 0): Promise<void> {
    while (!this.text.includes(words, from)) await new Promise<void>((resolve) => this.#heard.push(resolve));
  }

  stop(): void {
    this.#stop.abort();
  }
}
