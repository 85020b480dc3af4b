import { describe, expect, test } from 'vitest';
import { type PairPlan, ratiosOf } from '../../../../benchmarks/peers/pairs.ts';
import { renderHtml, renderMarkdown, renderTerminal, runDocumentError } from '../../../../reports/index.ts';
import { goalVerdict } from '../../../../reports/pairs.ts';
import { rowName } from '../../../../reports/row-name.ts';
import type { PairedRatio, Repetition } from '../../../../reports/run-document.ts';
import { buildRun, buildScenario } from '../../../support/run-document.ts';

const PLAN: PairPlan = {
  name: 'whole frames at 4K',
  measure: 'frames a second',
  of: 'ours',
  to: 'theirs',
  goal: { atLeast: 1 },
  figure: (metrics) => metrics.fps,
};
/** null: a round that failed. */
const withRates = (id: string, ...rates: (number | null)[]) => ({
  id,
  repetitions: rates.flatMap((fps, round) => (fps === null ? [] : [{ fps, round } as Repetition])),
});

describe('two scenarios side by side', () => {
  test('are compared round by round', () => {
    // The machine slowed down in the middle, and both with it.
    const ours = withRates('ours', 200, 200, 20, 20);
    const theirs = withRates('theirs', 100, 100, 10, 10, 1);
    const [{ ratio, of, to, goal, name }] = ratiosOf([PLAN], [theirs, ours]);
    expect([of, to, goal, name]).toEqual(['ours', 'theirs', { atLeast: 1 }, PLAN.name]);
    expect(ratio?.median).toBeCloseTo(2);
    expect(ratio?.low).toBeCloseTo(2);
    expect(ratio?.pairs).toBe(4);
  });

  test('are neighbours still where one of them failed: its round has no pair', () => {
    const [{ ratio }] = ratiosOf([PLAN], [withRates('ours', null, 200, 20, 2), withRates('theirs', 1000, 100, null, 1)]);
    expect([ratio?.median, ratio?.pairs]).toEqual([expect.closeTo(2), 2]);
  });

  test('are those that nothing disturbed, unless these are less than half, or less than two', () => {
    const rates = (id: string, figures: number[], disturbed: number[]) => ({
      id,
      repetitions: figures.map((fps, round) => ({ fps, round, disturbed: disturbed.includes(round) }) as Repetition),
    });
    const theirs = rates('theirs', [10, 10, 10, 10], [1]);
    expect(ratiosOf([PLAN], [rates('ours', [20, 90, 20, 90], [3]), theirs])[0]?.ratio).toMatchObject({
      pairs: 2,
      median: expect.closeTo(2),
    });
    expect(ratiosOf([PLAN], [rates('ours', [20, 90, 90, 90], [2, 3]), theirs])[0]?.ratio).toMatchObject({
      pairs: 4,
      median: expect.closeTo(9),
    });
    // One alone has no interval.
    expect(ratiosOf([PLAN], [rates('ours', [20, 20], []), rates('theirs', [10, 10], [1])])[0]?.ratio?.pairs).toBe(2);
  });

  test('have no ratio where fewer than two pairs have figures, and no entry where one was not measured', () => {
    expect(ratiosOf([PLAN], [withRates('ours', 5, 0), withRates('theirs', 4, 4)])[0]?.ratio).toBe(null);
    expect(ratiosOf([PLAN], [withRates('ours', 5, 5)])).toEqual([]);
  });

  test.each<[PairedRatio['goal'], number, number, string]>([
    [{ atLeast: 1 }, 1, 1.2, 'met'],
    [{ atLeast: 1 }, 0.9, 1.2, 'in doubt'],
    [{ atLeast: 1 }, 0.8, 0.99, 'missed'],
    [{ atMost: 1 }, 0.8, 1, 'met'],
    [{ atMost: 1 }, 0.9, 1.2, 'in doubt'],
    [{ atMost: 1 }, 1.01, 1.2, 'missed'],
    [null, 1, 2, ''],
  ])('a goal %j with an interval from %d to %d is %j', (goal, low, high, verdict) => {
    expect(goalVerdict({ ...PLAN, goal, ratio: { median: (low + high) / 2, low, high } })).toBe(verdict);
  });

  describe('in a run', () => {
    const ours = { ...buildScenario({ path: 'copy', rateHz: null }), id: 'ours', host: 'process', sink: 'socket' as const };
    const theirs = { ...buildScenario({ path: 'copy', rateHz: null }), id: 'theirs', host: 'qemu', settings: { qemu: '7.2' } };
    ours.results = { ...ours.results, hostServiceUs: null };
    const ratio = { median: 0.0023, low: 0.002, high: 0.0031, pairs: 10, confidence: 0.95 };
    const pairs: PairedRatio[] = [
      { name: 'imported at 4K', measure: 'CPU a frame', of: 'ours', to: 'theirs', ratio, goal: { atMost: 0.02 } },
      { name: 'imported at 4K', measure: 'frames a second', of: 'ours', to: 'theirs', ratio: null, goal: { atLeast: 50 } },
    ];
    const run = { ...buildRun(), scenarios: [ours, theirs], pairs };

    test('keep to the schema; hosts are rows of one table', () => {
      expect(runDocumentError(run)).toBe(null);
      expect([ours, theirs].map(rowName)).toEqual(['copy process', 'copy QEMU 7.2']);
      expect(rowName({ ...ours, settings: { transferOnly: true } })).toBe('copy process, TRANSFER');
    });

    test('too few for any ratio have no number in the headline of a pull request', () => {
      const none = { ...run, pairs: (run.pairs ?? []).map((pair) => ({ ...pair, ratio: null })) };
      expect(renderMarkdown(none)).toContain('**Side by side**\n');
      expect(renderMarkdown(run)).toContain('**Side by side**, 10 pairs each\n');
    });

    test('are the headline of the terminal, in 80 columns', () => {
      const text = renderTerminal(run);
      expect(text).toMatch(/Side by side, 10 pairs each/);
      expect(text.match(/imported at 4K/g)).toHaveLength(1);
      expect(text).toMatch(/CPU a frame +0\.0023 \[0\.002, 0\.0031\] +≤ 0\.02 met/);
      expect(text).toMatch(/frames a second +- +≥ 50\.0 too few pairs/);
      expect(text).toMatch(/^copy QEMU 7\.2 /m);
      expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    });

    test('are in the Markdown and the HTML report', () => {
      expect(renderMarkdown(run)).toContain('| imported at 4K | CPU a frame | 0.0023 \\[0.002, 0.0031\\] | ≤ 0.02 met |');
      const page = renderHtml(run);
      expect(page).toContain('Side by side, 10 pairs each');
      expect(page).toContain('copy QEMU 7.2');
    });
  });
});
