import { CODE_NUMBERS } from '../../core/guest/block-code.ts';
import type { MachinePlan } from '../../core/machine/plan.ts';
import { FrameColumn, FrameLog } from '../../core/measure/frame-log.ts';
import type { GlassMetrics } from '../../reports/glass-document.ts';
import type { GuestReport } from '../../workers/task.ts';

/** Frames that are to be shown before any is measured. */
export const FIRST_SHOWN = 60;
/** The page says round trips in tenths of a millisecond, rounded. */
const TRIP_ROUNDED_MS = 0.05;

/** A picture that the page has drawn. */
interface Shown {
  readonly head: number;
  readonly frame: number;
  /** Glass to glass, ns. */
  readonly ns: number;
}

/** What a page says of the pictures that it draws, frame by frame. */
export class ShownFrames {
  readonly #log: FrameLog;
  readonly #base: number;
  readonly #codes: number[];
  readonly #all: Shown[] = [];
  backwards = 0;

  constructor({ options, frameLog }: MachinePlan) {
    this.#log = new FrameLog(frameLog, options.heads, options.logCapacity);
    this.#base = options.rateHz === null ? FrameColumn.submit : FrameColumn.scheduled;
    this.#codes = new Array<number>(options.heads).fill(-1);
  }

  /** @param code the number that the picture bears @param frame the guest's number of what was sent @param atMs on the session's timeline */
  add(head: number, code: number, frame: number, atMs: number): void {
    if (code < this.#codes[head]) this.backwards++;
    this.#codes[head] = code;
    const baseNs = this.#log.cells[this.#log.row(head, frame) + this.#base];
    if (code === frame % CODE_NUMBERS && baseNs > 0) this.#all.push({ head, frame, ns: atMs * 1e6 - baseNs });
  }

  get count(): number {
    return this.#all.length;
  }

  /** The last that was shown of a head; −1: none. */
  last(head: number): number {
    return this.#all.findLast((one) => one.head === head)?.frame ?? -1;
  }

  /** How many were shown of frames before those measured. */
  before({ firstFrame }: Pick<GuestReport, 'firstFrame'>): number {
    return this.#all.filter(({ head, frame }) => frame < firstFrame[head]).length;
  }

  /** Glass to glass of the measured frames, ns. */
  measured({ firstFrame, endFrame }: Pick<GuestReport, 'firstFrame' | 'endFrame'>): number[] {
    return this.#all.filter(({ head, frame }) => frame >= firstFrame[head] && frame < endFrame[head]).map(({ ns }) => ns);
  }
}

/** Of one repetition, or of several together. */
export class GlassFigures {
  readonly ns: number[] = [];
  /** Frames of the guest in the measured part, shown or not. */
  guestFrames = 0;
  wallNs = 0;
  lost = 0;
  backwards = 0;
  offsetErrorUs = 0;

  add(other: GlassFigures): void {
    for (const ns of other.ns) this.ns.push(ns);
    this.guestFrames += other.guestFrames;
    this.wallNs += other.wallNs;
    this.lost += other.lost;
    this.backwards += other.backwards;
    this.offsetErrorUs = Math.max(this.offsetErrorUs, other.offsetErrorUs);
  }

  /** Whether at least half of the guest's frames were shown within a time, µs: those that never were have no time, and may not flatter it. */
  mostWithin(us: number): boolean {
    return 2 * this.ns.filter((ns) => ns <= us * 1000).length >= this.guestFrames;
  }

  metrics(): GlassMetrics {
    const sorted = Float64Array.from(this.ns).sort();
    const at = (part: number): number => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0) / 1000;
    return {
      shown: sorted.length,
      guestFrames: this.guestFrames,
      fps: this.wallNs === 0 ? 0 : (sorted.length / this.wallNs) * 1e9,
      lost: this.lost,
      backwards: this.backwards,
      // Clocks that are compared wrongly may have a picture drawn before it was due.
      p50Us: Math.max(0, at(0.5)),
      p99Us: Math.max(0, at(0.99)),
      offsetErrorUs: this.offsetErrorUs,
    };
  }
}

/** What the offset of the clocks can be wrong by, µs. @param trip the shortest round trip as the page words it, `0.3 ms` @returns null: it is not known */
export function offsetError(trip: unknown): number | null {
  const ms = typeof trip === 'string' ? Number.parseFloat(trip) : Number.NaN;
  return Number.isFinite(ms) ? ((ms + TRIP_ROUNDED_MS) / 2) * 1000 : null;
}
