/** Size, mean and sum of squared deviations of a sample. */
export interface Sample {
  readonly count: number;
  readonly mean: number;
  readonly squares: number;
}

export function sampleOf(values: ArrayLike<number>, from = 0, to = values.length): Sample {
  const count = to - from;
  let mean = 0;
  for (let i = from; i < to; i++) mean += values[i] / count;
  let squares = 0;
  for (let i = from; i < to; i++) squares += (values[i] - mean) ** 2;
  return { count, mean, squares };
}

/**
 * Student's t-test of two samples with one variance, two-sided. @returns the p-value; 1 where there are not three values,
 * or all are the same; 0 where each sample is constant and they differ
 */
export function tTest(left: Sample, right: Sample): number {
  const freedom = left.count + right.count - 2;
  if (freedom < 1 || left.count === 0 || right.count === 0) return 1;
  const difference = left.mean - right.mean;
  if (difference === 0) return 1;
  const variance = (left.squares + right.squares) / freedom;
  return studentTail(difference / Math.sqrt(variance * (1 / left.count + 1 / right.count)), freedom);
}

/**
 * P(|T| ≥ |t|) of Student's distribution, for a whole number of degrees of freedom: the finite sums of Abramowitz and
 * Stegun 26.7.3 and 26.7.4. Absolute error about 1e-15, so that p-values below that are 0.
 */
export function studentTail(t: number, freedom: number): number {
  if (!Number.isFinite(t)) return 0;
  const angle = Math.atan(Math.abs(t) / Math.sqrt(freedom));
  const cosine = Math.cos(angle);
  const odd = freedom % 2 === 1;
  let term = odd ? cosine : 1;
  let sum = freedom === 1 ? 0 : term;
  for (let k = odd ? 3 : 2; k < freedom; k += 2) {
    // The factors are 2/3, 4/5, … for odd freedoms, 1/2, 3/4, … for even ones.
    term *= ((k - 1) / k) * cosine * cosine;
    sum += term;
  }
  const within = odd ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum;
  return Math.max(0, 1 - within);
}
