import { describe, expect, it } from 'vitest';
import type { MicroDocument, MicroResult } from '../../../benchmarks/micro/document.ts';
import { MICRO_BENCHMARKS } from '../../../benchmarks/micro/index.ts';
import { microText } from '../../../benchmarks/micro/table.ts';

const spread = (median: number) => ({ median, low: median * 0.9, high: median * 1.1 });

function result(name: string, unit: string, ring: boolean, median = 123_456): MicroResult {
  return {
    name,
    unit,
    ...spread(median),
    ratioToLimit: ring ? spread(0.93) : null,
    ratioToAcquireRelease: ring ? spread(0.51) : null,
    limit: ring ? { name: `c/${name}`, seqCst: spread(99_999), acquireRelease: spread(1) } : null,
    rings: name.includes('ringbuf') ? [{ name: 'ring/packed/threads/batch-16', ...spread(12.5) }] : [],
    runs: ring ? 15 : 5,
    pinned: ring ? true : null,
    counters: null,
  };
}

function document(over: Partial<MicroDocument> = {}): MicroDocument {
  return {
    benchmarks: MICRO_BENCHMARKS.map(({ name, unit, limit }) => result(name, unit, limit !== null)),
    unavailable: [{ name: 'c/ring/split/threads/batch-1 (seq_cst)', reason: 'no C compiler (cc, gcc or clang) is on the PATH' }],
    failed: [{ name: 'peer/piscina/round-trip', reason: `Error: ${'very '.repeat(40)}long` }],
    engine: 'tinybench',
    node: '26.10.0',
    seconds: 0.2,
    cpus: [0, 1],
    interrupted: false,
    ...over,
  };
}

describe('the table', () => {
  it.each([document(), document({ engine: 'mitata', interrupted: true, cpus: { unavailable: 'this process may use one CPU only' } })])(
    'fits 80 columns with every benchmark in it',
    (doc) => {
      for (const line of microText(doc).split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    },
  );

  it('says what the ratio means, and prints both', () => {
    const text = microText(document());
    expect(text).toMatch(/1 is as fast as C, 0\.5 takes twice as long/);
    expect(text).toMatch(/^ring\/split\/ +ns +C +C \/ ours \[95%\] +acq-rel$/m);
    expect(text).toMatch(/^ threads\/batch-16 +1\.2e5 +99999 +0\.93 \[0\.84, 1\.02\] +0\.51$/m);
  });

  it('compares the rings with the peer that carries the same', () => {
    expect(microText(document())).toMatch(/As fast as peer\/ringbuf\.js\/threads.*:\n {2}ring\/packed\/threads\/batch-16 +12\.50 \[/);
  });

  it('says where the threads were', () => {
    expect(microText(document())).toMatch(/Threads\s+pinned to CPUs 0 and 1/);
    const loose = { ...result('ring/split/threads/batch-1', 'ns/buffer', true), pinned: false };
    expect(microText(document({ benchmarks: [loose] }))).toMatch(/Threads\s+not\s+pinned/);
  });

  it('says of missing counters that they are unavailable, once', () => {
    const benchmarks = document().benchmarks.map((each) => ({ ...each, counters: 'unavailable' as const }));
    expect(microText(document({ engine: 'mitata', benchmarks })).match(/unavailable \(no PMU/g)).toHaveLength(1);
  });

  it('names what could not be measured', () => {
    const text = microText(document());
    expect(text).toContain('unavailable: c/ring/split/threads/batch-1 (seq_cst): no C compiler');
    expect(text).toContain('failed: peer/piscina/round-trip: Error: very');
  });
});
