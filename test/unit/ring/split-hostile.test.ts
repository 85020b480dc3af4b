import { describe, expect, test } from 'vitest';
import { RawDriver } from '../../../core/machine/testing/raw-driver.ts';
import type { RawDescriptor } from '../../../core/machine/testing/raw-driver.ts';
import { HIGH_RAM, RAM_BYTES, setUpRing } from '../../../core/machine/testing/ring-setup.ts';
import type { RingSetup } from '../../../core/machine/testing/ring-setup.ts';
import { createSharedMemory } from '../../../core/memory/region.ts';
import { Chain, readChain } from '../../../core/ring/chain.ts';
import { RingError } from '../../../core/ring/queue.ts';
import type { QueueConfig } from '../../../core/ring/queue.ts';
import { SplitDevice } from '../../../core/ring/split/device.ts';
import { INDIRECT, NEXT, WRITE } from '../../../core/ring/split/layout.ts';

const SIZE = 8;
const DATA = HIGH_RAM + 0x10_0000;
const TABLE = HIGH_RAM + 0x20_0000;
const memories = [createSharedMemory(RAM_BYTES), createSharedMemory(RAM_BYTES)] as const;
const chain = new Chain();

function fresh(indirect: boolean): { setup: RingSetup; driver: RawDriver; device: SplitDevice } {
  for (const memory of memories) new Uint8Array(memory.buffer).fill(0, 0, 0x40_0000);
  const setup = setUpRing({ size: SIZE, indirect }, memories);
  return { setup, driver: new RawDriver(setup.space, setup.config), device: new SplitDevice(setup.space, setup.config) };
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

interface Case {
  /** Number in the hostile-guest list, section Ring. */
  readonly is: number;
  readonly what: string;
  readonly rule: string;
  readonly indirect?: boolean;
  readonly write: (driver: RawDriver, setup: RingSetup) => void;
}

const whole = (driver: RawDriver, ...list: { address?: number | bigint; length?: number; flags?: number; next?: number }[]): void => {
  list.forEach((d, i) => driver.descriptor(i, { address: DATA, length: 16, ...d }));
  driver.offer(0);
};
const inTable = (driver: RawDriver, length: number, address: number = TABLE, flags = INDIRECT): void => {
  driver.descriptor(0, { address, length, flags });
  driver.offer(0);
};

/** `count` readable descriptors of the same bytes, linked. */
const linked = (count: number, address: number, length: number): RawDescriptor[] =>
  Array.from({ length: count }, (_, i) => (i + 1 < count ? { address, length, flags: NEXT, next: i + 1 } : { address, length }));

const cases: Case[] = [
  { is: 1, what: 'available index one past the size', rule: 'avail-ahead', write: (d) => void (d.availIndex = SIZE + 1) },
  { is: 1, what: 'available index far ahead', rule: 'avail-ahead', write: (d) => void (d.availIndex = 0x7fff) },
  { is: 2, what: 'available index one back', rule: 'avail-backwards', write: (d) => void (d.availIndex = 0xffff) },
  { is: 3, what: 'head equal to the size', rule: 'head-range', write: (d) => d.offer(SIZE) },
  { is: 3, what: 'head 65535', rule: 'head-range', write: (d) => d.offer(0xffff) },
  { is: 4, what: 'next equal to the size', rule: 'next-range', write: (d) => whole(d, { flags: NEXT, next: SIZE }) },
  { is: 4, what: 'next past an indirect table', rule: 'next-range', indirect: true, write: (d) => {
    d.table(TABLE, [{ address: DATA, length: 16, flags: NEXT, next: 2 }, { address: DATA, length: 16 }]);
    inTable(d, 32);
  } },
  { is: 5, what: 'a descriptor that is its own next', rule: 'loop', write: (d) => whole(d, { flags: NEXT, next: 0 }) },
  { is: 5, what: 'a loop of two', rule: 'loop', write: (d) => whole(d, { flags: NEXT, next: 1 }, { flags: NEXT, next: 0 }) },
  { is: 5, what: 'a loop of empty descriptors', rule: 'loop', write: (d) => whole(d, { length: 0, flags: NEXT, next: 0 }) },
  { is: 5, what: 'a loop in an indirect table', rule: 'loop', indirect: true, write: (d) => {
    d.table(TABLE, [{ address: DATA, length: 16, flags: NEXT, next: 1 }, { address: DATA, length: 16, flags: NEXT, next: 1 }]);
    inTable(d, 32);
  } },
  { is: 7, what: 'a buffer in the hole', rule: 'outside-memory', write: (d) => whole(d, { address: 0xf000_0000 }) },
  { is: 7, what: 'a buffer that ends one byte past memory', rule: 'outside-memory', write: (d, s) => whole(d, { address: s.end - 15 }) },
  { is: 7, what: 'a buffer that leaves memory after one in the same region', rule: 'outside-memory', write: (d, s) =>
    whole(d, { flags: NEXT, next: 1 }, { address: s.end - 15 }) },
  { is: 7, what: 'a buffer over the end of low memory', rule: 'outside-memory', write: (d) =>
    whole(d, { address: 0, flags: NEXT, next: 1 }, { address: 16, length: RAM_BYTES }) },
  { is: 7, what: 'an indirect table outside memory', rule: 'outside-memory', indirect: true, write: (d, s) => inTable(d, 32, s.end - 16) },
  { is: 8, what: 'an address at 2^53', rule: 'address-overflow', write: (d) => whole(d, { address: 2n ** 53n }) },
  { is: 8, what: 'an address of all ones', rule: 'address-overflow', write: (d) => whole(d, { address: 2n ** 64n - 1n }) },
  { is: 8, what: 'a buffer that reaches past 2^53', rule: 'address-overflow', write: (d) => whole(d, { address: 2n ** 53n - 8n }) },
  { is: 8, what: 'an address wrapping onto RAM', rule: 'address-overflow', write: (d) => whole(d, { address: 2n ** 64n - 8n, length: 64 }) },
  { is: 8, what: 'an indirect table past 2^53', rule: 'address-overflow', indirect: true, write: (d) => {
    d.descriptor(0, { address: 2n ** 60n, length: 16, flags: INDIRECT });
    d.offer(0);
  } },
  { is: 9, what: 'INDIRECT that was not negotiated', rule: 'indirect-not-negotiated', write: (d) => inTable(d, 32) },
  { is: 10, what: 'a table in a table', rule: 'indirect-nested', indirect: true, write: (d) => {
    d.table(TABLE, [{ address: TABLE + 64, length: 16, flags: INDIRECT }]);
    inTable(d, 16);
  } },
  { is: 10, what: 'INDIRECT and NEXT', rule: 'indirect-next', indirect: true, write: (d) => inTable(d, 16, TABLE, INDIRECT | NEXT) },
  { is: 11, what: 'an empty table', rule: 'indirect-length', indirect: true, write: (d) => inTable(d, 0) },
  { is: 11, what: 'a table of 24 bytes', rule: 'indirect-length', indirect: true, write: (d) => inTable(d, 24) },
  { is: 11, what: 'a table of 1025 descriptors', rule: 'indirect-length', indirect: true, write: (d) => inTable(d, 1025 * 16) },
  { is: 11, what: 'more than 1024 buffers, direct ones counted', rule: 'chain-too-long', indirect: true, write: (d) => {
    d.table(TABLE, linked(1024, DATA, 1));
    whole(d, { flags: NEXT, next: 1 }, { address: TABLE, length: 1024 * 16, flags: INDIRECT });
  } },
  { is: 12, what: 'a readable buffer after a writable one', rule: 'readable-after-writable', write: (d) =>
    whole(d, { flags: WRITE | NEXT, next: 1 }, {}) },
  { is: 12, what: 'a readable table entry after a direct writable buffer', rule: 'readable-after-writable', indirect: true, write: (d) => {
    d.table(TABLE, [{ address: DATA, length: 4 }]);
    whole(d, { flags: WRITE | NEXT, next: 1 }, { address: TABLE, length: 16, flags: INDIRECT });
  } },
  { is: 13, what: 'a chain longer than 2^32 bytes', rule: 'chain-bytes', indirect: true, write: (d) => {
    d.table(TABLE, linked(512, 0, RAM_BYTES));
    whole(d, { length: 1, flags: NEXT, next: 1 }, { address: TABLE, length: 512 * 16, flags: INDIRECT });
  } },
  { is: 14, what: 'a chain without a byte', rule: 'empty-chain', write: (d) => whole(d, { length: 0, flags: NEXT, next: 1 }, { length: 0 }) },
  { is: 14, what: 'an indirect table without a byte', rule: 'empty-chain', indirect: true, write: (d) => {
    d.table(TABLE, [{ address: 0, length: 0 }]);
    inTable(d, 16);
  } },
  { is: 15, what: 'flag 8', rule: 'unknown-flags', write: (d) => whole(d, { flags: 8 }) },
  { is: 15, what: 'flag 0x8000 on an empty descriptor', rule: 'unknown-flags', write: (d) => whole(d, { length: 0, flags: 0x8000 }) },
  { is: 18, what: 'a buffer on the used ring', rule: 'used-ring-overlap', write: (d, s) =>
    whole(d, { address: s.config.deviceAddress, length: 4, flags: WRITE }) },
  { is: 18, what: 'a buffer over the last byte of the used ring', rule: 'used-ring-overlap', write: (d, s) =>
    whole(d, { address: s.config.deviceAddress + 6 + 8 * SIZE - 1, length: 1 }) },
];

describe('a broken ring is a RingError that names the rule', () => {
  test.each(cases)('case $is: $what → $rule', ({ rule, indirect, write }) => {
    const { setup, driver, device } = fresh(indirect ?? false);
    write(driver, setup);
    expect(ruleOf(() => device.pop(chain))).toBe(rule);
    expect(device.inFlight).toBe(0);
    // The queue is dead until the reset: nothing more is taken.
    expect(device.pop(chain)).toBe(false);
    expect(device.enableKicks()).toBe(false);
    expect(device.publish()).toBe(false);
  });

  test('case 2: an index that goes back after chains were taken', () => {
    const { driver, device } = fresh(false);
    whole(driver, {});
    driver.descriptor(1, { address: DATA, length: 4 });
    driver.offer(1);
    expect(device.pop(chain)).toBe(true);
    expect(device.pop(chain)).toBe(true);
    driver.availIndex = 1;
    expect(ruleOf(() => device.pop(chain))).toBe('avail-backwards');
  });

  test('case 6: a head offered again while in flight', () => {
    const { driver, device } = fresh(false);
    whole(driver, {});
    driver.offer(0);
    expect(device.pop(chain)).toBe(true);
    expect(ruleOf(() => device.pop(chain))).toBe('head-in-flight');
    expect(device.inFlight).toBe(1);
  });
});

describe('what looks odd and is legitimate', () => {
  test('a full ring at once', () => {
    const { driver, device } = fresh(false);
    for (let i = 0; i < SIZE; i++) {
      driver.descriptor(i, { address: DATA, length: 1 });
      driver.offer(i);
    }
    for (let i = 0; i < SIZE; i++) expect(device.pop(chain)).toBe(true);
    expect(device.pop(chain)).toBe(false);
  });

  test('case 11: an indirect table longer than the queue, after direct descriptors, its WRITE flag ignored', () => {
    const { driver, device } = fresh(true);
    driver.table(TABLE, Array.from({ length: 1023 }, (_, i) => (
      { address: DATA + i, length: 1, flags: (i > 1000 ? WRITE : 0) | (i < 1022 ? NEXT : 0), next: i < 1022 ? i + 1 : 0 })));
    whole(driver, { flags: NEXT, next: 1 }, { address: TABLE, length: 1023 * 16, flags: INDIRECT | WRITE });
    expect(device.pop(chain)).toBe(true);
    expect([chain.count, chain.readableCount, chain.readableBytes, chain.writableBytes]).toEqual([1024, 1002, 16 + 1001, 22]);
    expect(chain.indirect).toBe(true);
  });

  test('an indirect table at an odd address', () => {
    const { driver, device } = fresh(true);
    driver.table(TABLE + 5, [{ address: 0x1234, length: 0xfff, flags: NEXT, next: 1 }, { address: HIGH_RAM + 0x30_0000, length: 7, flags: WRITE }]);
    inTable(driver, 32, TABLE + 5);
    expect(device.pop(chain)).toBe(true);
    expect([...chain.region.subarray(0, 2)]).toEqual([0, 1]);
    expect([...chain.offset.subarray(0, 2)]).toEqual([0x1234, 0x30_0000]);
    expect([...chain.length.subarray(0, 2)]).toEqual([0xfff, 7]);
  });

  test('case 13: a chain of exactly 2^32 bytes', () => {
    const { driver, device } = fresh(true);
    driver.table(TABLE, linked(512, 0, RAM_BYTES));
    inTable(driver, 512 * 16);
    expect(device.pop(chain)).toBe(true);
    expect(chain.readableBytes).toBe(2 ** 32);
  });

  test('case 14: empty descriptors are skipped, wherever they point', () => {
    const { driver, device } = fresh(false);
    whole(driver, { length: 0, address: 2n ** 63n, flags: NEXT, next: 1 }, { flags: NEXT, next: 2 }, { length: 0, flags: NEXT | WRITE, next: 3 }, { length: 3 });
    expect(device.pop(chain)).toBe(true);
    expect([chain.count, chain.readableBytes]).toEqual([2, 19]);
  });

  test('case 18: buffers that touch the used ring on either side', () => {
    const { setup, driver, device } = fresh(false);
    const { deviceAddress } = setup.config;
    whole(driver, { address: deviceAddress - 4, length: 4, flags: NEXT, next: 1 }, { address: deviceAddress + 6 + 8 * SIZE, length: 4 });
    expect(device.pop(chain)).toBe(true);
  });

  test('case 23: descriptors rewritten after pop do not matter, nor do those of the table', () => {
    const { setup, driver, device } = fresh(true);
    driver.write(DATA, Uint8Array.of(1, 2, 3, 4));
    driver.table(TABLE, [{ address: DATA, length: 4 }]);
    inTable(driver, 16);
    expect(device.pop(chain)).toBe(true);
    driver.descriptor(0, { address: 2n ** 64n - 1n, length: 0xffff_ffff, flags: 0xffff, next: 0xffff });
    driver.tableDescriptor(TABLE, 0, { address: 0, length: 0xffff_ffff, flags: WRITE });
    driver.entry(0, 77);
    const bytes = new Uint8Array(8);
    expect(readChain(setup.space, chain, 0, bytes, 0, 8)).toBe(4);
    expect([...bytes]).toEqual([1, 2, 3, 4, 0, 0, 0, 0]);
    device.push(chain.head, 5);
    device.publish();
    expect(driver.usedElement(0)).toEqual({ id: 0, length: 5 });
  });

  test('case 22: a garbage used_event costs the guest an interrupt, nothing else', () => {
    const setup = setUpRing({ size: SIZE, eventIdx: true }, memories);
    for (const memory of memories) new Uint8Array(memory.buffer).fill(0);
    const driver = new RawDriver(setup.space, setup.config);
    const device = new SplitDevice(setup.space, setup.config);
    driver.usedEvent = 0x8765;
    whole(driver, {});
    expect(device.pop(chain)).toBe(true);
    device.push(chain.head, 0);
    expect(device.publish()).toBe(false);
    expect(driver.usedIndex).toBe(1);
  });
});

describe('activation of an impossible queue is refused', () => {
  const good = setUpRing({ size: SIZE }, memories);
  const impossible: [number, string, Partial<QueueConfig>, string][] = [
    [16, 'size 0', { size: 0 }, 'queue-size'],
    [16, 'size 6', { size: 6 }, 'queue-size'],
    [16, 'size 2048', { size: 2048 }, 'queue-size'],
    [16, 'size NaN', { size: Number.NaN }, 'queue-size'],
    [17, 'a misaligned descriptor table', { descriptorAddress: good.config.descriptorAddress + 8 }, 'ring-misaligned'],
    [17, 'a misaligned available ring', { driverAddress: good.config.driverAddress + 1 }, 'ring-misaligned'],
    [17, 'a misaligned used ring', { deviceAddress: good.config.deviceAddress + 2 }, 'ring-misaligned'],
    [17, 'a descriptor table in the hole', { descriptorAddress: 0xf000_0000 }, 'ring-outside-memory'],
    [17, 'a used ring that leaves memory', { deviceAddress: good.end - 64 }, 'ring-outside-memory'],
    [17, 'an address past 2^53', { driverAddress: 2 ** 60 }, 'ring-address'],
    [17, 'a used ring on the descriptor table', { deviceAddress: good.config.descriptorAddress + 16 * SIZE - 4 }, 'ring-overlap'],
    [17, 'an available ring on the used ring', { driverAddress: good.config.deviceAddress + 2 }, 'ring-overlap'],
  ];
  test.each(impossible)('case %i: %s', (_is, _what, change, rule) => {
    expect(ruleOf(() => void new SplitDevice(good.space, { ...good.config, ...change }))).toBe(rule);
  });

  test('case 16: a size past what the device offers', () => {
    expect(ruleOf(() => void new SplitDevice(good.space, good.config, 4))).toBe('queue-size');
  });
});
