import type { RandomSource } from '../random.ts';
import { hodgesLehmann, median } from '../statistics.ts';
import { expandedInterval } from './intervals.ts';
import { signedRank } from './rank-tests.ts';
import { resampledCentres } from './resampling.ts';
import { type Rule, VERDICT_CONFIDENCE } from './verdict.ts';

/** Part of the comparisons that must find a change for it to count as detectable: 19 of 20. */
const POWER = 0.95;
const TRIALS = 100;
/** Fewer than a verdict has: the interval is a little wider, so the change found a little larger. */
const RESAMPLES = 400;
const STEPS = 7;
const [LEAST, MOST] = [0.005, 1];
/** Fewer pairs than this say nothing of the noise. */
const FEWEST = 20;

/**
 * The smallest change that comparisons of `pairs` pairs find 19 times of 20, in noise like that of these pairs: log ratios of a
 * side with itself, centred, drawn with replacement, and shifted. By bisection to about 4% of itself, none below 0.5%.
 * @returns 0.04 for 4%; null: not even a doubling is found, or there are too few log ratios
 */
export function smallestDetectable(logRatios: readonly number[], pairs: number, rule: Rule, random: RandomSource): number | null {
  if (logRatios.length < Math.max(FEWEST, pairs)) return null;
  const centre = median(logRatios);
  const noise = logRatios.map((log) => log - centre);
  const found = (change: number): boolean => powerOf(noise, change, pairs, rule, random) >= POWER;
  if (!found(MOST)) return null;
  let [low, high] = [LEAST, MOST];
  for (let step = 0; step < STEPS; step++) {
    const middle = Math.sqrt(low * high);
    if (found(middle)) high = middle;
    else low = middle;
  }
  return high;
}

function powerOf(noise: readonly number[], change: number, pairs: number, { margin, alpha }: Rule, random: RandomSource): number {
  let found = 0;
  const logs = new Float64Array(pairs);
  for (let trial = 0; trial < TRIALS; trial++) {
    for (let i = 0; i < pairs; i++) logs[i] = Math.log1p(change) + noise[Math.floor(random() * noise.length)];
    // As `decide` does, but what costs more only where the rest agrees.
    if (signedRank(logs) > alpha || hodgesLehmann(logs) < 0) continue;
    const { low, high } = expandedInterval(resampledCentres(logs, RESAMPLES, random), pairs, VERDICT_CONFIDENCE);
    if (low > 0 && high >= Math.log1p(margin)) found++;
  }
  return found / TRIALS;
}

/** 1.4826 × the median absolute deviation: the standard deviation of normal noise, whatever a few outliers do. */
export function robustSpread(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const centre = median(values);
  return 1.4826 * median(values.map((value) => Math.abs(value - centre)));
}
