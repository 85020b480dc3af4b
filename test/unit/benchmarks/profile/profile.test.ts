import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Call, callTree, functionTimes } from '../../../../benchmarks/profile/call-tree.ts';
import { alignEnd, type CpuProfile, clip, parseCpuProfile } from '../../../../benchmarks/profile/cpu-profile.ts';
import { checkBase, difference, readBase } from '../../../../benchmarks/profile/diff.ts';
import { layOut } from '../../../../benchmarks/profile/flame.ts';
import { heapSites } from '../../../../benchmarks/profile/heap-profile.ts';
import { renderProfile } from '../../../../benchmarks/profile/page.ts';
import type { ScenarioProfile, ThreadProfile } from '../../../../benchmarks/profile/record.ts';
import { sampledSplit } from '../../../../benchmarks/profile/split.ts';
import { profileText } from '../../../../benchmarks/profile/text.ts';
import { InputError } from '../../../../reports/index.ts';
import { buildProfile, inTurns, type Tree } from '../../../support/cpu-profile.ts';

const HOST: Tree = {
  'onMessage node_modules/piscina/dist/worker.js:169': {
    'runHost file:///x/scanout/workers/host-side.ts:15': {
      'runLoop file:///x/scanout/workers/loop.ts:30': {
        'spin file:///x/scanout/workers/loop.ts:87': { 'poll file:///x/scanout/core/host/device.ts:120': {} },
        'execute file:///x/scanout/core/host/dispatch.ts:30': { 'wasm-function[0] wasm://wasm/ab12:1': {} },
        'blockUntilDeadline file:///x/scanout/core/ring/doorbell.ts:119': {},
      },
    },
  },
  '(garbage collector)': {},
  '(program)': {},
};
const ORIGIN = { scenario: 'copy-1080p-max', thread: 'host', frames: 100, node: '26.0.0' } as const;
const COUNTS = {
  spin: 20,
  poll: 10,
  execute: 30,
  'wasm-function[0]': 100,
  blockUntilDeadline: 35,
  '(garbage collector)': 2,
  '(program)': 3,
};
const SAMPLES = inTurns(COUNTS);
const profileOf = (counts: Partial<typeof COUNTS> = {}, frames = 100): CpuProfile =>
  buildProfile(HOST, inTurns({ ...COUNTS, ...counts }), { ...ORIGIN, frames });

/** Each node calls the next one, in a circle the last one the first. */
function chain(length: number, circle: boolean): CpuProfile {
  const nodes = Array.from({ length }, (_, i) => ({
    id: i + 1,
    callFrame: { functionName: i === 0 ? 'runHost' : `f${i}`, url: '', lineNumber: 0 },
    children: i < length - 1 ? [i + 2] : circle ? [1] : [],
  }));
  return { nodes, startTime: 0, endTime: 1000, samples: [length], timeDeltas: [0] };
}

const threadOf = (cpu: CpuProfile): ThreadProfile => ({
  thread: cpu.scanout?.thread ?? 'guest',
  cpu,
  heap: null,
  heapSites: [{ name: 'publish', place: 'core/ring/split/driver.ts:185', bytes: 4096 }],
  wallUs: 200_000,
  spinUs: 30_000,
  sleepUs: 35_000,
  cpuUs: 165_000,
  runQueueWaitUs: null,
  collections: 1,
  allocatedBytes: null,
});
const whole = (cpu: CpuProfile): ScenarioProfile => ({
  scenario: ORIGIN.scenario,
  frames: cpu.scanout?.frames ?? 1,
  guest: threadOf({ ...cpu, scanout: { ...ORIGIN, thread: 'guest' } }),
  host: threadOf(cpu),
});

describe('a CPU profile', () => {
  it.each([
    ['', 'not JSON: it is empty'],
    [JSON.stringify(profileOf()).slice(0, -20), 'not JSON: it is cut off before its end'],
    [`{"nodes":${'['.repeat(9999)}${']'.repeat(9999)}}`, 'not used: its JSON is nested more than 64 levels deep'],
    ['null', 'not a CPU profile: no object'],
    ['{"nodes":[]}', 'not a CPU profile: no nodes'],
    [JSON.stringify({ ...profileOf(), timeDeltas: [1] }), 'not a CPU profile: no samples with a time each'],
    [JSON.stringify({ ...profileOf(), samples: profileOf().samples.map(() => 99) }), 'not a CPU profile: a sample of no node'],
    [JSON.stringify({ ...profileOf(), nodes: [{ id: 1 }] }), 'not a CPU profile: a node without id and call frame'],
    [JSON.stringify({ ...profileOf(), endTime: null }), 'not a CPU profile: no times'],
    [JSON.stringify(chain(200_000, false)), 'not a CPU profile: calls more than 1000 deep'],
    [JSON.stringify(chain(3, true)), 'not a CPU profile: calls more than 1000 deep'],
  ])('that is broken is refused in a line: %#', (text, why) => {
    expect(() => parseCpuProfile(text, 'x.cpuprofile')).toThrow(InputError);
    expect(() => parseCpuProfile(text, 'x.cpuprofile')).toThrow(`x.cpuprofile: ${why}`);
  });

  it('of calls as deep as V8 samples them is read', () => {
    expect(callTree(parseCpuProfile(JSON.stringify(chain(300, false)), 'x'), 'host').totalUs).toBe(1000);
  });

  it('is read back as it was written', () => {
    expect(parseCpuProfile(JSON.stringify(profileOf()), 'x')).toEqual(profileOf());
  });

  it('is put on the monotonic clock: by whole wraps, else by its end', () => {
    const profile = { ...profileOf(), startTime: 1e6, endTime: 2e6 };
    expect(alignEnd(profile, 2e6 - 300)).toMatchObject({ startTime: 1e6, endTime: 2e6 });
    expect(alignEnd(profile, 2e6 - 300 + 2 ** 34)).toMatchObject({ startTime: 1e6 + 2 ** 34, endTime: 2e6 + 2 ** 34 });
    expect(alignEnd(profile, 7e6)).toMatchObject({ startTime: 6e6, endTime: 7e6 });
  });

  it('is cut to a part of its time, of which no sample is lost or doubled', () => {
    const profile = profileOf();
    const middle = clip(profile, 50_000, 150_000);
    expect(middle.samples).toEqual(profile.samples.slice(50, 150));
    expect(middle.timeDeltas.reduce((a, b) => a + b, 0)).toBe(99_000);
    expect([middle.startTime, middle.endTime]).toEqual([50_000, 150_000]);
    expect(callTree(middle, 'host').totalUs).toBe(100_000);
    expect(clip(profile, -5, 1e9).samples).toEqual(profile.samples);
    expect(clip(profile, 1e9, 2e9).samples).toEqual([]);
  });
});

describe('a call tree', () => {
  const find = (call: Call, name: string): Call | undefined =>
    call.name === name ? call : call.children.map((child) => find(child, name)).find((found) => found !== undefined);

  it('begins at the thread’s own loop and loses no time', () => {
    const tree = callTree(profileOf(), 'host');
    expect(tree.totalUs).toBe(SAMPLES.length * 1000);
    expect(tree.children.map(({ name }) => name)).toEqual(['runHost', '(program)', '(garbage collector)']);
    expect(find(tree, 'runLoop')).toMatchObject({ selfUs: 0, totalUs: 195_000, file: 'workers/loop.ts', line: 30 });
  });

  it('names spinning, sleeping, copying and collections; a turn within a spin is part of it', () => {
    const kinds = Object.fromEntries(functionTimes(callTree(profileOf(), 'host')).map(({ name, kind }) => [name, kind]));
    expect(kinds).toEqual({
      spin: 'spin',
      poll: 'spin',
      execute: 'work',
      'wasm-function[0]': 'copy',
      blockUntilDeadline: 'sleep',
      '(garbage collector)': 'collection',
      '(program)': 'other',
    });
    expect(sampledSplit(callTree(profileOf(), 'host'))).toEqual({ computeUs: 135_000, spinUs: 30_000, sleepUs: 35_000 });
  });

  it('compiled files are the same functions as their sources', () => {
    const compiled = buildProfile(JSON.parse(JSON.stringify(HOST).replaceAll('.ts', '.js').replaceAll('/x/scanout/', '/y/dist/')), SAMPLES);
    expect(sampledSplit(callTree(compiled, 'host')).sleepUs).toBe(35_000);
  });

  it('calls that could not be seen are left out of the drawing, and callers stand above', () => {
    const { boxes, rows } = layOut(callTree(profileOf(), 'host'));
    expect(rows).toBe(5);
    const spin = boxes.find(({ call }) => call.name === 'spin');
    const poll = boxes.find(({ call }) => call.name === 'poll');
    expect(poll?.depth).toBe((spin?.depth ?? 0) + 1);
    expect(poll?.x).toBe(spin?.x);
    expect(boxes.every(({ x, width }) => x >= 0 && x + width <= 1180.001)).toBe(true);
  });
});

describe('what changed', () => {
  it('is the functions beyond the noise of their samples, by frame', () => {
    const { changes, beforeUs, nowUs } = difference([profileOf()], 'base', whole(profileOf({ execute: 90 })));
    expect(changes.map(({ thread, name, file }) => `${thread} ${name} ${file}`)).toEqual(['host execute core/host/dispatch.ts']);
    expect(changes[0]).toMatchObject({ beforeUs: 300, nowUs: 900, changeUs: 600 });
    expect(nowUs - beforeUs).toBeCloseTo(600);
  });

  it('is nothing between two runs that differ by chance, or in length alone, or in waiting', () => {
    expect(difference([profileOf()], 'base', whole(profileOf({ execute: 36 }))).changes).toEqual([]);
    expect(difference([profileOf()], 'base', whole(profileOf({ spin: 400, blockUntilDeadline: 400 }))).changes).toEqual([]);
    const twice = profileOf({ execute: 60, 'wasm-function[0]': 200, '(garbage collector)': 4 }, 200);
    expect(difference([profileOf()], 'base', whole(twice)).changes).toEqual([]);
  });

  it('is not where a thread stood when it lost its CPU: samples in a row are one', () => {
    const stood = buildProfile(HOST, [...SAMPLES, ...new Array<string>(60).fill('execute')], ORIGIN);
    expect(difference([profileOf()], 'base', whole(stood)).changes).toEqual([]);
  });

  it('names functions that are new or gone', () => {
    const { execute: _, ...without } = COUNTS;
    const base = buildProfile(HOST, inTurns(without), ORIGIN);
    expect(difference([base], 'base', whole(profileOf())).changes[0]).toMatchObject({ name: 'execute', beforeUs: null, nowUs: 300 });
    expect(difference([profileOf()], 'base', whole(base)).changes[0]).toMatchObject({ name: 'execute', beforeUs: 300, nowUs: null });
  });

  const folder = mkdtempSync(join(tmpdir(), 'scanout-diff-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('is asked of profiles of the same scenario, which say whose they are', () => {
    const file = (name: string, profile: object): string => {
      writeFileSync(join(folder, name), JSON.stringify(profile));
      return join(folder, name);
    };
    const host = file('host.cpuprofile', profileOf());
    expect(readBase(host)).toHaveLength(1);
    expect(() => readBase(folder)).toThrow(/guest\.cpuprofile: cannot be read/);
    file('guest.cpuprofile', { ...profileOf(), scanout: { ...ORIGIN, thread: 'guest' } });
    expect(readBase(folder).map(({ scanout }) => scanout?.thread)).toEqual(['guest', 'host']);
    expect(() => readBase(file('other.cpuprofile', buildProfile(HOST, SAMPLES)))).toThrow(/not written by scanout profile/);
    expect(() => checkBase(readBase(host), 'udmabuf-4k-max', host)).toThrow(/a profile of copy-1080p-max, not of udmabuf-4k-max/);
    expect(() => checkBase(readBase(host), 'copy-1080p-max', host)).not.toThrow();
  });
});

describe('the page and the text', () => {
  const profile = whole(profileOf());
  const changed = difference([profileOf()], '/tmp/<base>', whole(profileOf({ execute: 90 })));
  const page = renderProfile(profile, changed, "npx scanout profile 'x' && <y>");

  it('has no script, asks no network, and escapes what it is told', () => {
    expect(page).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)/);
    expect(page).toContain("default-src 'none'");
    expect(page).toContain('&lt;base&gt;');
    expect(page).toContain('&amp;&amp; &lt;y&gt;');
  });

  it('draws both threads in one view with a title and a description, and tables beside it', () => {
    expect(page.match(/<svg/g)).toHaveLength(1);
    expect(page).toMatch(/<svg[^>]*role="img" aria-labelledby="flame-title flame-text"/);
    expect(page).toContain('>guest thread</text>');
    expect(page).toContain('>host thread</text>');
    expect(page.match(/<table>/g)?.length).toBeGreaterThanOrEqual(5);
    expect(page).toContain('execute (core/host/dispatch.ts:30)');
    expect(page).toContain('prefers-color-scheme:dark');
  });

  it('fits 80 columns', () => {
    const text = profileText(profile, changed);
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(text).toContain('counters: compute 67.5%, spinning 15%, asleep 17.5%');
    expect(text).toContain('host execute');
  });
});

it('a heap profile’s places are those that allocated, the most first', () => {
  const at = (functionName: string, lineNumber: number) => ({ functionName, url: 'file:///x/core/a.ts', lineNumber });
  const head = {
    callFrame: at('(root)', -1),
    selfSize: 0,
    children: [
      { callFrame: at('a', 4), selfSize: 10, children: [{ callFrame: at('b', 8), selfSize: 70, children: [] }] },
      { callFrame: at('a', 4), selfSize: 20, children: [] },
    ],
  };
  expect(heapSites(JSON.stringify({ head, samples: [] }))).toEqual([
    { name: 'b', place: 'core/a.ts:9', bytes: 70 },
    { name: 'a', place: 'core/a.ts:5', bytes: 30 },
  ]);
  expect(heapSites(null)).toEqual([]);
});
