import type { MachinePlan } from '../core/machine/plan.ts';
import { monotonicNowNs } from '../core/measure/clock.ts';
import { Counter, Counters } from '../core/measure/counters.ts';
import { FRAME_COLUMNS, FrameColumn, FrameLog } from '../core/measure/frame-log.ts';
import { COPY_STAGES, type CopyStage, Ledger } from '../core/memory/ledger.ts';

/** What a host that serves says of itself: frames a second, what it copies, and how long a frame takes to be shown. */
export class HostMeter {
  readonly #originNs: number;
  readonly #counters: Counters;
  readonly #ledger: Ledger;
  readonly #log: FrameLog;
  #atNs: number;
  #frames = 0;
  #bytes = 0;

  constructor(plan: MachinePlan) {
    this.#originNs = plan.originNs;
    this.#counters = new Counters(plan.hostCounters);
    this.#ledger = new Ledger(plan.hostLedger);
    this.#log = new FrameLog(plan.frameLog, plan.options.heads, plan.options.logCapacity);
    this.#atNs = monotonicNowNs();
  }

  /** Since the line before; null when no frame was shown since. */
  line(): string | null {
    const nowNs = monotonicNowNs();
    const seconds = (nowNs - this.#atNs) / 1e9;
    const since = this.#atNs - this.#originNs;
    const frames = this.#counters.get(Counter.framesPresented);
    const bytes = this.#copied();
    const shown = frames - this.#frames;
    const copied = bytes - this.#bytes;
    this.#atNs = nowNs;
    this.#frames = frames;
    this.#bytes = bytes;
    if (shown === 0) return null;
    const latencies = this.#latencies(since);
    const at = (part: number): string => ms(latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * part))]);
    const latency = latencies.length === 0 ? '' : `, taken to shown p50 ${at(0.5)} p99 ${at(0.99)} ms`;
    return `${(shown / seconds).toFixed(1)} fps, copied ${(copied / seconds / 1e6).toFixed(1)} MB/s${latency}`;
  }

  /** Since the beginning. */
  total(): string {
    return `${this.#counters.get(Counter.framesPresented)} frames shown, ${(this.#copied() / 1e6).toFixed(1)} MB copied in all`;
  }

  #copied(): number {
    return COPY_STAGES.reduce((sum, _, stage) => sum + this.#ledger.bytesCopied(stage as CopyStage), 0);
  }

  /** ns from when a frame's first command was taken until it was shown, ascending, of frames shown after `since`. */
  #latencies(since: number): Float64Array {
    const { cells } = this.#log;
    const found: number[] = [];
    for (let row = 0; row < cells.length; row += FRAME_COLUMNS) {
      const present = cells[row + FrameColumn.present];
      const pickup = cells[row + FrameColumn.pickup];
      if (present > since && pickup > 0) found.push(present - pickup);
    }
    return Float64Array.from(found).sort();
  }
}

const ms = (ns: number): string => (ns / 1e6).toFixed(1);
