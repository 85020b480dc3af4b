import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Checkout, checkOut } from '../../../../benchmarks/compare/checkout.ts';
import { runProgram, tellingLine } from '../../../../benchmarks/compare/process.ts';
import { InputError } from '../../../../reports/index.ts';

const here = process.cwd();
const going = new AbortController().signal;
let scratch: string;
let repository: string;
let places = 0;

const git = (...args: string[]): string => execFileSync('git', args, { stdio: 'pipe', encoding: 'utf8' }).trim();
const commit = (words: string): string => git('-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-q', '--no-gpg-sign', '-m', words);
const check = (name: string): Promise<Checkout> => checkOut(name, join(scratch, `place ${places++}`), going, () => {});

beforeAll(() => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), 'scanout checkout-')));
  repository = join(scratch, 'a repository');
  mkdirSync(join(repository, 'bin'), { recursive: true });
  mkdirSync(join(repository, 'node_modules'));
  process.chdir(repository);
  git('init', '-q');
  writeFileSync('.gitignore', 'node_modules\n');
  writeFileSync('readme', 'old');
  git('add', '.');
  commit('without the program');
  writeFileSync('bin/scanout.js', '// first');
  writeFileSync('package-lock.json', '{}');
  git('add', '.');
  commit('first');
  writeFileSync('bin/scanout.js', '// second');
  git('add', '.');
  commit('second');
});
afterEach(() => process.chdir(repository));
afterAll(() => {
  process.chdir(here);
  rmSync(scratch, { recursive: true, force: true });
});

describe('a revision', () => {
  it('is unpacked with the packages at hand, from any folder of a repository whose path has spaces', async () => {
    process.chdir(join(repository, 'bin'));
    const { root, label } = await check('HEAD~1');
    expect(readFileSync(join(root, 'bin/scanout.js'), 'utf8')).toBe('// first');
    expect(realpathSync(join(root, 'node_modules'))).toBe(join(repository, 'node_modules'));
    expect(label).toMatch(/^HEAD~1 \([0-9a-f]{12}\)$/);
  });

  it('of the changes at hand says that they are not measured, and touches nothing', async () => {
    expect((await check('HEAD')).warning).toBeUndefined();
    writeFileSync('readme', 'new');
    // Not changed, but git has to look: it would write down that it did.
    writeFileSync('bin/scanout.js', '// second');
    const index = readFileSync('.git/index');
    expect((await check('HEAD')).warning).toMatch(
      /^HEAD \([0-9a-f]{12}\) is what is committed: changes in the working tree are not measured$/,
    );
    expect((await check('HEAD~1')).warning).toBeUndefined();
    expect(readFileSync('.git/index')).toEqual(index);
    expect(git('status', '--porcelain')).toBe('M readme');
    git('checkout', '-q', 'readme');
  });

  it('without the program, or that there is not, is refused in words that help', async () => {
    await expect(check('HEAD~2')).rejects.toThrow(/HEAD~2 \([0-9a-f]{12}\): cannot be unpacked: it has no bin\/scanout\.js/);
    await expect(check('HEAD~7')).rejects.toThrow(/HEAD~7: neither a directory nor a revision of the git repository here$/);
    await expect(check('node_modules')).rejects.toThrow(/a branch of that name is heads\/node_modules/);
  });

  it('that a shallow clone has not is refused with what brings it', async () => {
    git('clone', '-q', '--depth', '1', `file://${repository}`, join(scratch, 'shallow'));
    process.chdir(join(scratch, 'shallow'));
    await expect(check('HEAD~1')).rejects.toThrow(InputError);
    await expect(check('HEAD~1')).rejects.toThrow(/this clone is shallow: git fetch --unshallow/);
  });

  it('outside of a repository is refused in the words of git', async () => {
    process.chdir(scratch);
    await expect(check('HEAD')).rejects.toThrow(/neither a directory nor a revision, for git says: fatal: not a git repository/);
  });
});

describe('another program', () => {
  it('that is stopped is waited for: what it still writes is written before tidying up', async () => {
    const [up, late] = [join(scratch, 'up'), join(scratch, 'late')];
    const script = `const { writeFileSync } = require('node:fs');
      process.on('SIGTERM', () => setTimeout(() => { writeFileSync(${JSON.stringify(late)}, ''); process.exit(); }, 50));
      writeFileSync(${JSON.stringify(up)}, '');
      setInterval(() => {}, 1000);`;
    const stop = new AbortController();
    const running = runProgram(process.execPath, ['-e', script], stop.signal);
    await vi.waitFor(() => expect(existsSync(up)).toBe(true), 10_000);
    stop.abort(new Error('stopped'));
    await expect(running).rejects.toThrow('stopped');
    expect(existsSync(late)).toBe(true);
  });

  it.each([
    [
      "\nfile:///a.ts:3\nlet = ;\n    ^\n\nSyntaxError: Unexpected token '='\n    at x\n\nNode.js v26.10.0\n",
      "SyntaxError: Unexpected token '='",
    ],
    ["Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'ajv'\n  at y\n", "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'ajv'"],
    [
      'npm error code E404\nnpm error 404 Not Found - GET x\nnpm error A complete log of this run is in y\n',
      'npm error 404 Not Found - GET x',
    ],
    [
      "fatal: detected dubious ownership in repository at '/a'\nTo add an exception\n",
      "fatal: detected dubious ownership in repository at '/a'",
    ],
    ["[0/3] warming up\nscanout run: unknown path 'nope'\n", "scanout run: unknown path 'nope'"],
    ['', ''],
  ])('what it says of its failure is found: %j', (stderr, line) => {
    expect(tellingLine(stderr)).toBe(line);
  });
});
