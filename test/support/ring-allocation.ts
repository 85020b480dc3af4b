/**
 * Prints the bytes that one round of both ring sides allocates in steady state, as JSON, least of up to forty windows:
 * `used_heap_size` differences less the cost of reading it twice. What a round allocates is in every window; what the
 * compiler allocates, which on a busy machine is done late, is not. To be run with --expose-gc.
 */
import { getHeapStatistics } from 'node:v8';
import type { Ring } from '../../core/machine/options.ts';
import { setUpRing } from '../../core/machine/testing/ring-setup.ts';
import { MonotonicClock, monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { Chain, readChain, writeChain } from '../../core/ring/chain.ts';
import { AtomicsDoorbell } from '../../core/ring/doorbell.ts';
import { DeviceRegisters } from '../../core/ring/registers.ts';
import { newDevice, newDriver, RING_KINDS } from './ring-kinds.ts';

const ROUNDS = 10_000;
const used = (): number => getHeapStatistics().used_heap_size;

function measure(name: string, round: () => void): [string, number] {
  for (let i = 0; i < 5 * ROUNDS; i++) round();
  let least = Number.POSITIVE_INFINITY;
  // Less than a byte a round: nothing that a round does is in it.
  for (let w = 0; w < 40 && !(least < 1); w++) {
    globalThis.gc?.();
    used();
    const own = -used() + used();
    const before = used();
    for (let i = 0; i < ROUNDS; i++) round();
    const bytes = (used() - before - own) / ROUNDS;
    // Below −1 something was collected that the round did not make.
    if (bytes > -1) least = Math.min(least, bytes);
  }
  return [name, least];
}

function ringRound(ring: Ring, inOrder: boolean, indirect: boolean, eventIdx: boolean): () => void {
  const setup = setUpRing({ size: 64, ring, inOrder, indirect, eventIdx });
  const { space, buffers } = setup;
  const driver = newDriver(ring, setup);
  const device = newDevice(ring, setup);
  const chain = new Chain();
  const request = new Uint8Array(96);
  const response = new Uint8Array(24);
  // Addresses above 2^31 are heap numbers when passed: taken from constants, they are made once.
  const first = buffers;
  const second = buffers + 4096;
  return () => {
    for (let i = 0; i < 3; i++) {
      driver.begin();
      driver.readable(first, 96);
      driver.writable(i === 1 ? 0x2000 : second, 24);
      driver.submit(i);
    }
    driver.publish();
    while (device.pop(chain)) {
      readChain(space, chain, 0, request, 0, 96);
      device.push(chain.head, writeChain(space, chain, response, 0, 24));
    }
    device.publish();
    device.enableKicks();
    device.disableKicks();
    while (driver.popUsed());
    driver.enableInterrupts();
    driver.disableInterrupts();
  };
}

function bellRound(): () => void {
  const cells = new Int32Array(new SharedArrayBuffer(256));
  const clock = new MonotonicClock(monotonicNowNs());
  const bell = new AtomicsDoorbell(cells, 0, clock, new Counters(), {
    spinNs: 500,
    rangCounter: Counter.kicks,
    suppressedCounter: Counter.kicksSuppressed,
  });
  return () => {
    const sample = bell.sample();
    bell.spin(sample, Number.POSITIVE_INFINITY);
    bell.ring();
    bell.sleep(sample, Number.POSITIVE_INFINITY);
  };
}

function registersRound(): () => void {
  const registers = new DeviceRegisters(new Int32Array(new SharedArrayBuffer(DeviceRegisters.words * 4)));
  let sum = 0;
  return () => {
    sum = (sum + registers.status + registers.takeInterrupts() + registers.takeEventsClear() + registers.tableGeneration) | 0;
    if (registers.stopRequested) sum++;
  };
}

const results = Object.fromEntries([
  ...RING_KINDS.flatMap(({ ring, inOrder }) =>
    [false, true].flatMap((indirect) =>
      [false, true].map((eventIdx) =>
        measure(
          `${ring}${inOrder ? ', IN_ORDER' : ''}, ${indirect ? 'indirect' : 'direct'}${eventIdx ? ', EVENT_IDX' : ''}`,
          ringRound(ring, inOrder, indirect, eventIdx),
        ),
      ),
    ),
  ),
  measure('doorbell', bellRound()),
  measure('registers', registersRound()),
]);
process.stdout.write(`${JSON.stringify(results)}\n`);
