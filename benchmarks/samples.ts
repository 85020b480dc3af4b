import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { MachinePlan } from '../core/machine/plan.ts';
import { FrameColumn, FrameFlag, FrameLog } from '../core/measure/frame-log.ts';
import type { Distribution, LowFps, ServiceTime } from '../reports/run-document.ts';
import type { GuestReport } from '../workers/task.ts';
import { LogBins } from './log-bins.ts';

/** What is sampled of each frame, ns. */
export const SAMPLE_KINDS = [
  'submitToPresent',
  'submitToFence',
  'submitToResponse',
  'render',
  'submit',
  'pickup',
  'transfer',
  'present',
  'release',
  'fence',
  'hostService',
  'guestService',
] as const;
export type SampleKind = (typeof SAMPLE_KINDS)[number];

const LATE_NS = 1e6;

/** HDR histograms of ns: three figures, up to 100 s. */
class Distributions {
  readonly #histograms = new Map<SampleKind, RecordableHistogram>();

  /** Samples are whole ns of at least 1: the histogram takes no others. */
  record(kind: SampleKind, ns: number): void {
    let histogram = this.#histograms.get(kind);
    if (histogram === undefined) {
      histogram = createHistogram({ lowest: 1, highest: 100e9, figures: 3 });
      this.#histograms.set(kind, histogram);
    }
    histogram.record(Math.min(100e9, Math.max(1, Math.round(ns))));
  }

  get(kind: SampleKind): RecordableHistogram | null {
    return this.#histograms.get(kind) ?? null;
  }

  add(other: Distributions): void {
    for (const kind of SAMPLE_KINDS) {
      const theirs = other.get(kind);
      if (theirs === null) continue;
      const own = this.#histograms.get(kind);
      if (own === undefined) {
        const copy = createHistogram({ lowest: 1, highest: 100e9, figures: 3 });
        copy.add(theirs);
        this.#histograms.set(kind, copy);
      } else {
        own.add(theirs);
      }
    }
  }
}

/** The measured frames of one repetition, or of several together. */
export class FrameSamples {
  readonly distributions = new Distributions();
  /** Of `submitToPresent`, with the counts that the distributions do not give out. */
  readonly toPresent = new LogBins();
  /** ns from one presented frame to the next, per head in turn. */
  frameTimes: number[] = [];
  presented = 0;
  /** Measured frames whose rows the log no longer holds: they are counted, but no samples. */
  overwritten = 0;
  superseded = 0;
  timedOut = 0;
  vblanksMissed = 0;
  /** Of these, next to no frame that the machine disturbed. */
  vblanksMissedUndisturbed = 0;
  /** Paced frames that the machine disturbed: a wake-up, release or pickup more than 1 ms late. */
  disturbed = 0;
  reattached = 0;
  /** Sum of host transfer time, ns, and guest read back time (submit stage), ns. */
  transferNs = 0;
  submitNs = 0;

  add(other: FrameSamples): void {
    this.distributions.add(other.distributions);
    this.toPresent.add(other.toPresent);
    this.frameTimes = this.frameTimes.concat(other.frameTimes);
    this.presented += other.presented;
    this.overwritten += other.overwritten;
    this.superseded += other.superseded;
    this.timedOut += other.timedOut;
    this.vblanksMissed += other.vblanksMissed;
    this.vblanksMissedUndisturbed += other.vblanksMissedUndisturbed;
    this.disturbed += other.disturbed;
    this.reattached += other.reattached;
    this.transferNs += other.transferNs;
    this.submitNs += other.submitNs;
  }

  /** µs; null: nothing was sampled. */
  distribution(kind: SampleKind): Distribution | null {
    const histogram = this.distributions.get(kind);
    if (histogram === null || histogram.count === 0) return null;
    const at = (percent: number): number => histogram.percentile(percent) / 1000;
    return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: histogram.max / 1000 };
  }

  service(kind: 'hostService' | 'guestService'): ServiceTime {
    const histogram = this.distributions.get(kind);
    if (histogram === null || histogram.count === 0) return { mean: 0, p50: 0, p90: 0, p99: 0 };
    const at = (percent: number): number => histogram.percentile(percent) / 1000;
    return { mean: histogram.mean / 1000, p50: at(50), p90: at(90), p99: at(99) };
  }

  /** Frames a second and head from the times between presented frames: exact where a window holds only a few. */
  rate(): number {
    let sum = 0;
    for (const time of this.frameTimes) sum += time;
    return sum > 0 ? (this.frameTimes.length / sum) * 1e9 : 0;
  }

  /** Null below 1,000 frames (1% of fewer says nothing). */
  onePercentLow(): LowFps | null {
    const times = this.frameTimes;
    if (times.length < 1000) return null;
    const sorted = Float64Array.from(times).sort();
    const p99 = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))];
    const worst = sorted.subarray(Math.floor(sorted.length * 0.99));
    let sum = 0;
    for (const time of worst) sum += time;
    return { byP99: 1e9 / p99, byWorstMean: 1e9 / (sum / worst.length) };
  }

  /** Frames longer than twice the median of the 19 centred on them; null: fewer than 19. */
  stutters(): number | null {
    const times = this.frameTimes;
    if (times.length < 19) return null;
    let count = 0;
    const window = new Float64Array(19);
    for (let i = 9; i + 9 < times.length; i++) {
      for (let k = 0; k < 19; k++) window[k] = times[i - 9 + k];
      window.sort();
      if (times[i] > 2 * window[9]) count++;
    }
    return count;
  }
}

/**
 * Reads the measured rows of a finished machine's frame log. Latencies of a paced run count from the time a frame was
 * due (open loop), so that a stall is not hidden; of an unpaced one from its submission.
 * Superseded and timed-out frames are counted and are no samples; nor are those whose device was reset.
 */
export function sampleFrames(plan: MachinePlan, guest: GuestReport): FrameSamples {
  const { options } = plan;
  const samples = new FrameSamples();
  const log = new FrameLog(plan.frameLog, options.heads, options.logCapacity);
  const periodNs = options.rateHz === null ? 0 : 1e9 / options.rateHz;
  for (let head = 0; head < options.heads; head++) {
    const end = guest.endFrame[head];
    // Older rows than the log holds have been overwritten.
    const first = Math.max(guest.firstFrame[head], end - options.logCapacity + options.buffers + 1);
    samples.overwritten += first - guest.firstFrame[head];
    let lastPresent = 0;
    let lastVblank = -1;
    let lastDisturbed = false;
    for (let frame = first; frame < end; frame++) {
      const row = log.row(head, frame);
      const at = (column: number): number => log.cells[row + column];
      if ((at(FrameColumn.hostFlags) & FrameFlag.superseded) !== 0) samples.superseded++;
      const timedOut = (at(FrameColumn.guestFlags) & FrameFlag.timedOut) !== 0;
      if (timedOut) samples.timedOut++;
      const cancelled = (at(FrameColumn.guestFlags) & FrameFlag.cancelled) !== 0;
      if ((at(FrameColumn.guestFlags) & FrameFlag.reattached) !== 0) samples.reattached++;
      const present = at(FrameColumn.present);
      const disturbed = periodNs > 0 && frameDisturbed(at);
      if (disturbed) samples.disturbed++;
      if (present === 0) {
        // The vblank it did not come to is missed at the next frame.
        lastDisturbed ||= disturbed;
        continue;
      }
      // 0: of a sink that has no vblanks.
      if (periodNs > 0 && at(FrameColumn.vblank) > 0) {
        const vblank = at(FrameColumn.vblank) - 1;
        const missed = lastVblank < 0 ? vblank - Math.round(at(FrameColumn.scheduled) / periodNs) : vblank - lastVblank - 1;
        samples.vblanksMissed += missed;
        if (!disturbed && !lastDisturbed) samples.vblanksMissedUndisturbed += missed;
        lastVblank = vblank;
        lastDisturbed = disturbed;
      }
      samples.presented++;
      if (lastPresent > 0) samples.frameTimes.push(present - lastPresent);
      lastPresent = present;
      if (!timedOut && !cancelled) sampleFrame(samples, at, periodNs > 0);
    }
  }
  return samples;
}

/** A wake-up more than 1 ms late: at a tick, a vblank or release, at the host's pickup, or at the guest's fence. */
function frameDisturbed(at: (column: number) => number): boolean {
  if (((at(FrameColumn.guestFlags) | at(FrameColumn.hostFlags)) & FrameFlag.late) !== 0) return true;
  if (at(FrameColumn.pickup) - at(FrameColumn.submit) > LATE_NS) return true;
  return at(FrameColumn.fenceSeen) > 0 && at(FrameColumn.fenceSeen) - at(FrameColumn.release) > LATE_NS;
}

function sampleFrame(samples: FrameSamples, at: (column: number) => number, paced: boolean): void {
  const { distributions } = samples;
  const submit = at(FrameColumn.submit);
  const base = paced ? at(FrameColumn.scheduled) : submit;
  const present = at(FrameColumn.present);
  const release = at(FrameColumn.release);
  const fence = at(FrameColumn.fenceSeen);
  const response = at(FrameColumn.responseSeen);
  const submitStage = submit - (paced ? base : at(FrameColumn.renderEnd));
  distributions.record('submitToPresent', present - base);
  samples.toPresent.record(present - base);
  if (fence > 0) distributions.record('submitToFence', fence - base);
  if (response > 0) distributions.record('submitToResponse', response - base);
  distributions.record('render', at(FrameColumn.renderEnd) - at(FrameColumn.renderStart));
  distributions.record('submit', submitStage);
  distributions.record('pickup', at(FrameColumn.pickup) - submit);
  const transfer = at(FrameColumn.transferNs);
  if (transfer > 0) distributions.record('transfer', transfer);
  distributions.record('present', present - at(FrameColumn.flush));
  distributions.record('release', release - present);
  if (fence > 0) distributions.record('fence', fence - release);
  distributions.record('hostService', at(FrameColumn.hostService));
  distributions.record('guestService', at(FrameColumn.guestService));
  samples.transferNs += transfer;
  samples.submitNs += submitStage;
}
