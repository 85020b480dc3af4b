import type { Sample } from './student.ts';
import { sampleOf, tTest } from './student.ts';

/**
 * Change points of a series: E-divisive (Matteson and James 2014, arXiv 1306.4933) with Student's t-test in place of
 * permutations, in overlapping windows, weak points taken back afterwards (Fleming and others 2023, "Hunter",
 * arXiv 2301.03034; the same as Apache Otava's). Deterministic.
 */

export interface ChangePoint {
  /** Of the first value after the change. */
  readonly index: number;
  /** Means of the stretches on both sides, each to the next change point. */
  readonly before: number;
  readonly after: number;
  /** Of the t-test between the two. */
  readonly p: number;
}

export interface ChangePointOptions {
  /** Values in a window, at least 2. Default 50. */
  readonly window?: number;
  /** Most that a p-value may be. Default 0.001. */
  readonly p?: number;
  /** Changes smaller than this share of the lesser level are left out. Default 0.05. */
  readonly magnitude?: number;
  /** Least number of values on each side. Default 2: one value alone is no change of level. */
  readonly least?: number;
  /** Of the p-value of two samples' difference. Default `tTest`. */
  readonly test?: (left: Sample, right: Sample) => number;
}

type Test = NonNullable<ChangePointOptions['test']>;

/** Limits of a stretch between change points: from `from` up to, without, `to`. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** @param values in their order in time, all finite */
export function changePoints(values: readonly number[], options: ChangePointOptions = {}): ChangePoint[] {
  const { window = 50, p = 0.001, magnitude = 0.05, least = 2, test = tTest } = options;
  // A strict bound from the start would end the search before it comes to points that are strong once others are there.
  const weakP = p < 0.05 ? p * 10 : p < 0.5 ? p * 2 : p;
  return withoutWeak(values, weakPoints(values, window, weakP, least, test), p, magnitude, test);
}

/** The size of a change as a share of the lesser level; infinite where one level is 0. */
export function magnitudeOf(before: number, after: number): number {
  if (before === after) return 0;
  if (before === 0 || after === 0) return Number.POSITIVE_INFINITY;
  return Math.max(Math.abs(after / before - 1), Math.abs(before / after - 1));
}

/** Candidates: significant at `p` in one of the overlapping windows. @returns indices, ascending */
export function weakPoints(values: readonly number[], window: number, p: number, least: number, test: Test = tTest): number[] {
  const found = new Set<number>();
  for (let start = 0; start < values.length; ) {
    const points = divide(values.slice(start, start + window), p, least, test).map((index) => index + start);
    for (const point of points) found.add(point);
    start = Math.max(points.at(-1) ?? 0, start + Math.floor(window / 2));
  }
  return [...found].sort((a, b) => a - b);
}

/** Splits a window at the most divergent place of all its stretches for as long as that is significant. */
function divide(values: readonly number[], p: number, least: number, test: Test = tTest): number[] {
  const within = sumsWithin(values);
  const points: number[] = [];
  for (;;) {
    let best: { index: number; divergence: number; stretch: Stretch } | undefined;
    for (const stretch of stretches(points, values.length)) {
      const found = mostDivergent(within, stretch, least);
      if (found !== null && (best === undefined || found.divergence > best.divergence)) best = { ...found, stretch };
    }
    if (best === undefined || pAt(values, best.index, best.stretch, test) > p) return points;
    points.push(best.index);
    points.sort((a, b) => a - b);
  }
}

/** `sums[a][b]`: the distances |x - y| of all pairs of values a to b - 1, added up. */
function sumsWithin(values: readonly number[]): Float64Array[] {
  const n = values.length;
  const sums = Array.from({ length: n + 1 }, () => new Float64Array(n + 1));
  for (let length = 2; length <= n; length++) {
    for (let a = 0, b = length; b <= n; a++, b++) {
      sums[a][b] = sums[a][b - 1] + sums[a + 1][b] - sums[a + 1][b - 1] + Math.abs(values[a] - values[b - 1]);
    }
  }
  return sums;
}

/**
 * Where the values before and those after, up to any end within the stretch, are furthest apart by the divergence
 * Q of Matteson and James (their equation 5, α = 1).
 */
function mostDivergent(
  within: readonly Float64Array[],
  { from, to }: Stretch,
  least: number,
): { index: number; divergence: number } | null {
  let best: { index: number; divergence: number } | null = null;
  for (let index = from + least; index <= to - least; index++) {
    for (let end = index + least; end <= to; end++) {
      const divergence = divergenceOf(within, from, index, end);
      if (best === null || divergence > best.divergence) best = { index, divergence };
    }
  }
  return best;
}

function divergenceOf(within: readonly Float64Array[], from: number, index: number, end: number): number {
  const n = index - from;
  const m = end - index;
  const left = within[from][index];
  const right = within[index][end];
  const between = within[from][end] - left - right;
  const meanLeft = n > 1 ? (2 * left) / (n * (n - 1)) : 0;
  const meanRight = m > 1 ? (2 * right) / (m * (m - 1)) : 0;
  return ((n * m) / (n + m)) * ((2 * between) / (n * m) - meanLeft - meanRight);
}

/** E-divisive's Q of every split of the whole series, index 1 to n - 1. */
export function divergences(values: readonly number[]): number[] {
  const within = sumsWithin(values);
  return Array.from({ length: Math.max(0, values.length - 1) }, (_, i) => divergenceOf(within, 0, i + 1, values.length));
}

/** Takes back the weakest point, one at a time, until all are significant and large enough. */
function withoutWeak(values: readonly number[], indices: number[], p: number, magnitude: number, test: Test): ChangePoint[] {
  const points = [...indices];
  for (;;) {
    const told = describe(values, points, test);
    if (told.length === 0) return told;
    let at = indexOfMost(told.map((point) => point.p));
    if (told[at].p < p) {
      const sizes = told.map(({ before, after }) => magnitudeOf(before, after));
      at = indexOfMost(sizes.map((size) => -size));
      if (sizes[at] > magnitude) return told;
    }
    points.splice(at, 1);
  }
}

/** Of the first of them. */
function indexOfMost(values: readonly number[]): number {
  let most = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[most]) most = i;
  return most;
}

function describe(values: readonly number[], points: readonly number[], test: Test): ChangePoint[] {
  const parts = stretches(points, values.length).map(({ from, to }) => sampleOf(values, from, to));
  return points.map((index, i) => ({ index, before: parts[i].mean, after: parts[i + 1].mean, p: test(parts[i], parts[i + 1]) }));
}

function pAt(values: readonly number[], index: number, { from, to }: Stretch, test: Test): number {
  return test(sampleOf(values, from, index), sampleOf(values, index, to));
}

function stretches(points: readonly number[], length: number): Stretch[] {
  const ends = [...points, length];
  return ends.map((to, i) => ({ from: ends[i - 1] ?? 0, to }));
}
