/** The device's side of a ring benchmark; a worker's entry file. */
import { Chain } from '../../core/ring/chain.ts';
import type { DeviceQueue } from '../../core/ring/queue.ts';
import { bellOf, DEVICE_BELL, DRIVER_BELL, type RingDevicePlan, STOP_CELL } from './ring-driver.ts';
import { openRingDevice } from './ring-memory.ts';
import { threadPlan } from './threads.ts';

/** Empty polls between two looks at the stop cell. */
const STOP_POLLS = 64;

const { plan, started } = await threadPlan<RingDevicePlan>();
const { work, memory, cells } = plan;
const device = openRingDevice(memory, work);
const chain = new Chain();
let interrupt = false;

started();
if (work.mode === 'sleep') sleepAndServe();
else spinAndServe();

/** Takes up to a batch and returns it. @returns how many */
function serve(queue: DeviceQueue, batch: number): number {
  let taken = 0;
  while (taken < batch && queue.pop(chain)) {
    queue.push(chain.head, chain.writableBytes);
    taken++;
  }
  if (taken > 0) interrupt = queue.publish();
  return taken;
}

function spinAndServe(): void {
  device.disableKicks();
  while (Atomics.load(cells, STOP_CELL) === 0) serveUntilIdle();
}

function serveUntilIdle(): void {
  for (let empty = 0; empty < STOP_POLLS; ) {
    if (serve(device, work.batch) > 0) empty = 0;
    else empty++;
  }
}

function sleepAndServe(): void {
  const bell = bellOf(cells, DEVICE_BELL);
  const driverBell = bellOf(cells, DRIVER_BELL);
  while (Atomics.load(cells, STOP_CELL) === 0) {
    const sample = bell.sample();
    if (serve(device, work.batch) > 0) {
      if (interrupt) driverBell.ring();
    } else if (!device.enableKicks()) {
      if (Atomics.load(cells, STOP_CELL) === 0) bell.sleep(sample, Number.POSITIVE_INFINITY);
      device.disableKicks();
    }
  }
}
