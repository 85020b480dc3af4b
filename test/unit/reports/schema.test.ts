import { describe, expect, test } from 'vitest';
import { checkRunDocument, InputError, runDocumentError } from '../../../reports/index.ts';
import schema from '../../../reports/schema/run-1.schema.json' with { type: 'json' };
import { buildRun } from '../../support/run-document.ts';

type Steps = (string | number)[];

/** Fields that a document may leave out. */
const OPTIONAL = new Set([
  'limits.jsCopyToMemcpyRatio.pairs',
  'limits.jsCopyToMemcpyRatio.confidence',
  'scenarios[0].repetitions[0].round',
]);

/** Every field of the document, of each array's first element only. */
function fieldsOf(value: unknown, steps: Steps = []): Steps[] {
  if (Array.isArray(value)) return value.length === 0 ? [] : fieldsOf(value[0], [...steps, 0]);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [[...steps, key], ...fieldsOf(inner, [...steps, key])]);
}

function holderOf(document: unknown, steps: Steps): Record<string, unknown> {
  let holder = document;
  for (const step of steps.slice(0, -1)) holder = (holder as Record<string, unknown>)[step];
  return holder as Record<string, unknown>;
}

function written(steps: Steps): string {
  return steps
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .slice(1);
}

function full(): ReturnType<typeof buildRun> {
  const run = buildRun();
  run.scenarios = run.scenarios.slice(0, 1);
  run.scenarios[0].repetitions = run.scenarios[0].repetitions.slice(0, 1);
  run.skipped = [{ id: 'copy-8k-max', reason: 'larger than the memory budget' }];
  const metrics = [run.scenarios[0].results, run.scenarios[0].repetitions[0]];
  for (const each of metrics) {
    each.onePercentLowFps = { byP99: 51, byWorstMean: 44 };
    each.fallback = { reason: 'list_limit 1024' };
    each.latencyUs.submitToResponse = { p50: 1, p90: 1, p99: 1, p999: 1, max: 1 };
  }
  return run;
}

describe('the schema of run.json', () => {
  test('accepts a whole run', () => {
    expect(runDocumentError(buildRun())).toBeNull();
    expect(runDocumentError(full())).toBeNull();
    expect(checkRunDocument(buildRun(), 'x')).toEqual(buildRun());
  });

  test('accepts fields it does not know', () => {
    const run = { ...buildRun(), later: 1 };
    expect(runDocumentError(run)).toBeNull();
  });

  const fields = fieldsOf(full());
  test('the walk below sees the document', () => {
    expect(fields.length).toBeGreaterThan(200);
  });

  test.each(fields.filter((steps) => !OPTIONAL.has(written(steps))).map((steps) => [written(steps), steps] as const))(
    'refuses a document without %s',
    (name, steps) => {
      const run = full();
      delete holderOf(run, steps)[String(steps.at(-1))];
      expect(runDocumentError(run)).toBe(`${name} is missing`);
    },
  );

  test.each(fields.map((steps) => [written(steps), steps] as const).filter(([, steps]) => !steps.includes('unavailable')))(
    'refuses a wrong type in %s',
    (name, steps) => {
      const run = full();
      const holder = holderOf(run, steps);
      const key = String(steps.at(-1));
      holder[key] = typeof holder[key] === 'boolean' ? 'yes' : true;
      const error = runDocumentError(run);
      expect(error).toContain(name);
      expect(error).not.toContain('\n');
    },
  );

  test('a figure that JSON cannot hold is refused, not written as null', () => {
    const run = full();
    run.scenarios[0].results.fps = Number.NaN;
    expect(runDocumentError(run)).toContain('scenarios[0].results.fps');
  });

  test('another version is refused by its number, before anything else', () => {
    expect(runDocumentError({ schemaVersion: 2 })).toBe('schemaVersion 2 is unknown; this version of scanout reads 1');
    expect(runDocumentError([])).toBe('not a JSON object');
    expect(() => checkRunDocument({}, 'run.json')).toThrow(InputError);
  });

  test('two scenarios of one id are refused: they could not be told apart in an export or a history', () => {
    const run = buildRun();
    const [first, second, third] = run.scenarios;
    second.id = first.id;
    expect(runDocumentError(run)).toBe(`scenarios[1].id is that of scenarios[0], ${JSON.stringify(first.id)}`);
    // Nor those that differ in what no report shows.
    second.id = 'a b';
    third.id = 'a\u0000\u001bb';
    expect(runDocumentError(run)).toMatch(/^scenarios\[2\]\.id is that of scenarios\[1\], /);
    third.id = '\u0007';
    expect(runDocumentError(run)).toMatch(/^scenarios\[2\]\.id has no character that can be shown/);
    third.id = 'x'.repeat(513);
    expect(runDocumentError(run)).toMatch(/^scenarios\[2\]\.id has more than 512 characters/);
    third.id = 'x'.repeat(512);
    expect(runDocumentError(run)).toBeNull();
  });

  test('a time that there is not is refused', () => {
    expect(runDocumentError(buildRun({ startedAt: '2026-13-01T00:00:00Z' }))).toBe('startedAt "2026-13-01T00:00:00Z" is no time');
    expect(runDocumentError(buildRun({ finishedAt: '2026-12-01T24:61:00Z' }))).toBe('finishedAt "2026-12-01T24:61:00Z" is no time');
  });

  test('settings of a scenario are words, figures and switches, and may be left out', () => {
    const run = full();
    run.scenarios[0].settings = { fences: false, scanoutUs: 500, damage: '256x256+64+64' };
    expect(runDocumentError(run)).toBeNull();
    Object.assign(run.scenarios[0].settings, { damage: null });
    expect(runDocumentError(run)).toContain('scenarios[0].settings.damage');
  });

  test('counted latencies may be left out; a count is a whole number, and every bin a time', () => {
    const run = full();
    const histogram = { binsPerDecade: 100, firstBin: -12, counts: [1, 0, 3] };
    run.scenarios[0].latencyHistograms = { submitToPresent: histogram };
    expect(runDocumentError(run)).toBeNull();
    const place = 'scenarios[0].latencyHistograms.submitToPresent';
    const broken: [object, string][] = [
      [{ counts: [1, -1] }, `${place}.counts[1]`],
      [{ counts: [0.5] }, `${place}.counts[0]`],
      [{ counts: [] }, `${place}.counts`],
      [{ binsPerDecade: 0 }, `${place}.binsPerDecade`],
      [{ firstBin: 1e9 }, `${place}.firstBin`],
    ];
    for (const [change, where] of broken) {
      run.scenarios[0].latencyHistograms = { submitToPresent: { ...histogram, ...change } };
      expect(runDocumentError(run)).toContain(`${where} `);
    }
    run.scenarios[0].latencyHistograms = {} as never;
    expect(runDocumentError(run)).toBe(`${place} is missing`);
  });

  test('an unknown path names what may stand there', () => {
    const run = full();
    (run.scenarios[0] as { path: string }).path = 'teleport';
    expect(runDocumentError(run)).toBe(
      'scenarios[0].path must be one of "vfio", "udmabuf", "readback-blob", "copy", "readback-copy", is "teleport"',
    );
  });

  test('says which JSON Schema it is written in', () => {
    expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema');
  });
});
