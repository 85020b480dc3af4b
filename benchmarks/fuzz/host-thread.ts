/** Thread of the host: plays the rounds that it is sent, one after another. */
import { parentPort, workerData } from 'node:worker_threads';
import { type CorpusTrace, loadCorpus } from './corpus.ts';
import { loadFastCheck } from './fast-check.ts';
import { FuzzMemory } from './memory.ts';
import { modelProperty } from './model-run.ts';
import { Cell, RING_KINDS, type Round, type RoundResult } from './plan.ts';
import { Race } from './race.ts';
import { TRACE_PIXELS, TRACE_REGION_BYTES, traceProperty } from './trace-run.ts';

export interface HostThreadData {
  readonly cells: Int32Array;
  /** The regions of the raw-ring part. */
  readonly memories: WebAssembly.Memory[];
  readonly traces: string;
}

/** Looking for a smaller input that fails ends after this long. */
const SHRINK_MS = 4_000;

const { cells, memories, traces: tracesFolder } = workerData as HostThreadData;
const fc = await loadFastCheck();
const modelMemory = new FuzzMemory();
const raceMemory = new FuzzMemory(memories);
const traceMemory = new FuzzMemory();
let corpus: readonly CorpusTrace[] | null = null;

function play(round: Round): RoundResult {
  return round.part === 'race' ? race(round) : check(round);
}

function check(round: Round): RoundResult {
  const kind = RING_KINDS[round.kind];
  let inputs = 0;
  let failedAt = 0;
  const watched = (input: () => void): void => {
    // Found, and made smaller for long enough: what is left of the search passes.
    if (failedAt > 0 && performance.now() - failedAt > SHRINK_MS) return;
    inputs++;
    Atomics.add(cells, Cell.inputs, 1);
    try {
      input();
    } catch (error) {
      if (failedAt === 0) failedAt = performance.now();
      throw error;
    }
  };
  const { replayPath } = round;
  const parameters = {
    seed: round.seed,
    numRuns: round.inputs,
    ...(round.path === undefined ? {} : { path: round.path, endOnFailure: true }),
  };
  corpus ??= loadCorpus(tracesFolder, TRACE_REGION_BYTES, TRACE_PIXELS);
  const traces = corpus;
  const checked = () =>
    round.part === 'model'
      ? fc.check(modelProperty(fc, modelMemory, kind, watched, replayPath), parameters)
      : fc.check(traceProperty(fc, traceMemory, kind, traces, watched), parameters);
  let details: ReturnType<typeof checked>;
  try {
    details = checked();
  } catch (error) {
    // What an input throws is in the details: this is about the way to it, which a file may give wrong.
    if (round.path === undefined) throw error;
    return { inputs: 0, chains: 0, broken: 0, found: null, nowhere: error instanceof Error ? error.message : String(error) };
  }
  const result = { inputs, chains: 0, broken: 0 };
  if (round.path !== undefined && inputs === 0) return { ...result, found: null, nowhere: 'its turns end before an input' };
  if (!details.failed || details.counterexample === null) return { ...result, found: null };
  const error = details.errorInstance;
  const input = fc.stringify(details.counterexample);
  return {
    ...result,
    found: {
      message: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
      stack: error instanceof Error ? (error.stack ?? '') : '',
      path: details.counterexamplePath ?? '',
      replayPath: /replayPath="([^"]*)"/.exec(input)?.[1] ?? null,
      input,
    },
  };
}

function race(round: Round): RoundResult {
  const played = new Race(raceMemory, cells, round.kind);
  const only = round.path === undefined ? null : Number(round.path);
  let inputs = 0;
  for (; inputs < round.inputs; inputs++) {
    const episode = only ?? inputs;
    Atomics.add(cells, Cell.inputs, 1);
    try {
      if (episode % 3 === 2) played.ring(round.seed + episode);
      else played.host(round.seed + episode);
    } catch (error) {
      const { chains, broken } = played;
      return {
        inputs: inputs + 1,
        chains,
        broken,
        found: {
          message: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
          stack: error instanceof Error ? (error.stack ?? '') : '',
          path: String(episode),
          replayPath: null,
          input: `episode ${episode} of seed ${round.seed}, ${episode % 3 === 2 ? "the ring's device side" : 'the whole device'}`,
        },
      };
    }
  }
  return { inputs, chains: played.chains, broken: played.broken, found: null };
}

parentPort?.on('message', (round: Round) => parentPort?.postMessage(play(round)));
parentPort?.postMessage('ready');
