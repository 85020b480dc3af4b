import { describe, expect, test } from 'vitest';
import type { Ring } from '../../../core/machine/options.ts';
import type { RawDescriptor } from '../../../core/machine/testing/raw-driver.ts';
import { RawDriver } from '../../../core/machine/testing/raw-driver.ts';
import { RawPackedDriver } from '../../../core/machine/testing/raw-packed-driver.ts';
import type { RingSetup } from '../../../core/machine/testing/ring-setup.ts';
import { HIGH_RAM, RAM_BYTES, setUpRing } from '../../../core/machine/testing/ring-setup.ts';
import { createSharedMemory } from '../../../core/memory/region.ts';
import { Chain, readChain } from '../../../core/ring/chain.ts';
import { AVAIL, EVENT_DESC, USED } from '../../../core/ring/packed/layout.ts';
import type { QueueConfig } from '../../../core/ring/queue.ts';
import { RingError } from '../../../core/ring/queue.ts';
import { INDIRECT, NEXT, WRITE } from '../../../core/ring/split/layout.ts';
import { newDevice } from '../../support/ring-kinds.ts';

const SIZE = 8;
const DATA = HIGH_RAM + 0x10_0000;
const TABLE = HIGH_RAM + 0x20_0000;
const memories = [createSharedMemory(RAM_BYTES), createSharedMemory(RAM_BYTES)] as const;
const chain = new Chain();

/** A driver by hand and the real device, on wiped memory. */
interface Bench<Driver> {
  readonly setup: RingSetup;
  readonly driver: Driver;
  readonly device: ReturnType<typeof newDevice>;
}

function wiped(ring: Ring, options: { indirect?: boolean; eventIdx?: boolean; inOrder?: boolean } = {}): RingSetup {
  for (const memory of memories) new Uint8Array(memory.buffer).fill(0, 0, 0x40_0000);
  return setUpRing({ size: SIZE, ring, ...options }, memories);
}

function split(options: Parameters<typeof wiped>[1] = {}): Bench<RawDriver> {
  const setup = wiped('split', options);
  return { setup, driver: new RawDriver(setup.space, setup.config), device: newDevice('split', setup) };
}

function packed(options: Parameters<typeof wiped>[1] = {}): Bench<RawPackedDriver> {
  const setup = wiped('packed', options);
  return { setup, driver: new RawPackedDriver(setup.space, setup.config), device: newDevice('packed', setup) };
}

type Partly = Partial<RawDescriptor>;
const filled = (list: readonly Partly[]): RawDescriptor[] => list.map((d) => ({ address: DATA, length: 16, ...d }));

/** What a case writes by: the ring's first chain, and indirect tables. */
interface Hand {
  readonly setup: RingSetup;
  readonly device: ReturnType<typeof newDevice>;
  readonly tables: Pick<RawDriver, 'table' | 'tableDescriptor' | 'write'>;
  /** Makes one chain available in the first descriptors of the ring; `next` has no place in a packed one. */
  chain(...list: Partly[]): void;
  /** Makes a chain of one descriptor of a table available. */
  inTable(length: number, address?: number | bigint, flags?: number): void;
}

function hand(ring: Ring, options: Parameters<typeof wiped>[1] = {}): Hand {
  const bench = ring === 'split' ? split(options) : packed(options);
  const { setup, driver, device } = bench;
  const chain = (...list: Partly[]): void => {
    if (driver instanceof RawDriver) {
      for (const [i, descriptor] of filled(list).entries()) driver.descriptor(i, descriptor);
      driver.offer(0);
    } else {
      driver.offer(0, filled(list.map((descriptor) => ({ ...descriptor, next: 0 }))));
    }
  };
  return {
    setup,
    device,
    tables: driver,
    chain,
    inTable: (length, address = TABLE, flags = INDIRECT) => chain({ address, length, flags }),
  };
}

/** The rule of the RingError that `run` throws; 'none' if it ends well. */
function ruleOf(run: () => void): string {
  try {
    run();
    return 'none';
  } catch (error) {
    if (error instanceof RingError) return error.rule;
    throw error;
  }
}

interface Case<Writer> {
  /** Number in the hostile-guest list, section Ring. */
  readonly is: number;
  readonly what: string;
  readonly rule: string;
  readonly indirect?: boolean;
  readonly write: Writer;
}

/** `count` readable descriptors of the same bytes, linked. */
const linked = (count: number, address: number, length: number): RawDescriptor[] =>
  Array.from({ length: count }, (_, i) => (i + 1 < count ? { address, length, flags: NEXT, next: i + 1 } : { address, length }));

/** What a driver can do wrong in either layout. */
const common: Case<(h: Hand) => void>[] = [
  { is: 7, what: 'a buffer in the hole', rule: 'outside-memory', write: (h) => h.chain({ address: 0xf000_0000 }) },
  { is: 7, what: 'a buffer that ends one byte past memory', rule: 'outside-memory', write: (h) => h.chain({ address: h.setup.end - 15 }) },
  {
    is: 7,
    what: 'a buffer that leaves memory after one in the same region',
    rule: 'outside-memory',
    write: (h) => h.chain({ flags: NEXT, next: 1 }, { address: h.setup.end - 15 }),
  },
  {
    is: 7,
    what: 'a buffer over the end of low memory',
    rule: 'outside-memory',
    write: (h) => h.chain({ address: 0, flags: NEXT, next: 1 }, { address: 16, length: RAM_BYTES }),
  },
  {
    is: 7,
    what: 'an indirect table outside memory',
    rule: 'outside-memory',
    indirect: true,
    write: (h) => h.inTable(32, h.setup.end - 16),
  },
  { is: 8, what: 'an address at 2^53', rule: 'address-overflow', write: (h) => h.chain({ address: 2n ** 53n }) },
  { is: 8, what: 'an address of all ones', rule: 'address-overflow', write: (h) => h.chain({ address: 2n ** 64n - 1n }) },
  { is: 8, what: 'a buffer that reaches past 2^53', rule: 'address-overflow', write: (h) => h.chain({ address: 2n ** 53n - 8n }) },
  { is: 8, what: 'an address wrapping onto RAM', rule: 'address-overflow', write: (h) => h.chain({ address: 2n ** 64n - 8n, length: 64 }) },
  { is: 8, what: 'an indirect table past 2^53', rule: 'address-overflow', indirect: true, write: (h) => h.inTable(16, 2n ** 60n) },
  { is: 9, what: 'INDIRECT that was not negotiated', rule: 'indirect-not-negotiated', write: (h) => h.inTable(32) },
  {
    is: 10,
    what: 'a table in a table',
    rule: 'indirect-nested',
    indirect: true,
    write: (h) => {
      h.tables.table(TABLE, [{ address: TABLE + 64, length: 16, flags: INDIRECT }]);
      h.inTable(16);
    },
  },
  { is: 10, what: 'INDIRECT and NEXT', rule: 'indirect-next', indirect: true, write: (h) => h.inTable(16, TABLE, INDIRECT | NEXT) },
  { is: 11, what: 'an empty table', rule: 'indirect-length', indirect: true, write: (h) => h.inTable(0) },
  { is: 11, what: 'a table of 24 bytes', rule: 'indirect-length', indirect: true, write: (h) => h.inTable(24) },
  { is: 11, what: 'a table of 1025 descriptors', rule: 'indirect-length', indirect: true, write: (h) => h.inTable(1025 * 16) },
  {
    is: 12,
    what: 'a readable buffer after a writable one',
    rule: 'readable-after-writable',
    write: (h) => h.chain({ flags: WRITE | NEXT, next: 1 }, {}),
  },
  {
    is: 12,
    what: 'a readable table entry after a writable one',
    rule: 'readable-after-writable',
    indirect: true,
    write: (h) => {
      h.tables.table(TABLE, [
        { address: DATA, length: 4, flags: WRITE | NEXT, next: 1 },
        { address: DATA, length: 4 },
      ]);
      h.inTable(32);
    },
  },
  {
    is: 13,
    what: 'a chain longer than 2^32 bytes',
    rule: 'chain-bytes',
    indirect: true,
    write: (h) => {
      h.tables.table(TABLE, linked(513, 0, RAM_BYTES));
      h.inTable(513 * 16);
    },
  },
  {
    is: 14,
    what: 'a chain without a byte',
    rule: 'empty-chain',
    write: (h) => h.chain({ length: 0, flags: NEXT, next: 1 }, { length: 0 }),
  },
  {
    is: 14,
    what: 'an indirect table without a byte',
    rule: 'empty-chain',
    indirect: true,
    write: (h) => {
      h.tables.table(TABLE, [{ address: 0, length: 0 }]);
      h.inTable(16);
    },
  },
  { is: 15, what: 'flag 8', rule: 'unknown-flags', write: (h) => h.chain({ flags: 8 }) },
  { is: 15, what: 'flag 0x4000 on an empty descriptor', rule: 'unknown-flags', write: (h) => h.chain({ length: 0, flags: 0x4000 }) },
  {
    is: 15,
    what: 'flag 8 in a table',
    rule: 'unknown-flags',
    indirect: true,
    write: (h) => {
      h.tables.table(TABLE, [{ address: DATA, length: 4, flags: 8 }]);
      h.inTable(16);
    },
  },
];

const whole = (driver: RawDriver, ...list: Partly[]): void => {
  for (const [i, descriptor] of filled(list).entries()) driver.descriptor(i, descriptor);
  driver.offer(0);
};

const ofSplit: Case<(driver: RawDriver, setup: RingSetup) => void>[] = [
  {
    is: 1,
    what: 'available index one past the size',
    rule: 'avail-ahead',
    write: (d) => {
      d.availIndex = SIZE + 1;
    },
  },
  {
    is: 1,
    what: 'available index far ahead',
    rule: 'avail-ahead',
    write: (d) => {
      d.availIndex = 0x7fff;
    },
  },
  {
    is: 2,
    what: 'available index one back',
    rule: 'avail-backwards',
    write: (d) => {
      d.availIndex = 0xffff;
    },
  },
  { is: 3, what: 'head equal to the size', rule: 'head-range', write: (d) => d.offer(SIZE) },
  { is: 3, what: 'head 65535', rule: 'head-range', write: (d) => d.offer(0xffff) },
  { is: 4, what: 'next equal to the size', rule: 'next-range', write: (d) => whole(d, { flags: NEXT, next: SIZE }) },
  {
    is: 4,
    what: 'next past an indirect table',
    rule: 'next-range',
    indirect: true,
    write: (d) => {
      d.table(TABLE, [
        { address: DATA, length: 16, flags: NEXT, next: 2 },
        { address: DATA, length: 16 },
      ]);
      whole(d, { address: TABLE, length: 32, flags: INDIRECT });
    },
  },
  { is: 5, what: 'a descriptor that is its own next', rule: 'loop', write: (d) => whole(d, { flags: NEXT, next: 0 }) },
  { is: 5, what: 'a loop of two', rule: 'loop', write: (d) => whole(d, { flags: NEXT, next: 1 }, { flags: NEXT, next: 0 }) },
  { is: 5, what: 'a loop of empty descriptors', rule: 'loop', write: (d) => whole(d, { length: 0, flags: NEXT, next: 0 }) },
  {
    is: 5,
    what: 'a loop in an indirect table',
    rule: 'loop',
    indirect: true,
    write: (d) => {
      d.table(TABLE, [
        { address: DATA, length: 16, flags: NEXT, next: 1 },
        { address: DATA, length: 16, flags: NEXT, next: 1 },
      ]);
      whole(d, { address: TABLE, length: 32, flags: INDIRECT });
    },
  },
  {
    is: 11,
    what: 'more than 1024 buffers, direct ones counted',
    rule: 'chain-too-long',
    indirect: true,
    write: (d) => {
      d.table(TABLE, linked(1024, DATA, 1));
      whole(d, { flags: NEXT, next: 1 }, { address: TABLE, length: 1024 * 16, flags: INDIRECT });
    },
  },
  {
    is: 12,
    what: 'a readable table entry after a direct writable buffer',
    rule: 'readable-after-writable',
    indirect: true,
    write: (d) => {
      d.table(TABLE, [{ address: DATA, length: 4 }]);
      whole(d, { flags: WRITE | NEXT, next: 1 }, { address: TABLE, length: 16, flags: INDIRECT });
    },
  },
  {
    is: 13,
    what: 'a chain longer than 2^32 bytes, direct ones counted',
    rule: 'chain-bytes',
    indirect: true,
    write: (d) => {
      d.table(TABLE, linked(512, 0, RAM_BYTES));
      whole(d, { length: 1, flags: NEXT, next: 1 }, { address: TABLE, length: 512 * 16, flags: INDIRECT });
    },
  },
  { is: 15, what: 'flag 0x8000 on an empty descriptor', rule: 'unknown-flags', write: (d) => whole(d, { length: 0, flags: 0x8000 }) },
  {
    is: 18,
    what: 'a buffer on the used ring',
    rule: 'used-ring-overlap',
    write: (d, s) => whole(d, { address: s.config.deviceAddress, length: 4, flags: WRITE }),
  },
  {
    is: 18,
    what: 'a buffer over the last byte of the used ring',
    rule: 'used-ring-overlap',
    write: (d, s) => whole(d, { address: s.config.deviceAddress + 6 + 8 * SIZE - 1, length: 1 }),
  },
];

const one = (flags: number, id = 0): RawDescriptor => ({ address: DATA, length: 16, flags, next: id });

const ofPacked: Case<(driver: RawPackedDriver, setup: RingSetup) => void>[] = [
  { is: 27, what: 'id equal to the size', rule: 'head-range', write: (d) => d.offer(0, [one(0, SIZE)]) },
  { is: 27, what: 'id 65535 in the last descriptor of a chain', rule: 'head-range', write: (d) => d.offer(0, [one(NEXT), one(0, 0xffff)]) },
  {
    is: 27,
    what: 'a slot that was never used, available under the other wrap counter',
    rule: 'wrong-wrap',
    write: (d) => d.offer(0, [one(0)], 0),
  },
  { is: 27, what: 'a slot marked used that is to be made available', rule: 'wrong-wrap', write: (d) => d.slot(0, one(AVAIL | USED)) },
  {
    is: 27,
    what: 'a chain that goes on in a slot of the other wrap counter',
    rule: 'wrong-wrap',
    write: (d) => {
      d.offer(1, [one(0)], 0);
      d.offer(0, [one(NEXT)]);
    },
  },
  { is: 27, what: 'a chain that goes on in a slot that is not available', rule: 'wrong-wrap', write: (d) => d.offer(0, [one(NEXT)]) },
  {
    is: 5,
    what: 'NEXT in every descriptor of the ring',
    rule: 'loop',
    write: (d) =>
      d.offer(
        0,
        Array.from({ length: SIZE }, () => one(NEXT)),
      ),
  },
  {
    is: 5,
    what: 'NEXT in every descriptor, none with a byte',
    rule: 'loop',
    write: (d) =>
      d.offer(
        0,
        Array.from({ length: SIZE }, () => ({ ...one(NEXT), length: 0 })),
      ),
  },
  {
    is: 10,
    what: 'a direct descriptor before an INDIRECT one (virtio 1.3 § 2.8.19)',
    rule: 'indirect-next',
    indirect: true,
    write: (d) => {
      d.table(TABLE, [{ address: DATA, length: 16 }]);
      d.offer(0, [one(NEXT), { address: TABLE, length: 16, flags: INDIRECT }]);
    },
  },
  {
    is: 18,
    what: 'a buffer on the descriptor ring',
    rule: 'used-ring-overlap',
    write: (d, s) => d.offer(0, [{ address: s.config.descriptorAddress + 16 * SIZE - 1, length: 1 }]),
  },
  {
    is: 18,
    what: 'a buffer over its first byte',
    rule: 'used-ring-overlap',
    indirect: true,
    write: (d, s) => {
      d.table(TABLE, [{ address: s.config.descriptorAddress, length: 1, flags: WRITE }]);
      d.offer(0, [{ address: TABLE, length: 16, flags: INDIRECT }]);
    },
  },
  {
    is: 18,
    what: "a buffer on the device's event structure",
    rule: 'used-ring-overlap',
    write: (d, s) => d.offer(0, [{ address: s.config.deviceAddress + 3, length: 8, flags: WRITE }]),
  },
];

/** The queue is dead until the reset: nothing more is taken. */
function isDead(device: ReturnType<typeof newDevice>): void {
  expect(device.pop(chain)).toBe(false);
  expect(device.enableKicks()).toBe(false);
  expect(device.publish()).toBe(false);
}

describe('a broken ring is a RingError that names the rule', () => {
  describe.each(['split', 'packed'] as const)('%s', (ring) => {
    test.each(common)('case $is: $what → $rule', ({ rule, indirect, write }) => {
      const h = hand(ring, { indirect: indirect ?? false });
      write(h);
      expect(ruleOf(() => h.device.pop(chain))).toBe(rule);
      expect(h.device.inFlight).toBe(0);
      isDead(h.device);
    });
  });

  test.each(ofSplit)('split, case $is: $what → $rule', ({ rule, indirect, write }) => {
    const { setup, driver, device } = split({ indirect: indirect ?? false });
    write(driver, setup);
    expect(ruleOf(() => device.pop(chain))).toBe(rule);
    expect(device.inFlight).toBe(0);
    isDead(device);
  });

  test.each(ofPacked)('packed, case $is: $what → $rule', ({ rule, indirect, write }) => {
    const { setup, driver, device } = packed({ indirect: indirect ?? false });
    write(driver, setup);
    expect(ruleOf(() => device.pop(chain))).toBe(rule);
    expect(device.inFlight).toBe(0);
    isDead(device);
  });

  test('split, case 2: an index that goes back after chains were taken', () => {
    const { driver, device } = split();
    whole(driver, {});
    driver.descriptor(1, { address: DATA, length: 4 });
    driver.offer(1);
    expect(device.pop(chain)).toBe(true);
    expect(device.pop(chain)).toBe(true);
    driver.availIndex = 1;
    expect(ruleOf(() => device.pop(chain))).toBe('avail-backwards');
  });

  test.each([false, true])('split, case 6: a head offered again while in flight (IN_ORDER %s)', (inOrder) => {
    const { driver, device } = split({ inOrder });
    whole(driver, {});
    driver.descriptor(1, { address: DATA, length: 4 });
    driver.offer(1);
    driver.offer(1);
    expect(device.pop(chain)).toBe(true);
    expect(device.pop(chain)).toBe(true);
    // Returned early, with IN_ORDER a chain is still in flight to the driver.
    if (inOrder) device.push(1, 0);
    device.publish();
    expect(ruleOf(() => device.pop(chain))).toBe('head-in-flight');
    expect(device.inFlight).toBe(inOrder ? 1 : 2);
    isDead(device);
  });

  test.each([false, true])('packed, case 27: an id offered again while in flight (IN_ORDER %s)', (inOrder) => {
    const { driver, device } = packed({ inOrder });
    driver.offer(0, [one(0, 3), one(0, 1), one(0, 1)]);
    expect(device.pop(chain)).toBe(true);
    expect(device.pop(chain)).toBe(true);
    if (inOrder) device.push(1, 0);
    device.publish();
    expect(ruleOf(() => device.pop(chain))).toBe('head-in-flight');
    isDead(device);
  });

  test('packed, case 1: a chain that runs into slots in use', () => {
    const { driver, device } = packed();
    driver.offer(0, [one(NEXT), one(NEXT), one(NEXT), one(NEXT), one(0, 1)]);
    expect(device.pop(chain)).toBe(true);
    driver.offer(5, [one(NEXT), one(NEXT), one(NEXT), one(0, 2)]);
    expect(ruleOf(() => device.pop(chain))).toBe('avail-ahead');
    isDead(device);
  });

  test('packed, case 1: a slot made available again in a full ring', () => {
    const { driver, device } = packed();
    driver.offer(
      0,
      Array.from({ length: SIZE }, (_, i) => one(0, i)),
    );
    for (let i = 0; i < SIZE; i++) expect(device.pop(chain)).toBe(true);
    expect(device.pop(chain)).toBe(false);
    driver.offer(0, [one(0, 0)], 0);
    expect(ruleOf(() => device.pop(chain))).toBe('avail-ahead');
    isDead(device);
  });

  test('packed, case 27: a chain that goes on over the end of the ring without changing the wrap counter', () => {
    for (const [wrap, rule] of [
      [1, 'wrong-wrap'],
      [0, 'none'],
    ] as const) {
      const { driver, device } = packed();
      for (let i = 0; i < SIZE - 1; i++) {
        driver.offer(i, [one(0)]);
        expect(device.pop(chain)).toBe(true);
        device.push(0, 0);
        device.publish();
      }
      driver.offer(0, [one(0)], wrap);
      driver.offer(SIZE - 1, [one(NEXT)], 1);
      expect(ruleOf(() => device.pop(chain))).toBe(rule);
    }
  });

  test('packed, case 2: a slot that goes back to the wrap counter of the lap before', () => {
    const { driver, device } = packed();
    for (let i = 0; i < SIZE; i++) {
      driver.offer(i, [one(0, 0)]);
      expect(device.pop(chain)).toBe(true);
      device.push(0, 0);
      device.publish();
    }
    // Used under 1, it is to be made available under 0.
    driver.offer(0, [one(0, 0)], 1);
    expect(ruleOf(() => device.pop(chain))).toBe('wrong-wrap');
  });
});

test('packed, case 2: a slot that was passed over once and used since is held to its lap again', () => {
  const { driver, device } = packed();
  const serve = (slot: number, chainOf: ReturnType<typeof one>[], wrap: number): void => {
    driver.offer(slot, chainOf, wrap);
    expect(device.pop(chain)).toBe(true);
    device.push(0, 0);
    device.publish();
  };
  // Slot 1 is passed over in the first lap, and used in the second.
  serve(0, [one(NEXT, 0), one(0, 0)], 1);
  for (let slot = 2; slot < SIZE; slot++) serve(slot, [one(0, 0)], 1);
  for (let slot = 0; slot < SIZE; slot++) serve(slot, [one(0, 0)], 0);
  serve(0, [one(0, 0)], 1);
  driver.offer(1, [one(0, 0)], 0);
  expect(ruleOf(() => device.pop(chain))).toBe('wrong-wrap');
});

test('packed: a device that holds the whole ring and has returned none of it, or not published it, finds nothing more', () => {
  const { driver, device } = packed();
  driver.offer(
    0,
    Array.from({ length: SIZE }, (_, i) => one(0, i)),
  );
  for (let i = 0; i < SIZE; i++) expect(device.pop(chain)).toBe(true);
  expect(device.pop(chain)).toBe(false);
  for (let i = 0; i < SIZE; i++) {
    device.push(i, 0);
    expect(device.pop(chain)).toBe(false);
  }
  device.publish();
  expect(device.pop(chain)).toBe(false);
});

describe.each(['split', 'packed'] as const)('what looks odd and is legitimate, %s', (ring) => {
  test('an indirect table at an odd address', () => {
    const h = hand(ring, { indirect: true });
    h.tables.table(TABLE + 5, [
      { address: 0x1234, length: 0xfff, flags: NEXT, next: 1 },
      { address: HIGH_RAM + 0x30_0000, length: 7, flags: WRITE },
    ]);
    h.inTable(32, TABLE + 5);
    expect(h.device.pop(chain)).toBe(true);
    expect([...chain.region.subarray(0, 2)]).toEqual([0, 1]);
    expect([...chain.offset.subarray(0, 2)]).toEqual([0x1234, 0x30_0000]);
    expect([...chain.length.subarray(0, 2)]).toEqual([0xfff, 7]);
  });

  test('case 11: an indirect table longer than the queue, its WRITE flag ignored', () => {
    const h = hand(ring, { indirect: true });
    h.tables.table(
      TABLE,
      Array.from({ length: 1024 }, (_, i) => ({
        address: DATA + i,
        length: 1,
        flags: (i > 1000 ? WRITE : 0) | (i < 1023 ? NEXT : 0),
        next: i < 1023 ? i + 1 : 0,
      })),
    );
    h.inTable(1024 * 16, TABLE, INDIRECT | WRITE);
    expect(h.device.pop(chain)).toBe(true);
    expect([chain.count, chain.readableCount, chain.readableBytes, chain.writableBytes]).toEqual([1024, 1001, 1001, 23]);
    expect(chain.indirect).toBe(true);
  });

  test('case 13: a chain of exactly 2^32 bytes', () => {
    const h = hand(ring, { indirect: true });
    h.tables.table(TABLE, linked(512, 0, RAM_BYTES));
    h.inTable(512 * 16);
    expect(h.device.pop(chain)).toBe(true);
    expect(chain.readableBytes).toBe(2 ** 32);
  });

  test('case 14: empty descriptors are skipped, wherever they point', () => {
    const h = hand(ring);
    h.chain(
      { length: 0, address: 2n ** 63n, flags: NEXT, next: 1 },
      { flags: NEXT, next: 2 },
      { length: 0, flags: NEXT | WRITE, next: 3 },
      { length: 3 },
    );
    expect(h.device.pop(chain)).toBe(true);
    expect([chain.count, chain.readableBytes]).toEqual([2, 19]);
  });

  test('case 18: buffers that touch what the device writes on either side', () => {
    const h = hand(ring);
    const { descriptorAddress, deviceAddress } = h.setup.config;
    const end = deviceAddress + (ring === 'split' ? 6 + 8 * SIZE : 4);
    h.chain(
      { address: deviceAddress - 4, length: 4, flags: NEXT, next: 1 },
      { address: end, length: 4, flags: NEXT, next: 2 },
      { address: descriptorAddress + 16 * SIZE, length: 4 },
    );
    expect(h.device.pop(chain)).toBe(true);
  });

  test('case 23: a request whose descriptors and table are rewritten after pop is the one that was taken', () => {
    const h = hand(ring, { indirect: true });
    h.tables.write(DATA, Uint8Array.of(1, 2, 3, 4));
    h.tables.table(TABLE, [{ address: DATA, length: 4 }]);
    h.inTable(16);
    expect(h.device.pop(chain)).toBe(true);
    h.tables.tableDescriptor(h.setup.config.descriptorAddress, 0, {
      address: 2n ** 64n - 1n,
      length: 0xffff_ffff,
      flags: 0xffff,
      next: 0xffff,
    });
    h.tables.tableDescriptor(TABLE, 0, { address: 0, length: 0xffff_ffff, flags: WRITE });
    const bytes = new Uint8Array(8);
    expect(readChain(h.setup.space, chain, 0, bytes, 0, 8)).toBe(4);
    expect([...bytes]).toEqual([1, 2, 3, 4, 0, 0, 0, 0]);
    h.device.push(chain.head, 5);
    expect(h.device.publish()).toBe(true);
    const { setup } = h;
    if (ring === 'split') expect(new RawDriver(setup.space, setup.config).usedElement(0)).toEqual({ id: 0, length: 5 });
    else expect(new RawPackedDriver(setup.space, setup.config).read(0)).toEqual({ id: 0, length: 5, flags: AVAIL | USED | WRITE });
  });
});

describe('what looks odd and is legitimate in one layout', () => {
  test('split: a full ring at once', () => {
    const { driver, device } = split();
    for (let i = 0; i < SIZE; i++) {
      driver.descriptor(i, { address: DATA, length: 1 });
      driver.offer(i);
    }
    for (let i = 0; i < SIZE; i++) expect(device.pop(chain)).toBe(true);
    expect(device.pop(chain)).toBe(false);
  });

  test('packed: a full ring at once, by one chain or by many, and empty slots in between laps', () => {
    const { driver, device } = packed();
    driver.offer(
      0,
      Array.from({ length: SIZE }, (_, i) => one(i + 1 < SIZE ? NEXT : 0, 5)),
    );
    expect(device.pop(chain)).toBe(true);
    expect([chain.head, chain.count]).toEqual([5, SIZE]);
    expect(device.pop(chain)).toBe(false);
    device.push(5, 0);
    device.publish();
    // Slots 1 … still hold what was available in the first lap.
    expect(device.pop(chain)).toBe(false);
    for (let i = 0; i < SIZE; i++) {
      driver.offer(i, [one(0, SIZE - 1 - i)], 0);
      expect(device.pop(chain)).toBe(true);
      expect(chain.head).toBe(SIZE - 1 - i);
      expect(device.pop(chain)).toBe(false);
    }
  });

  test('split, case 11: an indirect table after direct descriptors', () => {
    const { driver, device } = split({ indirect: true });
    driver.table(TABLE, linked(1023, DATA, 1));
    whole(driver, { flags: NEXT, next: 1 }, { address: TABLE, length: 1023 * 16, flags: INDIRECT });
    expect(device.pop(chain)).toBe(true);
    expect([chain.count, chain.readableBytes]).toEqual([1024, 16 + 1023]);
  });

  test('packed: NEXT, AVAIL, USED and the id of a table entry are ignored (virtio 1.3 § 2.8.7)', () => {
    const { driver, device } = packed({ indirect: true });
    driver.table(TABLE, [one(NEXT | AVAIL, 0xffff), one(USED, 77), one(WRITE | NEXT, 9)]);
    driver.offer(0, [{ address: TABLE, length: 48, flags: INDIRECT }]);
    expect(device.pop(chain)).toBe(true);
    expect([chain.head, chain.count, chain.readableCount]).toEqual([0, 3, 2]);
  });

  test('split, case 23: an available entry rewritten after pop', () => {
    const { driver, device } = split();
    whole(driver, {});
    expect(device.pop(chain)).toBe(true);
    driver.entry(0, 77);
    device.push(chain.head, 5);
    device.publish();
    expect(driver.usedElement(0)).toEqual({ id: 0, length: 5 });
  });

  test('split, case 22: a garbage used_event costs the guest an interrupt, nothing else', () => {
    const { driver, device } = split({ eventIdx: true });
    driver.usedEvent = 0x8765;
    whole(driver, {});
    expect(device.pop(chain)).toBe(true);
    device.push(chain.head, 0);
    expect(device.publish()).toBe(false);
    expect(driver.usedIndex).toBe(1);
  });

  test.each([
    ['an event past the ring', EVENT_DESC | 0x7fff, false],
    ['an event of the other lap', EVENT_DESC | 0, false],
    ['reserved flags', 3 << 16, true],
    ['reserved bits beside DISABLE', (0xfffd << 16) | 0xffff, false],
  ])('packed, case 22: %s costs the guest an interrupt or gives it one too many, nothing else', (_, event, interrupt) => {
    const { driver, device } = packed({ eventIdx: true });
    driver.event = event;
    driver.offer(0, [one(0, 2)]);
    expect(device.pop(chain)).toBe(true);
    device.push(chain.head, 0);
    expect(device.publish()).toBe(interrupt);
    expect(driver.read(0)).toEqual({ id: 2, length: 0, flags: AVAIL | USED });
  });
});

describe.each(['split', 'packed'] as const)('activation of an impossible queue is refused, %s', (ring) => {
  const good = setUpRing({ size: SIZE, ring }, memories);
  const { descriptorAddress, driverAddress, deviceAddress } = good.config;
  const activate = (change: Partial<QueueConfig>, maxSize?: number): string =>
    ruleOf(() => void newDevice(ring, { ...good, config: { ...good.config, ...change } }, maxSize));
  const impossible: [number, string, Partial<QueueConfig>, string][] = [
    [16, 'size 0', { size: 0 }, 'queue-size'],
    [16, 'size 2048', { size: 2048 }, 'queue-size'],
    [16, 'size NaN', { size: Number.NaN }, 'queue-size'],
    [16, 'size 1.5', { size: 1.5 }, 'queue-size'],
    [17, 'a misaligned descriptor area', { descriptorAddress: descriptorAddress + 8 }, 'ring-misaligned'],
    [17, 'a misaligned driver area', { driverAddress: driverAddress + 1 }, 'ring-misaligned'],
    [17, 'a misaligned device area', { deviceAddress: deviceAddress + 2 }, 'ring-misaligned'],
    [17, 'a descriptor area in the hole', { descriptorAddress: 0xf000_0000 }, 'ring-outside-memory'],
    [17, 'a descriptor area that leaves memory', { descriptorAddress: good.end - 16 * SIZE + 16 }, 'ring-outside-memory'],
    [17, 'a device area after the end of memory', { deviceAddress: good.end }, 'ring-outside-memory'],
    [17, 'an address past 2^53', { driverAddress: 2 ** 60 }, 'ring-address'],
    [17, 'a device area on the descriptor area', { deviceAddress: descriptorAddress + 16 * SIZE - 4 }, 'ring-overlap'],
    [17, 'a driver area on the device area', { driverAddress: deviceAddress }, 'ring-overlap'],
  ];
  test.each(impossible)('case %i: %s', (_is, _what, change, rule) => {
    expect(activate(change)).toBe(rule);
  });

  test('case 16: a size past what the device offers', () => {
    expect(activate({}, 4)).toBe('queue-size');
    expect(activate({}, SIZE)).toBe('none');
  });

  test('case 16: only a split ring needs a power of two', () => {
    expect(activate({ size: 6 })).toBe(ring === 'split' ? 'queue-size' : 'none');
  });
});
