import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { exportRun } from '../../../../reports/export/index.ts';
import { MEASURES } from '../../../../reports/export/measures.ts';
import { plain } from '../../../../reports/format.ts';
import { renderMarkdown } from '../../../../reports/index.ts';
import type { RunDocument } from '../../../../reports/run-document.ts';
import { encodeMetrics } from '../../../support/encode-metrics.ts';
import { glassMetrics } from '../../../support/glass-metrics.ts';
import { buildRun, buildScenario } from '../../../support/run-document.ts';
import { type Element, parseXml } from './xml.ts';

const EVIL = '"\'><&]]>\u0007\u2028\ud800\uffff,=cmd\r\nnext';

/** A scenario whose frames were encoded and shown by a browser, and one of neither. */
function watched(): RunDocument {
  const [one, other] = (['udmabuf', 'copy'] as const).map((path) => buildScenario({ path }));
  one.encoder = { name: 'libx264, ultrafast', devices: [], maxRefreshHz: null, toAlone: { median: 0.94, low: 0.9, high: 0.97 } };
  one.settings = { browser: 'Chromium 140' };
  for (const metrics of [one.results, ...one.repetitions]) Object.assign(metrics, { encode: encodeMetrics(), glass: glassMetrics() });
  return buildRun({ scenarios: [one, other] });
}

describe('Bencher Metric Format', () => {
  // https://bencher.dev/bmf.json (draft-07), as published.
  const schema = {
    type: 'object',
    patternProperties: {
      '.+': {
        type: 'object',
        patternProperties: {
          '.+': {
            type: 'object',
            properties: { value: { type: 'number' }, lower_value: { type: 'number' }, upper_value: { type: 'number' } },
            required: ['value'],
          },
        },
      },
    },
  };
  const parsed = (run = buildRun()): Record<string, Record<string, { value: number; lower_value?: number; upper_value?: number }>> =>
    JSON.parse(exportRun(run, 'bmf'));

  test('keeps to its schema, a benchmark a scenario', () => {
    expect(new Ajv().validate(schema, parsed())).toBe(true);
    expect(Object.keys(parsed())).toEqual(buildRun().scenarios.map(({ id }) => id));
  });

  test('names stay inside its bounds: 1024 characters of a benchmark, 64 of a measure', () => {
    for (const { slug } of MEASURES) expect(slug).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
    for (const { slug } of MEASURES) expect(slug.length).toBeLessThanOrEqual(64);
    for (const id of Object.keys(parsed())) expect(id.length).toBeLessThanOrEqual(1024);
  });

  test('bounds hold the value, and are left out where fewer than two repetitions are to be believed', () => {
    for (const benchmark of Object.values(parsed())) {
      for (const { value, lower_value = Number.NaN, upper_value = Number.NaN } of Object.values(benchmark)) {
        expect(lower_value).toBeLessThanOrEqual(value);
        expect(upper_value).toBeGreaterThanOrEqual(value);
      }
    }
    const scenario = buildScenario({ path: 'copy' });
    for (const repetition of scenario.repetitions.slice(1)) repetition.disturbed = true;
    for (const metric of Object.values(parsed(buildRun({ scenarios: [scenario] }))[scenario.id]))
      expect(Object.keys(metric)).toEqual(['value']);
  });

  test('has what an encoder and a browser did, smaller is better there too', () => {
    const run = parsed(watched());
    const value = (slug: string): number | undefined => run['udmabuf-2160p-60hz'][slug]?.value;
    expect(value('encoded-interval')).toBeCloseTo(1e6 / 98.5, 6);
    expect(value('encoded-interval-to-alone')).toBeCloseTo(104 / 98.5, 6);
    expect([value('encode-conversion-cpu'), value('encode-encoding-cpu'), value('encode-gather-cpu')]).toEqual([3200, 5100, 0]);
    expect([value('submit-to-packet-p50'), value('submit-to-packet-p99'), value('buffer-held-p50')]).toEqual([9000, 12_000, 3300]);
    expect([value('glass-to-glass-p50'), value('glass-to-glass-p99')]).toEqual([47_200, 71_900]);
    expect([value('frames-superseded'), value('frames-not-sent')]).toEqual([0, 3]);
    expect(value('shown-interval')).toBeCloseTo(1e6 / 29.6, 6);
    expect(Object.keys(run['copy-2160p-60hz']).join()).not.toMatch(/encode|glass|packet|shown|not-sent/);
  });

  test('a figure that a path does not have is left out, not 0', () => {
    const run = parsed();
    expect(run['copy-2160p-60hz']).not.toHaveProperty('import');
    expect(run['copy-2160p-60hz']).not.toHaveProperty('submit-to-fence-p50');
    expect(run['udmabuf-2160p-60hz']).toHaveProperty('import');
  });
});

describe('github-action-benchmark', () => {
  // benchmark-action/github-action-benchmark, src/extract.ts: BenchmarkResult, and what its custom tools read.
  const schema = {
    type: 'array',
    items: {
      type: 'object',
      required: ['name', 'unit', 'value'],
      additionalProperties: false,
      properties: {
        name: { type: 'string', minLength: 1 },
        unit: { type: 'string', minLength: 1 },
        value: { type: 'number' },
        range: { type: 'string', pattern: '^± [0-9.e-]+$' },
        extra: { type: 'string' },
      },
    },
  };

  test('keeps to the form of its custom tools, each name once', () => {
    const entries = JSON.parse(exportRun(buildRun(), 'github-action-benchmark')) as { name: string }[];
    expect(new Ajv().validate(schema, entries)).toBe(true);
    expect(new Set(entries.map(({ name }) => name)).size).toBe(entries.length);
    expect(entries.length).toBeGreaterThan(buildRun().scenarios.length * 8);
  });

  test('says what is disturbed', () => {
    const run = buildRun();
    run.scenarios[0].results.disturbed = true;
    const entries = JSON.parse(exportRun(run, 'github-action-benchmark')) as { name: string; extra: string }[];
    for (const { name, extra } of entries) expect(extra.includes('disturbed')).toBe(name.startsWith(`${run.scenarios[0].id} `));
  });
});

describe('JUnit', () => {
  // jenkinsci/xunit-plugin, types/model/xsd/junit-10.xsd: elements with their attributes (required ones first) and children.
  const FORM: Record<string, { required: string[]; optional: string[]; children: string[] }> = {
    testsuites: { required: [], optional: ['name', 'time', 'tests', 'failures', 'errors'], children: ['testsuite'] },
    testsuite: {
      required: ['name', 'tests', 'failures', 'errors'],
      optional: ['group', 'time', 'skipped', 'timestamp', 'hostname', 'id', 'package', 'file', 'log', 'url'],
      children: ['testsuite', 'properties', 'testcase', 'system-out', 'system-err'],
    },
    properties: { required: [], optional: [], children: ['property'] },
    property: { required: ['name', 'value'], optional: [], children: [] },
    testcase: {
      required: ['name'],
      optional: ['time', 'classname', 'group'],
      children: ['skipped', 'error', 'failure', 'system-out', 'system-err'],
    },
    failure: { required: [], optional: ['type', 'message'], children: [] },
    skipped: { required: [], optional: ['type', 'message'], children: [] },
    'system-out': { required: [], optional: [], children: [] },
  };
  // SUREFIRE_TIME
  const TIME = /^(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?$/;

  function holds(element: Element): void {
    const form = FORM[element.name];
    expect(form, element.name).toBeDefined();
    const names = Object.keys(element.attributes);
    for (const name of form.required) expect(names, element.name).toContain(name);
    for (const name of names) expect([...form.required, ...form.optional], element.name).toContain(name);
    if (element.name.startsWith('testsuite')) expect(element.attributes['time']).toMatch(TIME);
    // Only these are mixed or of text.
    if (!['failure', 'skipped', 'system-out'].includes(element.name)) expect(element.text.trim()).toBe('');
    for (const child of element.children) {
      expect(form.children, element.name).toContain(child.name);
      holds(child);
    }
  }

  const run = buildRun({
    checks: [
      { name: 'a', status: 'pass', detail: 'fine' },
      { name: 'b', status: 'fail', detail: '1 > 0' },
      { name: 'c', status: 'inconclusive', detail: EVIL },
      { name: 'no vblank is missed', status: 'inconclusive', detail: 'too few frames' },
    ],
    skipped: [{ id: 'copy-8k-max', reason: 'larger than the memory budget' }],
    command: EVIL,
  });

  test('keeps to junit-10.xsd', () => {
    holds(parseXml(exportRun(run, 'junit')));
    holds(parseXml(exportRun(buildRun({ checks: [], suite: EVIL }), 'junit')));
  });

  test('counts are those of the cases: what makes the run invalid fails; what is only inconclusive, and a scenario that did not run, is skipped', () => {
    const [suite] = parseXml(exportRun(run, 'junit')).children;
    const cases = suite.children.filter(({ name }) => name === 'testcase');
    expect(cases.map(({ attributes, children }) => `${attributes['name']}: ${children[0].name}`)).toEqual([
      'a: system-out',
      'b: failure',
      'c: skipped',
      'no vblank is missed: failure',
      'copy-8k-max runs: skipped',
    ]);
    expect(suite.attributes).toMatchObject({ tests: '5', failures: '2', errors: '0', skipped: '2', time: '79.000' });
  });

  test('says which encoder and which browser, where there was one', () => {
    const properties = (of: RunDocument): (string | undefined)[] =>
      parseXml(exportRun(of, 'junit'))
        .children[0].children.filter(({ name }) => name === 'properties')
        .flatMap(({ children }) => children.map(({ attributes }) => `${attributes['name']}: ${attributes['value']}`));
    expect(properties(watched())).toEqual(expect.arrayContaining(['encoder: libx264, ultrafast', 'browser: Chromium 140']));
    expect(properties(buildRun()).join()).not.toMatch(/encoder|browser/);
    holds(parseXml(exportRun(watched(), 'junit')));
  });

  test('text from elsewhere stays text, without characters that XML has not', () => {
    const [suite] = parseXml(exportRun(run, 'junit')).children;
    const told = suite.children.find(({ attributes }) => attributes['name'] === 'c')?.children[0].attributes['message'];
    expect(told).toBe('"\'><&]]> \ufffd\ufffd,=cmd next');
  });
});

describe('CSV', () => {
  /** RFC 4180 §2, strictly: CRLF after every record, quotes doubled inside quotes. */
  function parseCsv(text: string): string[][] {
    const rows: string[][] = [];
    let row: string[] = [];
    for (const [whole, quoted, bare, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
      expect(whole.length).toBeGreaterThan(0);
      row.push(quoted === undefined ? bare : quoted.replaceAll('""', '"'));
      if (end === '\r\n') {
        rows.push(row);
        row = [];
      }
    }
    return rows;
  }

  test('each record has as many fields as the header, and a row stands for each result and repetition', () => {
    const run = buildRun();
    const [head, ...rows] = parseCsv(exportRun(run, 'csv'));
    for (const row of rows) expect(row).toHaveLength(head.length);
    expect(rows).toHaveLength(run.scenarios.reduce((sum, { repetitions }) => sum + 1 + repetitions.length, 0));
    expect(new Set(head).size).toBe(head.length);
    const cell = (row: number, name: string): string => rows[row][head.indexOf(name)];
    expect(cell(0, 'row')).toBe('results');
    expect(cell(1, 'row')).toBe('timed');
    expect(Number(cell(0, 'latencyUs.submitToPresent.p50'))).toBe(run.scenarios[0].results.latencyUs.submitToPresent?.p50);
    expect(cell(0, 'latencyUs.submitToResponse.p50')).toBe('');
    expect(cell(0, 'rateHz')).toBe('60');
  });

  test('has what an encoder and a browser did; what is of all repetitions together is in the row of the results', () => {
    const [head, results, repetition, ...rest] = parseCsv(exportRun(watched(), 'csv'));
    const cells = (row: readonly string[], ...names: string[]): string[] => names.map((name) => row[head.indexOf(name)]);
    expect(cells(results, 'encode.fps', 'encode.submitToPacketUs.p99', 'encode.bytesCopied.gather', 'glass.p50Us')).toEqual([
      '98.5',
      '12000',
      '0',
      '47200',
    ]);
    const alone = ['encoder.name', 'encoder.toAlone.median', 'encoder.toAlone.high'];
    expect(cells(results, ...alone)).toEqual(['libx264, ultrafast', '0.94', '0.97']);
    expect(cells(repetition, 'encode.fps', ...alone)).toEqual(['98.5', '', '', '']);
    for (const row of rest) expect(row).toHaveLength(head.length);
    expect(head).not.toContain('encoder.toAlone');
  });

  test('text from elsewhere is one field and no formula', () => {
    const scenario = buildScenario({ path: 'copy' });
    const [first, second] = scenario.repetitions;
    first.disturbedReason = 'one, "two"';
    second.disturbedReason = '=1+1';
    const [head, ...rows] = parseCsv(exportRun(buildRun({ scenarios: [scenario] }), 'csv'));
    expect(rows.map((row) => row[head.indexOf('disturbedReason')]).slice(1, 3)).toEqual(['one, "two"', "'=1+1"]);
  });
});

describe('a document that means no good', () => {
  test('names become names in JSON, whatever they are, each its own', () => {
    const ids = ['__proto__', 'constructor', '1', EVIL];
    const run = buildRun({ scenarios: ids.map((id) => ({ ...buildScenario({ path: 'copy' }), id })) });
    const bmf = JSON.parse(exportRun(run, 'bmf')) as object;
    expect(Object.keys(bmf).sort()).toEqual(ids.map(plain).sort());
    for (const format of ['bmf', 'github-action-benchmark'] as const) expect(exportRun(run, format)).not.toMatch(/\\u/);
    const entries = JSON.parse(exportRun(run, 'github-action-benchmark')) as { name: string }[];
    expect(new Set(entries.map(({ name }) => name)).size).toBe(entries.length);
  });

  test('a figure that JSON has no number for is left out', () => {
    const scenario = buildScenario({ path: 'copy' });
    scenario.results.fps = 5e-324;
    for (const repetition of scenario.repetitions) repetition.fps = 5e-324;
    const run = buildRun({ scenarios: [scenario] });
    expect(JSON.parse(exportRun(run, 'bmf'))[scenario.id]).not.toHaveProperty('frame-interval');
    expect(exportRun(run, 'github-action-benchmark')).not.toMatch(/frame-interval|null|Infinity|NaN/);
    scenario.results.fps = 60;
    expect(JSON.parse(exportRun(run, 'bmf'))[scenario.id]['frame-interval']).toEqual({ value: 1e6 / 60 });
  });

  test('a field that takes the name of a key does not take its place in CSV, nor has a formula for a name', () => {
    const scenario = buildScenario({ path: 'copy' });
    Object.assign(scenario.results, { id: 'another', row: 'timed', '=cmd|x': 1, '@sum': '+1', 'a\r\nb,c"d': '\t=1' });
    const [head, results] = exportRun(buildRun({ scenarios: [scenario] }), 'csv').split('\r\n');
    expect(results.startsWith(`${scenario.id},copy,`)).toBe(true);
    expect(results).toContain(',results,');
    expect(head).toMatch(/,'=cmd\|x,'@sum,"a b,c""d",/);
    expect(results).toMatch(/,1,'\+1,'=1,/);
  });

  test('Markdown ends, whatever the command is made of', () => {
    const text = exportRun(buildRun({ command: '` '.repeat(300_000) }), 'markdown');
    expect(text).toContain('\n```sh\n` `');
  });
});

describe('every export', () => {
  test('of an empty run has a form still; Markdown is the report', () => {
    const empty = buildRun({ scenarios: [], checks: [] });
    expect(JSON.parse(exportRun(empty, 'bmf'))).toEqual({});
    expect(JSON.parse(exportRun(empty, 'github-action-benchmark'))).toEqual([]);
    expect(exportRun(empty, 'csv')).toBe('\r\n');
    expect(exportRun(buildRun(), 'markdown')).toBe(renderMarkdown(buildRun()));
  });
});
