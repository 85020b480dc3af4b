import { betterWay } from './metrics.ts';
import { type Comparison, type ComparisonDocument, decide, type Effect, holm, worst } from './verdict.ts';

/** An effect with the place it belongs to. */
export interface Measured {
  readonly scenario: string;
  readonly metric: string;
  readonly effect: Effect;
  readonly pairs: number;
  readonly paired: boolean;
}

/**
 * Verdicts on everything that was compared together: p-values are corrected over all scenarios and metrics of the document, so
 * that alpha bounds the chance of any false verdict in it.
 */
export function concludeFamily(measured: readonly Measured[], margin: number, alpha: number, notes: readonly string[]): ComparisonDocument {
  const corrected = holm(measured.map(({ effect }) => effect.p));
  const comparisons = measured.map(({ scenario, metric, effect, pairs, paired }, i): Comparison => {
    const verdict = decide(effect, corrected[i], { margin, alpha, better: betterWay(metric) });
    const { ratio, low, high } = effect;
    return { scenario, metric, ratio, low, high, verdict, pairs, p: corrected[i], paired };
  });
  return { comparisons, verdict: worst(comparisons.map(({ verdict }) => verdict)), notes };
}
