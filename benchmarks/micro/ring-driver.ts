import { MonotonicClock, monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { AtomicsDoorbell } from '../../core/ring/doorbell.ts';
import type { DriverQueue } from '../../core/ring/queue.ts';
import { type CpuPair, pinThread } from './affinity.ts';
import type { Prepared, Work } from './benchmark.ts';
import * as ring from './ring-memory.ts';
import { openRingDriver, ringMemory } from './ring-memory.ts';
import * as sizes from './ring-work.ts';
import { mostOutstanding, type RingWork } from './ring-work.ts';
import { startThread } from './threads.ts';

// Taken over: an imported binding is looked up at every use, a constant of the module is compiled in, as C's are.
const { BUFFERS_AT } = ring;
const { BUFFER_BYTES, RING_SIZE, TABLE_DESCRIPTORS } = sizes;

/** Int32 cells that both sides see, on cache lines of their own. */
export const STOP_CELL = 0;
export const DEVICE_BELL = 32;
export const DRIVER_BELL = 64;
export const CELLS = 96;

export interface RingDevicePlan {
  readonly work: RingWork;
  readonly memory: WebAssembly.Memory;
  readonly cells: Int32Array;
}

/** Starts the device on a thread of its own; the driver is the calling one. */
export async function setUpRing(work: RingWork, cpus: CpuPair | null): Promise<Prepared> {
  const memory = ringMemory();
  const cells = new Int32Array(new SharedArrayBuffer(CELLS * 4));
  // The driver's areas are zeroed when it is made: before the device looks.
  const driver = openRingDriver(memory, work);
  const device = await startThread('ring-device-worker', { work, memory, cells } satisfies RingDevicePlan, cpus?.[1] ?? null);
  const pinned = cpus !== null && (await pinThread(cpus[0])) === null && device.pinned;
  if (work.mode !== 'sleep') driver.disableInterrupts();
  return {
    run: workOf(driver, work, cells),
    count: work.window,
    pinned: cpus === null ? null : pinned,
    async close() {
      Atomics.store(cells, STOP_CELL, 1);
      Atomics.add(cells, DEVICE_BELL, 1);
      Atomics.notify(cells, DEVICE_BELL);
      await device.ended;
    },
  };
}

/** One side's doorbell: it sleeps at once. */
export function bellOf(cells: Int32Array, index: number): AtomicsDoorbell {
  return new AtomicsDoorbell(cells, index, new MonotonicClock(monotonicNowNs()), new Counters(), {
    spinNs: 0,
    rangCounter: Counter.wakeUps,
    suppressedCounter: Counter.wakeUpsSuppressed,
  });
}

function workOf(driver: DriverQueue, work: RingWork, cells: Int32Array): Work {
  const submitter = submitterOf(driver, work.descriptors);
  if (work.mode === 'throughput') return throughput(driver, submitter, work);
  return work.mode === 'spin' ? spinning(driver, submitter) : sleeping(driver, submitter, cells);
}

interface Submitter {
  /** Puts one chain in the ring, not published yet. */
  submit(): void;
  /** After `popUsed`. */
  check(): void;
}

/**
 * Half of a chain's descriptors, at least one, are writable. Functions over constants, not a class: the compiler takes the
 * one driver for a constant then, as C's takes the one ring.
 */
function submitterOf(driver: DriverQueue, descriptors: number): Submitter {
  const readable = descriptors >> 1;
  const written = (descriptors - readable) * BUFFER_BYTES;
  let next = 0;
  return {
    submit() {
      const token = next;
      next = (token + 1) & (RING_SIZE - 1);
      const at = BUFFERS_AT + token * TABLE_DESCRIPTORS * BUFFER_BYTES;
      driver.begin();
      for (let i = 0; i < readable; i++) driver.readable(at + i * BUFFER_BYTES, BUFFER_BYTES);
      for (let i = readable; i < descriptors; i++) driver.writable(at + i * BUFFER_BYTES, BUFFER_BYTES);
      if (!driver.submit(token)) throw new Error('the ring is full');
    },
    check() {
      if (driver.usedLength !== written) throw new Error('a wrong length came back');
    },
  };
}

function throughput(driver: DriverQueue, submitter: Submitter, { batch, descriptors, indirect }: RingWork): Work {
  const most = mostOutstanding(descriptors, indirect);
  let outstanding = 0;
  return (count) => {
    for (let done = 0; done < count; ) {
      while (outstanding + batch <= most) {
        for (let i = 0; i < batch; i++) submitter.submit();
        driver.publish();
        outstanding += batch;
      }
      while (driver.popUsed()) {
        submitter.check();
        outstanding--;
        done++;
      }
    }
  };
}

function spinning(driver: DriverQueue, submitter: Submitter): Work {
  return (count) => {
    for (let i = 0; i < count; i++) {
      submitter.submit();
      driver.publish();
      while (!driver.popUsed());
      submitter.check();
    }
  };
}

function sleeping(driver: DriverQueue, submitter: Submitter, cells: Int32Array): Work {
  const deviceBell = bellOf(cells, DEVICE_BELL);
  const ownBell = bellOf(cells, DRIVER_BELL);
  return (count) => {
    for (let i = 0; i < count; i++) {
      submitter.submit();
      if (driver.publish()) deviceBell.ring();
      for (;;) {
        const sample = ownBell.sample();
        if (driver.popUsed()) break;
        if (!driver.enableInterrupts()) ownBell.sleep(sample, Number.POSITIVE_INFINITY);
        driver.disableInterrupts();
      }
      submitter.check();
    }
  };
}
