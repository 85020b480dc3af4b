import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { median, medianInterval, quantileOfSorted } from '../../../../benchmarks/limits/bootstrap.ts';

describe('median and its bootstrap interval', () => {
  it('the median of an even count is the mean of the middle two', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([3, 1, 2])).toBe(2);
    expect(median([])).toBeNaN();
  });

  it('a quantile is the value at its nearest rank', () => {
    const sorted = Float64Array.from({ length: 100 }, (_, i) => i + 1);
    expect(quantileOfSorted(sorted, 0.99)).toBe(99);
    expect(quantileOfSorted(sorted, 1)).toBe(100);
    expect(quantileOfSorted(sorted, 0)).toBe(1);
  });

  it('equal values have an interval without width', () => {
    expect(medianInterval(new Array(30).fill(7))).toEqual({ median: 7, low: 7, high: 7, confidence: 0.95 });
  });

  it('no values are refused', () => {
    expect(() => medianInterval([])).toThrow(RangeError);
  });

  it('the interval holds the median, lies among the values and is the same for the same seed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.1, max: 10, noNaN: true }), { minLength: 1, maxLength: 40 }),
        fc.integer(),
        (values, seed) => {
          const interval = medianInterval(values, seed);
          expect(interval.low).toBeLessThanOrEqual(interval.median);
          expect(interval.high).toBeGreaterThanOrEqual(interval.median);
          expect(interval.low).toBeGreaterThanOrEqual(Math.min(...values));
          expect(interval.high).toBeLessThanOrEqual(Math.max(...values));
          expect(medianInterval(values, seed)).toEqual(interval);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('the interval of 1 … 101 is that of the order statistics (ranks 41 and 61 of the sign test, within resampling error)', () => {
    const { median: middle, low, high } = medianInterval(Array.from({ length: 101 }, (_, i) => i + 1));
    expect(middle).toBe(51);
    expect(Math.abs(low - 41)).toBeLessThanOrEqual(2);
    expect(Math.abs(high - 61)).toBeLessThanOrEqual(2);
  });
});
