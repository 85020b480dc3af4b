import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findCompiler } from '../../../../benchmarks/compiler.ts';
import { measureCPingPong } from '../../../../benchmarks/limits/c-ping-pong.ts';
import { measureLimits } from '../../../../benchmarks/limits/index.ts';
import { measureJsPingPong } from '../../../../benchmarks/limits/js-ping-pong.ts';
import { loadLibc } from '../../../../benchmarks/limits/libc.ts';
import { compareCopies, MIN_PAIRS } from '../../../../benchmarks/limits/memcpy.ts';
import { measureWakeUp } from '../../../../benchmarks/limits/wake-up.ts';
import { runPair } from '../../../../benchmarks/limits/worker-pair.ts';
import { type CopyKernel, copyKernels } from '../../../../core/memory/copier.ts';

const BYTES = 1 << 20;

/** A kernel that does its work several times over. */
function slowed(kernel: CopyKernel, times: number): CopyKernel {
  return {
    name: `${kernel.name} × ${times}`,
    copy: (to, toOffset, from, fromOffset, bytes) => {
      for (let i = 0; i < times; i++) kernel.copy(to, toOffset, from, fromOffset, bytes);
    },
  };
}

describe('copier against memcpy', () => {
  it('takes at least 30 pairs, however short the time', async () => {
    const { jsCopyGBps, memcpy } = await compareCopies(copyKernels()[0], await loadLibc(), 0, undefined, BYTES);
    expect(jsCopyGBps).toBeGreaterThan(0);
    if ('unavailable' in memcpy) return expect(memcpy.unavailable).toMatch(/^koffi /);
    expect(memcpy.value.jsToMemcpy.pairs).toBe(MIN_PAIRS);
    expect(memcpy.value.jsToMemcpy.low).toBeLessThanOrEqual(memcpy.value.jsToMemcpy.median);
    expect(memcpy.value.jsToMemcpy.median).toBeLessThanOrEqual(memcpy.value.jsToMemcpy.high);
  });

  it('a copier that does four times the work is seen to be slower: the upper bound is below 0.6', async () => {
    const libc = await loadLibc();
    if ('unavailable' in libc) return;
    const { memcpy } = await compareCopies(slowed(copyKernels()[0], 4), libc, 0, undefined, 8 * BYTES);
    expect('value' in memcpy && memcpy.value.jsToMemcpy.high).toBeLessThan(0.6);
  });

  it('memcpy copies into the very buffer that JavaScript reads', async () => {
    const libc = await loadLibc();
    if ('unavailable' in libc) return;
    const from = new Uint8Array(new SharedArrayBuffer(8192)).fill(7);
    const to = new Uint8Array(new SharedArrayBuffer(8192));
    libc.value.memcpy(to.subarray(1), from, 4096);
    expect([to[0], to[1], to[4096], to[4097]]).toEqual([0, 7, 7, 0]);
  });

  it('without koffi the copier is measured alone and the reason is kept', async () => {
    const { jsCopyGBps, memcpy } = await compareCopies(copyKernels()[0], { unavailable: 'no koffi' }, 0, undefined, BYTES);
    expect(jsCopyGBps).toBeGreaterThan(0);
    expect(memcpy).toEqual({ unavailable: 'no koffi' });
  });
});

describe('ping-pong and wake-up', () => {
  it('the C ping-pong gives nanoseconds and leaves no folder behind', async () => {
    // A temporary folder of its own: others may compile at the same time.
    const own = mkdtempSync(join(tmpdir(), 'limits-test-'));
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = own;
    try {
      const compiler = await findCompiler();
      const result = await measureCPingPong(compiler, 0.02);
      if (compiler === null) expect(result).toEqual({ unavailable: expect.stringContaining('no C compiler') });
      // On a machine where both threads share a CPU there is no figure, and it says so.
      else if ('unavailable' in result) expect(result.unavailable).toContain('too busy');
      else expect(result.value).toBeGreaterThan(1);
      expect(readdirSync(own)).toEqual([]);
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
      rmSync(own, { recursive: true });
    }
  });

  it('without a compiler the C ping-pong is unavailable, not 0', async () => {
    expect(await measureCPingPong(null, 0.02)).toEqual({ unavailable: 'no C compiler (cc, gcc or clang) is on the PATH' });
  });

  it('a compiler that fails makes it unavailable, with the reason in one line', async () => {
    const result = await measureCPingPong({ command: 'false', version: '' }, 0.02);
    expect(result).toEqual({ unavailable: expect.stringMatching(/^false: [^\n]+$/) });
  });

  it('two workers over Atomics give a round trip above 10 ns', async () => {
    const result = await measureJsPingPong(0.05);
    expect('value' in result && result.value).toBeGreaterThan(10);
  });

  it('a wake-up takes time, and its 99th percentile no less than its median', async () => {
    const result = await measureWakeUp(0.05);
    if (!('value' in result)) throw new Error(result.unavailable);
    expect(result.value.median).toBeGreaterThan(0);
    expect(result.value.p99).toBeGreaterThanOrEqual(result.value.median);
  });

  it('a worker that cannot start is a reason, not an exception', async () => {
    expect(await runPair('no-such-entry', 64, 0.01)).toEqual({ unavailable: expect.stringContaining('no-such-entry') });
  });
});

describe('measureLimits', () => {
  it('the quick form ends within its time and names every missing limit', async () => {
    const start = performance.now();
    const limits = await measureLimits({ quick: true });
    // 1.5 s on an idle machine; tests share it with each other.
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(limits.jsCopyGBps).toBeGreaterThan(0);
    expect(limits.copyKernels.map(({ name }) => name)).toContain('typed-array-set');
    for (const name of ['memcpyGBps', 'jsCopyToMemcpyRatio', 'pingPongNs', 'jsPingPongNs', 'wakeUpUs'] as const) {
      expect(limits[name] === null, name).toBe(name in limits.unavailable);
    }
    if (limits.jsCopyToMemcpyRatio) expect(limits.jsCopyToMemcpyRatio.pairs).toBeGreaterThanOrEqual(MIN_PAIRS);
  });

  it('an aborted one rejects with the reason, its workers gone', async () => {
    const stop = new AbortController();
    const reason = new Error('stopped by the user');
    const running = measureWakeUp(10, stop.signal);
    setTimeout(() => stop.abort(reason), 100);
    const start = performance.now();
    await expect(running).rejects.toBe(reason);
    expect(performance.now() - start).toBeLessThan(1000);
    stop.abort(reason);
    await expect(measureLimits({ quick: true, signal: stop.signal })).rejects.toBe(reason);
  });
});
