import type { RandomSource } from './random.ts';
import { seededRandom } from './random.ts';

/** A statistic of a sample. */
export type Estimator = (values: Float64Array) => number;

/** Middle value, or the mean of the two middle ones. @throws RangeError on an empty sample or one with NaN */
export function median(values: ArrayLike<number>): number {
  return percentile(values, 50);
}

/**
 * Linear interpolation between order statistics at (n - 1) p / 100: type 7 of Hyndman and Fan (1996), the
 * default of R and NumPy.
 * @param p in [0, 100]
 * @throws RangeError on an empty sample, one with NaN, or another p
 */
export function percentile(values: ArrayLike<number>, p: number): number {
  if (!(p >= 0 && p <= 100)) throw new RangeError(`percentile ${p} is not in [0, 100]`);
  return quantileOfSorted(sorted(values), p / 100);
}

/**
 * Hodges–Lehmann one-sample estimate: the median of the means of all pairs (i ≤ j), "pseudo-median" in R's
 * wilcox.test. Hodges and Lehmann (1963). Costs n² / 2 numbers.
 */
export function hodgesLehmann(values: ArrayLike<number>): number {
  const n = values.length;
  const means = new Float64Array((n * (n + 1)) / 2);
  let at = 0;
  for (let i = 0; i < n; i++) for (let j = i; j < n; j++) means[at++] = (values[i] + values[j]) / 2;
  return median(means);
}

/** The estimates of `resamples` samples drawn with replacement, sorted. Efron (1979). */
export function bootstrap(values: ArrayLike<number>, estimator: Estimator, resamples: number, random: RandomSource): Float64Array {
  const n = values.length;
  if (n === 0) throw new RangeError('an empty sample has no bootstrap');
  const estimates = new Float64Array(resamples);
  const sample = new Float64Array(n);
  for (let r = 0; r < resamples; r++) {
    for (let i = 0; i < n; i++) sample[i] = values[Math.floor(random() * n)];
    estimates[r] = estimator(sample);
  }
  return estimates.sort();
}

export interface Interval {
  low: number;
  high: number;
}

/** Percentile bootstrap interval. @param confidence in (0, 1) */
export function bootstrapInterval(
  values: ArrayLike<number>,
  estimator: Estimator,
  confidence: number,
  random: RandomSource,
  resamples = 2000,
): Interval {
  if (!(confidence > 0 && confidence < 1)) throw new RangeError(`confidence ${confidence} is not in (0, 1)`);
  const estimates = bootstrap(values, estimator, resamples, random);
  const tail = (1 - confidence) / 2;
  return { low: quantileOfSorted(estimates, tail), high: quantileOfSorted(estimates, 1 - tail) };
}

export interface RatioOptions {
  /** Default 0.95. */
  confidence?: number;
  /** Default `hodgesLehmann`. */
  estimator?: Estimator;
  /** Default 2000. */
  resamples?: number;
  /** Default 1. */
  seed?: number;
}

/** The estimate is called `median` as in the run document; by default it is Hodges–Lehmann's pseudo-median. */
export interface RatioOfPairs {
  median: number;
  low: number;
  high: number;
  pairs: number;
  confidence: number;
}

/**
 * head over base of interleaved pairs, [head, base] each: estimate and bootstrap interval of the log ratios, as a ratio.
 * @throws RangeError no pairs, or a value that is not positive and finite
 */
export function ratioOfPairs(pairs: readonly (readonly [number, number])[], options: RatioOptions = {}): RatioOfPairs {
  const { confidence = 0.95, estimator = hodgesLehmann, resamples = 2000, seed = 1 } = options;
  const logs = new Float64Array(pairs.length);
  for (const [i, [head, base]] of pairs.entries()) {
    const ratio = head / base;
    if (!(head > 0 && base > 0 && ratio > 0 && ratio < Number.POSITIVE_INFINITY))
      throw new RangeError(`pair ${i} (${head}, ${base}) has no ratio`);
    logs[i] = Math.log(ratio);
  }
  const estimate = estimator(logs);
  const interval = bootstrapInterval(logs, estimator, confidence, seededRandom(seed), resamples);
  return { median: Math.exp(estimate), low: Math.exp(interval.low), high: Math.exp(interval.high), pairs: pairs.length, confidence };
}

function sorted(values: ArrayLike<number>): Float64Array {
  if (values.length === 0) throw new RangeError('an empty sample has no percentile');
  const copy = Float64Array.from(values);
  copy.sort();
  // A typed array's sort puts NaN last.
  if (Number.isNaN(copy[copy.length - 1])) throw new RangeError('a sample with NaN has no percentile');
  return copy;
}

function quantileOfSorted(ordered: Float64Array, q: number): number {
  const position = (ordered.length - 1) * q;
  const below = Math.floor(position);
  const above = Math.min(below + 1, ordered.length - 1);
  return ordered[below] + (ordered[above] - ordered[below]) * (position - below);
}
