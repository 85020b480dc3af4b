/** What this machine can resolve: a side compared with itself again and again, then with itself under a handicap. */
import { CALIBRATION_VERSION, type CalibratedMetric, type Calibration, type PositiveControl } from '../../reports/calibration.ts';
import { compareSeries, type RunPair, type Series, seriesOf } from '../../reports/compare/live.ts';
import { betterWay } from '../../reports/compare/metrics.ts';
import { robustSpread, smallestDetectable } from '../../reports/compare/power.ts';
import { ALPHA, type Comparison, PAIRED_MARGIN } from '../../reports/compare/verdict.ts';
import { InputError, median, type RunDocument, seededRandom } from '../../reports/index.ts';
import type { Checkout } from './checkout.ts';
import { comparisonJudge, type LiveRuns, measurePairs } from './live.ts';
import type { MeasureSide } from './side.ts';

export interface CalibrateOptions {
  readonly side: Checkout;
  /** Arguments of `scanout run` that select one scenario. */
  readonly runArgs: readonly string[];
  /** The first is the primary one. */
  readonly metrics: readonly string[];
  /** Comparisons of the side with itself, and trials with the handicap. */
  readonly comparisons: number;
  readonly trials: number;
  readonly maxPairs: number;
  readonly seed: number;
  /** The command that repeats it. */
  readonly command: string;
  readonly signal: AbortSignal;
  readonly measure: MeasureSide;
  /** ms, for the time that a side takes. */
  readonly now: () => number;
  /** Called with what is complete before the positive control begins. */
  readonly keep: (calibration: Calibration) => void;
  readonly progress: (step: { done: number; total: number; text: string }) => void;
}

/** The least handicap of the positive control, and by how much it exceeds what is detectable. */
const LEAST_HANDICAP = 0.05;
const HANDICAP_FACTOR = 1.5;

/**
 * Stopped by the signal it keeps the comparisons that are complete.
 * @throws InputError, InvalidRunError as `measurePairs`, or more than one scenario; the signal's reason when nothing is complete
 */
export async function calibrate(options: CalibrateOptions): Promise<Calibration> {
  const { metrics, comparisons, trials, maxPairs, signal, command } = options;
  const startedAt = new Date().toISOString();
  const times: number[] = [];
  const tally = metrics.map(() => ({ logs: [] as number[], wrong: 0, comparisons: 0 }));
  let environment: RunDocument['environment'] | null = null;
  let scenario = '';
  for (let k = 0; k < comparisons && !signal.aborted; k++) {
    const live = await attempt(options, times, k, `itself, ${k + 1} of ${comparisons}`, []);
    if (live === null) break;
    const [[first]] = live.runs;
    environment ??= first.environment;
    scenario = first.scenarios[0].id;
    for (const [i, metric] of metrics.entries()) {
      const [comparison, series] = verdictOn(live, metric);
      if (comparison === null || series === null) continue;
      tally[i].comparisons++;
      if (comparison.verdict === 'regressed' || comparison.verdict === 'improved') tally[i].wrong++;
      tally[i].logs.push(...series.pairs.map(([base, head]) => Math.log(head / base)));
    }
  }
  if (environment === null) signal.throwIfAborted();
  if (environment === null) throw new InputError('nothing was compared');
  const calibrated = metrics.map((metric, i): CalibratedMetric => {
    const { logs, wrong, comparisons: compared } = tally[i];
    const rule = { margin: PAIRED_MARGIN, alpha: ALPHA, better: betterWay(metric) };
    return {
      metric,
      comparisons: compared,
      falseVerdicts: wrong,
      smallestDetectable: smallestDetectable(logs, maxPairs, rule, seededRandom(1)),
      spread: robustSpread(logs),
    };
  });
  const rest = { command, environment, scenario, primaryMetric: metrics[0], alpha: ALPHA, margin: PAIRED_MARGIN, maxPairs };
  const document = (partial: boolean, positiveControl: PositiveControl | null): Calibration => ({
    schemaVersion: CALIBRATION_VERSION,
    startedAt,
    finishedAt: new Date().toISOString(),
    partial,
    ...rest,
    secondsPerSide: median(times) / 1000,
    metrics: calibrated,
    positiveControl,
  });
  if (signal.aborted || trials === 0) return document(signal.aborted, null);
  // The comparisons took an hour: what goes wrong with the control must not cost them.
  options.keep(document(true, null));
  return document(signal.aborted, await control(options, times, calibrated[0]));
}

/** Trials with a handicap that has to be found; null: none was complete. */
async function control(options: CalibrateOptions, times: number[], primary: CalibratedMetric): Promise<PositiveControl | null> {
  const { comparisons, trials, signal } = options;
  const handicapPercent = Math.min(100, Math.ceil(100 * Math.max(LEAST_HANDICAP, HANDICAP_FACTOR * (primary.smallestDetectable ?? 0))));
  const headArgs = ['--handicap', String(handicapPercent)];
  const ratios: number[] = [];
  let found = 0;
  for (let k = 0; k < trials && !signal.aborted; k++) {
    const live = await attempt(options, times, comparisons + k, `a handicap of ${handicapPercent}%, ${k + 1} of ${trials}`, headArgs);
    const [comparison] = live === null ? [null] : verdictOn(live, primary.metric);
    if (comparison === null) break;
    ratios.push(comparison.ratio);
    if (comparison.verdict === 'regressed') found++;
  }
  return ratios.length === 0 ? null : { handicapPercent, trials: ratios.length, found, ratio: median(ratios) };
}

/** One comparison, as a user's would go; null: stopped before its end. */
async function attempt(
  options: CalibrateOptions,
  times: number[],
  index: number,
  what: string,
  headArgs: readonly string[],
): Promise<LiveRuns | null> {
  const { side, runArgs, metrics, comparisons, trials, maxPairs, seed, signal, measure, now, progress } = options;
  const timed: MeasureSide = async (...args) => {
    const from = now();
    const run = await measure(...args);
    times.push(now() - from);
    // It is the same scenario that is compared with itself, although a run under a handicap has a name of its own.
    return { ...run, scenarios: run.scenarios.map((scenario) => ({ ...scenario, id: withoutHandicap(scenario.id) })) };
  };
  const judge = comparisonJudge(metrics.slice(0, 1), PAIRED_MARGIN);
  try {
    const live = await measurePairs({
      base: side,
      head: side,
      runArgs,
      headArgs,
      maxPairs,
      // Each comparison has page layouts of its own.
      seed: seed + index * maxPairs,
      signal,
      measure: timed,
      judge: { ...judge, family: (runs) => judge.family(checkSingle(runs)) },
      progress: ({ done }) =>
        progress({ done: index, total: comparisons + trials, text: `${what}: pair ${done + 1} of at most ${maxPairs}` }),
    });
    return live.partial ? null : live;
  } catch (error) {
    if (!signal.aborted) throw error;
    return null;
  }
}

const withoutHandicap = (id: string): string => id.replace(/-handicap\d+(?=-|$)/, '');

/** After the first pair: what cannot be calibrated must not cost a comparison. @throws InputError */
function checkSingle(runs: readonly RunPair[]): readonly RunPair[] {
  const { length } = runs[0][0].scenarios;
  if (length !== 1) throw new InputError(`calibration takes one scenario, not ${length}: name it after --, see --help`);
  return runs;
}

function verdictOn({ runs, alpha }: LiveRuns, metric: string): [Comparison | null, Series | null] {
  const series = seriesOf(runs, [metric]);
  if (series.length === 0) return [null, null];
  return [compareSeries(series, PAIRED_MARGIN, alpha, []).comparisons[0], series[0]];
}
