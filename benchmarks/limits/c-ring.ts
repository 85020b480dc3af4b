import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Compiler } from '../compiler.ts';
import { type Measured, reasonOf, unavailable } from './available.ts';

const run = promisify(execFile);
const SOURCE = fileURLToPath(new URL('./ring.c', import.meta.url));

/** The order of ring.c's atomics: that of JavaScript's Atomics, or the weakest that a virtqueue does with. */
export const C_ORDERS = ['seq_cst', 'acq_rel'] as const;
export type COrder = (typeof C_ORDERS)[number];

/** What ring.c is asked to measure; see its head. */
export interface CRingWork {
  readonly layout: 'split' | 'packed';
  readonly mode: 'throughput' | 'spin' | 'sleep';
  readonly batch: number;
  readonly descriptors: number;
  readonly indirect: boolean;
  /** Buffers of a window. */
  readonly window: number;
}

export interface CRingTime {
  /** Nanoseconds a buffer, median over windows. */
  readonly ns: number;
  readonly pinned: boolean;
}

/** ring.c, compiled on first use in a temporary folder, once for each layout and order. */
export class CRings {
  readonly #compiler: Compiler;
  #folder: string | null = null;
  readonly #programs = new Map<string, Promise<Measured<string>>>();

  constructor(compiler: Compiler) {
    this.#compiler = compiler;
  }

  /**
   * One measurement in a process of its own.
   * @param cpus of the driver's and the device's thread, or null to let them run where they like
   */
  async measure(
    work: CRingWork,
    order: COrder,
    seconds: number,
    cpus: readonly [number, number] | null,
    signal?: AbortSignal,
  ): Promise<Measured<CRingTime>> {
    const key = `${work.layout}-${order}`;
    let program = this.#programs.get(key);
    if (program === undefined) {
      program = this.#compile(key, work.layout, order, signal);
      this.#programs.set(key, program);
    }
    const compiled = await program;
    if ('unavailable' in compiled) return compiled;
    const ms = Math.max(1, Math.ceil(seconds * 1000));
    const numbers = [work.batch, work.descriptors, Number(work.indirect), Math.ceil(ms / 4), ms, work.window, ...(cpus ?? [-1, -1])];
    try {
      const { stdout } = await run(compiled.value, [work.mode, ...numbers.map(String)], {
        timeout: 2 * ms + 5000,
        ...(signal ? { signal } : {}),
      });
      const { ns, pinned } = JSON.parse(stdout) as CRingTime;
      return ns > 0 ? { value: { ns, pinned } } : unavailable(`ring.c printed ${JSON.stringify(stdout)}`);
    } catch (error) {
      signal?.throwIfAborted();
      const late = error instanceof Error && 'killed' in error && error.killed === true;
      return unavailable(late ? 'the machine was too busy: ring.c did not end in time' : `ring.c: ${reasonOf(error)}`);
    }
  }

  /** Removes the temporary folder. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#programs.values());
    if (this.#folder !== null) await rm(this.#folder, { recursive: true, force: true });
  }

  async #compile(name: string, layout: CRingWork['layout'], order: COrder, signal?: AbortSignal): Promise<Measured<string>> {
    try {
      this.#folder ??= await mkdtemp(join(tmpdir(), 'scanout-'));
      const program = join(this.#folder, name);
      const defined = [...(layout === 'packed' ? ['-DPACKED'] : []), ...(order === 'acq_rel' ? ['-DACQUIRE_RELEASE'] : [])];
      await run(this.#compiler.command, ['-O3', '-std=c11', '-pthread', ...defined, '-o', program, SOURCE], {
        timeout: 20_000,
        ...(signal ? { signal } : {}),
      });
      return { value: program };
    } catch (error) {
      signal?.throwIfAborted();
      return unavailable(`${this.#compiler.command}: ${reasonOf(error)}`);
    }
  }
}
