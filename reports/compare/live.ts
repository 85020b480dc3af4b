import { seededRandom } from '../random.ts';
import type { RunDocument } from '../run-document.ts';
import { concludeFamily, type Measured } from './family.ts';
import { metricValue } from './metrics.ts';
import { hasRatio, type NoRatio, ratioFault, type Sides, sideFigures } from './no-ratio.ts';
import { type Pair, pairsEffect } from './pairs.ts';
import type { ComparisonDocument } from './verdict.ts';

/** One pair's two runs: `repetitions: 1` of the same scenarios each. */
export type RunPair = readonly [base: RunDocument, head: RunDocument];

/** Values of one metric of one scenario, a pair for each pair of runs. */
export interface Series {
  readonly scenario: string;
  readonly metric: string;
  readonly pairs: readonly Pair[];
}

/** What can be compared of some pairs of runs: scenarios of base, each metric that has ratios in every pair. */
export function seriesOf(runs: readonly RunPair[], metrics: readonly string[]): Series[] {
  return placesOf(runs, metrics).flatMap(({ scenario, metric, sides }): Series[] => {
    if (!hasRatio(sides)) return [];
    const { base, head } = sides;
    return [{ scenario, metric, pairs: base.map((value, i): Pair => [value, head[i]]) }];
  });
}

/** What cannot be compared, and why. */
export function withoutRatio(runs: readonly RunPair[], metrics: readonly string[]): NoRatio[] {
  return placesOf(runs, metrics).flatMap(({ scenario, metric, sides }): NoRatio[] => {
    const fault = ratioFault(sides);
    return fault === null ? [] : [{ scenario, metric, fault, figures: fault === 'mixed' ? sideFigures(sides) : '' }];
  });
}

/** Verdicts on interleaved pairs at this level. Each interval has random numbers of its own: what else is compared changes none. */
export function compareSeries(
  series: readonly Series[],
  margin: number,
  alpha: number,
  notes: readonly string[],
  without: readonly NoRatio[] = [],
): ComparisonDocument {
  const measured = series.map(
    ({ scenario, metric, pairs }): Measured => ({
      scenario,
      metric,
      effect: pairsEffect(pairs, margin, seededRandom(1)),
      pairs: pairs.length,
      paired: true,
    }),
  );
  return concludeFamily(measured, margin, alpha, notes, without);
}

/** Pairs of which a side was disturbed in any scenario. */
export function disturbedPairs(runs: readonly RunPair[]): number {
  return runs.filter((pair) => pair.some(({ scenarios }) => scenarios.some(({ results }) => results.disturbed))).length;
}

function placesOf(runs: readonly RunPair[], metrics: readonly string[]): { scenario: string; metric: string; sides: Sides }[] {
  const ids = runs[0]?.[0].scenarios.map(({ id }) => id) ?? [];
  return ids.flatMap((scenario) =>
    metrics.map((metric) => {
      const values = (side: 0 | 1): (number | null)[] => runs.map((pair) => timedValue(pair[side], scenario, metric));
      return { scenario, metric, sides: { base: values(0), head: values(1) } };
    }),
  );
}

function timedValue({ scenarios }: RunDocument, id: string, metric: string): number | null {
  const timed = scenarios.find((scenario) => scenario.id === id)?.repetitions.find(({ kind }) => kind === 'timed');
  return timed === undefined ? null : metricValue(timed, metric);
}
