import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Compiler } from '../compiler.ts';
import { type Measured, reasonOf, unavailable } from './available.ts';

const run = promisify(execFile);
const SOURCE = fileURLToPath(new URL('./ping-pong.c', import.meta.url));

/** A cache line never takes this long: the two threads then took turns on one CPU. */
const SHARED_CPU_NS = 20_000;

/** Compiles ping-pong.c in a temporary folder and runs it. @returns nanoseconds a round trip, median */
export async function measureCPingPong(compiler: Compiler | null, seconds: number, signal?: AbortSignal): Promise<Measured<number>> {
  if (compiler === null) return unavailable('no C compiler (cc, gcc or clang) is on the PATH');
  if (availableParallelism() < 2) return unavailable('two spinning threads need two CPUs');
  const options = signal ? { signal } : {};
  const folder = await mkdtemp(join(tmpdir(), 'scanout-'));
  try {
    const program = join(folder, 'ping-pong');
    await run(compiler.command, ['-O2', '-std=c11', '-pthread', '-o', program, SOURCE], { ...options, timeout: 10_000 });
    const { stdout } = await run(program, [String(Math.ceil(seconds * 1000))], { ...options, timeout: Math.ceil(seconds * 1000) + 2000 });
    const ns = Number(stdout);
    if (ns > SHARED_CPU_NS)
      return unavailable(`the machine was too busy: the median round trip took ${Math.round(ns / 1000)} µs, so both threads shared a CPU`);
    return ns > 0 ? { value: ns } : unavailable(`ping-pong printed ${JSON.stringify(stdout)}`);
  } catch (error) {
    signal?.throwIfAborted();
    const late = error instanceof Error && 'killed' in error && error.killed === true;
    return unavailable(late ? 'the machine was too busy: ping-pong.c did not end in time' : `${compiler.command}: ${reasonOf(error)}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
