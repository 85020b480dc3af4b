import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalProbability, studentQuantile } from '../../../../reports/compare/distributions.ts';
import { centreInterval, choices, shiftInterval } from '../../../../reports/compare/intervals.ts';
import { mannWhitney, signedRank } from '../../../../reports/compare/rank-tests.ts';
import { resampledCentres, resampledShifts } from '../../../../reports/compare/resampling.ts';
import { leastP, repetitionsNeeded, shift } from '../../../../reports/compare/samples.ts';
import { holm } from '../../../../reports/compare/verdict.ts';
import { type RandomSource, seededRandom } from '../../../../reports/random.ts';
import { hodgesLehmann } from '../../../../reports/statistics.ts';

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
    expect([choices(3, 3), choices(3, 10)]).toEqual([20, 286]);
    expect(leastP(3, 10)).toBeCloseTo(2 / 286, 12);
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

/** Midranks of all values, from their definition. */
const midranks = (values: readonly number[]): number[] =>
  values.map((one) => values.filter((other) => other < one).length + (values.filter((other) => other === one).length + 1) / 2);

/** Two-sided p and P(sum ≥ observed) over all ways that are as likely as each other. */
function tails(sums: readonly number[], observed: number): { both: number; greater: number } {
  const part = (count: (sum: number) => boolean): number => sums.filter(count).length / sums.length;
  const [less, greater] = [part((sum) => sum <= observed), part((sum) => sum >= observed)];
  return { both: Math.min(1, 2 * Math.min(less, greater)), greater };
}

describe('tied values', () => {
  const few = fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 2, maxLength: 9 });
  const subsets = (of: number): number[][] =>
    Array.from({ length: 2 ** of }, (_, bits) => Array.from({ length: of }, (_, i) => (bits >> i) & 1));

  it('signed rank: p is that of all choices of signs', () => {
    fc.assert(
      fc.property(few, (differences) => {
        const ranks = midranks(differences.filter((d) => d !== 0).map(Math.abs));
        fc.pre(ranks.length >= 2);
        const sums = subsets(ranks.length).map((signs) => ranks.reduce((sum, rank, i) => sum + signs[i] * rank, 0));
        const kept = differences.filter((d) => d !== 0);
        const { both, greater } = tails(
          sums,
          ranks.reduce((sum, rank, i) => sum + (kept[i] > 0 ? rank : 0), 0),
        );
        expect(signedRank(differences)).toBeCloseTo(both, 12);
        expect(signedRank(differences, 'greater')).toBeCloseTo(greater, 12);
        expect(
          signedRank(
            differences.map((d) => -d - 0.25),
            'less',
            -0.25,
          ),
        ).toBeCloseTo(greater, 12);
      }),
      { seed: 31, numRuns: 200 },
    );
  });

  it('Mann-Whitney: p is that of all ways to part the values', () => {
    fc.assert(
      fc.property(few, few, (a, b) => {
        fc.pre(a.length + b.length <= 12);
        const ranks = midranks([...a, ...b]);
        const sums = subsets(ranks.length)
          .filter((chosen) => chosen.filter((one) => one === 1).length === a.length)
          .map((chosen) => ranks.reduce((sum, rank, i) => sum + chosen[i] * rank, 0));
        const { both, greater } = tails(
          sums,
          ranks.slice(0, a.length).reduce((sum, rank) => sum + rank, 0),
        );
        expect(mannWhitney(a, b)).toBeCloseTo(both, 10);
        expect(mannWhitney(a, b, 'greater')).toBeCloseTo(greater, 10);
        expect(mannWhitney(b, a, 'less')).toBeCloseTo(greater, 10);
      }),
      { seed: 32, numRuns: 60 },
    );
  });

  it('equal values of each side are no surer than different ones', () => {
    expect(mannWhitney([1, 1, 1, 1, 1], [2, 2, 2, 2, 2])).toBeCloseTo(2 / 252, 12);
    expect(signedRank([3, 3, 3, 3, 3, 3, 3])).toBeCloseTo(2 / 128, 12);
    expect(signedRank([3, 3, 3, 3, 3, 3, 3, 0, 0])).toBeCloseTo(2 / 128, 12);
  });
});

describe('intervals of a few values', () => {
  const normal = (random: RandomSource): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

  it('hold the truth as often as they say', () => {
    const seed = 41;
    console.log(`seed ${seed}`);
    const random = seededRandom(seed);
    for (const n of [2, 3, 5]) {
      let [centres, shifts] = [0, 0];
      for (let trial = 0; trial < 400; trial++) {
        const [a, b] = [0, 0].map(() => Array.from({ length: n }, () => normal(random)));
        const centre = centreInterval(a, hodgesLehmann(a), resampledCentres(a, 200, random), 0.95);
        if (centre.low <= 0 && centre.high >= 0) centres++;
        const moved = shiftInterval(a, b, shift(a, b), resampledShifts(a, b, 200, random), 0.95);
        if (moved.low <= 0 && moved.high >= 0) shifts++;
      }
      console.log(`${n} values: ${centres} and ${shifts} of 400`);
      // Of 400 at a rate of 0.95, fewer than 365 come once in 700 times.
      expect(Math.min(centres, shifts)).toBeGreaterThanOrEqual(365);
    }
  });

  it('one value has none', () => {
    const estimates = resampledCentres([0.2], 10, seededRandom(1));
    expect(centreInterval([0.2], 0.2, estimates, 0.95)).toEqual({ low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY });
    expect(shiftInterval([0.2], [0.1, 0.3], 0, estimates, 0.95).high).toBe(Number.POSITIVE_INFINITY);
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
