import { availableParallelism } from 'node:os';
import type { MachineOptions } from '../core/machine/options.ts';
import { frameBytes, type MachinePlan } from '../core/machine/plan.ts';
import { Counter, Counters } from '../core/measure/counters.ts';
import { CopyStage, Ledger } from '../core/memory/ledger.ts';
import type { FrameTrace, Metrics, Repetition, StageBytes } from '../reports/run-document.ts';
import type { GuestReport, HostReport } from '../workers/task.ts';
import type { ThreadUsage } from '../workers/thread-usage.ts';
import type { EncodeFigures } from './encode/figures.ts';
import { type FaultFigures, faultFigures } from './faults.ts';
import { traceFrames } from './frame-trace.ts';
import type { GlassFigures } from './glass/figures.ts';
import { type FrameSamples, sampleFrames } from './samples.ts';

/** A repetition that ran to its end: its document entry and the samples that pooled results are drawn from. */
export interface MeasuredRepetition {
  readonly repetition: Repetition;
  readonly samples: FrameSamples;
  /** Sums that metrics are ratios of: pooled repetitions add them up. */
  readonly totals: Totals;
  readonly faults: FaultFigures;
  /** null: too few frames, or a verify repetition. */
  readonly trace: FrameTrace | null;
  /** With the sink `encode`. */
  readonly encode?: EncodeFigures;
  /** Where a browser showed the stream. */
  readonly glass?: GlassFigures;
}

/** What is added up over repetitions before anything is divided. */
export interface Totals {
  heads: number;
  paced: boolean;
  wallNs: number;
  /** Frames of the measured part. */
  frames: number;
  /** Frames of the whole session, which the ledger covers. */
  allFrames: number;
  frameBytes: number;
  bytesByStage: StageBytes;
  copies: number;
  hostCpuUs: number;
  guestCpuUs: number;
  hostSpinNs: number;
  guestSpinNs: number;
  hostSleepNs: number;
  guestSleepNs: number;
  hostWaitNs: number | null;
  guestWaitNs: number | null;
  hostCollections: number;
  guestCollections: number;
  hostHeapBytes: number | null;
  guestHeapBytes: number | null;
  framesVerified: number;
  framesTorn: number;
  imports: number;
  importNs: number;
  importMaxNs: number;
  kicks: number;
  kicksSuppressed: number;
  interrupts: number;
  interruptsSuppressed: number;
  errorResponses: number;
  segments: number;
  /** Frames presented in the whole session, and those of them that lay in the guest's own memory. */
  framesShown: number;
  framesFromGuest: number;
  fallback: string | null;
  /** Whether the host is this process's: another one's frames, threads and heap are not seen into. */
  hostSeen: boolean;
  /** After each head's first frame none is shown. */
  transferOnly: boolean;
}

/** A thread that was runnable and not running for more than this part of the time disturbs a repetition. */
const MAX_WAIT_PERCENT = 2;

export function measureRepetition(
  plan: MachinePlan,
  guest: GuestReport,
  host: HostReport,
  kind: 'timed' | 'verify',
  startedAt: Date,
  hostSeen = true,
): MeasuredRepetition {
  const samples = sampleFrames(plan, guest);
  const totals = { ...totalsOf(plan, guest, host), hostSeen };
  const metrics = metricsOf(samples, totals);
  const disturbedReason = disturbance(metrics, guest, host, isCrowded(plan.options));
  return {
    repetition: { ...metrics, startedAt: startedAt.toISOString(), kind, disturbed: disturbedReason !== null, disturbedReason },
    samples,
    totals,
    faults: faultFigures(plan, guest, host),
    trace: kind === 'timed' ? traceFrames(plan, guest) : null,
  };
}

/** Whether threads wait for each other because they are more than the CPUs: with an encoder, or a film's decoder, that belongs to what is measured. */
export function isCrowded({ sink, content }: MachineOptions, cpus = availableParallelism()): boolean {
  const threads = 2 + (sink === 'encode' ? 1 : 0) + (content?.isStill === false ? 1 : 0);
  return threads > 2 && threads > cpus;
}

/** Why the machine got in the way; null: it did not. */
function disturbance(metrics: Metrics, guest: GuestReport, host: HostReport, crowded: boolean): string | null {
  for (const [side, percent] of [
    ['guest', metrics.guestRunQueueWaitPercent],
    ['host', metrics.hostRunQueueWaitPercent],
  ] as const) {
    if (!crowded && percent !== null && percent > MAX_WAIT_PERCENT)
      return `the ${side} thread waited for a CPU ${percent.toFixed(1)}% of the time`;
  }
  for (const [side, late] of [
    ['guest', guest.vblankLate],
    ['host', host.vblankLate],
  ] as const) {
    if (late > 0) return `the ${side}'s vblank clock was late by more than 1 ms ${late} ${late === 1 ? 'time' : 'times'}`;
  }
  return null;
}

function totalsOf(plan: MachinePlan, guest: GuestReport, host: HostReport): Omit<Totals, 'hostSeen'> {
  const guestCounters = new Counters(plan.guestCounters);
  const hostCounters = new Counters(plan.hostCounters);
  const ledgers = [new Ledger(plan.guestLedger), new Ledger(plan.hostLedger)];
  const bytesByStage: StageBytes = { readback: 0, transfer: 0, fallback: 0, upload: 0, migrate: 0, cursor: 0 };
  for (const name of STAGES) for (const ledger of ledgers) bytesByStage[name] += ledger.bytesCopied(CopyStage[name]);
  let copies = 0;
  for (const stage of FRAME_STAGES) for (const ledger of ledgers) copies += ledger.copies(CopyStage[stage]);
  const sum = (usage: readonly ThreadUsage[], of: (u: ThreadUsage) => number | null): number | null => {
    let total = 0;
    for (const one of usage) {
      const value = of(one);
      if (value === null) return null;
      total += value;
    }
    return total;
  };
  return {
    heads: plan.options.heads,
    paced: plan.options.rateHz !== null,
    wallNs: guest.endNs - guest.startNs,
    frames: guest.frames,
    allFrames: guest.totalFrames.reduce((a, b) => a + b, 0),
    frameBytes: frameBytes(plan.options),
    bytesByStage,
    copies,
    hostCpuUs: sum(host.usage, (u) => u.cpuUs) ?? 0,
    guestCpuUs: sum(guest.usage, (u) => u.cpuUs) ?? 0,
    hostSpinNs: host.spinNs,
    guestSpinNs: guest.spinNs,
    hostSleepNs: host.sleepNs,
    guestSleepNs: guest.sleepNs,
    hostWaitNs: sum(host.usage, (u) => u.runQueueWaitNs),
    guestWaitNs: sum(guest.usage, (u) => u.runQueueWaitNs),
    hostCollections: sum(host.usage, (u) => u.collections) ?? 0,
    guestCollections: sum(guest.usage, (u) => u.collections) ?? 0,
    hostHeapBytes: sum(host.usage, (u) => u.heapBytes),
    guestHeapBytes: sum(guest.usage, (u) => u.heapBytes),
    framesVerified: hostCounters.get(Counter.framesVerified),
    framesTorn: hostCounters.get(Counter.framesTorn),
    imports: hostCounters.get(Counter.imports),
    importNs: hostCounters.get(Counter.importNs),
    importMaxNs: hostCounters.get(Counter.importMaxNs),
    kicks: guestCounters.get(Counter.kicks),
    kicksSuppressed: guestCounters.get(Counter.kicksSuppressed),
    interrupts: hostCounters.get(Counter.interrupts),
    interruptsSuppressed: hostCounters.get(Counter.interruptsSuppressed),
    errorResponses: hostCounters.get(Counter.errorResponses),
    segments: guest.segments,
    framesShown: hostCounters.get(Counter.framesPresented) + hostCounters.get(Counter.superseded),
    framesFromGuest: hostCounters.get(Counter.framesImported),
    fallback: host.fallbacks[0]?.reason ?? null,
    transferOnly: plan.options.transferOnly,
  };
}

/** Stages of guest and host; what an encode sink copies is told with its own figures. */
const STAGES = ['readback', 'transfer', 'fallback', 'upload', 'migrate', 'cursor'] as const;
/** Stages that copy a whole frame on its way. */
const FRAME_STAGES = ['readback', 'transfer', 'fallback', 'upload'] as const;

export function addTotals(a: Totals, b: Totals): Totals {
  const both = (x: number | null, y: number | null): number | null => (x === null || y === null ? null : x + y);
  const bytesByStage = { ...a.bytesByStage };
  for (const name of STAGES) bytesByStage[name] += b.bytesByStage[name];
  return {
    heads: a.heads,
    paced: a.paced,
    wallNs: a.wallNs + b.wallNs,
    frames: a.frames + b.frames,
    allFrames: a.allFrames + b.allFrames,
    frameBytes: a.frameBytes,
    bytesByStage,
    copies: a.copies + b.copies,
    hostCpuUs: a.hostCpuUs + b.hostCpuUs,
    guestCpuUs: a.guestCpuUs + b.guestCpuUs,
    hostSpinNs: a.hostSpinNs + b.hostSpinNs,
    guestSpinNs: a.guestSpinNs + b.guestSpinNs,
    hostSleepNs: a.hostSleepNs + b.hostSleepNs,
    guestSleepNs: a.guestSleepNs + b.guestSleepNs,
    hostWaitNs: both(a.hostWaitNs, b.hostWaitNs),
    guestWaitNs: both(a.guestWaitNs, b.guestWaitNs),
    hostCollections: a.hostCollections + b.hostCollections,
    guestCollections: a.guestCollections + b.guestCollections,
    hostHeapBytes: both(a.hostHeapBytes, b.hostHeapBytes),
    guestHeapBytes: both(a.guestHeapBytes, b.guestHeapBytes),
    framesVerified: a.framesVerified + b.framesVerified,
    framesTorn: a.framesTorn + b.framesTorn,
    imports: a.imports + b.imports,
    importNs: a.importNs + b.importNs,
    importMaxNs: Math.max(a.importMaxNs, b.importMaxNs),
    kicks: a.kicks + b.kicks,
    kicksSuppressed: a.kicksSuppressed + b.kicksSuppressed,
    interrupts: a.interrupts + b.interrupts,
    interruptsSuppressed: a.interruptsSuppressed + b.interruptsSuppressed,
    errorResponses: a.errorResponses + b.errorResponses,
    segments: Math.max(a.segments, b.segments),
    framesShown: a.framesShown + b.framesShown,
    framesFromGuest: a.framesFromGuest + b.framesFromGuest,
    fallback: a.fallback ?? b.fallback,
    hostSeen: a.hostSeen,
    transferOnly: a.transferOnly,
  };
}

export function metricsOf(samples: FrameSamples, totals: Totals): Metrics {
  const { wallNs, frames, allFrames, heads } = totals;
  const seconds = wallNs / 1e9;
  const per = (value: number, by: number): number => (by > 0 ? value / by : 0);
  const perFrame = (bytes: number | null): number | null => (bytes === null || frames === 0 ? null : bytes / frames);
  const percent = (wait: number | null): number | null => (wait === null || wallNs === 0 ? null : (wait / wallNs) * 100);
  const ofHost = (value: number): number | null => (totals.hostSeen ? value : null);
  const share = (ns: number): number => Math.min(1, per(ns, wallNs));
  // The log holds the newest frames only: of a fast run fewer than were presented. Transfers alone present none.
  const presented = samples.overwritten > 0 && !totals.transferOnly ? frames - samples.superseded : samples.presented;
  let frameStageBytes = 0;
  for (const stage of FRAME_STAGES) frameStageBytes += totals.bytesByStage[stage];
  return {
    fps: totals.paced ? samples.rate() * heads : per(totals.transferOnly ? frames : presented, seconds),
    framesPresented: presented,
    framesVerified: totals.framesVerified,
    framesTorn: totals.framesVerified > 0 ? totals.framesTorn : null,
    framesSuperseded: samples.superseded,
    framesTimedOut: samples.timedOut,
    vblanksMissed: samples.vblanksMissed,
    stutters: samples.stutters(),
    onePercentLowFps: samples.onePercentLow(),
    copiesPerFrame: per(totals.copies, allFrames),
    bytesCopiedPerFrame: per(frameStageBytes, allFrames),
    bytesCopiedByStage: totals.bytesByStage,
    hostServiceUs: totals.hostSeen ? samples.service('hostService') : null,
    guestServiceUs: samples.service('guestService'),
    hostCpuUsPerFrame: per(totals.hostCpuUs, frames),
    guestCpuUsPerFrame: per(totals.guestCpuUs, frames),
    spinShare: { host: ofHost(share(totals.hostSpinNs)), guest: share(totals.guestSpinNs) },
    sleepShare: { host: ofHost(share(totals.hostSleepNs)), guest: share(totals.guestSleepNs) },
    hostRunQueueWaitPercent: percent(totals.hostWaitNs),
    guestRunQueueWaitPercent: percent(totals.guestWaitNs),
    latencyUs: {
      submitToPresent:
        samples.distribution('submitToPresent') ?? (totals.transferOnly ? null : { p50: 0, p90: 0, p99: 0, p999: 0, max: 0 }),
      submitToFence: samples.distribution('submitToFence'),
      submitToResponse: samples.distribution('submitToResponse'),
      render: samples.distribution('render'),
      submit: samples.distribution('submit'),
      pickup: samples.distribution('pickup'),
      transfer: samples.distribution('transfer'),
      present: samples.distribution('present'),
      release: samples.distribution('release'),
      fence: samples.distribution('fence'),
    },
    segments: totals.segments,
    importUs:
      totals.imports > 0 ? { count: totals.imports, mean: totals.importNs / totals.imports / 1000, max: totals.importMaxNs / 1000 } : null,
    transferGBps: copySpeed(samples, totals),
    fallback: totals.fallback === null ? null : { reason: totals.fallback },
    gcCount: { host: ofHost(totals.hostCollections), guest: totals.guestCollections },
    allocatedBytesPerFrame: { host: perFrame(totals.hostHeapBytes), guest: perFrame(totals.guestHeapBytes) },
    notifications: {
      kicks: totals.kicks,
      kicksSuppressed: totals.kicksSuppressed,
      interrupts: totals.interrupts,
      interruptsSuppressed: totals.interruptsSuppressed,
    },
    errorResponses: totals.errorResponses,
  };
}

/** Bytes copied over the time the copying stages took: the host's transfers, the guest's readbacks. */
function copySpeed(samples: FrameSamples, totals: Totals): number | null {
  const readback = totals.bytesByStage.readback > 0;
  const transfer = totals.bytesByStage.transfer > 0;
  if ((!readback && !transfer) || samples.presented === 0) return null;
  // The ledger's bytes, not whole frames: with damage a transfer is smaller.
  const perFrame = (totals.bytesByStage.readback + totals.bytesByStage.transfer) / totals.allFrames;
  const bytes = perFrame * samples.presented;
  const ns = (readback ? samples.submitNs : 0) + (transfer ? samples.transferNs : 0);
  return ns > 0 ? bytes / ns : null;
}
