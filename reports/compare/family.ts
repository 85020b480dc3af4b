import { betterWay } from './metrics.ts';
import { type NoRatio, noRatioNotes } from './no-ratio.ts';
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
 * Verdicts on everything that was compared together: p-values are corrected over all scenarios and metrics of the document, those of
 * the margin too, so that alpha bounds the chance of any false change in it, and half of it that of any false equivalence.
 * @param without what has no ratio: where the sides differ in that, the document is inconclusive at best
 */
export function concludeFamily(
  measured: readonly Measured[],
  margin: number,
  alpha: number,
  notes: readonly string[],
  without: readonly NoRatio[] = [],
): ComparisonDocument {
  const corrected = holm(measured.map(({ effect }) => effect.p));
  const ofMargin = holm(measured.map(({ effect }) => effect.pOfMargin));
  const comparisons = measured.map(({ scenario, metric, effect, pairs, paired }, i): Comparison => {
    const rule = { margin, alpha, better: betterWay(metric), drifts: !paired };
    const verdict = decide({ ...effect, pOfMargin: ofMargin[i] }, corrected[i], rule);
    const { ratio, low, high } = effect;
    return { scenario, metric, ratio, low, high, verdict, pairs, p: corrected[i], paired };
  });
  const verdicts = comparisons.map(({ verdict }) => verdict);
  if (without.some(({ fault }) => fault === 'mixed')) verdicts.push('inconclusive');
  return { comparisons, verdict: worst(verdicts), advice: null, notes: [...notes, ...noRatioNotes(without)] };
}
