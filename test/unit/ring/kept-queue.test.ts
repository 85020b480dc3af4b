import { describe, expect, test, vi } from 'vitest';
import { RAM_BYTES, setUpRing } from '../../../core/machine/testing/ring-setup.ts';
import { Random } from '../../../core/memory/random.ts';
import { createSharedMemory } from '../../../core/memory/region.ts';
import { Chain } from '../../../core/ring/chain.ts';
import { KeptQueue } from '../../../core/ring/kept-queue.ts';
import { packedGoesOn } from '../../../core/ring/packed/go-on.ts';
import { AVAIL, USED, WRITE } from '../../../core/ring/packed/layout.ts';
import type { DeviceQueue } from '../../../core/ring/queue.ts';
import { RingRecord } from '../../../core/ring/ring-record.ts';
import { newDevice, newDriver } from '../../support/ring-kinds.ts';

const memories = [createSharedMemory(RAM_BYTES), createSharedMemory(RAM_BYTES)] as const;
const SIZE = 8;
/** Chains of two descriptors: one less than the ring holds, so that it always says whose it is. */
const MOST = 3;
const SEED = 20261124;
const PACKED_BEGIN = 0x8000;
/** The base that a front end has which asks for no other: a queue's beginning. */
const GIVEN = 0x80008000;

class Death extends Error {}
/** Where a device may be killed while it returns a chain. */
const DEATHS = ['told', 'half written', 'visible', 'not noted'] as const;
type DeathAt = (typeof DEATHS)[number] | null;

/** A queue whose device is killed in the middle. */
function mortal(queue: DeviceQueue, dies: () => DeathAt): DeviceQueue {
  return {
    size: queue.size,
    get base() {
      return queue.base;
    },
    get inFlight() {
      return queue.inFlight;
    },
    pop: (chain) => queue.pop(chain),
    push: (head, written) => {
      queue.push(head, written);
      if (dies() === 'half written') throw new Death();
    },
    publish: () => {
      const wanted = queue.publish();
      if (dies() === 'visible') throw new Death();
      return wanted;
    },
    enableKicks: () => queue.enableKicks(),
    disableKicks: () => queue.disableKicks(),
  };
}

describe.each(['split', 'packed'] as const)('a %s queue that outlives its device', (ring) => {
  function world(inOrder = false) {
    const setup = setUpRing({ size: SIZE, ring, inOrder }, memories);
    const driver = newDriver(ring, setup);
    const record = new RingRecord(new Int32Array(new SharedArrayBuffer(4 * RingRecord.words)), 0);
    const { space, high, config } = setup;
    const chain = new Chain();
    const told: number[] = [];
    let death: DeathAt = null;
    const open = (base?: number): KeptQueue => {
      const queue = newDevice(ring, { ...setup, config: { ...config, ...(base === undefined ? {} : { base }) } });
      if (ring === 'packed') record.begin(config.descriptorAddress, SIZE, queue.base >>> 16, GIVEN);
      else record.beginSplit(queue.base);
      const noted = new Proxy(record, {
        get: (target, key) => {
          if (key === 'endUse' && death === 'not noted') throw new Death();
          const value = Reflect.get(target, key, target) as unknown;
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      return new KeptQueue(
        mortal(queue, () => death),
        noted,
        (head) => {
          told.push(head);
          if (death === 'told') throw new Death();
        },
      );
    };
    const used = high.u16;
    const goesOn = (): number =>
      ring === 'packed'
        ? (packedGoesOn(space, record, config.descriptorAddress, SIZE, GIVEN) ?? GIVEN)
        : used[(config.deviceAddress - high.gpa) / 2 + 1];
    const send = (token: number): boolean => {
      driver.begin();
      driver.readable(setup.buffers, 32);
      driver.writable(setup.buffers + 64, 24);
      const placed = driver.submit(token);
      if (placed) driver.publish();
      return placed;
    };
    const given = (): [token: number, length: number][] => {
      const all: [number, number][] = [];
      while (driver.popUsed()) all.push([driver.usedToken, driver.usedLength]);
      return all;
    };
    return { setup, record, chain, told, open, goesOn, send, given, kill: (at: DeathAt) => (death = at) };
  }

  test('gives its chains back in the order in which they were taken, each by itself', () => {
    const { chain, open, send, given, told } = world();
    const queue = open();
    const heads = [1, 2, 3].map((token) => {
      expect([send(token), queue.pop(chain)]).toEqual([true, true]);
      return chain.head;
    });
    queue.push(heads[2], 3);
    queue.push(heads[1], 24);
    expect([queue.publish(), queue.inFlight, told, given()]).toEqual([false, 1, [], []]);
    queue.push(heads[0], 24);
    expect(queue.publish()).toBe(true);
    expect([queue.inFlight, told]).toEqual([0, heads]);
    expect(given()).toEqual([
      [1, 24],
      [2, 24],
      [3, 3],
    ]);
  });

  test.each([false, true])(
    'is gone on with wherever its device is killed: nothing is lost, and nothing used twice (IN_ORDER %s)',
    (inOrder) => {
      const random = new Random(SEED);
      const { chain, told, open, goesOn, send, given, kill } = world(inOrder);
      let queue = open();
      let sent = 0;
      let seen = 0;
      let taken: number[] = [];
      let again = 0;
      for (let life = 0; life < 400; life++) {
        kill(null);
        const turns = random.below(12);
        for (let turn = 0; turn <= turns; turn++) {
          while (random.below(3) > 0 && sent - seen < MOST && send(sent)) sent++;
          while (random.below(3) > 0 && queue.pop(chain)) taken.push(chain.head);
          if (turn === turns) kill([...DEATHS, null][random.below(DEATHS.length + 1)]);
          try {
            while (taken.length > 0 && random.below(3) > 0) {
              const [head] = taken.splice(random.below(taken.length), 1);
              queue.push(head, 24);
            }
            queue.publish();
          } catch (error) {
            if (!(error instanceof Death)) throw error;
          }
          for (const [token, length] of given()) expect([token, length], `seed ${SEED}, life ${life}`).toEqual([seen++, 24]);
        }
        again += taken.length;
        taken = [];
        kill(null);
        // What is not known is where it began, as a front end has it.
        queue = open(sent === 0 ? undefined : goesOn());
        for (const one of given()) expect(one, `seed ${SEED}, life ${life}`).toEqual([seen++, 24]);
      }
      while (queue.pop(chain)) queue.push(chain.head, 24);
      queue.publish();
      seen += given().length;
      expect([seen, sent > 1000, again > 100]).toEqual([sent, true, true]);
      // Where a used index is the last word, one that dies right before it is told of that chain again.
      if (ring === 'packed') expect(told.length).toBe(sent);
      else expect(told.length).toBeGreaterThan(sent);
    },
  );
});

describe('what was noted of a packed ring', () => {
  const setup = setUpRing({ size: SIZE, ring: 'packed' }, memories);
  const { space, high, config } = setup;
  const cells = new Int32Array(new SharedArrayBuffer(4 * RingRecord.words));
  const record = new RingRecord(cells, 0);
  const goesOn = (size = SIZE, address = config.descriptorAddress, given = GIVEN): number | null =>
    packedGoesOn(space, record, address, size, given);
  const begin = (used: number, address = config.descriptorAddress, given = GIVEN): void => record.begin(address, SIZE, used, given);
  const flagsOf = (slot: number): number => (config.descriptorAddress - high.gpa) / 4 + 4 * slot + 3;

  test('is of one ring, with one size and in one place', () => {
    high.i32[flagsOf(2)] = USED << 16;
    begin(PACKED_BEGIN | 3);
    expect(goesOn()).toBe(0x80038003);
    expect([goesOn(SIZE - 1), goesOn(SIZE, config.descriptorAddress + 16)]).toEqual([null, null]);
    begin(PACKED_BEGIN, 2 ** 40);
    expect(goesOn(SIZE, 2 ** 40)).toBe(null);
    record.clear();
    expect(goesOn()).toBe(null);
  });

  test('is known by what was used last, where no flag says more; a slot that the driver has filled since stays as it is', () => {
    for (let one = 0; one < SIZE; one++) high.i32[flagsOf(one)] = 0;
    // In an even lap a used descriptor has neither flag; this one is written to.
    high.i32[flagsOf(6)] = 5 | (WRITE << 16);
    begin(6);
    record.beginUse(5, 24, PACKED_BEGIN);
    record.endUse();
    expect(goesOn()).toBe(0x80008000);
    begin(PACKED_BEGIN);
    expect(goesOn()).toBe(0x80008000);
    begin(PACKED_BEGIN | 1);
    expect(goesOn()).toBe(null);

    begin(PACKED_BEGIN | 1);
    record.beginUse(1, 24, PACKED_BEGIN | 2);
    const refilled = 3 | (USED << 16);
    high.i32[flagsOf(1)] = refilled;
    high.i32[flagsOf(1) - 1] = 77;
    expect([goesOn(), high.i32[flagsOf(1)], high.i32[flagsOf(1) - 1]]).toEqual([0x80028002, refilled, 77]);
    expect(record.inUse).toBe(null);
  });

  /** Carries something out as one that is killed after so many stores. @returns whether it was done before that */
  const killedAfter = (left: number, what: () => void): boolean => {
    const store = Atomics.store.bind(Atomics);
    let stores = 0;
    const cut = vi.spyOn(Atomics, 'store').mockImplementation((...call: Parameters<typeof Atomics.store>) => {
      if (stores++ === left) throw new Death();
      return store(...call);
    });
    try {
      what();
      return true;
    } catch (error) {
      if (!(error instanceof Death)) throw error;
      return false;
    } finally {
      cut.mockRestore();
    }
  };

  test('is true after each store of a chain that ends: the one after it is not taken for it', () => {
    const available = 2 | (AVAIL << 16);
    for (let left = 0, whole = false; !whole; left++) {
      for (let one = 0; one < SIZE; one++) high.i32[flagsOf(one)] = 0;
      high.i32[flagsOf(3)] = 1 | ((WRITE | AVAIL | USED) << 16);
      high.i32[flagsOf(4)] = available;
      begin(PACKED_BEGIN | 3);
      record.beginUse(1, 24, PACKED_BEGIN | 4);
      whole = killedAfter(left, () => record.endUse());
      expect([goesOn(), high.i32[flagsOf(4)], record.inUse], `after ${left} stores`).toEqual([0x80048004, available, null]);
    }
  });

  test('is true after each store of a queue that goes on: a host that is killed while it starts leaves what the one before knew', () => {
    for (let left = 0, whole = false; !whole; left++) {
      for (let one = 0; one < SIZE; one++) high.i32[flagsOf(one)] = 0;
      high.i32[flagsOf(3)] = 1 | ((WRITE | AVAIL | USED) << 16);
      begin(PACKED_BEGIN | 3);
      record.beginUse(1, 24, PACKED_BEGIN | 4);
      record.endUse();
      whole = killedAfter(left, () => begin(PACKED_BEGIN | 4));
      expect([goesOn(), record.inUse, record.last?.position], `after ${left} stores`).toEqual([0x80048004, null, PACKED_BEGIN | 3]);
    }
    // A chain that comes again is not in use any more.
    record.beginUse(2, 24, PACKED_BEGIN | 5);
    begin(PACKED_BEGIN | 4);
    expect(record.inUse).toBe(null);
  });

  test('is true or nothing after each store where a queue begins elsewhere: it goes on where the front end has it', () => {
    high.i32[flagsOf(2)] = USED << 16;
    for (let left = 0, whole = false; !whole; left++) {
      begin(PACKED_BEGIN | 3);
      whole = killedAfter(left, () => begin(PACKED_BEGIN | 5, config.descriptorAddress, 0x80058005));
      expect(goesOn(SIZE, config.descriptorAddress, 0x80058005), `after ${left} stores`).toBe(whole ? 0x80058005 : null);
    }
  });

  test('is of a front end that gives the base that it had: with another one the queue was served elsewhere since', () => {
    high.i32[flagsOf(2)] = USED << 16;
    begin(PACKED_BEGIN | 3);
    expect([goesOn(), goesOn(SIZE, config.descriptorAddress, 0x80048004)]).toEqual([0x80038003, null]);
    // It stands elsewhere.
    record.told(0x80048004);
    expect(goesOn()).toBe(0x80038003);
    record.told(0x80038003);
    expect([goesOn(), goesOn(SIZE, config.descriptorAddress, 0x80038003)]).toEqual([null, 0x80038003]);
  });

  test('is nothing of a packed ring once a split one is there, but says what that one is using', () => {
    begin(PACKED_BEGIN | 3);
    record.beginUse(1, 24, PACKED_BEGIN | 4);
    record.beginSplit(3);
    expect([goesOn(), record.used, record.inUse]).toEqual([null, 3, null]);
    record.beginUse(2, 24, 4);
    expect([record.used, record.inUse]).toEqual([3, { head: 2, written: 24 }]);
    record.endUse();
    expect([record.used, record.inUse]).toEqual([4, null]);
  });

  test('is nothing to a driver that has begun anew, and a slot past the ring is none', () => {
    begin(PACKED_BEGIN | 3);
    // It may have sent already.
    for (let one = 0; one < SIZE; one++) high.i32[flagsOf(one)] = one < 4 ? AVAIL << 16 : 0;
    expect(goesOn()).toBe(null);
    high.i32[flagsOf(2)] = USED << 16;
    begin(PACKED_BEGIN | SIZE);
    record.beginUse(0, 0, PACKED_BEGIN);
    const before = high.i32.slice(flagsOf(0), flagsOf(SIZE) + 1);
    expect(goesOn()).toBe(null);
    expect(high.i32.slice(flagsOf(0), flagsOf(SIZE) + 1)).toEqual(before);
  });
});
