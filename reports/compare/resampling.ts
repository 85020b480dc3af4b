/**
 * Bootstrap of Hodges–Lehmann estimates. The estimate is a median of means (or differences) of all pairs of values; drawing values
 * again only changes how often each of these counts. So they are sorted once, and a resample is a walk to the middle weight:
 * the same estimates as from resampled lists, ten times as fast.
 */
import type { RandomSource } from '../random.ts';

/** Estimates of the centre of `resamples` samples drawn from `values` with replacement, sorted. */
export function resampledCentres(values: ArrayLike<number>, resamples: number, random: RandomSource): Float64Array {
  const n = values.length;
  const first: number[] = [];
  const second: number[] = [];
  const means: number[] = [];
  for (let i = 0; i < n; i++) {
    for (let j = i; j < n; j++) {
      first.push(i);
      second.push(j);
      means.push((values[i] + values[j]) / 2);
    }
  }
  const pairs = new SortedPairs(means, first, second);
  const counts = new Float64Array(n);
  const total = (n * (n + 1)) / 2;
  const estimates = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    draw(counts, random);
    // A value drawn c times has c (c + 1) / 2 pairs with itself.
    estimates[r] = pairs.median(total, (i, j) => (i === j ? (counts[i] * (counts[i] + 1)) / 2 : counts[i] * counts[j]));
  }
  return estimates.sort();
}

/** Estimates of the shift from `a` to `b`, each drawn from by itself, sorted. */
export function resampledShifts(a: readonly number[], b: readonly number[], resamples: number, random: RandomSource): Float64Array {
  const first = a.flatMap((_, i) => b.map(() => i));
  const second = a.flatMap(() => b.map((_, j) => j));
  const pairs = new SortedPairs(
    a.flatMap((x) => b.map((y) => y - x)),
    first,
    second,
  );
  const [ofA, ofB] = [new Float64Array(a.length), new Float64Array(b.length)];
  const estimates = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    draw(ofA, random);
    draw(ofB, random);
    estimates[r] = pairs.median(a.length * b.length, (i, j) => ofA[i] * ofB[j]);
  }
  return estimates.sort();
}

/** Fills `counts` with how often each of its places was drawn in as many draws as it has. */
function draw(counts: Float64Array, random: RandomSource): void {
  counts.fill(0);
  for (let k = 0; k < counts.length; k++) counts[Math.floor(random() * counts.length)]++;
}

class SortedPairs {
  readonly #values: Float64Array;
  readonly #first: Int32Array;
  readonly #second: Int32Array;

  constructor(values: readonly number[], first: readonly number[], second: readonly number[]) {
    const order = values.map((_, k) => k).sort((x, y) => values[x] - values[y]);
    this.#values = Float64Array.from(order, (k) => values[k]);
    this.#first = Int32Array.from(order, (k) => first[k]);
    this.#second = Int32Array.from(order, (k) => second[k]);
  }

  /** The median where the pair (i, j) counts `weight(i, j)` times, `total` in all. */
  median(total: number, weight: (i: number, j: number) => number): number {
    // The middle of an odd number, else the two middle ones, counted from 1.
    const lower = Math.floor((total + 1) / 2);
    const upper = Math.floor(total / 2) + 1;
    let seen = 0;
    let low = Number.NaN;
    for (let k = 0; k < this.#values.length; k++) {
      seen += weight(this.#first[k], this.#second[k]);
      if (seen >= lower && Number.isNaN(low)) low = this.#values[k];
      if (seen >= upper) return (low + this.#values[k]) / 2;
    }
    return low;
  }
}
