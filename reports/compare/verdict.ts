/** What a comparison says, and by which rule. */

export type Verdict = 'regressed' | 'improved' | 'equivalent' | 'inconclusive';

/** One metric of one scenario. Ratios are head over base. */
export interface Comparison {
  readonly scenario: string;
  /** Dotted name in the run document, e.g. `hostServiceUs.p50`. */
  readonly metric: string;
  /** Hodges–Lehmann estimate. */
  readonly ratio: number;
  /** Bootstrap interval at 95%; the verdict is drawn from the one at 99%. Of one value 0 and Infinity, which JSON calls null. */
  readonly low: number;
  readonly high: number;
  readonly verdict: Verdict;
  /** Interleaved pairs, or repetitions of the side that has fewer. */
  readonly pairs: number;
  /** Of no difference, corrected for the number of comparisons (Holm); null: it could not be tested. */
  readonly p: number | null;
  /** False: stored runs, which were not interleaved. */
  readonly paired: boolean;
}

export interface ComparisonDocument {
  readonly comparisons: readonly Comparison[];
  /** The worst of all: one regression is enough; equivalent or improved only if all are. */
  readonly verdict: Verdict;
  /** How to come to verdicts where there are none, in one line; null: there are, or nothing helps. */
  readonly advice: string | null;
  /** What a reader must know before believing it, one line each. */
  readonly notes: readonly string[];
}

/** Chance of any false verdict in a document whose sides do not differ. */
export const ALPHA = 0.01;
/** Confidence of the interval that a verdict is drawn from, and of the one that is shown. */
export const VERDICT_CONFIDENCE = 0.99;
export const SHOWN_CONFIDENCE = 0.95;
/** A change within this part counts as none: interleaved pairs, and stored runs, whose machine may have drifted between them. */
export const PAIRED_MARGIN = 0.02;
export const STORED_MARGIN = 0.05;

/** What the samples say of head over base, before anything is decided. */
export interface Effect {
  readonly ratio: number;
  /** At SHOWN_CONFIDENCE. */
  readonly low: number;
  readonly high: number;
  /** At VERDICT_CONFIDENCE. */
  readonly verdictLow: number;
  readonly verdictHigh: number;
  /** Two-sided, of no difference. */
  readonly p: number;
  /** Of a difference at least as large as the margin: the greater of two one-sided tests (TOST, Schuirmann 1987). */
  readonly pOfMargin: number;
}

export interface Rule {
  /** 0.02: a change by 2% either way counts as none. */
  readonly margin: number;
  /** Level of the tests. */
  readonly alpha: number;
  /** Which way is better for the metric. */
  readonly better: 'lower' | 'higher';
  /** The sides were not interleaved: what does not leave the margin as a whole may be the machine's drift. Default false. */
  readonly drifts?: boolean;
}

/**
 * Bounds decide, not estimates, and each verdict takes both an interval and a rank test. Equivalent: the interval lies within
 * the margin, and neither side of it is left by one-sided tests at alpha / 2. Otherwise changed: the interval does not hold 1
 * (of sides that drift: lies beyond the margin as a whole) and p ≤ alpha. Otherwise inconclusive.
 * @param p of the effect, as its pOfMargin corrected for the number of comparisons
 */
export function decide(effect: Effect, p: number, { margin, alpha, better, drifts = false }: Rule): Verdict {
  const { verdictLow, verdictHigh, pOfMargin } = effect;
  const within = verdictLow > 1 / (1 + margin) && verdictHigh < 1 + margin;
  if (within) return pOfMargin <= alpha / 2 ? 'equivalent' : 'inconclusive';
  const unchanged = drifts ? 1 + margin : 1;
  if (p > alpha || (verdictLow <= unchanged && verdictHigh >= 1 / unchanged)) return 'inconclusive';
  return verdictLow > 1 === (better === 'lower') ? 'regressed' : 'improved';
}

export function worst(verdicts: readonly Verdict[]): Verdict {
  for (const verdict of ['regressed', 'inconclusive', 'improved'] as const) if (verdicts.includes(verdict)) return verdict;
  return verdicts.length === 0 ? 'inconclusive' : 'equivalent';
}

/** Holm's step-down correction (1979): p-values of one family, in their order, none over 1. */
export function holm(p: readonly number[]): number[] {
  const order = p.map((_, i) => i).sort((a, b) => p[a] - p[b]);
  const adjusted = new Array<number>(p.length).fill(1);
  let least = 0;
  for (const [rank, i] of order.entries()) {
    least = Math.max(least, Math.min(1, p[i] * (p.length - rank)));
    adjusted[i] = least;
  }
  return adjusted;
}
