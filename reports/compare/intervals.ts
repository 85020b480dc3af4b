import type { Interval } from '../statistics.ts';
import { normalProbability, studentQuantile } from './distributions.ts';

/** Enough for the tails of the widest interval that is asked of them. */
export const RESAMPLES = 4000;

/**
 * Percentile interval of bootstrap estimates, its tails widened for a small sample: the plain one is too narrow by
 * √((n − 1) / n) and takes the normal distribution for Student's. "Expanded percentile interval" of Hesterberg (2015), "What
 * Teachers Should Know About the Bootstrap", The American Statistician 69. It never leaves the range of the sample.
 * @param estimates sorted
 * @param size values in the sample, of two samples the smaller
 */
export function expandedInterval(estimates: Float64Array, size: number, confidence: number): Interval {
  const tail = size < 2 ? 0 : normalProbability(-Math.sqrt(size / (size - 1)) * studentQuantile(1 - confidence, size - 1));
  const last = estimates.length - 1;
  const at = Math.floor(tail * last);
  return { low: estimates[at], high: estimates[last - at] };
}

/**
 * Interval of the centre of a sample: the expanded one, and Student's around it where the sample is so small that even its whole
 * range holds the centre too seldom (chance 1 − 2 / 2^n). One value has none: it is infinite then.
 */
export function centreInterval(values: ArrayLike<number>, centre: number, estimates: Float64Array, confidence: number): Interval {
  const n = values.length;
  const interval = expandedInterval(estimates, n, confidence);
  if (1 - 2 / 2 ** n >= confidence) return interval;
  return widened(interval, centre, variance(values) / n, n - 1, confidence);
}

/** The same of the shift between two samples, whose extremes hold it with chance 1 − 2 / C(m + n, n). */
export function shiftInterval(
  a: readonly number[],
  b: readonly number[],
  shift: number,
  estimates: Float64Array,
  confidence: number,
): Interval {
  const size = Math.min(a.length, b.length);
  const interval = expandedInterval(estimates, size, confidence);
  if (1 - 2 / choices(a.length, b.length) >= confidence) return interval;
  return widened(interval, shift, variance(a) / a.length + variance(b) / b.length, size - 1, confidence);
}

/** C(m + n, n): ways in which the values of two samples can follow each other. */
export function choices(m: number, n: number): number {
  let ways = 1;
  for (let k = 1; k <= n; k++) ways *= (m + k) / k;
  return Math.round(ways);
}

function widened({ low, high }: Interval, centre: number, squaredError: number, freedom: number, confidence: number): Interval {
  if (freedom < 1) return { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  const reach = studentQuantile(1 - confidence, freedom) * Math.sqrt(squaredError);
  return { low: Math.min(low, centre - reach), high: Math.max(high, centre + reach) };
}

function variance(values: ArrayLike<number>): number {
  const n = values.length;
  let [mean, squares] = [0, 0];
  for (let i = 0; i < n; i++) mean += values[i] / n;
  for (let i = 0; i < n; i++) squares += (values[i] - mean) ** 2;
  return n < 2 ? 0 : squares / (n - 1);
}
