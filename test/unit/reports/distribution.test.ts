import { describe, expect, test } from 'vitest';
import { framesOf, latencyTable, namedQuantiles, quantilesOf } from '../../../reports/distribution.ts';
import { groupScenarios } from '../../../reports/summary.ts';
import { buildScenario } from '../../support/run-document.ts';

const DISTRIBUTION = { p50: 10, p90: 20, p99: 30, p999: 40, max: 50 };

describe('a latency distribution', () => {
  test('steps where a bin begins and ends, at its middle; the last step ends half a frame early', () => {
    const histogram = { binsPerDecade: 10, firstBin: 20, counts: [3, 0, 1] };
    expect(framesOf(histogram)).toBe(4);
    const quantiles = quantilesOf(histogram);
    expect(quantiles.map(({ below }) => below)).toEqual([0, 0.75, 0.75, 0.875]);
    for (const [i, power] of [2.05, 2.05, 2.25, 2.25].entries()) expect(quantiles[i].us).toBeCloseTo(10 ** power, 9);
  });

  test('of no frames is empty', () => {
    expect(quantilesOf({ binsPerDecade: 10, firstBin: 0, counts: [0, 0] })).toEqual([]);
  });

  test.each([
    [1, ['longest']],
    [2, ['median', 'longest']],
    [99, ['median', 'p90', 'longest']],
    [100, ['median', 'p90', 'p99', 'longest']],
    [999, ['median', 'p90', 'p99', 'longest']],
    [1000, ['median', 'p90', 'p99', 'p99.9', 'longest']],
  ])('of %i frames names the percentiles that leave a frame above', (frames, names) => {
    expect(namedQuantiles(DISTRIBUTION, frames).map(({ name }) => name)).toEqual(names);
    const shares = namedQuantiles(DISTRIBUTION, frames).map(({ below }) => below);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(shares.at(-1)).toBeLessThan(1);
  });

  test('of a document without counts is told in full, the frames unknown', () => {
    const [, , frames, ...times] = latencyTable(groupScenarios([buildScenario({ path: 'copy' })])).rows[0];
    expect(frames).toBe('-');
    expect(times).not.toContain('-');
  });
});
