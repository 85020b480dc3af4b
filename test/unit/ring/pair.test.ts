import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RingSetup, RingSetupOptions } from '../../../core/machine/testing/ring-setup.ts';
import { RAM_BYTES, setUpRing } from '../../../core/machine/testing/ring-setup.ts';
import { createSharedMemory } from '../../../core/memory/region.ts';
import { Chain, readChain, writeChain } from '../../../core/ring/chain.ts';
import { AVAIL, EVENT_DESC, EVENT_DISABLE, EVENT_ENABLE, USED, wantsEvent } from '../../../core/ring/packed/layout.ts';
import { RingError } from '../../../core/ring/queue.ts';
import { needEvent } from '../../../core/ring/split/layout.ts';
import { newDevice, newDriver, RING_KINDS } from '../../support/ring-kinds.ts';

const memories = [createSharedMemory(RAM_BYTES), createSharedMemory(RAM_BYTES)] as const;

interface Pair {
  setup: RingSetup;
  driver: ReturnType<typeof newDriver>;
  device: ReturnType<typeof newDevice>;
}

function open(options: RingSetupOptions): Pair {
  const setup = setUpRing(options, memories);
  const ring = options.ring ?? 'split';
  const driver = newDriver(ring, setup);
  return { setup, driver, device: newDevice(ring, setup) };
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
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffff), fc.nat(1024), (event, old, step) => {
        const next = (old + step) & 0xffff;
        let passed = false;
        for (let i = 1; i <= step; i++) if (((old + i) & 0xffff) === ((event + 1) & 0xffff)) passed = true;
        expect(needEvent(event, next, old)).toBe(passed);
      }),
      { numRuns: 300 },
    );
  });

  test('the packed ring asks likewise in slots and laps, for any size', () => {
    const laps = fc
      .integer({ min: 1, max: 1024 })
      .chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1), fc.integer({ min: 1, max: size }), fc.nat(2 * size - 1)));
    fc.assert(
      fc.property(laps, ([size, old, added, event]) => {
        // Slots counted over two laps: the wrap counter is 1 in the first, 0 in the second.
        const wrapOf = (slot: number): number => (Math.floor(slot / size) % 2 === 0 ? 1 : 0);
        const word = EVENT_DESC | (wrapOf(event) << 15) | (event % size);
        let passed = false;
        for (let i = 0; i < added; i++) if ((old + i) % (2 * size) === event) passed = true;
        const next = old + added;
        expect(wantsEvent(word, next % size, wrapOf(next), added, size, true)).toBe(passed);
        // Not negotiated: DESC means ENABLE.
        expect(wantsEvent(word, next % size, wrapOf(next), added, size, false)).toBe(true);
        expect(wantsEvent(EVENT_DISABLE | event, next % size, wrapOf(next), added, size, true)).toBe(false);
        expect(wantsEvent(EVENT_ENABLE, next % size, wrapOf(next), added, size, true)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe.each(RING_KINDS)('%o', ({ ring, inOrder }) => {
  const pair = (options: RingSetupOptions): Pair => open({ ...options, ring, inOrder });

  describe('driver and device against each other', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('submit' as const), readable: fc.integer({ min: 0, max: 6 }), writable: fc.integer({ min: 0, max: 6 }) }),
      fc.record({ do: fc.constantFrom('publishDriver' as const, 'publishDevice' as const, 'pop' as const, 'popUsed' as const) }),
      fc.record({ do: fc.constant('push' as const), which: fc.nat(1000) }),
    );

    test('no buffer is lost, doubled or changed, and answers reach their request', () => {
      fc.assert(
        fc.property(
          ring === 'packed'
            ? fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant(1024))
            : fc.integer({ min: 0, max: 10 }).map((n) => 2 ** n),
          fc.boolean(),
          fc.boolean(),
          fc.integer({ min: 0, max: 20 }),
          fc.array(step, { minLength: 1, maxLength: 200 }),
          (size, indirect, eventIdx, before, steps) => {
            const both = pair({ size, indirect, eventIdx });
            const { setup, driver, device } = both;
            // Just before the wrap of the u16 indices, or of the ring in its second lap.
            runOn(both, ring === 'packed' ? Math.max(0, 3 * size - before) : 65536 - before);
            let nextToken = 1;
            const submitted = new Map<number, { readable: number[]; writable: number }>();
            const published: number[] = [];
            let unpublished: number[] = [];
            const taken: { token: number; head: number; written: number }[] = [];
            /** Popped and not visible as used yet, oldest first. */
            let popped: number[] = [];
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
                popped.push(token);
                // Completely written ones too: with IN_ORDER only these may go without a used element.
                taken.push({ token, head: chain.head, written: token % 3 === 0 ? token % 97 : chain.writableBytes });
                expect(device.inFlight).toBe(taken.length);
              } else if (s.do === 'push') {
                if (taken.length === 0) return;
                const [one] = taken.splice(s.which % taken.length, 1);
                device.push(one.head, one.written);
                pushed.push({ token: one.token, written: one.written });
              } else if (s.do === 'publishDevice') {
                device.publish();
                let visible = pushed;
                if (inOrder) {
                  visible = [];
                  for (
                    let one = pushed.find((p) => p.token === popped[0]);
                    one !== undefined;
                    one = pushed.find((p) => p.token === popped[0])
                  ) {
                    visible.push(one);
                    popped.shift();
                  }
                }
                used.push(...visible);
                pushed = pushed.filter((one) => !visible.includes(one));
                popped = popped.filter((token) => visible.every((one) => one.token !== token));
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

    test('chains of one and of several buffers take turns, and give back what they took', () => {
      const pair = open({ size: 8, ring, inOrder, indirect: false });
      const { setup, driver, device } = pair;
      for (let i = 0; i < 40; i++) {
        const buffers = 1 + ((i * 5) % 4);
        driver.begin();
        for (let b = 0; b < buffers; b++) driver.readable(setup.buffers + 16 * b, 16);
        expect(driver.submit(i)).toBe(true);
        expect(driver.free).toBe(8 - buffers);
        driver.publish();
        expect(device.pop(chain)).toBe(true);
        expect([chain.count, chain.readableBytes]).toEqual([buffers, 16 * buffers]);
        device.push(chain.head, 0);
        device.publish();
        expect(driver.popUsed()).toBe(true);
        expect([driver.usedToken, driver.free]).toEqual([i, 8]);
      }
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
      for (const [from, indirect, free] of [
        [2, true, 7],
        [Number.POSITIVE_INFINITY, false, 5],
        [1, true, 4],
      ] as const) {
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

    /** What a broken device writes into the ring: used id and, split, used index. */
    const broken: readonly [rule: string, id: number, index: number][] =
      ring === 'split'
        ? [
            ['used-ahead', 0, 5],
            ['used-range', 4, 1],
            ['used-not-in-flight', 3, 1],
            ...(inOrder ? [['used-order', 1, 1] as [string, number, number]] : []),
          ]
        : [
            ['used-range', 4, 0],
            ['used-not-in-flight', 3, 0],
          ];
    test.each(broken)('a used ring broken by the device is a RingError (%s)', (rule, id, index) => {
      const { setup, driver } = pair({ size: 4 });
      for (let i = 0; i < 2; i++) {
        driver.begin();
        driver.readable(setup.buffers, 1);
        driver.submit(i);
      }
      driver.publish();
      if (ring === 'split') {
        const used = setup.config.deviceAddress - setup.high.gpa;
        setup.high.u32[used / 4 + 1] = id;
        setup.high.u16[used / 2 + 1] = index;
      } else {
        setup.high.u32[(setup.config.descriptorAddress - setup.high.gpa) / 4 + 3] = id | ((AVAIL | USED) << 16);
      }
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

    test('whoever asks is told of the next one, whoever asks no more of none, lap after lap', () => {
      const both = pair({ size: 4, eventIdx });
      const { driver, device } = both;
      for (let i = 0; i < 30; i++) {
        device.disableKicks();
        driver.disableInterrupts();
        expect(send(both)).toBe(i === 0 && eventIdx && ring === 'split');
        expect(answer(both)).toBe(i === 0 && eventIdx && ring === 'split');
        expect(driver.popUsed()).toBe(true);
        expect(device.enableKicks()).toBe(false);
        expect(driver.enableInterrupts()).toBe(false);
        expect(send(both)).toBe(true);
        expect(answer(both)).toBe(true);
        expect(driver.popUsed()).toBe(true);
        // Two more that follow, the ring being 4, cross its end at different places.
        if (i % 3 === 0) runOn(both, 1);
      }
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

  test('a peer that polls for more than two laps is told of nothing', () => {
    const both = pair({ size: 4, eventIdx: true });
    const { setup, driver, device } = both;
    device.enableKicks();
    driver.enableInterrupts();
    device.disableKicks();
    driver.disableInterrupts();
    runOn(both, 1);
    for (let i = 0; i < 40; i++) {
      driver.begin();
      driver.readable(setup.buffers, 4);
      driver.submit(0);
      expect(driver.publish()).toBe(false);
      device.pop(chain);
      device.push(chain.head, 0);
      expect(device.publish()).toBe(false);
      driver.popUsed();
    }
  });
});
