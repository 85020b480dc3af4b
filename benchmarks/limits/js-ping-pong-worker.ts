/** Both ends of js-ping-pong.ts; a worker's entry file. */
import { workerData } from 'node:worker_threads';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { BATCH, BATCHES, BATCHES_AT, MAX_BATCHES, PING, PONG, STOP } from './js-ping-pong.ts';
import type { PairPlan } from './worker-pair.ts';

const { role, shared, seconds } = workerData as PairPlan;
const cells = new Int32Array(shared);

if (role === 'first') ping(new Float64Array(shared, BATCHES_AT, MAX_BATCHES), seconds * 1e9);
else respond();

function ping(batchNs: Float64Array, budgetNs: number): void {
  let value = bounce(0);
  const start = monotonicNowNs();
  let from = start;
  let batches = 0;
  do {
    value = bounce(value);
    const to = monotonicNowNs();
    batchNs[batches++] = (to - from) / BATCH;
    Atomics.store(cells, BATCHES, batches);
    from = monotonicNowNs();
  } while (batches < MAX_BATCHES && from - start < budgetNs);
  Atomics.store(cells, PING, STOP);
}

function bounce(last: number): number {
  let value = last;
  for (let i = 0; i < BATCH; i++) {
    value = (value + 1) & 0x3fffffff;
    Atomics.store(cells, PING, value);
    while (Atomics.load(cells, PONG) !== value);
  }
  return value;
}

function respond(): void {
  let last = 0;
  for (;;) {
    const value = Atomics.load(cells, PING);
    if (value === last) continue;
    if (value === STOP) return;
    Atomics.store(cells, PONG, value);
    last = value;
  }
}
