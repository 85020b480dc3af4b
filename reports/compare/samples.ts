import type { RandomSource } from '../random.ts';
import { median } from '../statistics.ts';
import { choices, RESAMPLES, shiftInterval } from './intervals.ts';
import { mannWhitney } from './rank-tests.ts';
import { resampledShifts } from './resampling.ts';
import { type Effect, SHOWN_CONFIDENCE, VERDICT_CONFIDENCE } from './verdict.ts';

/**
 * Head over base of two samples that were not interleaved: Hodges–Lehmann estimate of the shift between the logs (the median of
 * all differences), bootstrap intervals that draw from each side by itself, Mann–Whitney tests.
 * @throws RangeError an empty side, or a value that is not positive and finite
 */
export function samplesEffect(base: readonly number[], head: readonly number[], margin: number, random: RandomSource): Effect {
  const a = logs(base);
  const b = logs(head);
  const estimates = resampledShifts(a, b, RESAMPLES, random);
  const centre = shift(a, b);
  const shown = shiftInterval(a, b, centre, estimates, SHOWN_CONFIDENCE);
  const wide = shiftInterval(a, b, centre, estimates, VERDICT_CONFIDENCE);
  const edge = Math.log1p(margin);
  return {
    ratio: Math.exp(centre),
    low: Math.exp(shown.low),
    high: Math.exp(shown.high),
    verdictLow: Math.exp(wide.low),
    verdictHigh: Math.exp(wide.high),
    p: mannWhitney(b, a),
    pOfMargin: Math.max(
      mannWhitney(
        b.map((x) => x - edge),
        a,
        'less',
      ),
      mannWhitney(
        b.map((x) => x + edge),
        a,
        'greater',
      ),
    ),
  };
}

/** The median of all differences of a value of `b` and one of `a`: Hodges and Lehmann (1963). */
export function shift(a: readonly number[], b: readonly number[]): number {
  const differences = new Float64Array(a.length * b.length);
  let at = 0;
  for (const x of a) for (const y of b) differences[at++] = y - x;
  return median(differences);
}

/** The least two-sided p that samples of these sizes can have: 2 / C(m + n, n). */
export const leastP = (m: number, n: number): number => 2 / choices(m, n);

/** Fewest repetitions a side with which one of `family` comparisons can be told from chance at `alpha`. */
export function repetitionsNeeded(alpha: number, family: number): number {
  let n = 1;
  while (leastP(n, n) * family > alpha) n++;
  return n;
}

function logs(values: readonly number[]): number[] {
  return values.map((value) => {
    if (!(value > 0 && value < Number.POSITIVE_INFINITY)) throw new RangeError(`${value} has no logarithm`);
    return Math.log(value);
  });
}
