import { Random } from '../../core/memory/random.ts';

export interface MedianInterval {
  median: number;
  low: number;
  high: number;
  confidence: number;
}

const RESAMPLES = 2000;

/** Middle value of a sorted list, the mean of the two middle ones where the count is even; NaN when empty. */
export function medianOfSorted(sorted: Float64Array): number {
  const middle = sorted.length >>> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function median(values: ArrayLike<number>): number {
  return medianOfSorted(Float64Array.from(values).sort());
}

/** The value at or below which `fraction` of the sorted list lies (nearest rank). */
export function quantileOfSorted(sorted: Float64Array, fraction: number): number {
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(fraction * sorted.length) - 1))];
}

/**
 * The median and its percentile bootstrap interval (Efron and Tibshirani, "An Introduction to the Bootstrap",
 * chapter 13): the quantiles of the medians of lists drawn from the values with replacement. Equal values and
 * seeds give equal intervals.
 */
export function medianInterval(values: ArrayLike<number>, seed = 1, confidence = 0.95): MedianInterval {
  if (values.length === 0) throw new RangeError('no values to take a median of');
  const random = new Random(seed);
  const drawn = new Float64Array(values.length);
  const medians = new Float64Array(RESAMPLES);
  for (let i = 0; i < RESAMPLES; i++) {
    for (let j = 0; j < drawn.length; j++) drawn[j] = values[random.below(values.length)];
    medians[i] = medianOfSorted(drawn.sort());
  }
  medians.sort();
  const tail = (1 - confidence) / 2;
  return { median: median(values), low: quantileOfSorted(medians, tail), high: quantileOfSorted(medians, 1 - tail), confidence };
}
