import type { RandomSource } from '../random.ts';
import { hodgesLehmann } from '../statistics.ts';
import { centreInterval, RESAMPLES } from './intervals.ts';
import { signedRank } from './rank-tests.ts';
import { resampledCentres } from './resampling.ts';
import { ALPHA, decide, type Effect, type Rule, SHOWN_CONFIDENCE, VERDICT_CONFIDENCE, type Verdict } from './verdict.ts';

export type Pair = readonly [base: number, head: number];

export interface PairComparison {
  readonly ratio: number;
  /** At 95%. */
  readonly low: number;
  readonly high: number;
  readonly p: number;
  readonly verdict: Verdict;
}

/**
 * Head over base of interleaved pairs: Hodges–Lehmann estimate of the log ratios, bootstrap intervals, Wilcoxon signed-rank tests.
 * @throws RangeError no pairs, or a value that is not positive and finite
 */
export function pairsEffect(pairs: readonly Pair[], margin: number, random: RandomSource): Effect {
  const logs = Float64Array.from(pairs, ([base, head]) => logRatio(base, head));
  const estimates = resampledCentres(logs, RESAMPLES, random);
  const centre = hodgesLehmann(logs);
  const shown = centreInterval(logs, centre, estimates, SHOWN_CONFIDENCE);
  const wide = centreInterval(logs, centre, estimates, VERDICT_CONFIDENCE);
  const edge = Math.log1p(margin);
  return {
    ratio: Math.exp(centre),
    low: Math.exp(shown.low),
    high: Math.exp(shown.high),
    verdictLow: Math.exp(wide.low),
    verdictHigh: Math.exp(wide.high),
    p: signedRank(logs),
    pOfMargin: Math.max(signedRank(logs, 'less', edge), signedRank(logs, 'greater', -edge)),
  };
}

/**
 * The verdict on pairs that are looked at once and by themselves.
 * @param margin 0.02: a change by 2% counts as none
 * @throws RangeError as `pairsEffect`
 */
export function comparePairs(
  pairs: readonly Pair[],
  margin: number,
  random: RandomSource,
  { alpha = ALPHA, better = 'lower' }: Partial<Omit<Rule, 'margin'>> = {},
): PairComparison {
  const effect = pairsEffect(pairs, margin, random);
  const { ratio, low, high, p } = effect;
  return { ratio, low, high, p, verdict: decide(effect, p, { margin, alpha, better }) };
}

/** As a difference of logs, which neither overflows nor depends on the order of the sides. @throws RangeError a value that is not positive and finite */
export function logRatio(base: number, head: number): number {
  const log = Math.log(head) - Math.log(base);
  if (!(head > 0 && base > 0 && Number.isFinite(log))) throw new RangeError(`${head} over ${base} has no ratio`);
  return log;
}
