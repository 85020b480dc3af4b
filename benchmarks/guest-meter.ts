import type { MachinePlan } from '../core/machine/plan.ts';
import { monotonicNowNs } from '../core/measure/clock.ts';
import { Counter, Counters } from '../core/measure/counters.ts';
import { FRAME_COLUMNS, FrameColumn, FrameFlag, FrameLog } from '../core/measure/frame-log.ts';
import { COPY_STAGES, type CopyStage, Ledger } from '../core/memory/ledger.ts';
import type { GuestReport } from '../workers/task.ts';

/** How long frames took from their submission to their fence or, without RESOURCE_BLOB, to the TRANSFER's response. */
export interface AnswerTimes {
  /** µs; NaN without frames. */
  readonly p50: number;
  readonly p99: number;
}

/** What a guest alone says of itself: nothing of it needs the host's side of the frame log. */
export class GuestMeter {
  readonly #originNs: number;
  readonly #log: FrameLog;
  readonly #ledger: Ledger;
  readonly #counters: Counters;
  #atNs: number;
  #frames = 0;

  constructor(plan: MachinePlan) {
    this.#originNs = plan.originNs;
    this.#log = new FrameLog(plan.frameLog, plan.options.heads, plan.options.logCapacity);
    this.#ledger = new Ledger(plan.guestLedger);
    this.#counters = new Counters(plan.guestCounters);
    this.#atNs = monotonicNowNs();
  }

  /** Since the line before; null when no frame was answered. */
  line(): string | null {
    const nowNs = monotonicNowNs();
    const seconds = (nowNs - this.#atNs) / 1e9;
    const since = this.#atNs - this.#originNs;
    this.#atNs = nowNs;
    // Not the rows of the log, which holds the latest only.
    const frames = this.#counters.get(Counter.flushes);
    const fps = (frames - this.#frames) / seconds;
    this.#frames = frames;
    const { cells } = this.#log;
    const times: number[] = [];
    for (let row = 0; row < cells.length; row += FRAME_COLUMNS) {
      const answered = cells[row + FrameColumn.fenceSeen] || cells[row + FrameColumn.responseSeen];
      if (answered > since) times.push(answered - cells[row + FrameColumn.submit]);
    }
    if (times.length === 0) return null;
    const { p50, p99 } = answerTimes(times);
    return `${fps.toFixed(1)} fps, answered in p50 ${timeText(p50)} p99 ${timeText(p99)}`;
  }

  /** Of a report's measured frames that the log still holds, without those that timed out. */
  answers({ firstFrame, endFrame }: GuestReport): AnswerTimes {
    const { cells, capacity, heads } = this.#log;
    const times: number[] = [];
    for (let head = 0; head < heads; head++) {
      for (let frame = Math.max(firstFrame[head], endFrame[head] - capacity / 2); frame < endFrame[head]; frame++) {
        const row = this.#log.row(head, frame);
        const answered = cells[row + FrameColumn.fenceSeen] || cells[row + FrameColumn.responseSeen];
        const lost = (cells[row + FrameColumn.guestFlags] & (FrameFlag.timedOut | FrameFlag.cancelled)) !== 0;
        if (answered > 0 && !lost) times.push(answered - cells[row + FrameColumn.submit]);
      }
    }
    return answerTimes(times);
  }

  /** Bytes that the guest itself has copied, warm-up included. */
  get copiedBytes(): number {
    return COPY_STAGES.reduce((sum, _, stage) => sum + this.#ledger.bytesCopied(stage as CopyStage), 0);
  }
}

function answerTimes(times: number[]): AnswerTimes {
  const sorted = Float64Array.from(times).sort();
  const at = (part: number): number => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN) / 1000;
  return { p50: at(0.5), p99: at(0.99) };
}

export const timeText = (us: number): string => (us < 1000 ? `${us.toFixed(0)} µs` : `${(us / 1000).toFixed(2)} ms`);
