/** From Atomics.notify to the sleeper's first instruction after Atomics.wait: what a sleeping doorbell costs. */
import { type Measured, unavailable } from './available.ts';
import { medianOfSorted, quantileOfSorted } from './bootstrap.ts';
import { runPair } from './worker-pair.ts';

/** Int32 cells on cache lines of their own: what is slept on; the sleeper's announcement. */
export const BELL = 0;
export const ASLEEP = 32;
/** Number of wake-ups made so far. */
export const WAKE_UPS = 64;
export const STOP = -1;
/** Where the Float64 times of the notifications and of the wake-ups begin, bytes; ns, CLOCK_MONOTONIC. */
export const NOTIFIED_AT = 512;
export const MAX_WAKE_UPS = 1 << 14;
export const WOKEN_AT = NOTIFIED_AT + MAX_WAKE_UPS * 8;

const BYTES = WOKEN_AT + MAX_WAKE_UPS * 8;

/** @returns microseconds over wake-ups of a thread that was really asleep */
export async function measureWakeUp(seconds: number, signal?: AbortSignal): Promise<Measured<{ median: number; p99: number }>> {
  const pair = await runPair('wake-up-worker', BYTES, seconds, signal);
  if ('unavailable' in pair) return pair;
  const count = Atomics.load(new Int32Array(pair.value), WAKE_UPS);
  const notified = new Float64Array(pair.value, NOTIFIED_AT, count);
  const woken = new Float64Array(pair.value, WOKEN_AT, count);
  const us = woken
    .map((at, i) => (at - notified[i]) / 1000)
    .filter((_, i) => notified[i] > 0)
    .sort();
  return us.length > 0
    ? { value: { median: medianOfSorted(us), p99: quantileOfSorted(us, 0.99) } }
    : unavailable('the machine was too busy: no wake-up was timed');
}
