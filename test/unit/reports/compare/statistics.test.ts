import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalProbability, studentQuantile } from '../../../../reports/compare/distributions.ts';
import { mannWhitney, signedRank } from '../../../../reports/compare/rank-tests.ts';
import { repetitionsNeeded, shift } from '../../../../reports/compare/samples.ts';
import { holm } from '../../../../reports/compare/verdict.ts';

describe('published reference vectors', () => {
  it('signed rank: plant heights of Cureton (1967)', () => {
    const differences = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75];
    expect(signedRank(differences)).toBeCloseTo(0.04125977, 8);
  });

  it('signed rank: depression scores of Hollander and Wolfe (1973), 29f', () => {
    const x = [1.83, 0.5, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.3];
    const y = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
    const differences = x.map((value, i) => value - y[i]);
    expect(signedRank(differences)).toBeCloseTo(0.0390625, 10);
    expect(signedRank(differences, 'greater')).toBeCloseTo(0.01953125, 10);
  });

  it('Mann-Whitney and the shift: permeability of Hollander and Wolfe (1973), 69f', () => {
    const x = [0.8, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
    const y = [1.15, 0.88, 0.9, 0.74, 1.21];
    // W = 35, p = 382 / 3003.
    expect(mannWhitney(x, y, 'greater')).toBeCloseTo(0.12720613, 8);
    expect(mannWhitney(x, y)).toBeCloseTo(0.25441225, 8);
    expect(mannWhitney(y, x, 'less')).toBeCloseTo(0.12720613, 8);
    expect(shift(y, x)).toBeCloseTo(0.305, 10);
  });

  it('the least exact p of n against n is 2 / C(2n, n)', () => {
    expect(mannWhitney([1, 2, 3], [4, 5, 6])).toBeCloseTo(2 / 20, 12);
    expect(mannWhitney([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])).toBeCloseTo(2 / 252, 12);
    expect(repetitionsNeeded(0.01, 1)).toBe(5);
    expect(repetitionsNeeded(0.01, 20)).toBe(8);
  });

  it('Student quantiles, as in printed tables', () => {
    for (const [p, freedom, t] of [
      [0.05, 1, 12.7062],
      [0.01, 2, 9.9248],
      [0.01, 3, 5.8409],
      [0.05, 4, 2.7764],
      [0.01, 9, 3.2498],
      [0.05, 19, 2.093],
      [0.01, 39, 2.7079],
      [0.01, 120, 2.6174],
    ])
      expect(studentQuantile(p, freedom)).toBeCloseTo(t, 3);
    expect(normalProbability(-1.959964)).toBeCloseTo(0.025, 6);
    expect(normalProbability(-2.575829)).toBeCloseTo(0.005, 6);
  });

  it('Holm (1979), as p.adjust of R', () => {
    expect(holm([0.01, 0.02, 0.03, 0.04])).toEqual([0.04, 0.06, 0.06, 0.06]);
    expect(holm([0.04, 0.001, 0.5])).toEqual([0.08, 0.003, 0.5]);
    expect(holm([])).toEqual([]);
  });
});

describe('rules', () => {
  const values = fc.array(fc.double({ min: 0.01, max: 1000, noNaN: true }), { minLength: 2, maxLength: 12 });

  it('p lies in [0, 1], and two-sided p is the same for both orders', () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        const p = mannWhitney(a, b);
        expect(p).toBeGreaterThanOrEqual(0);
        expect(p).toBeLessThanOrEqual(1);
        expect(mannWhitney(b, a)).toBeCloseTo(p, 9);
        const differences = a.map((value, i) => value - (b[i] ?? 1));
        expect(signedRank(differences.map((d) => -d))).toBeCloseTo(signedRank(differences), 9);
      }),
      { seed: 11, numRuns: 200 },
    );
  });

  it('nothing is claimed where nothing can be: no values, one, equal ones', () => {
    expect(signedRank([])).toBe(1);
    expect(signedRank([1])).toBe(1);
    expect(signedRank([0, 0, 0])).toBe(1);
    expect(mannWhitney([], [1])).toBe(1);
    expect(mannWhitney([2, 2, 2], [2, 2, 2])).toBe(1);
  });

  it('corrected p-values keep their order and are never smaller', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }), (p) => {
        const corrected = holm(p);
        for (const [i, one] of p.entries()) {
          expect(corrected[i]).toBeGreaterThanOrEqual(one);
          for (const [k, other] of p.entries()) if (one < other) expect(corrected[i]).toBeLessThanOrEqual(corrected[k]);
        }
      }),
      { seed: 12, numRuns: 200 },
    );
  });
});
