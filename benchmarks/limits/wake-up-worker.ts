/** Both ends of wake-up.ts; a worker's entry file. */
import { workerData } from 'node:worker_threads';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { ASLEEP, BELL, MAX_WAKE_UPS, NOTIFIED_AT, STOP, WAKE_UPS, WOKEN_AT } from './wake-up.ts';
import type { PairPlan } from './worker-pair.ts';

const { role, shared, seconds } = workerData as PairPlan;
const cells = new Int32Array(shared);
/** Time that the sleeper is given to be off its CPU. */
const SETTLE_NS = 100_000;

if (role === 'first') wake(new Float64Array(shared, NOTIFIED_AT, MAX_WAKE_UPS), seconds * 1e9);
else sleep(new Float64Array(shared, WOKEN_AT, MAX_WAKE_UPS));

function wake(notified: Float64Array, budgetNs: number): void {
  let count = 0;
  awaitSleeper(0);
  const end = monotonicNowNs() + budgetNs;
  while (count < MAX_WAKE_UPS && monotonicNowNs() < end) {
    const settled = monotonicNowNs() + SETTLE_NS;
    while (monotonicNowNs() < settled);
    notified[count] = monotonicNowNs();
    Atomics.store(cells, BELL, count + 1);
    // Nobody was woken: the sleeper had not slept yet, so that there was no wake-up to time.
    if (Atomics.notify(cells, BELL) === 0) notified[count] = 0;
    count++;
    awaitSleeper(count);
    Atomics.store(cells, WAKE_UPS, count);
  }
  Atomics.store(cells, BELL, STOP);
  Atomics.notify(cells, BELL);
}

function awaitSleeper(count: number): void {
  while (Atomics.load(cells, ASLEEP) !== count + 1);
}

function sleep(woken: Float64Array): void {
  for (let count = 0; ; count++) {
    Atomics.store(cells, ASLEEP, count + 1);
    Atomics.wait(cells, BELL, count);
    const now = monotonicNowNs();
    if (Atomics.load(cells, BELL) === STOP) return;
    woken[count] = now;
  }
}
