import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dispatch } from '../../benchmarks/cli.ts';
import { formatTrace, type Trace } from '../../core/trace/trace.ts';
import { invalidates } from '../../reports/checks.ts';
import { type RunDocument, readRun } from '../../reports/index.ts';
import { copying, flipping, HEIGHT, WIDTH } from '../support/recorded-guest.ts';

const scratch = mkdtempSync(join(tmpdir(), 'scanout-realguest-'));
const at = (name: string): string => join(scratch, name);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const SHORT = ['--bare', '--repetitions', '1', '--frames', '10'];
const [HD, UHD] = [1920 * 1080 * 4, 3840 * 2160 * 4];

async function say(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const said = { stdout: '', stderr: '' };
  const code = await dispatch(argv, {
    stdout: (text) => {
      said.stdout += text;
    },
    stderr: (text) => {
      said.stderr += text;
    },
    signal: new AbortController().signal,
  });
  return { code, ...said };
}

/** Runs and reads what was written, which checks it against the schema. Only the machine's own speed may be doubted. */
async function run(name: string, ...argv: string[]): Promise<RunDocument> {
  await say('run', ...argv, '--out', at(name));
  const document = readRun(join(at(name), 'run.json'));
  expect(document.checks.filter((check) => invalidates(check) && !check.name.startsWith('the copier reaches'))).toEqual([]);
  return document;
}

const traceFile = (name: string, trace: Trace): string => {
  writeFileSync(at(name), formatTrace(trace.header, trace.records));
  return at(name);
};

describe('the suite realguest', () => {
  let document: RunDocument;
  beforeAll(async () => {
    document = await run('a', '--suite', 'realguest', ...SHORT);
  });

  it('measures recorded guests like any other scenario: rates, latencies, copies', () => {
    expect(document.skipped).toEqual([]);
    const found = document.scenarios.map(({ id, path, width, results: { bytesCopiedPerFrame } }) => [id, path, width, bytesCopiedPerFrame]);
    expect(found).toEqual([
      ['realguest-import-1080p', 'udmabuf', 1920, 0],
      ['realguest-import-1080p-list1024', 'udmabuf', 1920, expect.any(Number)],
      ['realguest-copy-1080p', 'copy', 1920, HD],
      ['realguest-import-4k', 'udmabuf', 3840, 0],
      ['realguest-copy-4k', 'copy', 3840, UHD],
    ]);
    for (const { results, rateHz, layout, settings } of document.scenarios) {
      expect(rateHz).toBe(60);
      expect(layout).toBe('recorded');
      expect(settings).toMatchObject({ recording: expect.stringMatching(/^linux-7\.2-.* [0-9a-f]{8}$/) });
      expect(results.fps).toBeGreaterThan(20);
      expect(results.fps).toBeLessThan(61);
      expect(results.framesPresented + results.framesSuperseded).toBe(10);
      expect(results.errorResponses).toBe(0);
      expect(results.hostServiceUs?.p50).toBeGreaterThan(0);
      expect(results.latencyUs.submitToFence ?? results.latencyUs.submitToResponse).not.toBeNull();
    }
  });

  it('says what the default list limit does to a scattered buffer: it is copied, the other is not', () => {
    const limited = document.scenarios[1];
    expect(limited.results.fallback?.reason).toMatch(/^udmabuf list_limit 1024 < \d+ entries$/);
    expect(limited.results.bytesCopiedByStage.fallback % HD).toBe(0);
    expect(limited.results.copiesPerFrame).toBeGreaterThan(0.3);
    expect(limited.results.copiesPerFrame).toBeLessThan(0.7);
    expect(limited.settings).not.toHaveProperty('listLimit');
    expect(document.scenarios[0].settings).toMatchObject({ listLimit: 8192 });
    const checks = document.checks.filter(({ name }) => /as its recording has it$/.test(name));
    expect(checks.map(({ status }) => status)).toEqual(new Array(5).fill('pass'));
  });

  it('has runs that compare, export and gate as others do', async () => {
    await run('b', '--suite', 'realguest', '--path', 'copy', ...SHORT);
    // On a busy machine each run may find another copy kernel the fastest.
    const compared = await say('compare', join(at('a'), 'run.json'), join(at('b'), 'run.json'), '--across-environments', '--json');
    expect(compared.stderr).not.toMatch(/scanout compare:/);
    expect(JSON.parse(compared.stdout).comparisons.length).toBeGreaterThan(0);
    const exported = await say('export', join(at('a'), 'run.json'), '--format', 'csv');
    expect(exported.stdout).toMatch(/realguest-import-4k/);
  });
});

describe('run --trace', () => {
  it('plays traces of the user, with the search for torn frames', async () => {
    const files = [traceFile('flips.jsonl', flipping(9, 16_667).trace), traceFile('copies.jsonl', copying(9, 16_667).trace)];
    const document = await run('c', '--trace', files.join(','), '--repetitions', '1', '--frames', '10', '--list-limit', '2');
    expect(document.suite).toBe('custom');
    const [imported, copied] = document.scenarios;
    expect(imported).toMatchObject({ id: 'trace-flips', path: 'udmabuf', width: WIDTH, height: HEIGHT, results: { copiesPerFrame: 0 } });
    expect(copied).toMatchObject({ id: 'trace-copies', path: 'copy', results: { copiesPerFrame: 1 } });
    for (const { results } of document.scenarios) {
      expect(results.framesVerified).toBeGreaterThan(0);
      expect(results.framesTorn).toBe(0);
    }
  });

  it.each([
    ['no such file', () => [at('none.jsonl')], /none\.jsonl: cannot be read: there is no such file/],
    [
      'no trace',
      () => {
        writeFileSync(at('text.jsonl'), 'hello\n');
        return [at('text.jsonl')];
      },
      /text\.jsonl: trace line 1: not JSON/,
    ],
    [
      'nothing to repeat',
      () => [traceFile('still.jsonl', flipping(1, 16_667).trace)],
      /still\.jsonl: .*no two frames in it that could be repeated/,
    ],
    ['a suite besides', () => ['x.jsonl', '--suite', 'quick'], /--trace plays recordings.*leave out --suite/],
    ['max', () => ['x.jsonl', '--rate', 'max'], /--rate max: a recorded guest has a pace of its own/],
    [
      "the guest's own settings",
      () => [traceFile('f.jsonl', flipping(9, 16_667).trace), '--buffers', '3'],
      /--buffers does not go with a recorded guest/,
    ],
    ['no name', () => [''], /--trace needs file names/],
  ])('%s: one clear line', async (_, argv, message) => {
    const { code, stderr } = await say('run', '--trace', ...argv());
    expect(code).toBe(2);
    expect(stderr.replaceAll('\n', ' ')).toMatch(message);
  });
});
