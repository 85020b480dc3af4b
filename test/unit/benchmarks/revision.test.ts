import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readRevision } from '../../../benchmarks/revision.ts';

let clone = '';

beforeAll(() => {
  clone = mkdtempSync(join(tmpdir(), 'scanout-revision-'));
});
afterAll(() => rmSync(clone, { recursive: true, force: true }));

function git(...argv: string[]): string {
  const identity = [
    '-c',
    'user.name=test',
    '-c',
    'user.email=test@localhost',
    '-c',
    'commit.gpgsign=false',
    '-c',
    'core.hooksPath=/dev/null',
  ];
  return execFileSync('git', [...identity, ...argv], { cwd: clone, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
}

describe('the revision that a run was made from', () => {
  it('is the commit that is checked out, and whether tracked files were changed since', async () => {
    git('init', '-q');
    expect(await readRevision(clone)).toBe(null);
    writeFileSync(join(clone, 'file'), '1');
    git('add', 'file');
    git('commit', '-q', '-m', 'one');
    const commit = git('rev-parse', 'HEAD');
    writeFileSync(join(clone, 'untracked'), '');
    expect(await readRevision(clone)).toEqual({ commit, dirty: false });
    writeFileSync(join(clone, 'file'), '2');
    expect(await readRevision(clone)).toEqual({ commit, dirty: true });
  });

  it("is unknown for a package that lies in another project's clone", async () => {
    const installed = join(clone, 'node_modules/scanout');
    mkdirSync(installed, { recursive: true });
    expect(await readRevision(installed)).toBe(null);
    expect(await readRevision(null)).toBe(null);
  });
});
