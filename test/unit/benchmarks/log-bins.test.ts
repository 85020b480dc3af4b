import { describe, expect, it } from 'vitest';
import { LogBins } from '../../../benchmarks/log-bins.ts';
import { seededRandom } from '../../../reports/random.ts';

describe('bins on a logarithmic scale', () => {
  const binned = (...times: number[]): LogBins => {
    const bins = new LogBins();
    for (const ns of times) bins.record(ns);
    return bins;
  };

  it('each time lies within its bin, and none is lost', () => {
    const seed = 11;
    const random = seededRandom(seed);
    for (let i = 0; i < 200; i++) {
      const ns = Math.round(10 ** (random() * 11));
      const { binsPerDecade, firstBin, counts } = binned(ns).histogram() ?? { binsPerDecade: 1, firstBin: 0, counts: [] };
      expect(counts, `seed ${seed}`).toEqual([1]);
      expect(10 ** (firstBin / binsPerDecade), `${ns} ns, seed ${seed}`).toBeLessThanOrEqual((ns / 1000) * (1 + 1e-9));
      expect(10 ** ((firstBin + 1) / binsPerDecade), `${ns} ns, seed ${seed}`).toBeGreaterThan((ns / 1000) * (1 - 1e-9));
    }
  });

  it('begin and end with a bin that holds something', () => {
    const histogram = binned(1000, 1000, 10_000).histogram();
    expect(histogram?.firstBin).toBe(0);
    expect(histogram?.counts).toHaveLength((histogram?.binsPerDecade ?? 0) + 1);
    expect([histogram?.counts[0], histogram?.counts.at(-1)]).toEqual([2, 1]);
  });

  it('less than a nanosecond is one; nothing recorded is none', () => {
    expect(binned(0, -5, 1).histogram()?.counts).toEqual([3]);
    expect(new LogBins().histogram()).toBeNull();
  });
});
