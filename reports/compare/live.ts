import { seededRandom } from '../random.ts';
import type { RunDocument } from '../run-document.ts';
import { concludeFamily, type Measured } from './family.ts';
import { metricValue } from './metrics.ts';
import { logRatio, type Pair, pairsEffect } from './pairs.ts';
import type { ComparisonDocument } from './verdict.ts';

/** One pair's two runs: `repetitions: 1` of the same scenarios each, in the same order. */
export type RunPair = readonly [base: RunDocument, head: RunDocument];

/** Values of one metric of one scenario, a pair for each pair of runs that has both. */
export interface Series {
  readonly scenario: string;
  readonly metric: string;
  readonly pairs: readonly Pair[];
}

/** What can be compared of some pairs of runs: scenarios of both sides, each metric that has ratios in every pair. */
export function seriesOf(runs: readonly RunPair[], metrics: readonly string[]): Series[] {
  const [first] = runs;
  if (first === undefined) return [];
  const series: Series[] = [];
  for (const [place, { id }] of first[0].scenarios.entries()) {
    for (const metric of metrics) {
      const pairs = runs.flatMap((run): Pair[] => {
        const [base, head] = run.map(({ scenarios }) => scenarios[place]?.repetitions.find(({ kind }) => kind === 'timed'));
        const pair = [base, head].map((repetition) => (repetition === undefined ? null : metricValue(repetition, metric)));
        return hasRatio(pair) ? [pair] : [];
      });
      if (pairs.length === runs.length) series.push({ scenario: id, metric, pairs });
    }
  }
  return series;
}

/** Verdicts on interleaved pairs at this level; equal pairs give equal intervals. */
export function compareSeries(series: readonly Series[], margin: number, alpha: number, notes: readonly string[]): ComparisonDocument {
  const random = seededRandom(1);
  const measured = series.map(
    ({ scenario, metric, pairs }): Measured => ({
      scenario,
      metric,
      effect: pairsEffect(pairs, margin, random),
      pairs: pairs.length,
      paired: true,
    }),
  );
  return concludeFamily(measured, margin, alpha, notes);
}

/** Pairs of which a side was disturbed in any scenario. */
export function disturbedPairs(runs: readonly RunPair[]): number {
  return runs.filter((pair) => pair.some(({ scenarios }) => scenarios.some(({ results }) => results.disturbed))).length;
}

function hasRatio(pair: (number | null)[]): pair is [number, number] {
  const [base, head] = pair;
  if (base === null || head === null || base <= 0 || head <= 0) return false;
  return Number.isFinite(logRatio(base, head));
}
