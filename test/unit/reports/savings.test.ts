import { describe, expect, test } from 'vitest';
import { breakEvens, firstFrameBytes } from '../../../reports/break-even.ts';
import { costByFragments, costBySize, importByFragments } from '../../../reports/curves.ts';
import { PLACES, SINK, wayOf } from '../../../reports/hops.ts';
import type { Scenario } from '../../../reports/run-document.ts';
import { savingsOf } from '../../../reports/savings.ts';
import { groupScenarios } from '../../../reports/summary.ts';
import { buildRun, buildScenario, type ScenarioOptions } from '../../support/run-document.ts';

const FRAME = 3840 * 2160 * 4;

/** A scenario whose work and import are round figures, µs. */
function costing(options: ScenarioOptions, work: number, importUs: number | null = null): Scenario {
  const scenario = buildScenario(options);
  for (const each of [scenario.results, ...scenario.repetitions]) {
    each.hostServiceUs = { mean: work, p50: work, p90: work, p99: work };
    each.guestServiceUs = { mean: 0, p50: 0, p90: 0, p99: 0 };
    each.importUs = importUs === null ? null : { count: 2, mean: importUs, max: importUs };
  }
  return scenario;
}

describe('what importing saves', () => {
  test('work over a second is cores; a copied byte is two on the memory bus', () => {
    const [saving] = savingsOf(groupScenarios([costing({ path: 'udmabuf' }, 100), costing({ path: 'readback-blob' }, 4100)]));
    expect(saving.cost.imported.cores).toBeCloseTo(0.006, 9);
    expect(saving.cost.replaced.cores).toBeCloseTo(0.246, 9);
    expect(saving.cost.imported.trafficGBps).toBe(0);
    expect(saving.cost.replaced.trafficGBps).toBeCloseTo((2 * FRAME * 60) / 1e9, 9);
  });

  test('nothing is named without both paths, nor where faults forbid a headline', () => {
    const pair = [costing({ path: 'udmabuf' }, 100), costing({ path: 'readback-blob' }, 4100)];
    expect(savingsOf(groupScenarios([pair[0]]))).toEqual([]);
    pair[1].faults = { injected: [], times: 0, counters: { fencesTimedOut: 1 }, unexplained: ['fencesTimedOut'] };
    expect(savingsOf(groupScenarios(pair))).toEqual([]);
  });
});

describe('from when importing pays', () => {
  const at = (width: number, height: number, saved: number, importUs: number): Scenario[] => [
    costing({ path: 'udmabuf', width, height }, 100, importUs),
    costing({ path: 'readback-blob', width, height }, 100 + saved),
  ];

  test('after as many frames as the import is savings, rounded up, of every buffer', () => {
    const [paid] = breakEvens(groupScenarios(at(3840, 2160, 1000, 2500)));
    expect(paid).toMatchObject({ importUs: 2500, savedUs: 1000, frames: 3 });
    expect(paid.paidAfterUs).toBeCloseTo((3 * 3 * 1e6) / 60, 6);
  });

  test('never, where a frame saves nothing; at max rate there is no time', () => {
    expect(breakEvens(groupScenarios(at(3840, 2160, 0, 10)))[0]).toMatchObject({ frames: null, paidAfterUs: null });
    const max = at(3840, 2160, 1000, 10).map((scenario) => ({ ...scenario, rateHz: null }));
    expect(breakEvens(groupScenarios(max))[0]).toMatchObject({ frames: 1, paidAfterUs: null });
  });

  test('the first frame pays from where the lines of cost and saving meet', () => {
    // Saved: 1 µs a pixel over 1,000 at most; an import of 500 µs: they meet at 500 pixels.
    const points = breakEvens(groupScenarios([...at(1000, 1, 1000, 500), ...at(2000, 1, 2000, 500)]));
    expect(firstFrameBytes(points)).toBeCloseTo(2000, 6);
    expect(firstFrameBytes(points.slice(0, 1))).toBeNull();
    const flat = breakEvens(groupScenarios([...at(1000, 1, 1000, 500), ...at(2000, 1, 1000, 500)]));
    expect(firstFrameBytes(flat)).toBeNull();
  });

  test('is not said where faults were injected or are not explained; those that are explained do not matter', () => {
    const [imported, replaced] = at(3840, 2160, 1000, 2500);
    const count = (injected: string[], unexplained: string[]): number => {
      imported.faults = { injected, times: 1, counters: { fencesTimedOut: 1 }, unexplained };
      return breakEvens(groupScenarios([imported, replaced])).length;
    };
    expect(count([], [])).toBe(1);
    expect(count(['late-kick@3'], [])).toBe(0);
    expect(count([], ['fencesTimedOut'])).toBe(0);
  });

  test('a path that copies has no import to pay', () => {
    expect(new Set(breakEvens(groupScenarios(buildRun().scenarios)).map(({ imported }) => imported.path))).toEqual(
      new Set(['vfio', 'udmabuf']),
    );
  });
});

describe('how cost grows', () => {
  test('joins scenarios that differ in size only, one set of curves a rate', () => {
    const curves = costBySize(buildRun().scenarios);
    expect(curves.map(({ rateHz, paths }) => [rateHz, paths.length])).toEqual([
      [60, 5],
      [null, 5],
    ]);
    expect(curves[0].paths[0].points.map(({ x }) => x)).toEqual([1920 * 1080 * 4, FRAME]);
    const packed = buildRun().scenarios.map((s): Scenario => ({ ...s, ring: s.width === 1920 ? 'split' : 'packed' }));
    expect(costBySize(packed)).toEqual([]);
  });

  test('joins layouts by their segments, of one size', () => {
    const layouts = (['contiguous', '64k', '4k'] as const).map((layout, i) => {
      const scenario = costing({ path: 'udmabuf' }, 100, 10 * (i + 1));
      scenario.results.segments = [1, 507, 8100][i];
      return { ...scenario, layout };
    });
    expect(costBySize(layouts)).toEqual([]);
    expect(costByFragments(layouts)[0].paths[0].points.map(({ x, us }) => [x, us])).toEqual([
      [1, 100],
      [507, 100],
      [8100, 100],
    ]);
    expect(importByFragments(layouts)[0].paths[0].points.map(({ us }) => us)).toEqual([10, 20, 30]);
  });
});

describe("a frame's way", () => {
  const words = (scenario: Scenario): string => {
    const { start, hops, readAt } = wayOf(scenario);
    return [PLACES[start], ...hops.map(({ to, by, bytes }) => `${by} ${bytes} to ${PLACES[to]}`), `read at ${PLACES[readAt]}`].join(', ');
  };

  test('is told from the ledger: each path its copies, their bytes and whose CPU', () => {
    const ways = buildRun().scenarios.slice(5, 10).map(words);
    expect(ways).toEqual([
      'guest GPU memory, read at guest GPU memory',
      'guest RAM, read at guest RAM',
      `guest GPU memory, guest ${FRAME} to guest RAM, read at guest RAM`,
      `guest RAM, host ${FRAME} to host memory, read at host memory`,
      `guest GPU memory, guest ${FRAME} to guest RAM, host ${FRAME} to host memory, read at host memory`,
    ]);
  });

  test('a fallback and an upload show as the copies they are', () => {
    const fallback = buildScenario({ path: 'udmabuf' });
    fallback.results.bytesCopiedByStage.fallback = FRAME * 10;
    fallback.results.bytesCopiedPerFrame = FRAME;
    expect(words(fallback)).toBe(`guest RAM, host ${FRAME} to host memory, read at host memory`);
    const upload = buildScenario({ path: 'copy' });
    upload.results.bytesCopiedByStage.upload = upload.results.bytesCopiedByStage.transfer;
    upload.results.bytesCopiedPerFrame = FRAME * 2;
    expect(wayOf(upload).hops.map(({ bytes }) => bytes)).toEqual([FRAME, FRAME]);
    expect(wayOf(upload).readAt).toBe(SINK);
  });
});
