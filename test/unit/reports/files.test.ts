import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkWritable, formatRun, InputError, parseRun, readRun, writeFileAtomically, writeReports } from '../../../reports/index.ts';
import { buildRun, withTraces } from '../../support/run-document.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scanout-reports-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('writing', () => {
  test('a run comes back as it was written, from its file and from its folder', () => {
    const paths = writeReports(buildRun(), join(folder, 'a', 'b'));
    expect(readRun(paths.json)).toEqual(buildRun());
    expect(readRun(join(folder, 'a', 'b'))).toEqual(buildRun());
    expect(readdirSync(join(folder, 'a', 'b')).sort()).toEqual(['report.html', 'report.md', 'run.json']);
  });

  test('lists of numbers take one line each, and nothing else changes', () => {
    const run = withTraces(buildRun({ command: '[\n1,\n2]', partialReason: '[ 1, 2 ]' }), 3);
    const text = formatRun(run);
    expect(text).toContain('"atMs": [16.666666666666668, 33.333333333333336, 50]');
    expect(JSON.parse(text)).toEqual(run);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a document that breaks the schema writes nothing', () => {
    const run = buildRun();
    run.scenarios[0].results.fps = Number.NaN;
    expect(() => writeReports(run, join(folder, 'out'))).toThrow(InputError);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a write that fails leaves the old file and no temporary one', () => {
    // The name is taken by a folder: the rename fails after the temporary file is written.
    mkdirSync(join(folder, 'run.json', 'x'), { recursive: true });
    expect(() => writeFileAtomically(join(folder, 'run.json'), 'new')).toThrow(InputError);
    expect(readdirSync(folder)).toEqual(['run.json']);
    expect(readdirSync(join(folder, 'run.json'))).toEqual(['x']);
  });

  test('an old file is replaced as a whole', () => {
    writeFileSync(join(folder, 'f'), 'a longer old text');
    writeFileAtomically(join(folder, 'f'), 'µ');
    expect(readFileSync(join(folder, 'f'), 'utf8')).toBe('µ');
  });

  test('a folder that cannot be written is known before the run, in one line', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => checkWritable(join(folder, 'file', 'out'))).toThrow(/^.*file\/out: cannot be written: [^\n]+$/);
    checkWritable(join(folder, 'new', 'out'));
    expect(readdirSync(join(folder, 'new', 'out'))).toEqual([]);
  });
});

describe('reading', () => {
  test('a file cut off anywhere is refused as cut off', () => {
    const text = formatRun(buildRun()).trimEnd();
    for (let length = 1; length < text.length; length += 997) {
      expect(() => parseRun(text.slice(0, length), 'run.json')).toThrow('run.json: not JSON: it is cut off before its end');
    }
    expect(() => parseRun('', 'run.json')).toThrow('run.json: not JSON: it is empty');
  });

  test('what is not JSON, not an object, or of another version is refused with its name', () => {
    expect(() => parseRun('{"a": x}', 'f.json')).toThrow(/^f\.json: not JSON: /);
    expect(() => parseRun('[1]', 'f.json')).toThrow('f.json: not a run document: not a JSON object');
    expect(() => parseRun('{"schemaVersion": 99}', 'f.json')).toThrow('schemaVersion 99 is unknown');
  });

  test('a missing file is one line with its name', () => {
    const path = join(folder, 'none.json');
    expect(() => readRun(path)).toThrow(`${path}: cannot be read: ENOENT: no such file or directory`);
    expect(() => readRun(path)).toThrow(InputError);
  });
});
