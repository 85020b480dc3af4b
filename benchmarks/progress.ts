import { plain } from '../reports/format.ts';

/** One less than a terminal's, as some begin a new line after the last column. */
const WIDTH = 79;

/** Says on stderr what is being done: one line rewritten in a terminal, a line a step elsewhere. */
export class Progress {
  readonly #write: (text: string) => void;
  readonly #terminal: boolean;
  #last = '';

  constructor(write: (text: string) => void, terminal: boolean) {
    this.#write = write;
    this.#terminal = terminal;
  }

  step(done: number, total: number, text: string): void {
    this.line(`[${String(done).padStart(String(total).length)}/${total}] ${text}`);
  }

  /** As `step`, without numbers in front. */
  line(text: string): void {
    const whole = plain(text);
    const line = whole.length > WIDTH ? `${whole.slice(0, WIDTH - 1)}…` : whole;
    if (line === this.#last) return;
    this.#last = line;
    this.#write(this.#terminal ? `\r\x1b[K${line}` : `${line}\n`);
  }

  /** Leaves an empty line for what is printed next. */
  end(): void {
    if (this.#terminal && this.#last !== '') this.#write('\r\x1b[K');
    this.#last = '';
  }
}
