import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findCompiler } from '../../../benchmarks/compiler.ts';
import { C_ORDERS, CRings, type CRingWork } from '../../../benchmarks/limits/c-ring.ts';
import { parseCpuList } from '../../../benchmarks/micro/affinity.ts';
import { filterBenchmarks, MICRO_BENCHMARKS } from '../../../benchmarks/micro/index.ts';
import { BUFFERS_AT } from '../../../benchmarks/micro/ring-memory.ts';
import { BUFFER_BYTES, mostOutstanding, RING_SIZE, RING_WORKS, TABLE_DESCRIPTORS } from '../../../benchmarks/micro/ring-work.ts';
import { runMicro } from '../../../benchmarks/micro/run.ts';
import { Command } from '../../../core/protocol/constants.ts';

const never = new AbortController().signal;

describe('the list of micro benchmarks', () => {
  const names = MICRO_BENCHMARKS.map(({ name }) => name);

  it('names each of them once', () => {
    expect(new Set(names).size).toBe(names.length);
  });

  it.each(['split', 'packed'])('has %s rings in every batch, shape and way of waiting', (layout) => {
    for (const batch of ['batch-1', 'batch-16', 'batch-all']) {
      for (const variant of ['', '/descriptors-4', '/indirect', '/descriptors-4/indirect']) {
        expect(names).toContain(`ring/${layout}/threads/${batch}${variant}`);
      }
    }
    expect(names).toEqual(expect.arrayContaining([`ring/${layout}/round-trip/spin`, `ring/${layout}/round-trip/sleep`]));
  });

  it('decodes each command of the protocol', () => {
    expect(names.filter((name) => name.startsWith('decode/'))).toEqual(Object.keys(Command).map((name) => `decode/${name}`));
  });

  it('has 1, 403, 2024 and 8100 segments', () => {
    for (const what of ['memory/coalesce', 'memory/translate', 'dmabuf/udmabuf-create']) {
      expect(names.filter((name) => name.startsWith(what))).toEqual([1, 403, 2024, 8100].map((count) => `${what}/segments-${count}`));
    }
  });

  it('has the peers', () => {
    expect(names.filter((name) => name.startsWith('peer/'))).toEqual([
      'peer/messagechannel/round-trip',
      'peer/piscina/round-trip',
      'peer/ringbuf.js/threads',
    ]);
  });

  it('gives every ring a limit and nothing else one', () => {
    for (const { name, limit } of MICRO_BENCHMARKS) expect(limit).toBe(RING_WORKS.has(name) ? `c/${name}` : null);
  });

  it('keeps no more chains in the ring than fit', () => {
    for (const { batch, descriptors, indirect } of RING_WORKS.values())
      expect(batch).toBeLessThanOrEqual(mostOutstanding(descriptors, indirect));
  });

  it.each(['memory/*', 'decode/*', 'dmabuf/*'])('%s runs in this process without complaint', async (glob) => {
    for (const { name, setUp } of filterBenchmarks(glob)) {
      // A 4K frame's copy is measured with kernels that were measured first: too long for here.
      if (name.startsWith('memory/copy/')) continue;
      const { run } = await setUp(null);
      await run(2);
    }
  });
});

describe('--filter', () => {
  it.each([
    ['*', MICRO_BENCHMARKS.length],
    ['ring/*/round-trip/spin', 2],
    ['ring/split/threads/batch-1', 1],
    ['ring/split/threads/batch-?6', 1],
    ['ring', 0],
    ['peer/ringbufXjs/threads', 0],
    ['', 0],
    ['ring/split/threads/*-1*6', 1],
    ['**/split/**/batch-1', 1],
    [`${'*?'.repeat(40)}!`, 0],
    [`${'*'.repeat(40)}!`, 0],
  ])('%s names %d benchmarks', (glob, count) => {
    expect(filterBenchmarks(glob)).toHaveLength(count);
  });
});

describe('the ring in C', () => {
  let rings: CRings | null = null;
  beforeAll(async () => {
    const compiler = await findCompiler();
    rings = compiler === null ? null : new CRings(compiler);
  });
  afterAll(() => rings?.close());

  it('has the size, the places and the buffers of the one in JavaScript', () => {
    const common = readFileSync(new URL('../../../benchmarks/limits/ring-common.h', import.meta.url), 'utf8');
    const main = readFileSync(new URL('../../../benchmarks/limits/ring.c', import.meta.url), 'utf8');
    const constant = (text: string, name: string): number => Number(new RegExp(`\\b${name} = (\\w+)`).exec(text)?.[1]);
    expect(constant(common, 'SIZE')).toBe(RING_SIZE);
    expect(constant(common, 'TABLE_DESCRIPTORS')).toBe(TABLE_DESCRIPTORS);
    expect(constant(common, 'BUFFERS_AT')).toBe(BUFFERS_AT);
    expect(constant(main, 'BUFFER_BYTES')).toBe(BUFFER_BYTES);
  });

  const works: CRingWork[] = [
    { layout: 'split', mode: 'throughput', batch: 16, descriptors: 4, indirect: false, window: 64 },
    { layout: 'split', mode: 'throughput', batch: 256, descriptors: 1, indirect: true, window: 64 },
    { layout: 'split', mode: 'sleep', batch: 1, descriptors: 1, indirect: false, window: 4 },
    { layout: 'packed', mode: 'throughput', batch: 16, descriptors: 4, indirect: false, window: 64 },
    { layout: 'packed', mode: 'throughput', batch: 256, descriptors: 1, indirect: true, window: 64 },
    { layout: 'packed', mode: 'sleep', batch: 1, descriptors: 1, indirect: false, window: 4 },
  ];
  it.each(works)('carries $mode $layout, batches of $batch, $descriptors descriptors, indirect $indirect, in both orders', async (work) => {
    if (rings === null) return;
    for (const order of C_ORDERS) {
      const measured = await rings.measure(work, order, 0.02, null);
      expect(measured).toEqual({ value: { ns: expect.any(Number), pinned: false } });
      expect('value' in measured && measured.value.ns).toBeGreaterThan(0);
    }
  });

  it('refuses a batch that the ring cannot hold', async () => {
    if (rings === null) return;
    const measured = await rings.measure({ ...works[0], batch: 65 }, 'seq_cst', 0.01, null);
    expect(measured).toEqual({ unavailable: expect.stringMatching(/^ring\.c: /) });
  });
});

describe('a run', () => {
  it('measures a ring in turns with its limit, and gives the ratio an interval', async () => {
    const benchmarks = filterBenchmarks('ring/split/threads/batch-16');
    const document = await runMicro({ benchmarks, pairs: 3, seconds: 0.02, engine: 'tinybench', signal: never });
    expect(document).toMatchObject({ failed: [], interrupted: false });
    const [result] = document.benchmarks;
    expect(result).toMatchObject({ name: 'ring/split/threads/batch-16', unit: 'ns/buffer', runs: 3 });
    expect(result.low).toBeLessThanOrEqual(result.median);
    expect(result.median).toBeLessThanOrEqual(result.high);
    if ((await findCompiler()) === null) return expect(result.ratioToLimit).toBeNull();
    const ratio = result.ratioToLimit;
    expect(ratio?.low).toBeGreaterThan(0);
    expect(ratio?.low).toBeLessThanOrEqual(ratio?.median ?? 0);
    expect(ratio?.median).toBeLessThanOrEqual(ratio?.high ?? 0);
    // The ratio is C's time over ours: where we are slower it is below 1.
    const c = result.limit?.seqCst;
    if (c !== null && c !== undefined && c.high < result.low) expect(ratio?.median).toBeLessThan(1);
  });

  it('says what is unavailable instead of giving it a number', async () => {
    const benchmarks = filterBenchmarks('memory/find/segments-1');
    const document = await runMicro({ benchmarks, pairs: 1, seconds: 0.01, engine: 'mitata', signal: never });
    const { counters } = document.benchmarks[0];
    if (counters !== 'unavailable') expect(counters?.cycles).toBeGreaterThan(0);
    expect(document.benchmarks[0].ratioToLimit).toBeNull();
  });

  it('that is stopped keeps what is complete and leaves no process behind', async () => {
    const controller = new AbortController();
    const document = await runMicro({
      benchmarks: filterBenchmarks('decode/GET_*'),
      pairs: 1,
      seconds: 0.01,
      engine: 'tinybench',
      signal: controller.signal,
      onStep: (done) => void (done === 1 && controller.abort(new Error('stopped'))),
    });
    expect(document.interrupted).toBe(true);
    expect(document.benchmarks).toHaveLength(1);
  });
});

describe('the list of CPUs', () => {
  it.each([
    ['0-3,8', [0, 1, 2, 3, 8]],
    ['5', [5]],
    ['', []],
  ])('%j is %j', (list, cpus) => {
    expect(parseCpuList(list)).toEqual(cpus);
  });
});
