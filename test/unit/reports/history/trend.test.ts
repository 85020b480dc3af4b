import { describe, expect, it } from 'vitest';
import { renderHistoryPage } from '../../../../reports/history/page.ts';
import { plotTrend } from '../../../../reports/history/plot.ts';
import { indexRun } from '../../../../reports/history/run-index.ts';
import type { Observation } from '../../../../reports/history/store.ts';
import { renderHistory } from '../../../../reports/history/terminal.ts';
import { historyDocument, type Trend } from '../../../../reports/history/trend.ts';
import { unitOf } from '../../../../reports/history/unit.ts';
import { buildRun } from '../../../support/run-document.ts';

const ENVIRONMENTS = ['aaaaaaaa', 'bbbbbbbb'].map((id, i) => ({
  id,
  cpu: 'AMD EPYC',
  cores: 2,
  kernel: `Linux 6.1${i}`,
  node: '26.10.0',
  v8: '14.4',
}));
const commit = (at: number): string => String(at).padStart(40, '0').replace(/^0/, 'c');

/** Runs one a day, with values of a little noise. */
function observed(levels: readonly number[], more: Partial<Observation> = {}): Observation[] {
  return levels.map((level, at) => ({
    run: `run-${at}`,
    startedAt: new Date(Date.UTC(2026, 0, 1 + at)).toISOString(),
    commit: commit(at),
    dirty: false,
    environment: 'aaaaaaaa',
    scenario: 'udmabuf-4k-60hz',
    options: 'latch sink',
    excluded: null,
    value: level * (1 + 0.01 * Math.sin(at * 2.4)),
    ...more,
  }));
}

const step = (before: number, after: number): number[] => [...new Array<number>(12).fill(before), ...new Array<number>(8).fill(after)];
const trendsOf = (observations: readonly Observation[], metric = 'hostServiceUs.p50', magnitude?: number): readonly Trend[] =>
  historyDocument(observations, ENVIRONMENTS, 'index', { metric, ...(magnitude === undefined ? {} : { magnitude }) }).trends;

describe('trends', () => {
  it('a change names the first commit after it and the last before it', () => {
    const [{ changes }] = trendsOf(observed(step(100, 120)));
    expect(changes).toHaveLength(1);
    expect(changes[0]).toMatchObject({ at: 12, verdict: 'regressed', commit: commit(12), previousCommit: commit(11) });
    expect(changes[0].ratio).toBeCloseTo(1.2, 1);
    expect(changes[0].startedAt).toBe('2026-01-13T00:00:00.000Z');
  });

  it('a rise of a rate has improved, a rise of a time has regressed', () => {
    expect(trendsOf(observed(step(100, 120)), 'fps')[0].changes[0].verdict).toBe('improved');
    expect(trendsOf(observed(step(120, 100)), 'fps')[0].changes[0].verdict).toBe('regressed');
    expect(trendsOf(observed(step(120, 100)))[0].changes[0].verdict).toBe('improved');
  });

  it('runs compare within one environment and one set of options only', () => {
    const before = observed(new Array<number>(10).fill(100));
    const after = observed(new Array<number>(10).fill(130), { environment: 'bbbbbbbb' });
    const other = observed(new Array<number>(10).fill(160), { options: 'verify sink' });
    const trends = trendsOf([...before, ...after, ...other]);
    expect(trends.map(({ environment, options, runs, changes }) => [environment, options, runs.length, changes.length])).toEqual([
      ['aaaaaaaa', 'latch sink', 10, 0],
      ['aaaaaaaa', 'verify sink', 10, 0],
      ['bbbbbbbb', 'latch sink', 10, 0],
    ]);
  });

  it('a run that was left out is shown and decides nothing; a change is placed among all runs', () => {
    const runs = observed(step(100, 120));
    for (const at of [3, 4, 5]) runs[at] = { ...runs[at], value: 500, excluded: 'disturbed' };
    const [trend] = trendsOf(runs);
    expect(trend.runs).toHaveLength(20);
    expect(trend.changes.map(({ at, previousCommit }) => [at, previousCommit])).toEqual([[12, commit(11)]]);
    expect(trend.changes[0].before).toBeLessThan(102);
  });

  it('a smaller change than asked for is left out; one from 0 has no ratio', () => {
    expect(trendsOf(observed(step(100, 120)), 'hostServiceUs.p50', 0.3)[0].changes).toEqual([]);
    expect(trendsOf(observed(step(0, 1)), 'copiesPerFrame')[0].changes[0]).toMatchObject({ before: 0, ratio: null });
  });

  it('a run whose check failed, and a disturbed scenario, are left out of the index of what is to be believed', () => {
    const run = buildRun();
    run.scenarios[0].results.disturbed = true;
    const reasons = (): (string | null)[] => indexRun(run, 'run.json').scenarios.map(({ excluded }) => excluded);
    expect(reasons()).toEqual(['disturbed', ...new Array<null>(19).fill(null)]);
    run.checks = [{ name: 'vfio tears no frame', status: 'fail', detail: '1 torn' }];
    expect(new Set(reasons())).toEqual(new Set(['the run is invalid: vfio tears no frame']));
  });

  it("a run's environment is its CPU, cores, kernel, Node and V8, nothing else", () => {
    const id = (change: object): string =>
      indexRun(buildRun({ environment: { ...buildRun().environment, ...change } }), 'run.json').environment.id;
    for (const change of [{ cpu: 'x' }, { cores: 3 }, { kernel: 'Linux 7' }, { node: '27' }, { v8: '15' }])
      expect(id(change)).not.toBe(id({}));
    for (const change of [{ loadAverage: [9, 9, 9] }, { copier: 'typed-array-set' }, { stealPercent: 5 }]) expect(id(change)).toBe(id({}));
  });
});

describe('a history in the terminal', () => {
  const long = 'readback-blob-7680x4320-59.94hz-4k-16buf-16heads-display-paint-damage1024x1024-in-order-packed';
  const cases: [name: string, observations: Observation[]][] = [
    ['one trend', observed(step(100, 120))],
    ['one run', observed([100])],
    ['a thousand runs', observed([...new Array<number>(600).fill(100), ...new Array<number>(400).fill(120)])],
    ['a long name', observed(step(1e9, 1e12), { scenario: long, options: 'x'.repeat(300) })],
    ['many trends', [1, 2, 3, 4, 5, 6].flatMap((i) => observed(step(100, 100 + 20 * i), { scenario: i === 6 ? long : `s${i}` }))],
    ['left out', observed(step(100, 120), { excluded: 'the run is invalid: \u001b[31mred' })],
  ];

  it.each(cases)('%s fits 80 columns, with no control character', (_name, observations) => {
    const text = renderHistory(historyDocument(observations, ENVIRONMENTS, 'index', { metric: 'hostServiceUs.p50' }));
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
    expect(text).toMatch(/^hostServiceUs\.p50 \(lower is better\): (no change|too few runs to judge|\d+ of \d+ trends? changed)\.\n/);
  });

  it('is not said to be without a change where too few runs count for one', () => {
    const said = (observations: Observation[]): string =>
      renderHistory(historyDocument(observations, ENVIRONMENTS, 'index', { metric: 'hostServiceUs.p50' }));
    for (const few of [observed([100, 100, 100]), observed(step(100, 120), { excluded: 'disturbed' })]) {
      expect(said(few)).not.toContain('no change');
      expect(said(few)).toMatch(/^hostServiceUs\.p50 \(lower is better\): too few runs to judge\.\n/);
    }
    expect(said(observed([100, 100, 100]))).toContain('too few runs to judge: 3 counted, a change takes two on each side');
    expect(said(observed([100, 100, 100, 100]))).toMatch(/: no change\.\n/);
  });

  it('names the change, its size, its time and its commits', () => {
    const text = renderHistory(historyDocument(observed(step(100, 120)), ENVIRONMENTS, 'index', { metric: 'hostServiceUs.p50' }));
    expect(text).toMatch(/▲ regressed \+\d+\.\d%: \d+ → \d+ since 2026-01-13 00:00 \(p < 1e-6\)/);
    expect(text).toContain(`near ${commit(12).slice(0, 8)}, after ${commit(11).slice(0, 8)}; 8 runs since`);
  });

  it('draws noise far below the smallest change small, one value alone in the middle, and zeros on the axis', () => {
    const rows = (values: readonly number[]): number[] => {
      const plot = plotTrend(trendsOf(observed(values))[0], 80, 0.05);
      return plot.flatMap((line, y) => (line.includes('*') ? [y] : []));
    };
    expect(rows(new Array<number>(20).fill(100))).toEqual([3, 4, 5]);
    expect(rows([100])).toEqual([4]);
    expect(rows([0])).toEqual([8]);
  });

  it('draws a mark for each run, the levels, and a line where it changed', () => {
    const runs = observed(step(100, 200));
    runs[2] = { ...runs[2], excluded: 'disturbed', value: 150 };
    const plot = plotTrend(trendsOf(runs)[0], 80, 0.05).join('\n');
    expect(plot.match(/\*/g)).toHaveLength(19);
    expect(plot.match(/o/g)).toHaveLength(1);
    expect(plot).toContain('-');
  });
});

describe("a history's page", () => {
  it('names the unit of its figures, in the words above and at each axis', () => {
    const page = (metric: string): string => renderHistoryPage(historyDocument(observed([5, 5, 5]), ENVIRONMENTS, 'index', { metric }));
    expect(page('latencyUs.submitToPresent.p99')).toContain('<p class="soft">In µs. Lower is better.');
    expect(page('latencyUs.submitToPresent.p99')).toMatch(/<text class="axis"[^>]*>µs</);
    expect(page('segments')).toContain('<p class="soft">Lower is better.');
  });

  it.each([
    ['hostServiceUs.p50', 'µs'],
    ['guestCpuUsPerFrame', 'µs'],
    ['importUs.count', ''],
    ['fps', 'a second'],
    ['encode.fps', 'a second'],
    ['encode.aloneFps', 'a second'],
    ['glass.p50Us', 'µs'],
    ['onePercentLowFps.byP99', 'a second'],
    ['bytesCopiedPerFrame', 'bytes a frame'],
    ['allocatedBytesPerFrame.host', 'bytes a frame'],
    ['bytesCopiedByStage.readback', 'bytes'],
    ['transferGBps', 'GB/s'],
    ['hostRunQueueWaitPercent', '%'],
    ['spinShare.guest', 'of the time'],
    ['gcCount.host', ''],
  ])('%s is counted in %j', (metric, unit) => {
    expect(unitOf(metric)).toBe(unit);
  });

  it('escapes what comes from documents', () => {
    const observations = observed(step(100, 120), { scenario: '<script>alert(1)</script>', options: '"><img src=x>', commit: null });
    const page = renderHistoryPage(historyDocument(observations, ENVIRONMENTS, 'index', { metric: 'fps' }));
    expect(page).not.toContain('<script');
    expect(page).not.toContain('<img');
    expect(page).toContain('&lt;script&gt;');
  });

  it('has a mark for each run, a triangle for each change, and all values in a table', () => {
    const page = renderHistoryPage(historyDocument(observed(step(100, 120)), ENVIRONMENTS, 'index', { metric: 'fps' }));
    expect(page.match(/class="mark /g)).toHaveLength(20);
    expect(page.match(/class="way /g)).toHaveLength(1);
    expect(page.match(/<tr><th scope="row">2026-01-\d\d 00:00<\/th><td class="name">[0-9c]{8}/g)).toHaveLength(20);
  });
});
