import { CODE_NUMBERS } from '../../core/guest/block-code.ts';
import { FrameColumn, type FrameLog } from '../../core/measure/frame-log.ts';

/** The newest so many are kept. */
const SAMPLES = 4096;
/** What a client reports beyond this is no latency, ms. */
const MOST_MS = 60_000;

export interface GlassFigures {
  /** ms; null without samples. */
  readonly p50: number | null;
  readonly p99: number | null;
  /** Ever. */
  readonly samples: number;
}

/** Glass to glass: from the guest's submission of a frame to a client having drawn the picture that bears its number. */
export class GlassMeter {
  #log: FrameLog;
  /** Called with each picture that a client says it has drawn, as `shown` is. */
  onShown: (head: number, code: number, frame: number, atMs: number) => void = () => {};
  readonly #ms = new Float64Array(SAMPLES);
  #count = 0;

  constructor(log: FrameLog) {
    this.#log = log;
  }

  /**
   * @param code the number that the picture bears
   * @param frame of the guest, as the host counted the picture that the client was sent
   * @param atMs when it was drawn, on the session's timeline
   */
  shown(head: number, code: number, frame: number, atMs: number): void {
    this.onShown(head, code, frame, atMs);
    if (code !== frame % CODE_NUMBERS) return;
    const submitNs = this.#log.cells[this.#log.row(head, frame) + FrameColumn.submit];
    const ms = atMs - submitNs / 1e6;
    if (submitNs === 0 || !(ms >= 0 && ms < MOST_MS)) return;
    this.#ms[this.#count++ % SAMPLES] = ms;
  }

  /** Another machine's frames from now on: nothing is known of them. */
  restart(log: FrameLog): void {
    this.#log = log;
    this.#count = 0;
  }

  figures(): GlassFigures {
    const sorted = this.#ms.slice(0, Math.min(this.#count, SAMPLES)).sort();
    const at = (part: number): number | null => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? null;
    return { p50: at(0.5), p99: at(0.99), samples: this.#count };
  }
}
