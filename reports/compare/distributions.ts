import { errorFunction } from 'simple-statistics';

/** P(Z ≤ z) of the standard normal distribution, to about 1e-7. */
export function normalProbability(z: number): number {
  return (1 + errorFunction(z / Math.SQRT2)) / 2;
}

/**
 * The t with P(|T| > t) = `twoTailed` for `freedom` ≥ 1 degrees of freedom: Hill (1970), "Algorithm 396: Student's
 * t-quantiles", Communications of the ACM 13. Good to five figures from 3 degrees on, exact for 1 and 2.
 */
export function studentQuantile(twoTailed: number, freedom: number): number {
  if (freedom === 1) return 1 / Math.tan((twoTailed * Math.PI) / 2);
  if (freedom === 2) return Math.sqrt(2 / (twoTailed * (2 - twoTailed)) - 2);
  const a = 1 / (freedom - 0.5);
  const b = (48 / a) * (1 / a);
  let c = ((20700 * a) / b - 98) * a - 16;
  c = c * a + 96.36;
  const d = ((94.5 / (b + c) - 3) / b + 1) * Math.sqrt((a * Math.PI) / 2) * freedom;
  let y = (d * twoTailed) ** (2 / freedom);
  if (y > 0.05 + a) {
    const x = -normalQuantile(1 - twoTailed / 2);
    y = x * x;
    if (freedom < 5) c += 0.3 * (freedom - 4.5) * (x + 0.6);
    c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c;
    y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x;
    y = Math.expm1(a * y * y);
  } else {
    y =
      ((1 / (((freedom + 6) / (freedom * y) - 0.089 * d - 0.822) * (freedom + 2) * 3) + 0.5 / (freedom + 4)) * y - 1) *
        ((freedom + 1) / (freedom + 2)) +
      1 / y;
  }
  return Math.sqrt(freedom * y);
}

/** By bisection: it is asked for once an interval. */
function normalQuantile(p: number): number {
  let [low, high] = [-10, 10];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (normalProbability(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
