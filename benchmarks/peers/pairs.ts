import type { Metrics, PairedRatio } from '../../reports/run-document.ts';
import { median, ratioOfPairs } from '../../reports/statistics.ts';

/** Two scenarios of a suite that are compared repetition by repetition. */
export interface PairPlan extends Omit<PairedRatio, 'ratio'> {
  readonly figure: (metrics: Metrics) => number;
}

/** What a pair is drawn from. */
export interface Timed {
  readonly id: string;
  /** Timed repetitions in the order of their rounds. */
  readonly repetitions: readonly Metrics[];
}

/** The ratios of those pairs whose scenarios were both measured. */
export function ratiosOf(plans: readonly PairPlan[], scenarios: readonly Timed[]): PairedRatio[] {
  return plans.flatMap(({ figure, ...plan }) => {
    const [of, to] = [plan.of, plan.to].map((id) => scenarios.find((scenario) => scenario.id === id)?.repetitions.map(figure));
    if (of === undefined || to === undefined) return [];
    const pairs = of.slice(0, to.length).map((value, i): [number, number] => [value, to[i]]);
    const sound = pairs.filter(([a, b]) => a > 0 && b > 0);
    return [{ ...plan, ratio: sound.length < 2 ? null : ratioOfPairs(sound, { estimator: median }) }];
  });
}
