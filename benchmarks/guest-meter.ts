import type { MachinePlan } from '../core/machine/plan.ts';
import { monotonicNowNs } from '../core/measure/clock.ts';
import { FRAME_COLUMNS, FrameColumn, FrameFlag, FrameLog } from '../core/measure/frame-log.ts';
import { COPY_STAGES, type CopyStage, Ledger } from '../core/memory/ledger.ts';
import type { GuestReport } from '../workers/task.ts';

/** How long frames took from their submission to their fence or, without RESOURCE_BLOB, to the TRANSFER's response. */
export interface AnswerTimes {
  readonly frames: number;
  /** µs; NaN without frames. */
  readonly p50: number;
  readonly p99: number;
}

/** What a guest alone says of itself: nothing of it needs the host's side of the frame log. */
export class GuestMeter {
  readonly #originNs: number;
  readonly #log: FrameLog;
  readonly #ledger: Ledger;
  #atNs: number;

  constructor(plan: MachinePlan) {
    this.#originNs = plan.originNs;
    this.#log = new FrameLog(plan.frameLog, plan.options.heads, plan.options.logCapacity);
    this.#ledger = new Ledger(plan.guestLedger);
    this.#atNs = monotonicNowNs();
  }

  /** Of the frames answered since the line before; null when there are none. */
  line(): string | null {
    const nowNs = monotonicNowNs();
    const seconds = (nowNs - this.#atNs) / 1e9;
    const since = this.#atNs - this.#originNs;
    this.#atNs = nowNs;
    const { cells } = this.#log;
    const times: number[] = [];
    for (let row = 0; row < cells.length; row += FRAME_COLUMNS) {
      const answered = cells[row + FrameColumn.fenceSeen] || cells[row + FrameColumn.responseSeen];
      if (answered > since) times.push(answered - cells[row + FrameColumn.submit]);
    }
    if (times.length === 0) return null;
    const { frames, p50, p99 } = answerTimes(times);
    return `${(frames / seconds).toFixed(1)} fps, answered in p50 ${ms(p50)} p99 ${ms(p99)} ms`;
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
  return { frames: sorted.length, p50: at(0.5), p99: at(0.99) };
}

export const ms = (us: number): string => (us / 1000).toFixed(2);
