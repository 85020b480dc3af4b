import type { Metrics, PairedRatio } from '../../reports/run-document.ts';
import { median, ratioOfPairs } from '../../reports/statistics.ts';

/** Two scenarios of a suite that are compared round by round. */
export interface PairPlan extends Omit<PairedRatio, 'ratio'> {
  readonly figure: (metrics: Metrics) => number;
}

/** What a pair is drawn from. */
export interface Timed {
  readonly id: string;
  /** Timed repetitions by their round: those of one round are neighbours. One that failed is missing. */
  readonly rounds: ReadonlyMap<number, Metrics>;
}

/** The ratios of those pairs whose scenarios were both measured. */
export function ratiosOf(plans: readonly PairPlan[], scenarios: readonly Timed[]): PairedRatio[] {
  return plans.flatMap(({ figure, ...plan }) => {
    const [of, to] = [plan.of, plan.to].map((id) => scenarios.find((scenario) => scenario.id === id)?.rounds);
    if (of === undefined || to === undefined) return [];
    const pairs = [...of].flatMap(([round, one]): [number, number][] => {
      const other = to.get(round);
      return other === undefined ? [] : [[figure(one), figure(other)]];
    });
    const sound = pairs.filter(([a, b]) => a > 0 && b > 0);
    return [{ ...plan, ratio: sound.length < 2 ? null : ratioOfPairs(sound, { estimator: median }) }];
  });
}
