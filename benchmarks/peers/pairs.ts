import type { Metrics, PairedRatio, Repetition } from '../../reports/run-document.ts';
import { median, ratioOfPairs } from '../../reports/statistics.ts';
import { neighbours } from '../neighbours.ts';

/** Two scenarios of a suite that are compared round by round. */
export interface PairPlan extends Omit<PairedRatio, 'ratio'> {
  readonly figure: (metrics: Metrics) => number;
}

/** What a pair is drawn from. */
export interface Timed {
  readonly id: string;
  /** Timed ones. One that failed is missing. */
  readonly repetitions: readonly Repetition[];
}

/** Of fewer there is no interval. */
const LEAST_PAIRS = 2;

/** The ratios of those pairs whose scenarios were both measured; of pairs that nothing disturbed, where these are at least half, and two. */
export function ratiosOf(plans: readonly PairPlan[], scenarios: readonly Timed[]): PairedRatio[] {
  return plans.flatMap(({ figure, ...plan }) => {
    const [of, to] = [plan.of, plan.to].map((id) => scenarios.find((scenario) => scenario.id === id)?.repetitions);
    if (of === undefined || to === undefined) return [];
    const all: [number, number][] = [];
    const calm: [number, number][] = [];
    for (const [one, other] of neighbours(of, to)) {
      const pair: [number, number] = [figure(one), figure(other)];
      if (!(pair[0] > 0 && pair[1] > 0)) continue;
      all.push(pair);
      if (!one.disturbed && !other.disturbed) calm.push(pair);
    }
    const used = calm.length >= LEAST_PAIRS && calm.length * 2 >= all.length ? calm : all;
    return [{ ...plan, ratio: used.length < LEAST_PAIRS ? null : ratioOfPairs(used, { estimator: median }) }];
  });
}
