import wilcoxon from '@stdlib/stats-wilcoxon';
import { normalProbability } from './distributions.ts';

export type Alternative = 'two-sided' | 'less' | 'greater';

/** Beyond so many differences, or values of both samples together, the normal approximation stands in for the exact distribution. */
const EXACT_DIFFERENCES = 50;
const EXACT_VALUES = 60;

/**
 * p of the Wilcoxon signed-rank test that the differences lie around `mu`, those that equal it left out; exact for up to 50, ties or
 * not: the normal approximation is off by up to two fifths for a few tied values. 1 where nothing can be said: fewer than two differ.
 */
export function signedRank(differences: ArrayLike<number>, alternative: Alternative = 'two-sided', mu = 0): number {
  const shifted = Array.from(differences, (difference) => difference - mu).filter((difference) => difference !== 0);
  if (shifted.length < 2) return 1;
  const tied = new Set(shifted.map(Math.abs)).size < shifted.length;
  if (tied && shifted.length <= EXACT_DIFFERENCES) return tiedSignedRank(shifted, alternative);
  return Math.min(1, wilcoxon(shifted, { alternative }).pValue);
}

/** By the sums of all choices of signs, each as likely as the others. */
function tiedSignedRank(differences: readonly number[], alternative: Alternative): number {
  const ranks = doubledRanks(differences.map(Math.abs));
  const total = ranks.reduce((sum, rank) => sum + rank, 0);
  const observed = ranks.reduce((sum, rank, i) => (differences[i] > 0 ? sum + rank : sum), 0);
  const chances = new Float64Array(total + 1);
  chances[0] = 1;
  for (const rank of ranks) for (let s = total; s >= 0; s--) chances[s] = (chances[s] + (s < rank ? 0 : chances[s - rank])) / 2;
  return fromTails(chances, observed, alternative);
}

/**
 * p of the Mann–Whitney test that `a` and `b` come from one distribution; `less`: that `a` does not lie below `b`. Exact for at most
 * 60 values, ties or not, else normal with corrections for ties and continuity (as wilcox.test of R). 1 for an empty sample.
 */
export function mannWhitney(a: readonly number[], b: readonly number[], alternative: Alternative = 'two-sided'): number {
  const [m, n] = [a.length, b.length];
  if (m === 0 || n === 0) return 1;
  const ranks = doubledRanks([...a, ...b]);
  const sum = ranks.slice(0, m).reduce((total, rank) => total + rank, 0);
  if (m + n <= EXACT_VALUES) return fromTails(rankSums(ranks, m), sum, alternative);
  const tied = tieSizes(ranks).reduce((total, t) => total + t ** 3 - t, 0);
  const variance = ((m * n) / 12) * (m + n + 1 - tied / ((m + n) * (m + n - 1)));
  if (!(variance > 0)) return 1;
  const distance = sum / 2 - (m * (m + n + 1)) / 2;
  const z = (correction: number): number => (distance + correction) / Math.sqrt(variance);
  if (alternative === 'less') return normalProbability(z(0.5));
  if (alternative === 'greater') return normalProbability(-z(-0.5));
  return Math.min(1, 2 * normalProbability(-Math.max(0, Math.abs(distance) - 0.5) / Math.sqrt(variance)));
}

/** Chance of each sum of `chosen` of these ranks, all choices being as likely. */
function rankSums(ranks: readonly number[], chosen: number): Float64Array {
  const total = ranks.reduce((sum, rank) => sum + rank, 0);
  // Ways to choose so many of the ranks seen so far, by their sum.
  const ways = Array.from({ length: chosen + 1 }, () => new Float64Array(total + 1));
  ways[0][0] = 1;
  for (const [seen, rank] of ranks.entries()) {
    for (let count = Math.min(chosen, seen + 1); count > 0; count--) {
      const [into, from] = [ways[count], ways[count - 1]];
      for (let s = rank; s <= total; s++) into[s] += from[s - rank];
    }
  }
  const all = ways[chosen].reduce((sum, count) => sum + count, 0);
  return ways[chosen].map((count) => count / all);
}

function fromTails(chances: Float64Array, observed: number, alternative: Alternative): number {
  let [less, greater] = [0, 0];
  for (let s = 0; s <= observed; s++) less += chances[s];
  for (let s = chances.length - 1; s >= observed; s--) greater += chances[s];
  if (alternative === 'two-sided') return Math.min(1, 2 * Math.min(less, greater));
  return Math.min(1, alternative === 'less' ? less : greater);
}

/** Twice the rank of each value, from 1 on: the mean rank of equal ones is a whole number then, too. */
function doubledRanks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((x, y) => values[x] - values[y]);
  const ranks = new Array<number>(values.length).fill(0);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && values[order[to]] === values[order[from]]) to++;
    for (let k = from; k < to; k++) ranks[order[k]] = from + 1 + to;
    from = to;
  }
  return ranks;
}

/** Sizes of the groups of equal values. */
function tieSizes(values: readonly number[]): number[] {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts.values()];
}
