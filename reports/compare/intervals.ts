import type { Interval } from '../statistics.ts';
import { normalProbability, studentQuantile } from './distributions.ts';

/** Enough for the tails of the widest interval that is asked of them. */
export const RESAMPLES = 4000;

/**
 * Percentile interval of bootstrap estimates, its tails widened for a small sample: the plain one is too narrow by
 * √((n − 1) / n) and takes the normal distribution for Student's. "Expanded percentile interval" of Hesterberg (2015), "What
 * Teachers Should Know About the Bootstrap", The American Statistician 69.
 * @param estimates sorted
 * @param size values in the sample, of two samples the smaller
 */
export function expandedInterval(estimates: Float64Array, size: number, confidence: number): Interval {
  const tail = size < 2 ? 0 : normalProbability(-Math.sqrt(size / (size - 1)) * studentQuantile(1 - confidence, size - 1));
  const last = estimates.length - 1;
  const at = Math.floor(tail * last);
  return { low: estimates[at], high: estimates[last - at] };
}
