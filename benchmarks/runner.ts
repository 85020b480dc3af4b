import type { MachineOptions } from '../core/machine/options.ts';
import type { MachinePlan } from '../core/machine/plan.ts';
import { MonotonicClock, monotonicNowNs } from '../core/measure/clock.ts';
import { pickCopyKernel } from '../core/memory/copier.ts';
import { Random } from '../core/memory/random.ts';
import {
  type Limits,
  NOT_REACHED,
  type Repetition,
  type RunDocument,
  SCHEMA_VERSION,
  type Scenario as ScenarioRecord,
  type SkippedScenario,
} from '../reports/run-document.ts';
import { SessionRunner } from '../workers/session.ts';
import type { Window } from '../workers/task.ts';
import { checkRun } from './checks.ts';
import { beforeEncoding, encodeRecord, withEncode } from './encode/repetitions.ts';
import { readEnvironment, StealMeter } from './environment.ts';
import { scenarioFaults } from './faults.ts';
import { pooled as pooledGlass } from './glass/checks.ts';
import { runGlassRepetition } from './glass/repetition.ts';
import { Watcher, whyNoWatcher } from './glass/watcher.ts';
import { limitsOrNothing, NOT_ASKED, noLimits } from './limits/or-nothing.ts';
import { addTotals, type MeasuredRepetition, measureRepetition, metricsOf } from './metrics.ts';
import { BackEnds, peerSettings, whyNoHost } from './peers/back-ends.ts';
import { type PairPlan, ratiosOf } from './peers/pairs.ts';
import { runPeerRepetition } from './peers/repetition.ts';
import { guestFrames, guestRate, planScenario, recordedSettings } from './realguest/recorded.ts';
import { readRevision } from './revision.ts';
import { FrameSamples } from './samples.ts';
import { isPeer, isWatched, type Scenario, scenario } from './scenarios.ts';
import { type Studied, type StudyPlan, studyOf } from './study.ts';
import type { Timing } from './timing.ts';
import { unusualSettings } from './unusual-settings.ts';
import { packageVersion } from './version.ts';

export interface RunOptions {
  readonly suite: string;
  readonly scenarios: readonly Scenario[];
  readonly timing: Timing;
  /** The question that the suite asks. */
  readonly study?: StudyPlan;
  /** Scenarios that are compared with one another. */
  readonly pairs?: readonly PairPlan[];
  readonly seed: number;
  /** Timed repetitions only: no limits of the machine, no verify repetitions. What is missing is null. */
  readonly bare?: boolean;
  /** The command that repeats the run. */
  readonly command: string;
  readonly signal: AbortSignal;
  /** Told what is being done, for people who wait. `done` of `total` steps are behind. */
  readonly progress: (step: { done: number; total: number; text: string }) => void;
  /** Replaced by tests. */
  readonly sessions?: SessionRunner;
}

interface Entry {
  readonly scenario: Scenario;
  readonly timed: MeasuredRepetition[];
  readonly verified: MeasuredRepetition[];
  readonly failures: string[];
}

/** Longest a repetition may take over its warm-up and measured time before it is given up, ms. */
const GRACE_MS = 10_000;
/** A scenario is given up after so many sessions that failed. */
const MAX_FAILURES = 2;

/**
 * Measures scenarios: the machine's limits, then repetitions interleaved across scenarios in an order that alternates,
 * then verify repetitions, then disturbed ones again as far as the bound allows. An abort ends it with what there is.
 */
export async function runScenarios(options: RunOptions): Promise<RunDocument> {
  const { timing, signal, progress } = options;
  const startedAt = new Date();
  const startNs = monotonicNowNs();
  const steal = new StealMeter();
  const missing: SkippedScenario[] = [];
  const entries: Entry[] = options.scenarios.flatMap((scenario) => {
    const reason = whyNoHost(scenario) ?? whyNoWatcher(scenario);
    if (reason === null) return [{ scenario, timed: [], verified: [], failures: [] }];
    missing.push({ id: scenario.id, reason });
    return [];
  });
  const planned = entries.length * (timing.repetitions + (options.bare ? 0 : 1));
  const total = planned + 1;
  let done = 0;
  progress({ done, total, text: 'measuring what this machine can do' });
  const copier = pickCopyKernel(new MonotonicClock(monotonicNowNs()));
  const environment = await readEnvironment(copier.kernel.name);
  const revision = await readRevision();
  const limits = options.bare ? noLimits(copier, NOT_ASKED) : await limitsOrNothing(timing.limitsSeconds, copier, signal);
  done++;

  const sessions = options.sessions ?? new SessionRunner();
  let damage: string | null = null;
  sessions.onNotice = (text) => {
    damage = text;
  };
  const backEnds = entries.some(({ scenario }) => isPeer(scenario)) ? new BackEnds() : null;
  const watcher = new Watcher();
  const random = new Random(options.seed);
  const runOne = async (entry: Entry, kind: 'timed' | 'verify', round: number | null = null): Promise<void> => {
    if (entry.failures.length >= MAX_FAILURES) return;
    const measured = await runRepetition(
      sessions,
      backEnds,
      watcher,
      entry.scenario,
      kind,
      timing,
      copier.kernel.name,
      random.next(),
      signal,
    );
    if (measured === null) return;
    if (typeof measured === 'string') entry.failures.push(measured);
    else if (kind === 'timed') {
      if (round !== null) measured.repetition.round = round;
      entry.timed.push(measured);
    } else entry.verified.push(measured);
  };
  const deadlineNs = startNs + timing.maxSeconds * 1e9;
  try {
    progress({ done, total, text: 'warming up' });
    await warmUp(sessions, timing, copier.kernel.name, signal, options.bare ? ownPaths(options.scenarios) : WARM_PATHS);
    // A B C, C B A, A B C, …: a machine that drifts treats all alike.
    for (let round = 0; round < timing.repetitions && !signal.aborted; round++) {
      const order = round % 2 === 0 ? entries : [...entries].reverse();
      for (const entry of order) {
        if (signal.aborted || (round > 0 && monotonicNowNs() > deadlineNs)) break;
        progress({ done, total, text: `${entry.scenario.id} (${round + 1} of ${timing.repetitions})` });
        await runOne(entry, 'timed', round);
        done++;
      }
    }
    for (const entry of options.bare ? [] : entries) {
      if (signal.aborted) break;
      // The numbers that such a look compares are not in a test card, and could not be written into every recorded guest's pixels.
      if (isWatched(entry.scenario) || entry.scenario.recorded?.workload.stamped === false) {
        done++;
        continue;
      }
      progress({ done, total, text: `${entry.scenario.id} (looking for torn frames)` });
      await runOne(entry, 'verify');
      done++;
    }
    const allowed = Math.ceil(entries.length * timing.repetitions * timing.maxRepeated);
    for (let repeated = 0; repeated < allowed && !signal.aborted; repeated++) {
      const entry = needsMost(entries, timing);
      if (entry === null || monotonicNowNs() + repetitionNs(entry.scenario, timing) > deadlineNs) break;
      progress({ done, total, text: `${entry.scenario.id} (again: the machine got in the way)` });
      await runOne(entry, 'timed');
    }
  } finally {
    await sessions.close();
    await backEnds?.close();
    await watcher.close();
  }
  const left = total - done;
  if (!signal.aborted) progress({ done, total, text: left === 0 ? 'done' : `done; ${left} repetitions left out: the run's time was over` });
  const records: ScenarioRecord[] = [];
  const studied: Studied[] = [];
  const skipped: SkippedScenario[] = [];
  for (const entry of entries) {
    const damaged = damage === null ? {} : { contentDamage: damage };
    const record = recordOf(entry, limits, { ...watcher.settings(entry.scenario), ...damaged });
    if (record === null) skipped.push({ id: entry.scenario.id, reason: entry.failures[0] ?? NOT_REACHED });
    else {
      records.push(record);
      studied.push({ options: entry.scenario.options, record });
    }
  }
  return {
    schemaVersion: SCHEMA_VERSION,
    scanoutVersion: packageVersion(),
    startedAt: startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
    command: options.command,
    suite: options.suite,
    seed: options.seed,
    partial: signal.aborted,
    partialReason: signal.aborted ? 'stopped before its end' : null,
    environment: { ...environment, stealPercent: steal.percent() },
    revision,
    limits,
    scenarios: records,
    skipped: [...missing, ...skipped],
    checks: checkRun(
      entries.map((entry) => ({ ...entry, samples: pooled(entry.timed) })),
      timing,
      // What a stop left out did not fail.
      signal.aborted ? [] : skipped,
      limits,
    ),
    ...(options.pairs === undefined
      ? {}
      : {
          pairs: ratiosOf(
            options.pairs,
            entries.map(({ scenario: { id }, timed }) => ({ id, repetitions: timed.map(({ repetition }) => repetition) })),
          ),
        }),
    ...(options.study === undefined ? {} : { study: studyOf(options.study, studied) }),
  };
}

const WARM_PATHS = ['vfio', 'udmabuf', 'copy', 'vfio', 'udmabuf', 'vfio'] as const;

/** Each path of the scenarios, twice. */
function ownPaths(scenarios: readonly Scenario[]): MachineOptions['path'][] {
  const paths = [...new Set(scenarios.map(({ options }) => options.path))];
  return [...paths, ...paths];
}

/**
 * Lets both workers compile what every machine runs and no repetition repeats: probing and importing long page lists.
 * The first import of a fresh worker takes ten times as long as the third.
 */
async function warmUp(
  sessions: SessionRunner,
  timing: Timing,
  copier: string,
  signal: AbortSignal,
  paths: readonly MachineOptions['path'][],
): Promise<void> {
  const short: Timing = { ...timing, warmupMs: 0, warmupFrames: 0, measureMs: 20 };
  for (const path of paths) {
    const pages = scenario({ path, width: 1280, height: 720, layout: '4k', buffers: 16, listLimit: 16384 });
    await runRepetition(sessions, null, null, pages, 'timed', short, copier, 1, signal);
  }
}

/** The scenario with the fewest undisturbed repetitions that still wants one; null: all have enough. */
function needsMost(entries: readonly Entry[], timing: Timing): Entry | null {
  let most: Entry | null = null;
  let fewest = timing.repetitions;
  for (const entry of entries) {
    if (entry.failures.length >= MAX_FAILURES) continue;
    const good = timing.undisturbedFrames > 0 ? enoughFrames(entry, timing) : undisturbed(entry.timed).length;
    if (good < fewest) {
      fewest = good;
      most = entry;
    }
  }
  return most;
}

/** Undisturbed frames so far, in repetitions' worth. */
function enoughFrames(entry: Entry, timing: Timing): number {
  const samples = pooled(entry.timed);
  return ((samples.presented - samples.disturbed) / timing.undisturbedFrames) * timing.repetitions;
}

const undisturbed = (repetitions: readonly MeasuredRepetition[]): MeasuredRepetition[] =>
  repetitions.filter((r) => !r.repetition.disturbed);

function pooled(repetitions: readonly MeasuredRepetition[]): FrameSamples {
  const samples = new FrameSamples();
  for (const repetition of repetitions) samples.add(repetition.samples);
  return samples;
}

function repetitionNs(scenario: Scenario, timing: Timing): number {
  const { rateHz } = scenario.options;
  const measured = rateHz === null ? timing.measureMs : (timing.pacedFrames / rateHz) * 1000;
  return (timing.warmupMs + measured + 300) * 1e6;
}

/** @returns the repetition; null: aborted; a string: why it failed */
async function runRepetition(
  sessions: SessionRunner,
  backEnds: BackEnds | null,
  watcher: Watcher | null,
  scenario: Scenario,
  kind: 'timed' | 'verify',
  timing: Timing,
  copier: string,
  seed: number,
  signal: AbortSignal,
): Promise<MeasuredRepetition | string | null> {
  const verify = kind === 'verify';
  const options = {
    ...scenario.options,
    copier,
    seed,
    ...(verify ? { sink: 'verify' as const, crcEvery: scenario.options.crcEvery || 16 } : {}),
  };
  const paced = options.rateHz !== null;
  const rate = guestRate(scenario);
  const window: Window = {
    warmupMs: verify ? timing.warmupMs / 2 : timing.warmupMs,
    warmupFrames: paced ? 3 : timing.warmupFrames,
    measureMs: paced ? 0 : verify ? timing.verifyMs : timing.measureMs,
    measureFrames: paced ? (verify ? verifyFrames(rate, timing) : guestFrames(scenario, timing.pacedFrames)) * options.heads : 0,
    usageWindows: 1,
  };
  const expectedMs = window.warmupMs + window.measureMs + (paced ? ((window.warmupFrames + window.measureFrames) / rate) * 1000 : 0);
  if (backEnds !== null && isPeer(scenario)) return await runPeerRepetition(backEnds, { scenario, kind, options, window, signal });
  if (watcher !== null && isWatched(scenario)) return await runGlassRepetition(watcher, sessions, options, window, timing, signal);
  const startedAt = new Date();
  let plan: MachinePlan;
  const before = await beforeEncoding(options, kind, timing);
  if (typeof before === 'string') return before;
  try {
    plan = planScenario(scenario, options, monotonicNowNs());
  } catch (error) {
    // The system has no such memory now; other scenarios are smaller.
    return `the machine's memory could not be had: ${error instanceof Error ? error.message : String(error)}`;
  }
  const outcome = await sessions.run(plan, window, expectedMs * 4 + GRACE_MS, signal);
  if (outcome.kind === 'aborted') return null;
  if (outcome.kind === 'failed') return `the ${outcome.side} failed: ${outcome.reason}`;
  return withEncode(measureRepetition(plan, outcome.guest, outcome.host, kind, startedAt), plan, outcome, before);
}

/** At most two seconds' worth, where a slow rate would make a long wait of it. */
function verifyFrames(rateHz: number, timing: Timing): number {
  return Math.max(2, Math.min(timing.verifyFrames, Math.ceil(2 * rateHz)));
}

/** The document's entry; null when nothing was measured. */
function recordOf(entry: Entry, limits: Limits, watched: Record<string, string>): ScenarioRecord | null {
  const { scenario, timed, verified, failures } = entry;
  if (timed.length === 0) return null;
  const good = undisturbed(timed);
  const used = good.length > 0 ? good : timed;
  const samples = pooled(used);
  const totals = used.map((r) => r.totals).reduce(addTotals);
  const metrics = metricsOf(samples, totals);
  const toPresent = samples.toPresent.histogram();
  const looked = verified.map((r) => r.repetition);
  const framesVerified = looked.reduce((sum, r) => sum + r.framesVerified, 0);
  const { options } = scenario;
  const faults = scenarioFaults(
    options,
    [...timed, ...verified].map((r) => r.faults),
  );
  const { encode } = encodeRecord(options, used);
  const repetitions: Repetition[] = [...timed, ...verified].map((r) => r.repetition);
  return {
    id: scenario.id,
    path: options.path,
    width: options.width,
    height: options.height,
    rateHz: options.rateHz,
    sink: isPeer(scenario) ? (options.path === 'copy' ? 'socket' : 'memory') : options.sink,
    ring: options.ring,
    layout: scenario.recorded === undefined ? options.layout : 'recorded',
    host: scenario.host === 'qemu-current' ? 'qemu' : isWatched(scenario) ? 'threads' : (scenario.host ?? 'threads'),
    renderer: options.card === true ? 'card' : options.renderer,
    buffers: options.buffers,
    heads: options.heads,
    settings: { ...recordedSettings(scenario), ...unusualSettings(options), ...peerSettings(scenario), ...watched },
    results: {
      ...metrics,
      framesVerified,
      framesTorn: framesVerified > 0 ? looked.reduce((sum, r) => sum + (r.framesTorn ?? 0), 0) : null,
      disturbed: good.length === 0,
      ...encode?.results,
      ...(isWatched(scenario) ? { glass: pooledGlass(used).metrics() } : {}),
    },
    repetitions,
    ratios: {
      transferGBpsToMemcpy: ratio(metrics.transferGBps, limits.memcpyGBps),
      submitToFenceToPingPong: ratio(
        metrics.latencyUs.submitToFence?.p50 ?? null,
        limits.pingPongNs === null ? null : limits.pingPongNs / 1000,
      ),
      submitToFenceToJsPingPong: ratio(
        metrics.latencyUs.submitToFence?.p50 ?? null,
        limits.jsPingPongNs === null ? null : limits.jsPingPongNs / 1000,
      ),
    },
    ...(encode === undefined ? {} : { encoder: encode.encoder }),
    workerFailures: failures,
    ...(faults === null ? {} : { faults }),
    ...(used[0].trace === null ? {} : { frameTrace: used[0].trace }),
    ...(toPresent === null ? {} : { latencyHistograms: { submitToPresent: toPresent } }),
  };
}

const ratio = (value: number | null, limit: number | null): number | null =>
  value === null || limit === null || limit === 0 ? null : value / limit;
