import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bootstrap, bootstrapInterval, hodgesLehmann, median, percentile, ratioOfPairs, seededRandom } from '../../../reports/index.ts';

describe('percentile', () => {
  test('is type 7 of Hyndman and Fan, as in R: quantile(1:10)', () => {
    const oneToTen = [10, 3, 1, 2, 9, 4, 8, 5, 7, 6];
    expect([0, 25, 50, 75, 100].map((p) => percentile(oneToTen, p))).toEqual([1, 3.25, 5.5, 7.75, 10]);
  });

  test('of 15, 20, 35, 40, 50 at 40 is 29 (NIST alternative of linear interpolation)', () => {
    expect(percentile([15, 20, 35, 40, 50], 40)).toBeCloseTo(29, 12);
  });

  test('an empty sample, NaN and a p outside [0, 100] are refused', () => {
    expect(() => median([])).toThrow(RangeError);
    expect(() => median([1, Number.NaN])).toThrow(RangeError);
    expect(() => percentile([1], 101)).toThrow(RangeError);
    expect(() => percentile([1], Number.NaN)).toThrow(RangeError);
  });

  test('the sample is left as it was', () => {
    const values = Float64Array.of(3, 1, 2);
    expect(median(values)).toBe(2);
    expect([...values]).toEqual([3, 1, 2]);
  });
});

describe('hodgesLehmann', () => {
  test('of the depression data of Hollander and Wolfe (1973, p. 29) is 0.46', () => {
    const before = [1.83, 0.5, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.3];
    const after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
    expect(hodgesLehmann(before.map((value, i) => value - after[i]))).toBeCloseTo(0.46, 10);
  });

  test('of 1, 2, 4 is 2.25: the median of its six pair means', () => {
    // 1, 1.5, 2, 2.5, 3, 4
    expect(hodgesLehmann([1, 2, 4])).toBe(2.25);
  });

  test('moves with the sample', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: -500, max: 500 }),
        (values, by) => {
          expect(hodgesLehmann(values.map((value) => value + by))).toBeCloseTo(hodgesLehmann(values) + by, 9);
        },
      ),
    );
  });
});

describe('bootstrap', () => {
  test('of the median of three values agrees with its exact distribution, 7/27, 13/27, 7/27 (Efron 1979)', () => {
    const estimates = bootstrap([1, 2, 3], median, 20_000, seededRandom(5));
    const share = (value: number): number => estimates.filter((estimate) => estimate === value).length / estimates.length;
    // Three standard deviations of a share of 20,000 draws are 0.011.
    expect(Math.abs(share(1) - 7 / 27)).toBeLessThan(0.011);
    expect(Math.abs(share(2) - 13 / 27)).toBeLessThan(0.011);
    expect(Math.abs(share(3) - 7 / 27)).toBeLessThan(0.011);
  });

  test('the same seed gives the same interval, another one another', () => {
    const values = Array.from({ length: 20 }, (_, i) => Math.sin(i));
    const of = (seed: number): unknown => bootstrapInterval(values, hodgesLehmann, 0.95, seededRandom(seed), 200);
    expect(of(1)).toEqual(of(1));
    expect(of(1)).not.toEqual(of(2));
  });

  test('a 90% interval holds the true centre in about 90 of 100 samples', () => {
    const random = seededRandom(11);
    let held = 0;
    for (let i = 0; i < 100; i++) {
      // Sum of 12 uniform numbers less 6: nearly normal with mean 0.
      const values = Array.from({ length: 16 }, () => Array.from({ length: 12 }, random).reduce((a, b) => a + b, -6));
      const { low, high } = bootstrapInterval(values, hodgesLehmann, 0.9, random, 200);
      if (low <= 0 && high >= 0) held++;
    }
    expect(held).toBeGreaterThan(78);
    expect(held).toBeLessThan(99);
  });

  test('a confidence outside (0, 1) is refused', () => {
    expect(() => bootstrapInterval([1, 2], median, 1, seededRandom(1))).toThrow(RangeError);
  });
});

describe('ratioOfPairs', () => {
  test('pairs of one ratio give that ratio with an interval of no width', () => {
    const ratio = ratioOfPairs([
      [2, 1],
      [4, 2],
      [30, 15],
    ]);
    expect(ratio.median).toBeCloseTo(2, 12);
    expect(ratio.low).toBeCloseTo(2, 12);
    expect(ratio.high).toBeCloseTo(2, 12);
    expect(ratio.pairs).toBe(3);
  });

  test('swapping the sides inverts the ratio and its interval', () => {
    const pairs: [number, number][] = Array.from({ length: 15 }, (_, i) => [100 + ((i * 7) % 13), 90 + ((i * 5) % 11)]);
    const forth = ratioOfPairs(pairs, { estimator: median, seed: 3 });
    const back = ratioOfPairs(
      pairs.map(([a, b]) => [b, a] as const),
      { estimator: median, seed: 3 },
    );
    expect(back.median).toBeCloseTo(1 / forth.median, 12);
    expect(back.low).toBeCloseTo(1 / forth.high, 12);
    expect(forth.low).toBeLessThanOrEqual(forth.median);
    expect(forth.high).toBeGreaterThanOrEqual(forth.median);
  });

  test('no pairs, zeros, negative and infinite values are refused', () => {
    for (const pairs of [[], [[0, 1]], [[1, 0]], [[-1, -1]], [[Number.POSITIVE_INFINITY, 1]], [[Number.NaN, 1]]] as [number, number][][]) {
      expect(() => ratioOfPairs(pairs)).toThrow(RangeError);
    }
  });
});
