/**
 * Round trip of a value bounced between two worker threads that spin on Atomics: ping-pong.c's twin, and a lower
 * bound for anything the ring can do in JavaScript.
 */
import { type Measured, unavailable } from './available.ts';
import { medianOfSorted } from './bootstrap.ts';
import { runPair } from './worker-pair.ts';

/** Int32 cells on cache lines of their own. */
export const PING = 0;
export const PONG = 32;
/** Number of batches measured so far. */
export const BATCHES = 64;
/** Where the Float64 nanoseconds a round trip of each batch begin, bytes. */
export const BATCHES_AT = 512;
export const MAX_BATCHES = 1 << 16;
/** Round trips. Short: on a busy machine both threads may share a CPU for a while, and each trip then takes two time slices. */
export const BATCH = 200;
export const STOP = -1;

const BYTES = BATCHES_AT + MAX_BATCHES * 8;

/** @returns nanoseconds a round trip, median over batches */
export async function measureJsPingPong(seconds: number, signal?: AbortSignal): Promise<Measured<number>> {
  const pair = await runPair('js-ping-pong-worker', BYTES, seconds, signal);
  if ('unavailable' in pair) return pair;
  const count = Atomics.load(new Int32Array(pair.value), BATCHES);
  // The first quarter was run before the optimising compiler was done.
  const first = count >>> 2;
  const batches = Float64Array.from(new Float64Array(pair.value, BATCHES_AT, count).subarray(first)).sort();
  return batches.length > 0
    ? { value: medianOfSorted(batches) }
    : unavailable('the machine was too busy: no batch of round trips ended in time');
}
