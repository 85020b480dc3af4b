import { describe, expect, it } from 'vitest';
import { listCommand } from '../../../benchmarks/commands/list.ts';
import { checkScenario } from '../../../benchmarks/scenarios.ts';
import { crossing, type Studied, seriesAlong, studyOf } from '../../../benchmarks/study.ts';
import { STUDIES } from '../../../benchmarks/suites-studies.ts';
import type { MachineOptions } from '../../../core/machine/options.ts';
import { renderMarkdown, renderTerminal, runDocumentError } from '../../../reports/index.ts';
import type { Path, Study } from '../../../reports/run-document.ts';
import { buildRun, buildScenario } from '../../support/run-document.ts';

/** Scenarios of a suite with figures given by `work`, µs of the host a frame. */
function studied(name: string, work: (options: MachineOptions) => number): Studied[] {
  return suiteOf(name)
    .scenarios()
    .map(({ id, options }) => {
      const record = buildScenario({ path: options.path as Path, width: options.width, height: options.height, rateHz: options.rateHz });
      const us = work(options);
      record.id = id;
      Object.assign(record.results, { hostServiceUs: { mean: us, p50: us, p90: us, p99: us }, fps: 1e6 / us, disturbed: false });
      record.results.guestServiceUs = { mean: 0, p50: 0, p90: 0, p99: 0 };
      return { options, record };
    });
}

function suiteOf(name: string) {
  const suite = STUDIES.find((one) => one.name === name);
  if (suite === undefined) throw new Error(`no suite ${name}`);
  return suite;
}

function answered(name: string, work: (options: MachineOptions) => number): Study {
  const { study } = suiteOf(name);
  if (study === undefined) throw new Error(`${name} asks nothing`);
  return studyOf(study, studied(name, work));
}

describe('where a series passes a level', () => {
  const series = (...values: (number | null)[]) => ({
    name: 'x',
    points: values.map((value, i) => ({ at: i * 10, label: String(i), value, scenarios: [], disturbed: false })),
  });

  it('lies on the line between two points', () => expect(crossing(series(1, 2, 4), 3)).toBe(15));
  it('leaves out points that were not measured', () => expect(crossing(series(0, null, 4), 2)).toBe(10));
  it('is said to be below or above all of them', () => {
    expect(crossing(series(1, 2), 2)).toBe('below');
    expect(crossing(series(1, 2), 0.5)).toBe('above');
  });
});

it('points of a series are in the order of the axis', () => {
  const [series] = seriesAlong([...studied('heads', () => 1)].reverse(), {
    name: () => 'all',
    at: ({ heads }) => ({ at: heads, label: String(heads) }),
    value: () => 1,
  });
  expect(series.points.map(({ at }) => at)).toEqual([1, 1, 2, 2, 4, 4, 8, 8, 16, 16]);
});

describe.each(STUDIES.map((suite) => [suite.name, suite] as const))('suite %s', (name, suite) => {
  it('asks one question, in one line of the list', async () => {
    let text = '';
    const io = { stdout: (more: string) => (text += more), stderr: () => {}, signal: new AbortController().signal };
    await listCommand.run([], io);
    const line = text.split('\n').find((each) => each.startsWith(`  ${name} `)) ?? '';
    expect(line).toContain(suite.study?.question);
    expect(line).toContain('?');
    expect(line.length).toBeLessThanOrEqual(80);
  });

  it('has scenarios that fit 12 GiB, each of which the answer uses', () => {
    const scenarios = suite.scenarios();
    for (const one of scenarios) checkScenario(one, 12 * 2 ** 30);
    const used = new Set(answered(name, () => 10).series.flatMap(({ points }) => points.flatMap((point) => point.scenarios)));
    const missing = scenarios.filter(({ id }) => !used.has(id)).map(({ id }) => id);
    // What importing saves is drawn from pairs: the imported one of each is named with the copied one.
    expect(missing).toEqual([]);
  });

  it('answers in the document, on the terminal within 80 columns, and in Markdown', () => {
    const study = answered(name, ({ width, height, path }) => (path === 'udmabuf' || path === 'vfio' ? 5 : (width * height) / 1000));
    const run = buildRun({ study });
    expect(runDocumentError(run)).toBeNull();
    expect(study.answers.length).toBeGreaterThan(0);
    const text = renderTerminal(run);
    expect(text.startsWith(study.question)).toBe(true);
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(renderMarkdown(run)).toContain(study.question);
  });

  it('says so where nothing was measured', () => {
    if (suite.study === undefined) throw new Error(`${name} asks nothing`);
    const study = studyOf(suite.study, []);
    expect(study.answers).toEqual([]);
    expect(renderTerminal(buildRun({ scenarios: [], study }))).toContain('Too little was measured');
  });
});

describe('answers', () => {
  it('damage: the rectangle whose copy costs what an import does', () => {
    const cost = ({ path, damage, width, height }: MachineOptions): number => {
      const pixels = damage === null ? width * height : damage.width * damage.height;
      return path === 'udmabuf' ? 10 : 1 + pixels / 1000;
    };
    // 10 µs of copying are 9,000 pixels: between 64x64 and 128x128.
    expect(answered('damage', cost).answers).toEqual([expect.stringContaining('up to about 9,000 pixels')]);
    expect(answered('damage', ({ path }) => (path === 'udmabuf' ? 10 : 11)).answers[0]).toContain('even the smallest rectangle');
    expect(answered('damage', ({ path }) => (path === 'udmabuf' ? 10 : 9)).answers[0]).toContain('beat importing');
  });

  it('migration: the rate of moves at which importing takes as long as reading back', () => {
    const cost = ({ path, migrateEvery }: MachineOptions): number =>
      path === 'readback-blob' ? 500 : 10 + (migrateEvery === 0 ? 0 : 980 / migrateEvery);
    // 10 + 980 / every = 500: every second frame.
    expect(answered('migration', cost).answers).toEqual([expect.stringContaining('up to about 500 moves in 1,000 frames')]);
  });

  it('buffers: names the read that halves the rate', () => {
    const study = answered('buffers', ({ path, scanoutUs }) => (path === 'udmabuf' && scanoutUs > 8000 ? 1e6 / 30 : 1e6 / 60));
    expect(study.answers).toEqual([
      'udmabuf 1buf: falls to 30.0 frames a second when the sink reads for 10 ms.',
      'udmabuf 2buf: falls to 30.0 frames a second when the sink reads for 10 ms.',
      'udmabuf 3buf: falls to 30.0 frames a second when the sink reads for 10 ms.',
      'copy 2buf: holds its rate up to reads of 14 ms.',
    ]);
  });

  it('break-even: import work over the work that a frame saves; none where nothing is saved', () => {
    const study = answered('break-even', ({ path, width }) => (path === 'udmabuf' ? 10 : width > 1000 ? 110 : 9));
    const [against] = study.series;
    expect(against.points.map(({ value }) => value === null)).toEqual([true, true, true, false, false, false]);
    expect(study.answers.join(' ')).toMatch(
      /At 4k importing has paid after .* frames against readback-blob\. At 64x64, 128x128, 256x256 it saves no work/,
    );
  });

  it('heads: host work of all scanouts against the 16.7 ms of a refresh', () => {
    expect(answered('heads', ({ path }) => (path === 'copy' ? 500 : 5)).answers[1]).toBe(
      "copy: 16 scanouts take 48.0% of the host's refresh.",
    );
  });
});
