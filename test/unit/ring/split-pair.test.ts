import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RAM_BYTES, setUpRing } from '../../../core/machine/testing/ring-setup.ts';
import type { RingSetup, RingSetupOptions } from '../../../core/machine/testing/ring-setup.ts';
import { createSharedMemory } from '../../../core/memory/region.ts';
import { Chain, readChain, writeChain } from '../../../core/ring/chain.ts';
import { RingError } from '../../../core/ring/queue.ts';
import { SplitDevice } from '../../../core/ring/split/device.ts';
import { SplitDriver } from '../../../core/ring/split/driver.ts';
import { needEvent } from '../../../core/ring/split/layout.ts';

const memories = [createSharedMemory(RAM_BYTES), createSharedMemory(RAM_BYTES)] as const;

interface Pair {
  setup: RingSetup;
  driver: SplitDriver;
  device: SplitDevice;
}

function pair(options: RingSetupOptions): Pair {
  const setup = setUpRing(options, memories);
  const driver = new SplitDriver(setup.space, setup.config, setup.tables);
  return { setup, driver, device: new SplitDevice(setup.space, setup.config) };
}

const chain = new Chain();
const scratch = new Uint8Array(4096);

/** Moves every index on by `count` with chains of one buffer. */
function runOn({ setup, driver, device }: Pair, count: number): void {
  for (let i = 0; i < count; i++) {
    driver.begin();
    driver.readable(setup.buffers, 4);
    driver.submit(0);
    driver.publish();
    device.pop(chain);
    device.push(chain.head, 0);
    device.publish();
    driver.popUsed();
  }
}

describe('event index arithmetic (virtio-gpu §4)', () => {
  test('needEvent says whether (old, next] holds event + 1, for all wraps', () => {
    fc.assert(fc.property(fc.nat(0xffff), fc.nat(0xffff), fc.nat(1024), (event, old, step) => {
      const next = (old + step) & 0xffff;
      let passed = false;
      for (let i = 1; i <= step; i++) if (((old + i) & 0xffff) === ((event + 1) & 0xffff)) passed = true;
      expect(needEvent(event, next, old)).toBe(passed);
    }), { numRuns: 300 });
  });
});

describe('driver and device against each other', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('submit' as const), readable: fc.integer({ min: 0, max: 6 }), writable: fc.integer({ min: 0, max: 6 }) }),
    fc.record({ do: fc.constantFrom('publishDriver' as const, 'publishDevice' as const, 'pop' as const, 'popUsed' as const) }),
    fc.record({ do: fc.constant('push' as const), which: fc.nat(1000) }),
  );

  test('no buffer is lost, doubled or changed, and answers reach their request', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10 }).map((n) => 2 ** n),
        fc.boolean(), fc.boolean(), fc.integer({ min: 0, max: 20 }),
        fc.array(step, { minLength: 1, maxLength: 200 }),
        (size, indirect, eventIdx, before, steps) => {
          const both = pair({ size, indirect, eventIdx });
          const { setup, driver, device } = both;
          runOn(both, 65536 - before);
          let nextToken = 1;
          const submitted = new Map<number, { readable: number[]; writable: number }>();
          const published: number[] = [];
          let unpublished: number[] = [];
          const taken: { token: number; head: number; written: number }[] = [];
          let pushed: { token: number; written: number }[] = [];
          const used: { token: number; written: number }[] = [];
          const run = (s: (typeof steps)[number]): void => {
            if (s.do === 'submit') {
              const count = s.readable + s.writable;
              if (count === 0) return;
              const token = nextToken;
              const lengths: number[] = [];
              driver.begin();
              for (let i = 0; i < s.readable; i++) {
                const length = 1 + ((token * 7 + i * 13) % 40);
                lengths.push(length);
                driver.readable(setup.buffers + ((token * 64 + i) % 1024) * 64, length);
              }
              for (let i = 0; i < s.writable; i++) driver.writable(0x1000 + i * 64, 16);
              const table = indirect && count >= 2 && count <= setup.tables.descriptors;
              if (!table && count > size) {
                expect(() => driver.submit(token)).toThrow(RangeError);
                return;
              }
              const room = driver.free >= (table ? 1 : count);
              const freeBefore = driver.free;
              expect(driver.submit(token)).toBe(room);
              expect(driver.free).toBe(room ? freeBefore - (table ? 1 : count) : freeBefore);
              if (!room) return;
              nextToken++;
              submitted.set(token, { readable: lengths, writable: s.writable });
              unpublished.push(token);
            } else if (s.do === 'publishDriver') {
              driver.publish();
              published.push(...unpublished);
              unpublished = [];
            } else if (s.do === 'pop') {
              const token = published.shift();
              expect(device.pop(chain)).toBe(token !== undefined);
              if (token === undefined) return;
              const sent = submitted.get(token);
              expect([...chain.length.subarray(0, chain.readableCount)]).toEqual(sent?.readable);
              expect(chain.count - chain.readableCount).toBe(sent?.writable);
              taken.push({ token, head: chain.head, written: token % 97 });
              expect(device.inFlight).toBe(taken.length);
            } else if (s.do === 'push') {
              if (taken.length === 0) return;
              const [one] = taken.splice(s.which % taken.length, 1);
              device.push(one.head, one.written);
              pushed.push({ token: one.token, written: one.written });
            } else if (s.do === 'publishDevice') {
              device.publish();
              used.push(...pushed);
              pushed = [];
            } else {
              const one = used.shift();
              expect(driver.popUsed()).toBe(one !== undefined);
              if (one === undefined) return;
              expect([driver.usedToken, driver.usedLength]).toEqual([one.token, one.written]);
              submitted.delete(one.token);
            }
          };
          for (const s of steps) run(s);
          run({ do: 'publishDriver' });
          while (published.length > 0) run({ do: 'pop' });
          while (taken.length > 0) run({ do: 'push', which: 0 });
          run({ do: 'publishDevice' });
          while (used.length > 0) run({ do: 'popUsed' });
          expect(submitted.size).toBe(0);
          expect(driver.free).toBe(size);
          expect(device.inFlight).toBe(0);
          expect(device.pop(chain)).toBe(false);
          expect(driver.popUsed()).toBe(false);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('bytes of a request and of its answer arrive over segments of two regions', () => {
    const { setup, driver, device } = pair({ size: 16, indirect: true });
    const request = Uint8Array.from({ length: 3000 }, (_, i) => i * 31);
    setup.high.u8.set(request.subarray(0, 100), 0x10_0000);
    setup.low.u8.set(request.subarray(100), 0x2003);
    driver.begin();
    driver.readable(setup.high.gpa + 0x10_0000, 100);
    driver.readable(0x2003, 2900);
    driver.writable(0x9001, 10);
    driver.writable(setup.high.gpa + 0x20_0000, 1000);
    expect(driver.submit(7)).toBe(true);
    driver.publish();
    expect(device.pop(chain)).toBe(true);
    expect([chain.readableBytes, chain.writableBytes]).toEqual([3000, 1010]);
    expect(readChain(setup.space, chain, 0, scratch, 8, 4000)).toBe(3000);
    expect(scratch.slice(8, 3008)).toEqual(request);
    expect(readChain(setup.space, chain, 95, scratch, 0, 10)).toBe(10);
    expect(scratch.slice(0, 10)).toEqual(request.slice(95, 105));
    expect(readChain(setup.space, chain, 3000, scratch, 0, 10)).toBe(0);
    expect(writeChain(setup.space, chain, request, 1, 2000)).toBe(1010);
    expect(setup.low.u8.slice(0x9001, 0x900b)).toEqual(request.slice(1, 11));
    expect(setup.high.u8.slice(0x20_0000, 0x20_03e8)).toEqual(request.slice(11, 1011));
    expect(() => readChain(setup.space, chain, 0, scratch, 4000, 97)).toThrow(RangeError);
    expect(() => writeChain(setup.space, chain, request, 2990, 11)).toThrow(RangeError);
    setup.space.remove(0);
    expect(readChain(setup.space, chain, 0, scratch, 0, 3000)).toBe(100);
    expect(writeChain(setup.space, chain, request, 0, 20)).toBe(0);
  });

  test('a chain popped after its region left is refused although the region was hit before', () => {
    const { setup, driver, device } = pair({ size: 4 });
    for (let i = 0; i < 2; i++) {
      driver.begin();
      driver.readable(0x1000, 8);
      driver.submit(i);
      driver.publish();
    }
    expect(device.pop(chain)).toBe(true);
    setup.space.remove(0);
    expect(() => device.pop(chain)).toThrow(RingError);
  });

  test('a ring without room refuses the chain and takes it later unchanged', () => {
    const { setup, driver, device } = pair({ size: 2 });
    driver.begin();
    driver.readable(setup.buffers, 1);
    driver.writable(setup.buffers, 2);
    expect(driver.submit(1)).toBe(true);
    expect(driver.submit(2)).toBe(false);
    driver.publish();
    device.pop(chain);
    device.push(chain.head, 2);
    expect(driver.submit(2)).toBe(false);
    device.publish();
    expect(driver.submit(2)).toBe(false);
    expect(driver.popUsed()).toBe(true);
    expect(driver.submit(2)).toBe(true);
    driver.publish();
    expect(device.pop(chain)).toBe(true);
    expect([chain.readableBytes, chain.writableBytes]).toEqual([1, 2]);
  });

  test('a chain longer than a slot table goes into the long table, one at a time', () => {
    const { setup, driver, device } = pair({ size: 4, indirect: true, tableDescriptors: 4 });
    driver.longTable(setup.low.gpa + 0x8000, 1024);
    const long = (token: number): boolean => {
      driver.begin();
      for (let i = 0; i < 1024; i++) driver.readable(setup.buffers + i, 1);
      return driver.submit(token);
    };
    expect(long(1)).toBe(true);
    expect(long(2)).toBe(false);
    expect(driver.free).toBe(3);
    driver.publish();
    expect(device.pop(chain)).toBe(true);
    expect([chain.count, chain.indirect]).toEqual([1024, true]);
    device.push(chain.head, 0);
    device.publish();
    expect(driver.popUsed()).toBe(true);
    expect(long(2)).toBe(true);
    driver.begin();
    for (let i = 0; i < 1024; i++) driver.readable(setup.buffers, 1);
    expect(() => driver.readable(setup.buffers, 1)).toThrow(RangeError);
  });

  test('indirectFrom chooses direct or indirect for the same buffers', () => {
    const { setup, driver, device } = pair({ size: 8, indirect: true });
    for (const [from, indirect, free] of [[2, true, 7], [Number.POSITIVE_INFINITY, false, 5], [1, true, 4]] as const) {
      driver.indirectFrom = from;
      driver.begin();
      driver.readable(setup.buffers, 4);
      driver.writable(setup.buffers, 4);
      driver.submit(0);
      driver.publish();
      device.pop(chain);
      expect([chain.indirect, chain.count, driver.free]).toEqual([indirect, 2, free]);
    }
  });
});

describe('misuse and a broken device', () => {
  test('the driver refuses chains that no ring may hold', () => {
    const { setup, driver } = pair({ size: 4 });
    driver.begin();
    expect(() => driver.submit(0)).toThrow(RangeError);
    expect(() => driver.readable(setup.buffers, 0)).toThrow(RangeError);
    expect(() => driver.readable(setup.buffers, 2 ** 32)).toThrow(RangeError);
    driver.writable(setup.buffers, 1);
    expect(() => driver.readable(setup.buffers, 1)).toThrow(RangeError);
    expect(() => driver.submit(-1)).toThrow(RangeError);
    expect(() => driver.submit(2 ** 31)).toThrow(RangeError);
  });

  test('the device refuses to return a head it does not hold', () => {
    const { device } = pair({ size: 4 });
    expect(() => device.push(0, 0)).toThrow(RangeError);
    expect(() => device.push(4, 0)).toThrow(RangeError);
  });

  test.each([
    ['used-ahead', 5, 0],
    ['used-range', 1, 4],
    ['used-not-in-flight', 1, 2],
  ])('a used ring broken by the device is a RingError (%s)', (rule, index, id) => {
    const { setup, driver } = pair({ size: 4 });
    driver.begin();
    driver.readable(setup.buffers, 1);
    driver.submit(0);
    driver.publish();
    const used = setup.config.deviceAddress - setup.high.gpa;
    setup.high.u32[used / 4 + 1] = id;
    setup.high.u16[used / 2 + 1] = index;
    expect(() => driver.popUsed()).toThrow(expect.objectContaining({ name: 'RingError', rule }));
  });
});

describe.each([{ eventIdx: true }, { eventIdx: false }])('kicks and interrupts, %o', ({ eventIdx }) => {
  const send = ({ setup, driver }: Pair): boolean => {
    driver.begin();
    driver.readable(setup.buffers, 4);
    driver.submit(1);
    return driver.publish();
  };
  const answer = ({ device }: Pair): boolean => {
    device.pop(chain);
    device.push(chain.head, 0);
    return device.publish();
  };

  test('a device that polls gets no kick, one that asked gets one for the next chain only', () => {
    const both = pair({ size: 256, eventIdx });
    expect(send(both)).toBe(true);
    both.device.disableKicks();
    for (let i = 0; i < 100; i++) expect(send(both)).toBe(false);
    expect(both.device.enableKicks()).toBe(true);
    for (let i = 0; i < 101; i++) answer(both);
    expect(both.device.enableKicks()).toBe(false);
    expect(send(both)).toBe(true);
    // Without EVENT_IDX kicks stay on until they are switched off.
    expect(send(both)).toBe(!eventIdx);
  });

  test('a driver that polls gets no interrupt, one that asked gets one for the next answer only', () => {
    const both = pair({ size: 256, eventIdx });
    for (let i = 0; i < 200; i++) send(both);
    expect(answer(both)).toBe(true);
    both.driver.disableInterrupts();
    for (let i = 0; i < 100; i++) expect(answer(both)).toBe(false);
    expect(both.driver.enableInterrupts()).toBe(true);
    while (both.driver.popUsed());
    expect(both.driver.enableInterrupts()).toBe(false);
    expect(answer(both)).toBe(true);
    expect(answer(both)).toBe(!eventIdx);
  });

  test('an event in the middle of a batch is not missed', () => {
    const both = pair({ size: 256, eventIdx });
    runOn(both, 65530);
    both.device.disableKicks();
    both.device.enableKicks();
    const { setup, driver } = both;
    for (let i = 0; i < 16; i++) {
      driver.begin();
      driver.readable(setup.buffers, 4);
      driver.submit(i);
    }
    expect(driver.publish()).toBe(true);
    expect(driver.publish()).toBe(false);
  });
});
