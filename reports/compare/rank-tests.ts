import wilcoxon from '@stdlib/stats-wilcoxon';
import { wilcoxonRankSum } from 'simple-statistics';
import { normalProbability } from './distributions.ts';

export type Alternative = 'two-sided' | 'less' | 'greater';

/**
 * p of the Wilcoxon signed-rank test that the differences lie around `mu`; exact up to 50 of them without ties. 1 where nothing
 * can be said: fewer than two, or none differs from `mu`.
 */
export function signedRank(differences: ArrayLike<number>, alternative: Alternative = 'two-sided', mu = 0): number {
  const shifted = Array.from(differences, (difference) => difference - mu);
  if (shifted.length < 2 || shifted.every((difference) => difference === 0)) return 1;
  return Math.min(1, wilcoxon(shifted, { alternative }).pValue);
}

/** Beyond so many in both samples together the normal approximation stands in for the exact distribution. */
const EXACT_SIZE = 60;

/**
 * p of the Mann–Whitney test that `a` and `b` come from one distribution; `less`: that `a` does not lie below `b`. Exact without
 * ties and for at most 60 values, else normal with corrections for ties and continuity (as wilcox.test of R). 1 for an empty sample.
 */
export function mannWhitney(a: readonly number[], b: readonly number[], alternative: Alternative = 'two-sided'): number {
  const [m, n] = [a.length, b.length];
  if (m === 0 || n === 0) return 1;
  const u = wilcoxonRankSum([...a], [...b]) - (m * (m + 1)) / 2;
  const ties = tieSizes([...a, ...b]);
  if (ties.length === 0 && m + n <= EXACT_SIZE) {
    const below = rankSumCumulative(m, n);
    const less = below[u];
    const greater = 1 - (u === 0 ? 0 : below[u - 1]);
    if (alternative === 'two-sided') return Math.min(1, 2 * Math.min(less, greater));
    return alternative === 'less' ? less : greater;
  }
  const tied = ties.reduce((sum, t) => sum + t ** 3 - t, 0);
  const variance = ((m * n) / 12) * (m + n + 1 - tied / ((m + n) * (m + n - 1)));
  if (!(variance > 0)) return 1;
  const distance = u - (m * n) / 2;
  const z = (correction: number): number => (distance + correction) / Math.sqrt(variance);
  if (alternative === 'less') return normalProbability(z(0.5));
  if (alternative === 'greater') return normalProbability(-z(-0.5));
  return Math.min(1, 2 * normalProbability(-Math.max(0, Math.abs(distance) - 0.5) / Math.sqrt(variance)));
}

/** Sizes of the groups of equal values that have more than one. */
function tieSizes(values: readonly number[]): number[] {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts.values()].filter((count) => count > 1);
}

/** P(U ≤ u) for u from 0 to m n, by the recurrence of Mann and Whitney (1947) on the number of arrangements. */
function rankSumCumulative(m: number, n: number): Float64Array {
  // Arrangements of i values among those of the other sample seen so far with rank sum u, as coefficients of a Gaussian binomial.
  let counts = new Float64Array(m * n + 1);
  counts[0] = 1;
  for (let i = 1; i <= m; i++) {
    const next = new Float64Array(m * n + 1);
    // Multiply by (1 - q^(n + i)), then divide by (1 - q^i).
    for (let u = 0; u <= m * n; u++) next[u] = counts[u] - (u >= n + i ? counts[u - n - i] : 0);
    for (let u = i; u <= m * n; u++) next[u] += next[u - i];
    counts = next;
  }
  let sum = 0;
  for (let u = 0; u <= m * n; u++) {
    sum += counts[u];
    counts[u] = sum;
  }
  return counts.map((count) => count / sum);
}
