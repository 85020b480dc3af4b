import { describe, expect, it } from 'vitest';
import type { MemorySample } from '../../../../benchmarks/soak/document.ts';
import { growthOf, judgeMemory, LEAST_JUDGED, SERIES } from '../../../../benchmarks/soak/flatness.ts';
import { memoryCheck } from '../../../../benchmarks/soak/soak.ts';
import { Random } from '../../../../core/memory/random.ts';

const MIB = 2 ** 20;

/** Samples whose heap and resident set are told, everything else constant. */
function samples(
  count: number,
  heap: (i: number) => number,
  rss: (i: number) => number = () => 300 * MIB,
  freedGivenBack = true,
): MemorySample[] {
  return Array.from({ length: count }, (_, i) => ({
    at: i * 10,
    heapBytes: heap(i),
    externalBytes: 4 * MIB,
    workerHeapBytes: 20 * MIB,
    workerExternalBytes: 1 * MIB,
    nativeBytes: 15 * MIB,
    rssBytes: rss(i),
    freedGivenBack,
    mappedBytes: 50 * 1024 * MIB,
    fds: 30,
    threads: 9,
  }));
}

const statuses = (of: MemorySample[]): Record<string, string> =>
  Object.fromEntries(judgeMemory(of).map((growth) => [growth.series, memoryCheck(growth).status]));

describe('growth of a series', () => {
  it('a steady rise is estimated exactly, from the first sample to the last', () => {
    for (const count of [8, 9, 20, 361]) {
      const growth = growthOf(Array.from({ length: count }, (_, i) => 100 + i * 3));
      expect(growth?.estimate).toBeCloseTo((count - 1) * 3, 6);
      expect(growth?.low).toBeCloseTo((count - 1) * 3, 6);
    }
  });

  it('noise without a trend has an interval around 0, whatever its size', () => {
    const random = new Random(11);
    const growth = growthOf(Array.from({ length: 60 }, () => 1e9 + random.below(1e8)));
    expect(growth?.low).toBeLessThan(0);
    expect(growth?.high).toBeGreaterThan(0);
  });

  it('one or two strange samples do not move it', () => {
    const values = new Array<number>(20).fill(5);
    values[18] = 5000;
    values[3] = 0;
    expect(growthOf(values)).toEqual({ estimate: 0, low: expect.any(Number), high: expect.any(Number) });
  });

  it('too few samples say nothing', () => {
    expect(growthOf(new Array<number>(LEAST_JUDGED - 1).fill(1))).toBeNull();
  });
});

describe('memory over a run', () => {
  it('flat in every series: every check passes; the warm-up at the start does not count', () => {
    const judged = statuses(samples(20, (i) => (i < 3 ? i * 5 * MIB : 16 * MIB)));
    expect(Object.keys(judged)).toEqual(SERIES.map(({ name }) => name));
    expect(new Set(Object.values(judged))).toEqual(new Set(['pass']));
  });

  it.each([
    ['20 rounds', 20, 200 * 1024],
    ['an hour of rounds', 240, 10 * 1024],
  ])('%s that each leak a little heap: found, and no other series is blamed', (_, count, leak) => {
    const random = new Random(5);
    const judged = statuses(samples(count, (i) => 16 * MIB + i * leak + random.below(200 * 1024)));
    expect(judged).toMatchObject({ heapBytes: 'fail', workerHeapBytes: 'pass', rssBytes: 'pass', fds: 'pass' });
  });

  it('a resident set that jumps about but does not rise passes', () => {
    const random = new Random(6);
    expect(
      statuses(
        samples(
          24,
          () => 16 * MIB,
          () => (250 + random.below(120)) * MIB,
        ),
      ),
    ).toMatchObject({ rssBytes: 'pass' });
  });

  it.each([
    [true, 'fail'],
    [false, 'inconclusive'],
  ])('a resident set that rises by 380 MiB, freed memory given back before: %s: %s', (freedGivenBack, status) => {
    const rises = samples(
      20,
      () => 16 * MIB,
      (i) => (250 + i * 20) * MIB,
      freedGivenBack,
    );
    expect(statuses(rises)).toMatchObject({ rssBytes: status, heapBytes: 'pass' });
  });

  it('an estimate above its bound passes never: it fails, or says that the samples jump about too much to tell', () => {
    const random = new Random(8);
    const jumps = samples(
      16,
      () => 16 * MIB,
      (i) => (250 + i * 32 + (i % 2) * 540 * random.below(2)) * MIB,
    );
    const growth = judgeMemory(jumps).find(({ series }) => series === 'rssBytes');
    expect(growth?.growth?.estimate).toBeGreaterThan(growth?.bound ?? 0);
    expect(growth?.growth?.low).toBeLessThan(growth?.bound ?? 0);
    expect(statuses(jumps)).toMatchObject({ rssBytes: 'inconclusive' });
  });

  it('native code that keeps 400 KiB of each of 20 machines is found; where nobody knows it, there is no such series', () => {
    const leaks = samples(20, () => 16 * MIB).map((sample, i) => ({ ...sample, nativeBytes: 15 * MIB + i * 400 * 1024 }));
    expect(statuses(leaks)).toMatchObject({ nativeBytes: 'fail', rssBytes: 'pass', heapBytes: 'pass' });
    expect(statuses(leaks.map((sample) => ({ ...sample, nativeBytes: null })))).not.toHaveProperty('nativeBytes');
  });

  it('one memory of a machine that is left in the middle of the run shows in the address space', () => {
    const judged = statuses(
      samples(20, () => 16 * MIB).map((sample, i) => ({ ...sample, mappedBytes: (27 + (i < 10 ? 0 : 8)) * 1024 * MIB })),
    );
    expect(judged).toMatchObject({ mappedBytes: 'fail' });
  });

  it('what the system does not tell is no series; too short a run is inconclusive', () => {
    const short = samples(6, () => MIB).map((sample) => ({ ...sample, fds: null }));
    const judged = statuses(short);
    expect(judged['fds']).toBeUndefined();
    expect(judged).toMatchObject({ heapBytes: 'inconclusive' });
  });
});
