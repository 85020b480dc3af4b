import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { formatRun, type RunDocument } from '../../reports/index.ts';
import { buildRun } from '../support/run-document.ts';

const launcher = join(import.meta.dirname, '../../bin/scanout.js');
const scratch = mkdtempSync(join(tmpdir(), 'scanout-full-'));
const at = (name: string): string => join(scratch, name);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The command line where no file may grow beyond so many KiB: a write past it fails in the middle, as on a full disk. */
function limited(
  kib: number | 'unlimited',
  ...argv: string[]
): { code: number | null; signal: string | null; stdout: string; stderr: string } {
  const { DATABASE_URL: _, SCANOUT_HISTORY: __, ...env } = process.env;
  const { status, signal, stdout, stderr } = spawnSync(
    'bash',
    ['-c', 'ulimit -f "$0"; exec "$@"', String(kib), process.execPath, launcher, ...argv],
    {
      env: { ...env, NODE_OPTIONS: '' },
      encoding: 'utf8',
    },
  );
  return { code: status, signal, stdout, stderr };
}

function written(day: number): string {
  const run: RunDocument = buildRun({ startedAt: new Date(Date.UTC(2026, 0, day)).toISOString() });
  const path = at(`run-${day}.json`);
  writeFileSync(path, formatRun(run));
  return path;
}

const size = (path: string): number => Math.ceil(statSync(path).size / 1024);
/** Of stderr the last line, after what is being done. */
const lastLine = (stderr: string): string => stderr.trimEnd().split('\n').at(-1) ?? '';

describe('where a file can grow no more', () => {
  it('an export is a line, exit code 2, and leaves the old file', () => {
    const run = written(1);
    const out = at('run.csv');
    writeFileSync(out, 'old');
    const { code, stdout, stderr } = limited(4, 'export', run, '--format', 'csv', '--out', out);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^scanout export: .*run\.csv: cannot be written: EFBIG: file too large\n$/);
    expect(readFileSync(out, 'utf8')).toBe('old');
    expect(readdirSync(scratch).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('an import whose document has no room writes nothing of it', () => {
    const folder = at('documents');
    expect(limited('unlimited', 'history', 'import', '--history', folder, written(1)).code).toBe(0);
    const { code, stdout, stderr } = limited(16, 'history', 'import', '--history', folder, written(2));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(lastLine(stderr)).toMatch(/^scanout history: .*\.json: cannot be written: EFBIG: file too large; no run was added$/);
    expect(readdirSync(join(folder, 'runs'))).toHaveLength(1);
    expect(limited('unlimited', 'history', '--history', folder).code).toBe(0);
  });

  it('an index without room keeps the document, says so, and has it at the next opening', () => {
    const folder = at('index');
    const days = [1, 2, 3, 4, 5, 6, 7, 8].map(written);
    expect(limited('unlimited', 'history', 'import', '--history', folder, ...days).code).toBe(0);
    const [document, index] = [size(days[0]), size(join(folder, 'index.sqlite'))];
    // Else the document would not fit, either.
    expect(index).toBeGreaterThan(document + 16);
    const { code, stdout, stderr } = limited(document + 8, 'history', 'import', '--history', folder, written(9));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(lastLine(stderr)).toMatch(/^scanout history: .*index\.sqlite: (?:full|cannot be read or written): .*nothing is lost/);
    const { stdout: json } = limited('unlimited', 'history', '--history', folder, '--json');
    expect(JSON.parse(json).trends[0].runs).toHaveLength(9);
    expect(existsSync(join(folder, 'index.sqlite-journal'))).toBe(false);
  });
});
