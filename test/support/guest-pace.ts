/** How a guest keeps its vblanks, by its own frame log: what must not change because of who watches. */
import type { MachinePlan } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { FrameColumn, FrameFlag, FrameLog } from '../../core/measure/frame-log.ts';
import { until } from './stream-machine.ts';

/** A thread that is woken so much later is the computer's doing, and may cost a vblank: half of one at 60 Hz, ns. */
const LATE_NS = 8e6;
/** Newer frames are under way. */
const UNDER_WAY = 2;

export interface Pace {
  readonly vblanks: number;
  readonly frames: number;
  readonly missed: number;
  /** Of the missed: next to no frame for which a thread was woken late, as on a computer that has too much to do. */
  readonly calmMissed: number;
  /** From a frame's submission until the guest saw its answer, ms, median; NaN: it saw none. */
  readonly answerMs: number;
}

/** Of head 0 of a paced guest. */
export class GuestPace {
  readonly #log: FrameLog;
  readonly #counters: Counters;
  readonly #originNs: number;
  readonly #periodNs: number;

  constructor({ frameLog, guestCounters, options, originNs }: MachinePlan) {
    if (options.rateHz === null || options.heads !== 1) throw new RangeError('the pace is that of one head at a rate');
    this.#log = new FrameLog(frameLog, 1, options.logCapacity);
    this.#counters = new Counters(guestCounters);
    this.#originNs = originNs;
    this.#periodNs = 1e9 / options.rateHz;
  }

  /** Frames that the guest has submitted. */
  get frames(): number {
    return this.#counters.get(Counter.flushes);
  }

  /**
   * Lets so many of the guest's frames pass, in which clients behave as they do. A guest that waits for them comes to its end too: after
   * twice the time that the frames take.
   */
  async pass(frames: number, look: () => void = () => {}): Promise<void> {
    const end = this.frames + frames;
    const late = this.#vblank + 2 * frames;
    await until(() => {
      look();
      return this.frames >= end || this.#vblank >= late;
    });
  }

  /** The pace while something happens. */
  async during(act: () => Promise<void>): Promise<Pace> {
    const from = this.#vblank + 1;
    await act();
    const to = this.#vblank;
    // What is under way by now belongs to it; one that stands still has missed the rest.
    await this.pass(2 * UNDER_WAY);
    return this.#between(from, to);
  }

  /** Of the session's clock. */
  get #vblank(): number {
    return Math.floor((monotonicNowNs() - this.#originNs) / this.#periodNs);
  }

  #between(from: number, to: number): Pace {
    const { cells } = this.#log;
    const at = (frame: number, column: number): number => cells[this.#log.row(0, frame) + column];
    const dueAt = (frame: number): number => Math.round(at(frame, FrameColumn.scheduled) / this.#periodNs);
    const last = this.frames - UNDER_WAY;
    let frame = last;
    while (frame > 0 && dueAt(frame - 1) >= from) frame--;
    const isDisturbed = (one: number): boolean => one >= 0 && one <= last && wasDisturbed((column) => at(one, column));
    const answers: number[] = [];
    let [frames, missed, calmMissed, next] = [0, 0, 0, from];
    for (; ; frame++) {
      const due = frame <= last ? Math.min(to, dueAt(frame)) : to;
      missed += due - next;
      // A gap's vblanks are missed by the frame before, which waited for the answer to the one before that.
      if (!isDisturbed(frame - 2) && !isDisturbed(frame - 1) && !isDisturbed(frame)) calmMissed += due - next;
      if (due === to) break;
      next = due + 1;
      frames++;
      const seen = at(frame, FrameColumn.fenceSeen);
      if (seen > 0) answers.push(seen - at(frame, FrameColumn.submit));
    }
    answers.sort((a, b) => a - b);
    return { vblanks: to - from, frames, missed, calmMissed, answerMs: (answers[Math.floor(answers.length / 2)] ?? Number.NaN) / 1e6 };
  }
}

export const paceText = ({ vblanks, frames, missed, calmMissed, answerMs }: Pace): string =>
  `${frames} frames at ${vblanks} vblanks; ${missed} missed, ${calmMissed} of them on a calm computer; answers after ${answerMs.toFixed(2)} ms`;

/** Of all vblanks, that more may be missed where nothing changed: two processors that have other things to do are no clock. */
const MORE = 0.05;

/**
 * What speaks against the pace being as before; none: nothing. A guest whose frames the encoder keeps while a client stands still misses
 * four vblanks of ten, or all.
 */
export function paceFaults(before: Pace, now: Pace): string[] {
  const of = (count: number, { vblanks }: Pace): number => count / Math.max(1, vblanks);
  const faults: string[] = [];
  if (of(before.calmMissed, before) > MORE)
    faults.push(`there was no pace before: ${before.calmMissed} of ${before.vblanks} vblanks were missed`);
  if (of(now.calmMissed, now) > of(before.calmMissed, before) + MORE)
    faults.push(`${now.calmMissed} of ${now.vblanks} vblanks were missed`);
  // Whatever disturbed them: next to a guest that stands still may be a late wake-up, too.
  if (of(now.frames, now) < of(before.frames, before) / 4) faults.push(`${now.frames} frames were drawn at ${now.vblanks} vblanks`);
  if (!(now.answerMs < 50)) faults.push(`frames were answered after ${now.answerMs} ms`);
  return faults;
}

/** As benchmarks/samples.ts has it, but for frames that the guest gave up waiting for: they are what is looked for. */
function wasDisturbed(at: (column: number) => number): boolean {
  if (((at(FrameColumn.guestFlags) | at(FrameColumn.hostFlags)) & FrameFlag.late) !== 0) return true;
  if (at(FrameColumn.pickup) - at(FrameColumn.submit) > LATE_NS) return true;
  return at(FrameColumn.release) > 0 && at(FrameColumn.fenceSeen) - at(FrameColumn.release) > LATE_NS;
}
