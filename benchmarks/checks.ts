import { COPIES, pathUsesBlob } from '../core/machine/options.ts';
import { bytesPerFrame, frameBytes } from '../core/machine/plan.ts';
import { CURSOR_SIZE } from '../core/protocol/constants.ts';
import type { Check, Limits, RatioInterval, SkippedScenario } from '../reports/run-document.ts';
import { median, ratioOfPairs } from '../reports/statistics.ts';
import { importsOf } from '../workers/native/imports.ts';
import { encodeChecks } from './encode/checks.ts';
import { faultChecks } from './faults.ts';
import { glassChecks } from './glass/checks.ts';
import type { MeasuredRepetition } from './metrics.ts';
import { neighbours } from './neighbours.ts';
import { copiesOfProcess } from './peers/checks.ts';
import { copiesAsRecorded } from './realguest/check.ts';
import type { FrameSamples } from './samples.ts';
import { isPeer, isWatched, type Scenario } from './scenarios.ts';
import type { Timing } from './suites.ts';

export interface Measured {
  readonly scenario: Scenario;
  readonly timed: readonly MeasuredRepetition[];
  readonly verified: readonly MeasuredRepetition[];
  readonly samples: FrameSamples;
  /** Why repetitions failed. */
  readonly failures: readonly string[];
}

/** How often the host's work for a copied 4K frame must contain that for an imported one. */
const COPY_TO_IMPORT = 100;
const IMPORT_US = 1000;
const FLAT_RATIO = 1.1;
const CURSOR_BYTES = CURSOR_SIZE * CURSOR_SIZE * 4;
const FLAT_PAIRS = 15;
const COPIER_RATIO = 0.9;
/** More disturbed frames than this part of all, and the run proves nothing. */
const MAX_DISTURBED = 0.1;

/** What a run must show to be believed. A check that fails makes the run invalid (exit code 4). */
export function checkRun(entries: readonly Measured[], timing: Timing, skipped: readonly SkippedScenario[], limits: Limits): Check[] {
  const checks: Check[] = [];
  for (const { id, reason } of skipped) checks.push({ name: `${id} runs`, status: 'fail', detail: reason });
  for (const entry of entries) {
    if (entry.timed.length === 0) continue;
    if (entry.failures.length > 0)
      checks.push({ name: `${entry.scenario.id} ends every repetition`, status: 'fail', detail: entry.failures.join('; ') });
    if (entry.samples.presented === 0 && !entry.scenario.options.transferOnly) {
      const errors = entry.timed.reduce((n, r) => n + r.totals.errorResponses, 0);
      checks.push({
        name: `${entry.scenario.id} shows frames`,
        status: 'fail',
        detail: `none was shown; the host answered ${errors} errors`,
      });
    }
    const figures = [...entry.timed, ...entry.verified].map(({ faults }) => faults);
    checks.push(...faultChecks(entry.scenario, figures));
    // Frames that a fault has lost were copied, or were not.
    const own = copiesOfProcess(entry);
    if (own !== null) checks.push(own);
    if (entry.scenario.recorded !== undefined) {
      const copies = copiesAsRecorded(entry.scenario, [...entry.timed, ...entry.verified]);
      if (copies !== null) checks.push(copies);
    } else if (!isPeer(entry.scenario) && entry.scenario.options.faults.length === 0) checks.push(copiesExactly(entry));
    checks.push(...encodeChecks(entry), ...glassChecks(entry));
    const imports = importsInTime(entry);
    if (imports !== null) checks.push(imports);
    const torn = tornFrames(entry);
    if (torn !== null) checks.push(torn);
    if (entry.scenario.options.faults.length > 0) continue;
    if (timing.undisturbedFrames > 0 && entry.scenario.options.rateHz !== null && COPIES[entry.scenario.options.path] === 0) {
      checks.push(missesNothing(entry, timing.undisturbedFrames));
    }
  }
  // With an encoder the host shares its CPU: its work is then no measure of the paths.
  const sound = entries.filter(({ scenario: { options } }) => options.faults.length === 0 && options.sink !== 'encode');
  const ratio = copyAgainstImport(sound);
  if (ratio !== null) checks.push(ratio);
  for (const path of ['vfio', 'udmabuf']) {
    const flat = isFlat(sound, path);
    if (flat !== null) checks.push(flat);
  }
  if (limits.jsCopyToMemcpyRatio !== null) checks.push(copierIsFast(limits.jsCopyToMemcpyRatio));
  return checks;
}

/** Host service at 4K over 1080p, round by round: what is not copied must not cost by the pixel. */
function isFlat(entries: readonly Measured[], path: string): Check | null {
  const of = (height: number): Measured | undefined =>
    entries.find(
      ({ scenario: { options, host } }) =>
        host === undefined && options.path === path && options.height === height && options.rateHz === null && options.layout === '64k',
    );
  const small = of(1080);
  const large = of(2160);
  if (small === undefined || large === undefined) return null;
  const pairs: [number, number][] = [];
  const [above, below] = [large, small].map(({ timed }) => timed.map(({ repetition }) => repetition));
  for (const [one, other] of neighbours(above, below)) {
    if (one.hostServiceUs !== null && other.hostServiceUs !== null) pairs.push([one.hostServiceUs.p50, other.hostServiceUs.p50]);
  }
  if (pairs.length < FLAT_PAIRS) return null;
  const ratio = ratioOfPairs(pairs, { estimator: median });
  return {
    name: `host service of ${path} at 4K is at most ${FLAT_RATIO} times that at 1080p`,
    status: ratio.low <= FLAT_RATIO ? 'pass' : 'fail',
    detail: `${ratio.median.toFixed(3)} [${ratio.low.toFixed(3)}, ${ratio.high.toFixed(3)}], ${pairs.length} pairs`,
  };
}

/** The copying paths must have the fastest copy that this machine can do, or they are compared unfairly. */
function copierIsFast(ratio: RatioInterval): Check {
  return {
    name: `the copier reaches ${COPIER_RATIO} of memcpy`,
    status: ratio.high >= COPIER_RATIO ? 'pass' : 'fail',
    detail: `${ratio.median.toFixed(3)} [${ratio.low.toFixed(3)}, ${ratio.high.toFixed(3)}], ${ratio.pairs ?? 0} pairs of 4K frames`,
  };
}

/** The ledger's bytes over the frames: exactly the path's, unless the host had to copy and says why. */
function copiesExactly({ scenario, timed, verified }: Measured): Check {
  const { damage, heads, sink, path, card } = scenario.options;
  // Of a damaged rectangle that alone is transferred, but for each head's first frame.
  const spared = damage === null || pathUsesBlob(path) ? 0 : frameBytes(scenario.options) - damage.width * damage.height * 4;
  // Above a test card a cursor moves, whose image is transferred once.
  const once = spared + (card === true && !pathUsesBlob(path) ? CURSOR_BYTES : 0);
  const expected = bytesPerFrame(scenario.options) - spared;
  const name = `${scenario.id} copies ${expected} bytes a frame`;
  const all = [...timed, ...verified];
  const fallback = all.find((r) => r.totals.fallback !== null)?.totals.fallback ?? null;
  if (fallback !== null) return { name, status: 'inconclusive', detail: `the host copied instead of importing: ${fallback}` };
  // The ledger knows only of copies that were charged. Where the sink's pixels lay is seen by itself.
  const imports = pathUsesBlob(path);
  const elsewhere = all.find((r) => r.totals.framesFromGuest !== (imports ? r.totals.framesShown : 0));
  if (elsewhere !== undefined) {
    const { framesFromGuest, framesShown } = elsewhere.totals;
    return { name, status: 'fail', detail: `${framesFromGuest} of ${framesShown} frames were shown from the guest's own memory` };
  }
  const wrong = timed.find(({ repetition, totals }) =>
    once === 0
      ? repetition.bytesCopiedPerFrame !== expected
      : Math.round(repetition.bytesCopiedPerFrame * totals.allFrames) !== totals.allFrames * expected + heads * once,
  );
  // What a display uploads of a rectangle is its own affair.
  if (wrong === undefined || (spared > 0 && sink === 'display'))
    return { name, status: 'pass', detail: `${timed.reduce((n, r) => n + r.totals.allFrames, 0)} frames in the ledger` };
  return { name, status: 'fail', detail: `one repetition copied ${wrong.repetition.bytesCopiedPerFrame} bytes a frame` };
}

/** Torn frames fail a run, but where the guest flips without waiting they belong to what is measured. */
function tornFrames({ scenario, verified }: Measured): Check | null {
  const { linuxPacing, fences } = scenario.options;
  // What is watched is a picture without the numbers that such a look compares.
  if (isWatched(scenario) || linuxPacing || !fences || scenario.recorded?.workload.stamped === false) return null;
  const looked = verified.reduce((n, r) => n + r.repetition.framesVerified, 0);
  const torn = verified.reduce((n, r) => n + (r.repetition.framesTorn ?? 0), 0);
  const name = `${scenario.id} tears no frame`;
  if (looked === 0) return { name, status: 'inconclusive', detail: 'no frame was verified' };
  return { name, status: torn === 0 ? 'pass' : 'fail', detail: `${torn} torn of ${looked} verified` };
}

/** Importing a 4K buffer of single scattered pages: the worst that a guest's memory does to an import. */
function importsInTime({ scenario, timed }: Measured): Check | null {
  const { layout, width, height } = scenario.options;
  const spent = timed.flatMap((r) => (r.repetition.importUs === null ? [] : [r.repetition.importUs.mean]));
  if (layout !== '4k' || width !== 3840 || height !== 2160 || spent.length === 0) return null;
  // Where the kernel maps the pages too, its work is in the figure.
  if (importsOf(scenario.options) !== 'list') return null;
  const us = median(spent);
  return {
    name: `${scenario.id} imports ${timed[0].totals.segments} segments within ${IMPORT_US} µs of host work`,
    // What a busy machine took is no property of the import.
    status: us <= IMPORT_US ? 'pass' : timed.every((r) => r.repetition.disturbed) ? 'inconclusive' : 'fail',
    detail: `${us.toFixed(0)} µs, median of ${spent.length} repetitions of 2 imports or more`,
  };
}

function missesNothing({ scenario, samples }: Measured, wanted: number): Check {
  const name = `${scenario.id} misses no vblank in ${wanted} undisturbed frames`;
  const good = samples.presented - samples.disturbed;
  const detail = `${samples.vblanksMissedUndisturbed} missed in ${good} undisturbed frames; ${samples.disturbed} more were disturbed (${samples.vblanksMissed} missed in all)`;
  if (samples.vblanksMissedUndisturbed > 0) return { name, status: 'fail', detail };
  if (good < wanted || samples.disturbed > samples.presented * MAX_DISTURBED) return { name, status: 'inconclusive', detail };
  return { name, status: 'pass', detail };
}

/** Host service of `copy` over `udmabuf` at 4K, unpaced: the point of the whole exercise. */
function copyAgainstImport(entries: readonly Measured[]): Check | null {
  const at4k = (path: string): Measured | undefined =>
    entries.find(
      ({ scenario: { options, host }, timed }) =>
        // Another process's work is not known.
        host === undefined &&
        options.path === path &&
        options.width === 3840 &&
        options.height === 2160 &&
        options.rateHz === null &&
        // Of a rectangle only that is copied.
        options.damage === null &&
        timed.length > 0,
    );
  const copy = at4k('copy');
  const imported = at4k('udmabuf');
  if (copy === undefined || imported === undefined) return null;
  const a = copy.samples.service('hostService').p50;
  const b = imported.samples.service('hostService').p50;
  const ratio = a / b;
  return {
    name: `host service of copy at 4K is at least ${COPY_TO_IMPORT} times udmabuf's`,
    status: ratio >= COPY_TO_IMPORT ? 'pass' : 'fail',
    detail: `${a.toFixed(1)} over ${b.toFixed(1)} µs, median a frame: ${ratio.toFixed(0)} times`,
  };
}
