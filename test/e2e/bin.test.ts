import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const launcher = join(import.meta.dirname, '../../bin/scanout.js');

/** Makes `process.versions.node` an old one before the launcher looks: stands for an old Node. */
const OLD_NODE = `Object.defineProperty(process.versions, 'node', { value: '20.1.0' });`;

/** A command line that prints what it was given, or waits for a signal. */
const CLI = `
export async function main(argv) {
  if (argv[0] === 'wait') {
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => { console.log('got ' + signal); process.exit(9); });
    setInterval(() => {}, 1000);
    console.log('ready');
    return new Promise(() => {});
  }
  if (argv[0] === 'die') process.kill(process.pid, 'SIGKILL');
  console.log(JSON.stringify({ argv, file: import.meta.url, node: process.versions.node }));
  return argv[0] === 'fail' ? 3 : 0;
}`;

let folder: string;
let children: ChildProcess[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scanout-bin-'));
  children = [];
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function write(path: string, text: string): string {
  const file = join(folder, path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, text);
  return file;
}

/** Copies the launcher to where a project of this shape has it. @returns its path */
function project(at: string, ...files: ('clone' | 'built')[]): string {
  const bin = join(folder, at, 'bin/scanout.js');
  mkdirSync(join(bin, '..'), { recursive: true });
  cpSync(launcher, bin);
  write(join(at, 'package.json'), '{"type":"module"}');
  if (files.includes('clone')) write(join(at, 'benchmarks/cli.ts'), CLI.replace('(argv)', '(argv: string[]): Promise<number>'));
  if (files.includes('built')) write(join(at, 'dist/benchmarks/cli.js'), CLI);
  return bin;
}

/** A `node` package whose binary is this Node. */
function nodePackage(at: string): void {
  write(join(at, 'node_modules/node/package.json'), '{"name":"node","version":"26.0.0"}');
  chmodSync(write(join(at, 'node_modules/node/bin/node'), `#!/bin/sh\nshift 2\nexec '${process.execPath}' "$@"\n`), 0o755);
}

function old(): string[] {
  return ['--require', write('old.cjs', OLD_NODE)];
}

function run(args: string[]) {
  return spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } });
}

describe('which command line the launcher starts', () => {
  it('a clone runs its TypeScript, also where a build lies beside it', () => {
    const { stdout, status, stderr } = run([project('clone', 'clone', 'built'), 'doctor', '--json']);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ argv: ['doctor', '--json'], file: expect.stringMatching(/benchmarks\/cli\.ts$/) });
  });

  it('an installed package runs its built JavaScript: Node strips no types under node_modules', () => {
    const { stdout, status } = run([project('app/node_modules/scanout', 'clone', 'built'), 'list']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout).file).toMatch(/dist\/benchmarks\/cli\.js$/);
  });

  it('what main resolves to is the exit code', () => {
    expect(run([project('clone', 'clone'), 'fail']).status).toBe(3);
  });

  it('a package without its files says so and exits with 2', () => {
    const { stderr, status } = run([project('app/node_modules/scanout'), 'doctor']);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^scanout: .*cli\.js is missing.*\n$/);
  });
});

describe('an old Node', () => {
  it('says in one line what is needed and exits with 2', () => {
    const { stdout, stderr, status } = run([...old(), project('clone', 'clone'), 'doctor']);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^scanout: needs Node 24 or newer, this is 20\.1\.0[^\n]*\n$/);
  });

  it('hands over to the node package that is installed beside', () => {
    nodePackage('app');
    const bin = project('app/node_modules/scanout', 'built');
    const { stdout, stderr, status } = run([...old(), bin, 'list', '--json']);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ argv: ['list', '--json'], node: process.versions.node });
  });

  it('passes the exit code through', () => {
    nodePackage('app');
    expect(run([...old(), project('app/node_modules/scanout', 'built'), 'fail']).status).toBe(3);
  });

  it('dies of the signal that its child died of', () => {
    nodePackage('app');
    const { signal } = run([...old(), project('app/node_modules/scanout', 'built'), 'die']);
    expect(signal).toBe('SIGKILL');
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('passes %s on to the child and waits for it', async (signal) => {
    nodePackage('app');
    const bin = project('app/node_modules/scanout', 'built');
    const child = spawn(process.execPath, [...old(), bin, 'wait'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    children.push(child);
    let output = '';
    const exited = once(child, 'exit');
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (text.includes('ready')) child.kill(signal);
    });
    expect(await exited).toEqual([9, null]);
    expect(output).toBe(`ready\ngot ${signal}\n`);
  });

  it('that a package named node brought does not hand over to itself for ever', () => {
    // The "newer" Node is as old as the first one.
    write('app/node_modules/node/package.json', '{"name":"node"}');
    chmodSync(write('app/node_modules/node/bin/node', `#!/bin/sh\nexec '${process.execPath}' "$@"\n`), 0o755);
    const { stderr, status } = run([...old(), project('app/node_modules/scanout', 'built'), 'list']);
    expect(status).toBe(2);
    expect(stderr).toMatch(/needs Node 24/);
  });
});
