import { once } from 'node:events';
import { extname } from 'node:path';
import { setTimeout as later } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { createSharedMemory } from '../../core/memory/region.ts';
import { FuzzMemory } from './memory.ts';
import { Cell, type Found, PARTS, type PartName, RACE, type Round, type RoundResult, roundOf } from './plan.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly seconds: number;
  /** Folder of the traces that the corpus is made of. */
  readonly traces: string;
  /** Only these parts; the rounds of the others are left out. */
  readonly parts?: readonly PartName[];
  /** This one round instead of those of the seed; played once, a race until it fails. */
  readonly only?: Round;
  readonly signal?: AbortSignal;
  readonly onRound?: (round: Round, total: number, seconds: number) => void;
}

/** Figures of one part. */
export interface PartFigures {
  rounds: number;
  inputs: number;
  seconds: number;
}

export interface FuzzOutcome {
  readonly seed: number;
  readonly seconds: number;
  readonly parts: Record<PartName, PartFigures>;
  /** Races: chains that the device took, episodes that ended in a broken ring. */
  readonly chains: number;
  readonly broken: number;
  readonly failure: { readonly round: Round; readonly found: Found } | null;
  /** Stopped from outside. */
  readonly interrupted: boolean;
}

/** The path of the round that is to be played again leads to no input. */
export class NoInputError extends Error {
  override name = 'NoInputError';
}

/** A thread that begins no new input for so long hangs: each takes milliseconds, on a busy machine a tenth of a second. */
const HANG_MS = 30_000;
const LOOK_MS = 500;

/** Plays rounds until the time is over or something is found. Rejects with a NoInputError, or with the faults of the fuzzer itself. */
export async function runFuzz(options: FuzzOptions): Promise<FuzzOutcome> {
  let began = performance.now();
  const elapsed = (): number => (performance.now() - began) / 1000;
  const parts: Record<PartName, PartFigures> = {
    model: { rounds: 0, inputs: 0, seconds: 0 },
    traces: { rounds: 0, inputs: 0, seconds: 0 },
    race: { rounds: 0, inputs: 0, seconds: 0 },
  };
  let chains = 0;
  let broken = 0;
  let failure: FuzzOutcome['failure'] = null;
  const stopped = (): boolean => options.signal?.aborted === true;
  const threads = new Threads(options.traces);
  try {
    await threads.ready();
    // A busy machine takes seconds to start them: not a second that was asked for may pass before the first input.
    began = performance.now();
    for (let index = 0; failure === null && !stopped(); index++) {
      const round = options.only ?? roundOf(options.seed, index);
      if (options.only === undefined && !(options.parts ?? PARTS).includes(round.part)) continue;
      if (options.only === undefined ? elapsed() >= options.seconds : index > 0) break;
      const start = elapsed();
      options.onRound?.(round, parts.model.inputs + parts.traces.inputs + parts.race.inputs, start);
      const result = await threads.play(round, options.signal);
      if (result === null) break;
      if (result.nowhere !== undefined) throw new NoInputError(result.nowhere);
      const figures = parts[round.part];
      figures.rounds++;
      figures.inputs += result.inputs;
      figures.seconds += elapsed() - start;
      chains += result.chains;
      broken += result.broken;
      if (result.found !== null) failure = { round, found: result.found };
    }
  } finally {
    await threads.end();
  }
  return { seed: options.seed, seconds: elapsed(), parts, chains, broken, failure, interrupted: stopped() };
}

/** The thread of the host and that of the hostile driver. */
class Threads {
  readonly #cells = new Int32Array(new SharedArrayBuffer(Cell.cells * 4));
  readonly #host: Worker;
  readonly #guest: Worker;
  /** Why the host's thread ended, and what the other one threw: that is a fault of the fuzzer. */
  #death: string | null = null;
  #fault: unknown = null;
  readonly #ready: Promise<unknown>;

  constructor(traces: string) {
    const cells = this.#cells;
    const memories = Array.from({ length: 4 }, () => createSharedMemory(FuzzMemory.bytesFor(RACE.regionBytes)));
    const start = (entry: string): Worker => {
      const file = new URL(`./${entry}${extname(import.meta.url)}`, import.meta.url);
      const worker = new Worker(file, { workerData: { cells, memories, traces }, execArgv: [] });
      return worker;
    };
    this.#host = start('host-thread');
    this.#host.on('error', (error) => {
      this.#death ??= error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    });
    this.#host.on('exit', (code) => {
      this.#death ??= `the host's thread ended with code ${code}`;
    });
    this.#guest = start('guest-thread');
    this.#guest.on('error', (error) => {
      this.#fault ??= error;
    });
    this.#ready = once(this.#host, 'message');
    // A thread that cannot start is told of by `ready`.
    this.#ready.catch(() => {});
  }

  /** @throws Error if a thread could not start */
  async ready(): Promise<void> {
    await this.#ready;
  }

  /** @returns null when stopped meanwhile */
  async play(round: Round, signal: AbortSignal | undefined): Promise<RoundResult | null> {
    const cells = this.#cells;
    let answer: RoundResult | null = null;
    const onMessage = (result: RoundResult): void => {
      answer = result;
      wake.abort();
    };
    const wake = new AbortController();
    const first = Atomics.load(cells, Cell.inputs);
    this.#host.once('message', onMessage);
    this.#host.postMessage(round);
    const awake = signal === undefined ? wake.signal : AbortSignal.any([wake.signal, signal]);
    let seen = first;
    let since = performance.now();
    for (;;) {
      await later(LOOK_MS, undefined, { signal: awake }).catch(() => {});
      if (answer !== null) return answer;
      if (signal?.aborted === true) return null;
      if (this.#fault !== null) throw this.#fault;
      const inputs = Atomics.load(cells, Cell.inputs);
      if (inputs !== seen) since = performance.now();
      seen = inputs;
      const hangs = performance.now() - since > HANG_MS;
      if (this.#death === null && !hangs) continue;
      // Then it was not the host that hung or threw, but the search for an input.
      if (round.path !== undefined && seen === first)
        return { inputs: 0, chains: 0, broken: 0, found: null, nowhere: this.#death ?? `none is found within ${HANG_MS / 1000} s` };
      const message = this.#death ?? `hangs: no end of an input for ${HANG_MS / 1000} s`;
      const path = String(Math.max(0, seen - first - 1));
      const found = { message, stack: '', path, replayPath: null, input: `input ${path} of the round; not made smaller` };
      return { inputs: seen - first, chains: 0, broken: 0, found };
    }
  }

  async end(): Promise<void> {
    Atomics.store(this.#cells, Cell.episode, -1);
    Atomics.notify(this.#cells, Cell.episode);
    await Promise.all([this.#host.terminate(), this.#guest.terminate()]);
  }
}
