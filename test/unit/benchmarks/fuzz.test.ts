import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { EXIT_USAGE, runCommand } from '../../../benchmarks/commands/command.ts';
import { fuzzCommand } from '../../../benchmarks/commands/fuzz.ts';
import { hold } from '../../../benchmarks/fuzz/failure.ts';
import { readFailure, writeFailure } from '../../../benchmarks/fuzz/failure-file.ts';
import { FuzzHost } from '../../../benchmarks/fuzz/host.ts';
import { FuzzMemory } from '../../../benchmarks/fuzz/memory.ts';
import { modelProperty } from '../../../benchmarks/fuzz/model-run.ts';
import { PARTS, RING_KINDS, roundOf, type Watched } from '../../../benchmarks/fuzz/plan.ts';
import { type FuzzOutcome, runFuzz } from '../../../benchmarks/fuzz/run.ts';
import { fuzzText } from '../../../benchmarks/fuzz/text.ts';

const folder = mkdtempSync(join(tmpdir(), 'scanout-fuzz-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const TRACES = join(import.meta.dirname, '..', '..', 'fixtures', 'traces');
const FOUND = { message: 'RangeError: x', stack: 'RangeError: x\n  at y', path: '3:0:1', replayPath: 'AB:C', input: 'one\ntwo' };

describe('rounds', () => {
  test('the same seed gives the same rounds, another seed others', () => {
    const seeds = (seed: number): number[] => Array.from({ length: 24 }, (_, i) => roundOf(seed, i).seed);
    expect(seeds(7)).toEqual(seeds(7));
    expect(new Set([...seeds(7), ...seeds(8)]).size).toBe(48);
  });

  test('every part has its turn on every kind of ring', () => {
    const met = new Set(Array.from({ length: PARTS.length * RING_KINDS.length }, (_, i) => `${roundOf(1, i).part} ${roundOf(1, i).kind}`));
    expect(met.size).toBe(PARTS.length * RING_KINDS.length);
  });
});

describe('scanout fuzz', () => {
  const play = async (...argv: string[]): Promise<{ code: number; said: string }> => await fuzzWith(new AbortController().signal, argv);
  const fuzz = async (...argv: string[]): Promise<{ code: number; said: string }> => await fuzzWith(AbortSignal.abort(), argv);
  const fuzzWith = async (signal: AbortSignal, argv: string[]): Promise<{ code: number; said: string }> => {
    let said = '';
    const stderr = (text: string): void => {
      said += text;
    };
    return { code: await runCommand(fuzzCommand, argv, { stdout: stderr, stderr, signal }), said };
  };

  test('takes no folder for its traces that holds none, or what is none: that would look like a find', async () => {
    const empty = join(folder, 'empty');
    const bad = join(folder, 'bad');
    mkdirSync(empty);
    mkdirSync(bad);
    writeFileSync(join(bad, 'a.jsonl'), '{"x":1');
    for (const traces of [empty, bad, join(bad, 'a.jsonl')]) {
      const { code, said } = await fuzz('--traces', traces);
      expect(said).toContain(`--traces ${traces}: `);
      expect(code).toBe(EXIT_USAGE);
    }
  });

  test.each([
    ['0:999999999', null],
    ['0:0:0:0:0:99999', null],
    ['0:3', 'A:A'],
  ])(
    'refuses to play what is at the end of no way: %s %s',
    async (path, replayPath) => {
      const file = join(folder, 'way.json');
      writeFileSync(file, JSON.stringify({ fuzz: 1, part: 'model', ring: 'split', inOrder: false, seed: 5, path, replayPath }));
      const { code, said } = await play('--replay', file);
      expect(said).toMatch(/\nscanout fuzz: .*way\.json: not a failing input of scanout fuzz: "path" leads to no input: .*\n$/);
      expect(said).not.toContain('FOUND');
      expect(code).toBe(EXIT_USAGE);
    },
    60_000,
  );

  test('asks before it begins whether a find would have a place', async () => {
    for (const out of ['', folder, join(import.meta.filename, 'x.json')]) {
      const { code, said } = await fuzz('--out', out);
      expect(said).toMatch(/^scanout fuzz: [^\n]*\n$/);
      expect(code).toBe(EXIT_USAGE);
    }
  });
});

describe('a failing input', () => {
  test('is played again however long the threads took to start', async () => {
    const only = { ...roundOf(5, 0), path: '0' };
    const outcome = await runFuzz({ seed: 5, seconds: 0, traces: TRACES, only });
    expect(outcome.parts.model.rounds).toBe(1);
  }, 60_000);

  test('is written to a file that is read back as its round', () => {
    const file = join(folder, 'found.json');
    const round = roundOf(5, 0);
    writeFailure(file, round, FOUND);
    expect(readFailure(file)).toEqual({ ...round, path: FOUND.path, replayPath: FOUND.replayPath });
  });

  test.each([
    ['{}', '"fuzz" is not 1'],
    ['null', '"fuzz" is not 1'],
    ['{"fuzz":1,"part":"x"}', '"part" is none'],
    ['{"fuzz":1,"part":"model","ring":"round"}', '"ring" and "inOrder" are none'],
    ['{"fuzz":1,"part":"model","ring":"split","inOrder":false}', '"seed" is no whole number'],
    ['{"fuzz":1,"part":"model","ring":"split","inOrder":false,"seed":1,"path":"a"}', '"path" is none'],
    ['{"fuzz":1,"part":"model","ring":"split","inOrder":false,"seed":1e300,"path":"0"}', '"seed" is no whole number'],
    ['{"fuzz":1,"part":"traces","ring":"split","inOrder":false,"seed":1,"path":"999999999"}', '"path" is none'],
    ['{"fuzz":1,"part":"model","ring":"split","inOrder":false,"seed":1,"path":"40"}', '"path" leads to no input of a round of model'],
    ['{"fuzz":1,"part":"race","ring":"split","inOrder":false,"seed":1,"path":"7:0"}', '"path" leads to no input of a round of race'],
    ['{"fuzz":1,"part":"model","ring":"split","inOrder":false,"seed":1,"path":"0:"}', '"path" is none'],
    ['{"fuzz":1,"part":"model","ring":"split","inOrder":false,"seed":1,"path":"0","replayPath":"A B:C"}', '"replayPath" is none'],
    ['{"fuzz":1,"part":"model","ring":"split","inOrder":false,"seed":1,"path":"0","replayPath":"AB"}', '"replayPath" is none'],
    ['{"fuzz":1,"part":"race","ring":"split","inOrder":false,"seed":1,"path":"0","replayPath":"A:B"}', '"replayPath" is none'],
    [`{"fuzz":${'['.repeat(9999)}${']'.repeat(9999)}}`, 'nested more than 64 levels deep'],
    ['no JSON', 'not JSON'],
  ])('is not taken from a file that holds %s', (text, why) => {
    const file = join(folder, 'bad.json');
    writeFileSync(file, text);
    expect(() => readFailure(file)).toThrow(why);
  });

  test('is found, made smaller and played again from its path alone', () => {
    const memory = new FuzzMemory();
    const serve = FuzzHost.prototype.serve;
    // Stands for a fault of the host: no frame is shown after a command that asks for an EDID.
    let asked = false;
    const post = FuzzHost.prototype.post;
    FuzzHost.prototype.post = function (bytes, ...rest) {
      if (bytes.length >= 4 && bytes[0] === 0x0a && bytes[1] === 0x01) asked = true;
      return post.call(this, bytes, ...rest);
    };
    FuzzHost.prototype.serve = () => hold(!asked, 'planted');
    const watched: Watched = (input) => {
      asked = false;
      input();
    };
    try {
      const first = fc.check(modelProperty(fc, memory, RING_KINDS[0], watched), { seed: 1, numRuns: 200 });
      expect(first.failed).toBe(true);
      const text = fc.stringify(first.counterexample);
      expect(text.split('GET_EDID')).toHaveLength(2);
      // Of up to 60 commands.
      expect(text.split(' bytes [').length).toBeLessThan(5);
      const replayPath = /replayPath="([^"]*)"/.exec(text)?.[1] ?? '';
      const again = fc.check(modelProperty(fc, memory, RING_KINDS[0], watched, replayPath), {
        seed: 1,
        path: first.counterexamplePath ?? '',
        endOnFailure: true,
      });
      expect(again.failed).toBe(true);
      expect(again.numRuns).toBe(1);
      expect(again.numShrinks).toBe(0);
    } finally {
      FuzzHost.prototype.post = post;
      FuzzHost.prototype.serve = serve;
    }
  });
});

test('what is printed has lines of at most 80 columns', () => {
  const figures = { rounds: 10, inputs: 1234567, seconds: 600 };
  const outcome: FuzzOutcome = {
    seed: 2147483646,
    seconds: 604799,
    parts: { model: figures, traces: figures, race: figures },
    chains: 123456789,
    broken: 1234567,
    failure: { round: roundOf(1, 0), found: { ...FOUND, input: 'x'.repeat(300) } },
    interrupted: true,
  };
  for (const line of fuzzText(outcome).split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

test('a run in which nothing was played does not say that nothing was found', () => {
  const none = { rounds: 0, inputs: 0, seconds: 0 };
  const parts = { model: none, traces: none, race: none };
  const outcome: FuzzOutcome = { seed: 1, seconds: 4, parts, chains: 0, broken: 0, failure: null, interrupted: true };
  expect(fuzzText(outcome)).toContain('Nothing was played');
  expect(fuzzText({ ...outcome, parts: { ...parts, race: { ...none, inputs: 1 } } })).toContain('No exception');
});

describe('the guards notice', () => {
  const memory = new FuzzMemory();
  const options = { ring: 'split', inOrder: false, regionBytes: 1 << 20, scanoutNs: 1000, slots: 8, slotBytes: 512 } as const;

  test('a byte written past the end of a region', () => {
    const host = new FuzzHost(memory, options);
    host.rig.regions[1].u8[options.regionBytes] ^= 1;
    expect(() => host.finish()).toThrow('0 bytes past the end of ram-high');
  });

  test('a byte written in memory that no chain lends the host', () => {
    const host = new FuzzHost(memory, options);
    host.rig.regions[2].u8[77] ^= 1;
    expect(() => host.finish()).toThrow('the host wrote byte 77 of bar0');
  });

  test('pixels of a valid frame that are others', () => {
    const host = new FuzzHost(memory, options);
    host.rig.regions[1].u8[options.regionBytes - 1] ^= 1;
    expect(() => host.serve()).toThrow('was shown with other pixels');
  });

  test('nothing where a host does all that it should', () => {
    expect(() => new FuzzHost(memory, options).finish()).not.toThrow();
  });
});
