import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { CpuMeter, processCpuNs } from '../../../../benchmarks/peers/cpu-meter.ts';
import { monotonicNowNs } from '../../../../core/measure/clock.ts';

/** A program that computes for 200 ms of CPU time, in two threads of which one ends, then waits. */
const PROGRAM = `
const { Worker, isMainThread } = require('node:worker_threads');
const burn = (ms) => { const until = process.threadCpuUsage?.().user + ms * 1000; while (process.threadCpuUsage().user < until); };
process.stdin.once('data', () => {
  burn(100);
  new Worker('const until = process.threadCpuUsage().user + 100000; while (process.threadCpuUsage().user < until);', { eval: true }).once('exit', () => {
    process.stdout.write('done');
    process.stdin.resume();
  });
});
`;

describe.skipIf(process.platform !== 'linux')("another process's CPU time", () => {
  test('is that of all its threads, those that have ended too, between two points', async () => {
    const child = spawn(process.execPath, ['-e', PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
    const meter = new CpuMeter([child.pid ?? 0]);
    const start = monotonicNowNs();
    child.stdin.write('go');
    await once(child.stdout, 'data');
    const end = monotonicNowNs();
    meter.stop();
    child.kill();
    await once(child, 'exit');
    const all = meter.between(start, end).cpuNs;
    // What the program computes, and Node's own start in it and in its thread.
    expect(all).toBeGreaterThan(190e6);
    expect(meter.between(start, start).cpuNs).toBe(0);
    const middle = start + (end - start) / 2;
    expect(meter.between(start, middle).cpuNs + meter.between(middle, end).cpuNs).toBeCloseTo(all, -3);
  });

  test('of a process that is not there is 0', () => {
    const meter = new CpuMeter([2 ** 22 + 1]);
    meter.stop();
    expect(meter.between(0, monotonicNowNs()).cpuNs).toBe(0);
    expect(processCpuNs(2 ** 22 + 1)).toBe(0);
  });

  test('is told of all its threads at once too', () => {
    const before = processCpuNs(process.pid);
    const own = process.threadCpuUsage();
    while (process.threadCpuUsage(own).user < 50_000);
    expect(processCpuNs(process.pid) - before).toBeGreaterThanOrEqual(45e6);
  });
});
