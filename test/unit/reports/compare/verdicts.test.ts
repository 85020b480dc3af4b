import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concludeFamily } from '../../../../reports/compare/family.ts';
import { compareSeries, type Series } from '../../../../reports/compare/live.ts';
import { lookSchedule, pairsNeeded } from '../../../../reports/compare/looks.ts';
import { comparePairs, logRatio, type Pair } from '../../../../reports/compare/pairs.ts';
import { smallestDetectable } from '../../../../reports/compare/power.ts';
import { signedRank } from '../../../../reports/compare/rank-tests.ts';
import { resampledCentres, resampledShifts } from '../../../../reports/compare/resampling.ts';
import { samplesEffect, shift } from '../../../../reports/compare/samples.ts';
import { ALPHA, decide, type Effect, type Verdict, worst } from '../../../../reports/compare/verdict.ts';
import { type RandomSource, seededRandom } from '../../../../reports/random.ts';
import { bootstrap, hodgesLehmann } from '../../../../reports/statistics.ts';

const MARGIN = 0.02;

/** Normal, with one in ten from a distribution ten times as wide: what a busy machine does to a pair. */
function noise(random: RandomSource, spread: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return normal * spread * (random() < 0.1 ? 10 : 1);
}

/** Pairs with a common drift of 3% a pair, head slower by `effect`. */
function pairsOf(count: number, effect: number, spread: number, random: RandomSource): Pair[] {
  return Array.from({ length: count }, (_, i): Pair => {
    const level = 100 * 1.03 ** i;
    return [level * Math.exp(noise(random, spread)), level * (1 + effect) * Math.exp(noise(random, spread))];
  });
}

/** As a live comparison goes: looked at after each of the schedule's numbers, until everything is conclusive. */
function sequentialVerdict(series: readonly Series[], cap: number): Verdict {
  const looks = lookSchedule(series.length, cap);
  let verdict: Verdict = 'inconclusive';
  for (const count of looks.at) {
    const sofar = series.map((one) => ({ ...one, pairs: one.pairs.slice(0, count) }));
    const { comparisons } = compareSeries(sofar, MARGIN, looks.alpha, []);
    verdict = worst(comparisons.map((one) => one.verdict));
    if (comparisons.some((one) => one.verdict === 'regressed' || one.verdict === 'improved')) return verdict;
    if (comparisons.every((one) => one.verdict !== 'inconclusive')) break;
  }
  return verdict;
}

const series = (metric: string, pairs: readonly Pair[]): Series => ({ scenario: 'copy-4k-max', metric, pairs });

describe('simulated', () => {
  it('without a difference, pairs added until conclusive give a false verdict in at most 1 of 100', () => {
    const seed = 20261123;
    console.log(`seed ${seed}`);
    const random = seededRandom(seed);
    let wrong = 0;
    for (let trial = 0; trial < 100; trial++) {
      const both = ['hostServiceUs.p50', 'fps'].map((metric) => series(metric, pairsOf(24, 0, 0.02, random)));
      if (['regressed', 'improved'].includes(sequentialVerdict(both, 24))) wrong++;
    }
    console.log(`${wrong} false verdicts in 100`);
    // Of 100 at a rate of 0.01, more than 4 come once in 300 times.
    expect(wrong).toBeLessThanOrEqual(4);
    // Some ten seconds of computing, more on a busy machine.
  }, 120_000);

  it('the signed-rank test of all looks together stays within alpha over 4000 comparisons', () => {
    const seed = 7;
    console.log(`seed ${seed}`);
    const random = seededRandom(seed);
    const looks = lookSchedule(1, 24);
    let wrong = 0;
    for (let trial = 0; trial < 4000; trial++) {
      const logs = pairsOf(24, 0, 0.02, random).map(([base, head]) => Math.log(head / base));
      if (looks.at.some((count) => signedRank(logs.slice(0, count)) <= looks.alpha)) wrong++;
    }
    console.log(`${wrong} in 4000`);
    expect(wrong / 4000).toBeLessThanOrEqual(ALPHA);
  });

  it('a difference as large as the margin is called equivalent in at most 1 of 100', () => {
    const seed = 99;
    console.log(`seed ${seed}`);
    const random = seededRandom(seed);
    let wrong = 0;
    for (let trial = 0; trial < 200; trial++) {
      if (comparePairs(pairsOf(16, MARGIN, 0.01, random), MARGIN, random).verdict === 'equivalent') wrong++;
    }
    console.log(`${wrong} in 200`);
    expect(wrong).toBeLessThanOrEqual(5);
  });

  it('a regression by 5% in noise of 1% is found, and none where there is nothing is equivalent', () => {
    const seed = 4;
    console.log(`seed ${seed}`);
    const random = seededRandom(seed);
    const found = Array.from({ length: 20 }, () => comparePairs(pairsOf(24, 0.05, 0.01, random), MARGIN, random).verdict);
    expect(found.filter((verdict) => verdict === 'regressed').length).toBeGreaterThanOrEqual(19);
    const none = Array.from({ length: 20 }, () => comparePairs(pairsOf(40, 0, 0.005, random), MARGIN, random).verdict);
    expect(none.filter((verdict) => verdict === 'equivalent').length).toBeGreaterThanOrEqual(18);
  });
});

describe('simulated stored runs', () => {
  /** Verdicts on ten repetitions a side, of which head's lie higher by `drift`. */
  const changed = (drift: number): number => {
    const seed = 61;
    console.log(`seed ${seed}`);
    const random = seededRandom(seed);
    let count = 0;
    for (let trial = 0; trial < 200; trial++) {
      const [base, head] = [1, 1 + drift].map((level) => Array.from({ length: 10 }, () => 100 * level * Math.exp(noise(random, 0.012))));
      const effect = samplesEffect(base, head, 0.05, random);
      const { comparisons } = concludeFamily(
        [{ scenario: 'a', metric: 'hostServiceUs.p50', effect, pairs: 10, paired: false }],
        0.05,
        ALPHA,
        [],
      );
      if (comparisons[0].verdict === 'regressed' || comparisons[0].verdict === 'improved') count++;
    }
    console.log(`${count} changes in 200 at a drift of ${drift}`);
    return count;
  };

  it('a drift within the margin is no change, however noisy the repetitions', () => {
    expect(changed(0.03)).toBeLessThanOrEqual(2);
  });

  it('what goes far beyond the margin is one', () => {
    expect(changed(0.25)).toBeGreaterThanOrEqual(190);
  });
});

describe('what a machine resolves', () => {
  it('a change of the size that is said is found by comparisons as they are run', () => {
    const seed = 71;
    console.log(`seed ${seed}`);
    const random = seededRandom(seed);
    const itself = pairsOf(300, 0, 0.02, random).map(([base, head]) => logRatio(base, head));
    const least = smallestDetectable(itself, 24, { margin: MARGIN, alpha: ALPHA, better: 'lower' }, random) ?? Number.NaN;
    let found = 0;
    for (let trial = 0; trial < 100; trial++) {
      if (sequentialVerdict([series('hostServiceUs.p50', pairsOf(24, least, 0.02, random))], 24) === 'regressed') found++;
    }
    console.log(`${(100 * least).toFixed(2)}% found in ${found} of 100`);
    // Of 100 at a rate of 0.95, fewer than 88 come once in 300 times.
    expect(found).toBeGreaterThanOrEqual(88);
  });
});

describe('resampling', () => {
  const values = fc.array(fc.double({ min: -9, max: 9, noNaN: true }), { minLength: 1, maxLength: 12 });

  it('gives the estimates of resampled lists', () => {
    fc.assert(
      fc.property(values, values, fc.nat(), (a, b, seed) => {
        const plain = bootstrap(a, hodgesLehmann, 20, seededRandom(seed));
        for (const [i, estimate] of resampledCentres(a, 20, seededRandom(seed)).entries()) expect(estimate).toBeCloseTo(plain[i], 9);
        const random = seededRandom(seed);
        const drawn = (from: readonly number[]): number[] => from.map(() => from[Math.floor(random() * from.length)]);
        const shifts = Float64Array.from({ length: 20 }, () => shift(drawn(a), drawn(b))).sort();
        for (const [i, estimate] of resampledShifts(a, b, 20, seededRandom(seed)).entries()) expect(estimate).toBeCloseTo(shifts[i], 9);
      }),
      { seed: 6, numRuns: 100 },
    );
  });
});

describe('rules', () => {
  const pairs = fc.array(fc.tuple(fc.double({ min: 1, max: 9, noNaN: true }), fc.double({ min: 1, max: 9, noNaN: true })), {
    minLength: 10,
    maxLength: 14,
  });
  const opposite: Record<Verdict, Verdict> = {
    regressed: 'improved',
    improved: 'regressed',
    equivalent: 'equivalent',
    inconclusive: 'inconclusive',
  };

  it('swapping the sides turns the ratio and the verdict round', () => {
    fc.assert(
      fc.property(pairs, (some) => {
        const forth = comparePairs(some, MARGIN, seededRandom(1));
        const back = comparePairs(
          some.map(([base, head]) => [head, base] as const),
          MARGIN,
          seededRandom(1),
        );
        expect(back.ratio).toBeCloseTo(1 / forth.ratio, 9);
        expect(back.p).toBeCloseTo(forth.p, 9);
        expect(back.low).toBeCloseTo(1 / forth.high, 9);
        expect(back.verdict).toBe(opposite[forth.verdict]);
        expect(forth.low).toBeLessThanOrEqual(forth.ratio);
        expect(forth.high).toBeGreaterThanOrEqual(forth.ratio);
      }),
      { seed: 5, numRuns: 30 },
    );
  });

  it('a unit changes nothing, and higher is better for a rate', () => {
    const slower = pairsOf(12, 0.3, 0.001, seededRandom(3));
    const inSeconds = slower.map(([base, head]) => [base / 1e6, head / 1e6] as const);
    const [a, b] = [slower, inSeconds].map((some) => comparePairs(some, MARGIN, seededRandom(1)));
    expect(b.ratio).toBeCloseTo(a.ratio, 9);
    expect(a.verdict).toBe('regressed');
    expect(comparePairs(slower, MARGIN, seededRandom(1), { better: 'higher' }).verdict).toBe('improved');
  });

  it('what else is compared changes no interval', () => {
    const [a, b] = [3, 4].map((seed) => series(`metric ${seed}`, pairsOf(12, 0.01, 0.02, seededRandom(seed))));
    const alone = compareSeries([b], MARGIN, ALPHA, []).comparisons[0];
    const together = compareSeries([a, b], MARGIN, ALPHA, []).comparisons[1];
    expect([together.low, together.high]).toEqual([alone.low, alone.high]);
  });

  it('tiny and huge values have their ratio', () => {
    expect(logRatio(1e-300, 1e300)).toBeCloseTo(600 * Math.LN10, 9);
    expect(logRatio(7, 3)).toBe(-logRatio(3, 7));
  });

  it('equivalences are corrected for their number as changes are', () => {
    const effect: Effect = { ratio: 1, low: 1, high: 1, verdictLow: 0.995, verdictHigh: 1.005, p: 1, pOfMargin: 0.004 };
    const verdicts = (count: number): Verdict[] => {
      const measured = Array.from({ length: count }, () => ({ scenario: 'a', metric: 'fps', effect, pairs: 12, paired: true }));
      return concludeFamily(measured, MARGIN, ALPHA, []).comparisons.map(({ verdict }) => verdict);
    };
    expect(verdicts(1)).toEqual(['equivalent']);
    expect(verdicts(2)).toEqual(['inconclusive', 'inconclusive']);
  });

  it('what has no ratio is refused', () => {
    for (const pair of [
      [0, 1],
      [1, 0],
      [-1, 1],
      [1, Number.NaN],
      [1, Number.POSITIVE_INFINITY],
    ] as Pair[])
      expect(() => comparePairs([pair], MARGIN, seededRandom(1))).toThrow(RangeError);
  });

  it('bounds decide, and each verdict takes the interval and the test', () => {
    const effect = (verdictLow: number, verdictHigh: number, p: number, pOfMargin = 1): Effect => ({
      ...{ ratio: 1, low: 1, high: 1 },
      ...{ verdictLow, verdictHigh, p, pOfMargin },
    });
    const rule = { margin: 0.02, alpha: 0.01, better: 'lower' } as const;
    const cases: [Effect, Verdict][] = [
      [effect(1.01, 1.05, 0.001), 'regressed'],
      [effect(1.01, 1.05, 0.02), 'inconclusive'],
      [effect(0.99, 1.05, 0.001), 'inconclusive'],
      [effect(0.9, 0.97, 0.001), 'improved'],
      [effect(1.001, 1.019, 0.001, 0.001), 'equivalent'],
      [effect(1.001, 1.019, 0.001, 0.006), 'inconclusive'],
      [effect(0.99, 1.01, 0.5, 0.001), 'equivalent'],
      [effect(0.99, 1.021, 0.5, 0.001), 'inconclusive'],
    ];
    for (const [one, verdict] of cases) expect(decide(one, one.p, rule)).toBe(verdict);
    const stored = { ...rule, drifts: true };
    expect(decide(effect(1.01, 1.05, 0.001), 0.001, stored)).toBe('inconclusive');
    expect(decide(effect(1.021, 1.05, 0.001), 0.001, stored)).toBe('regressed');
    expect(decide(effect(0.9, 0.979, 0.001), 0.001, stored)).toBe('improved');
    expect(decide(effect(0.9, 0.982, 0.001), 0.001, stored)).toBe('inconclusive');
    expect(worst(['equivalent', 'improved', 'inconclusive', 'regressed'])).toBe('regressed');
    expect(worst(['equivalent', 'improved'])).toBe('improved');
    expect(worst([])).toBe('inconclusive');
  });

  it('looks rise to the cap, share alpha, and begin where the test can reach its level', () => {
    for (const [family, cap] of [
      [1, 40],
      [6, 40],
      [40, 100],
      [6, 12],
      [1, 3],
    ]) {
      const { at, alpha } = lookSchedule(family, cap);
      expect(at.at(-1)).toBe(cap);
      for (const count of at.slice(0, -1)) expect(count % 2, `${count} of ${at}`).toBe(0);
      expect([...at].sort((a, b) => a - b)).toEqual(at);
      expect(alpha * at.length).toBeLessThanOrEqual(ALPHA + 1e-12);
      if (at.length > 1) expect((2 / 2 ** at[0]) * family).toBeLessThanOrEqual(alpha);
    }
    expect(2 / 2 ** pairsNeeded(6)).toBeLessThanOrEqual(ALPHA / 6);
  });
});
