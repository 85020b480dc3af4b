import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { dispatch } from '../../../../benchmarks/cli.ts';
import { exportRun } from '../../../../reports/export/index.ts';
import { formatRun } from '../../../../reports/index.ts';
import { buildRun } from '../../../support/run-document.ts';

const folder = mkdtempSync(join(tmpdir(), 'scanout-export-'));
const file = join(folder, 'run.json');
writeFileSync(file, formatRun(buildRun()));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function say(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const said = { code: 0, stdout: '', stderr: '' };
  said.code = await dispatch(['export', ...argv], {
    stdout: (text) => {
      said.stdout += text;
    },
    stderr: (text) => {
      said.stderr += text;
    },
    signal: new AbortController().signal,
  });
  return said;
}

describe('scanout export', () => {
  test('writes to stdout, or with --out to a file and nothing else', async () => {
    const csv = exportRun(buildRun(), 'csv');
    expect(await say(folder, '--format', 'csv')).toEqual({ code: 0, stdout: csv, stderr: '' });
    const out = join(folder, 'deep', 'run.csv');
    expect(await say(file, '--format', 'csv', '--out', out)).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(readFileSync(out, 'utf8')).toBe(csv);
    expect(readdirSync(join(folder, 'deep'))).toEqual(['run.csv']);
  });

  test('bad input is a line on stderr and exit code 2, nothing on stdout', async () => {
    const cut = join(folder, 'cut.json');
    writeFileSync(cut, formatRun(buildRun()).slice(0, 500));
    const newer = join(folder, 'newer.json');
    writeFileSync(newer, '{"schemaVersion":2}');
    const cases: [string[], RegExp][] = [
      [[], /takes one run/],
      [[file, file], /takes one run/],
      [[file], /--format is missing: csv, bmf/],
      [[file, '--format', 'xml'], /--format takes csv or bmf/],
      [[file, '--format', 'csv', '--out', ''], /--out needs the name of a file/],
      [[cut, '--format', 'csv'], /cut off before its end/],
      [[newer, '--format', 'csv'], /schemaVersion 2 is unknown/],
      [[join(folder, 'none.json'), '--format', 'csv'], /cannot be read/],
      [[file, '--format', 'csv', '--out', join(file, 'x')], /cannot be written/],
    ];
    for (const [argv, words] of cases) {
      const { code, stdout, stderr } = await say(...argv);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(words);
      expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    }
  });

  test('--help fits 80 columns', async () => {
    const { code, stdout } = await say('--help');
    expect(code).toBe(0);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });
});
