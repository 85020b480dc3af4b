import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { descendants, isRunning, type Process } from '../support/processes.ts';

const launcher = join(import.meta.dirname, '../../bin/scanout.js');

interface Said {
  code: number | null;
  stdout: string;
  stderr: string;
}

function start(...argv: string[]) {
  const child = spawn(process.execPath, [launcher, 'micro', ...argv], { env: { ...process.env, NODE_OPTIONS: '' } });
  const said: Said = { code: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text;
  });
  const ended = once(child, 'close').then(([code]) => ({ ...said, code: code as number | null }));
  return { child, said, ended };
}

const say = async (...argv: string[]): Promise<Said> => await start(...argv).ended;

describe('scanout micro', () => {
  it('--json prints each benchmark with its ratio, and nothing else on stdout', async () => {
    const { code, stdout, stderr } = await say('--filter', 'ring/split/round-trip/spin', '--pairs', '2', '--seconds', '0.01', '--json');
    expect(code).toBe(0);
    const { benchmarks } = JSON.parse(stdout) as { benchmarks: Record<string, unknown>[] };
    expect(benchmarks).toHaveLength(1);
    const number = expect.any(Number);
    expect(benchmarks[0]).toMatchObject({
      name: 'ring/split/round-trip/spin',
      unit: 'ns/round trip',
      median: number,
      low: number,
      high: number,
    });
    const ratio = benchmarks[0]['ratioToLimit'];
    if (ratio !== null) expect(ratio).toEqual({ median: number, low: number, high: number });
    expect(stderr).toContain('[0/2] ring/split/round-trip/spin');
  });

  it('prints a table', async () => {
    const { code, stdout } = await say('--filter', 'memory/find/segments-403', '--pairs', '1', '--seconds', '0.01');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^memory\/find\/segments-403 +[\d.]+ +[\d.]+ … [\d.]+ +ns\/call$/m);
  });

  it('--deep measures with mitata', async () => {
    const { code, stdout } = await say('--filter', 'memory/find/segments-1', '--pairs', '1', '--seconds', '0.01', '--deep');
    expect(code).toBe(0);
    expect(stdout).toMatch(/Hardware counters/);
    expect(stdout).toMatch(/^mitata, Node /m);
  });

  it.each([
    [['--filter', 'nothing/*'], /no benchmark is named "nothing\/\*"/],
    [['--pairs', '0'], /--pairs takes a whole number from 1 to 1000/],
    [['--seconds', 'long'], /--seconds takes a number from 0\.001 to 60/],
    [['--bogus'], /--bogus/],
  ])('%j is refused with exit code 2 and one line', async (argv, words) => {
    const { code, stdout, stderr } = await say(...argv);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(words);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('--help has examples and fits 80 columns', async () => {
    const { code, stdout } = await say('--help');
    expect(code).toBe(0);
    expect(stdout).toMatch(/\nExamples:\n {2}scanout micro /);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('Ctrl-C ends it within a second or two, with what is complete, and leaves no process', async () => {
    const { child, said, ended } = start('--filter', 'ring/split/*', '--pairs', '1', '--seconds', '20', '--json');
    let started: Process[] = [];
    for (const end = performance.now() + 15_000; started.length === 0 && performance.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (said.stderr.includes('[0/')) started = descendants(child.pid ?? 0);
    }
    const from = performance.now();
    child.kill('SIGINT');
    const { code, stdout } = await ended;
    expect(code).toBe(130);
    expect(performance.now() - from).toBeLessThan(5000);
    expect(JSON.parse(stdout)).toMatchObject({ benchmarks: [], interrupted: true });
    for (const { pid } of started) expect(isRunning(pid)).toBe(false);
  });
});
