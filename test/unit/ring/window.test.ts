import { describe, expect, test } from 'vitest';
import { RawDriver } from '../../../core/machine/testing/raw-driver.ts';
import { RawPackedDriver } from '../../../core/machine/testing/raw-packed-driver.ts';
import { HIGH_RAM, RAM_BYTES, setUpRing } from '../../../core/machine/testing/ring-setup.ts';
import { AddressSpace } from '../../../core/memory/address-space.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { Chain, readChain, writeChain } from '../../../core/ring/chain.ts';
import { placePackedQueue } from '../../../core/ring/packed/layout.ts';
import { RingError } from '../../../core/ring/queue.ts';
import { INDIRECT, NEXT, placeSplitQueue } from '../../../core/ring/split/layout.ts';
import { newDevice, newDriver } from '../../support/ring-kinds.ts';

const DATA = HIGH_RAM + 0x10_0000;
const TABLE = HIGH_RAM + 0x20_0000;
const TWO_32 = 0x1_0000_0000;
const RINGS = ['split', 'packed'] as const;

interface Buffer {
  readonly address: number;
  readonly length: number;
  readonly flags?: number;
}
const good: Buffer = { address: DATA, length: 16 };

/** A device that has taken one good buffer, so that a second one is first looked for in the window where that lay. */
function warm(ring: (typeof RINGS)[number]) {
  const setup = setUpRing({ size: 8, ring, indirect: true });
  const device = newDevice(ring, setup);
  const chain = new Chain();
  const table = new RawDriver(setup.space, setup.config);
  /** Offers a chain in the ring from slot `first` on; its flags but NEXT are those of the buffers. */
  const offer = (first: number, list: readonly Buffer[]): void => {
    const linked = list.map((buffer, i) => ({ ...buffer, flags: (buffer.flags ?? 0) | (i + 1 < list.length ? NEXT : 0) }));
    if (ring === 'packed') {
      new RawPackedDriver(setup.space, setup.config).offer(
        first,
        linked.map((buffer) => ({ ...buffer, next: first })),
      );
      return;
    }
    for (const [i, buffer] of linked.entries()) table.descriptor(first + i, { ...buffer, next: first + i + 1 });
    table.offer(first);
  };
  offer(0, [good]);
  expect(device.pop(chain)).toBe(true);
  const rule = (list: readonly Buffer[]): string => {
    offer(1, list);
    try {
      return device.pop(chain) ? 'taken' : 'nothing';
    } catch (error) {
      if (error instanceof RingError) return error.rule;
      throw error;
    }
  };
  return { setup, table, rule, device, chain, offer };
}

describe.each(RINGS)('%s: a buffer after one that was found is held to every rule anew', (ring) => {
  const bad = (setup: ReturnType<typeof setUpRing>): [string, Buffer, string][] => [
    ['another upper word', { address: DATA + 7 * TWO_32, length: 16 }, 'outside-memory'],
    ['an upper word of 0, where nothing lies at this lower one', { address: RAM_BYTES + 0x10_0000, length: 16 }, 'outside-memory'],
    [
      'what the device writes of the ring',
      { address: ring === 'split' ? setup.config.deviceAddress : setup.config.descriptorAddress, length: 1 },
      'used-ring-overlap',
    ],
    ['more than 2 GiB further on', { address: DATA + 0x9000_0000, length: 16 }, 'outside-memory'],
    ['past 2 GiB', { address: DATA, length: 0x8000_0000 }, 'outside-memory'],
    ['one byte past the region', { address: DATA, length: RAM_BYTES - 0x10_0000 + 1 }, 'outside-memory'],
    ['from the end of the region', { address: HIGH_RAM + RAM_BYTES, length: 1 }, 'outside-memory'],
  ];
  const names = bad(setUpRing({ size: 8, ring })).map(([name]) => name);

  test.each(names)('%s', (name) => {
    for (const place of ['alone', 'linked', 'in a table'] as const) {
      const { setup, table, rule } = warm(ring);
      const found = bad(setup).find((each) => each[0] === name);
      if (found === undefined) throw new Error(name);
      const [, buffer, expected] = found;
      if (place === 'in a table') table.tableDescriptor(TABLE, 0, buffer);
      const list = place === 'alone' ? [buffer] : place === 'linked' ? [good, buffer] : [{ address: TABLE, length: 16, flags: INDIRECT }];
      expect(rule(list), place).toBe(expected);
    }
  });

  test('no bytes at all', () => {
    expect(warm(ring).rule([{ address: DATA, length: 0 }])).toBe('empty-chain');
  });

  test.each([
    ['of another upper word', TABLE + 7 * TWO_32],
    ['from the end of the region', HIGH_RAM + RAM_BYTES],
    ['that begins in the region and ends past it', HIGH_RAM + RAM_BYTES - 16],
    ['before every region of its upper word', TWO_32 - 32],
    ['more than 2 GiB further on', HIGH_RAM + 0x9000_0000],
  ])('a table %s', (_what, address) => {
    expect(warm(ring).rule([{ address, length: 32, flags: INDIRECT }])).toBe('outside-memory');
  });

  test.each([0, 0x8000_0000, 0xffff_fff0])('a table of %s bytes', (length) => {
    expect(warm(ring).rule([{ address: TABLE, length, flags: INDIRECT }])).toBe('indirect-length');
  });

  test('an upper word that others follow: the last byte of the region, and a table in it, are taken', () => {
    const { rule } = warm(ring);
    expect(rule([{ address: HIGH_RAM + RAM_BYTES - 1, length: 1 }])).toBe('taken');
    const { table, rule: other } = warm(ring);
    table.tableDescriptor(HIGH_RAM + RAM_BYTES - 16, 0, good);
    expect(other([{ address: HIGH_RAM + RAM_BYTES - 16, length: 16, flags: INDIRECT }])).toBe('taken');
  });
});

describe.each(RINGS)('%s: after a broken ring', (ring) => {
  test('nothing is taken, published or asked for', () => {
    const { device, chain, rule, offer } = warm(ring);
    device.push(chain.head, 0);
    expect(rule([{ address: DATA, length: 0 }])).toBe('empty-chain');
    offer(2, [good]);
    expect([device.pop(chain), device.publish(), device.enableKicks()]).toEqual([false, false, false]);
  });
});

describe.each(RINGS)('%s: a region that begins and ends within its upper word', (ring) => {
  const FIRST = HIGH_RAM + 0x2000_0000;
  const QUEUE = FIRST + 0x40_0000;
  const place = ring === 'split' ? placeSplitQueue : placePackedQueue;

  test.each([
    ['a buffer below it', { address: FIRST - 16, length: 16 }, 'outside-memory'],
    ['a table below it', { address: FIRST - 16, length: 16, flags: INDIRECT }, 'outside-memory'],
    ['a buffer above it', { address: FIRST + RAM_BYTES, length: 16 }, 'outside-memory'],
    ['a buffer in what the device writes, above the one before', { address: 0, length: 1 }, 'used-ring-overlap'],
  ])('%s', (_what, buffer, expected) => {
    const space = new AddressSpace();
    const plan = { kind: 'ram', size: RAM_BYTES, device: null, bar: null } as const;
    space.add(new MemoryRegion({ ...plan, id: 0, name: 'middle', gpa: FIRST, memory: createSharedMemory(RAM_BYTES) }));
    const config = { ...place(QUEUE, 8), size: 8, indirect: true, eventIdx: false };
    const written = ring === 'split' ? config.deviceAddress : config.descriptorAddress;
    const device = newDevice(ring, { ...setUpRing({ size: 8, ring }), space, config });
    const chain = new Chain();
    for (const [slot, each] of [
      { address: FIRST + 0x1000, length: 16 },
      buffer.address === 0 ? { ...buffer, address: written } : buffer,
    ].entries()) {
      if (ring === 'packed') new RawPackedDriver(space, config).offer(slot, [{ ...each, next: slot }]);
      else {
        const driver = new RawDriver(space, config);
        driver.descriptor(slot, each);
        driver.offer(slot);
      }
      if (slot === 0) expect(device.pop(chain)).toBe(true);
    }
    expect(() => device.pop(chain)).toThrow(expect.objectContaining({ rule: expected }));
  });

  test.each([Number.NaN, 1.5, -16, 2 ** 53 - 16, 2 ** 60])('a ring at %s is at no address', (address) => {
    const { space, config } = setUpRing({ size: 8, ring });
    for (const which of ['descriptorAddress', 'driverAddress', 'deviceAddress']) {
      const open = () => newDevice(ring, { ...setUpRing({ size: 8, ring }), space, config: { ...config, [which]: address } });
      // The end of the small areas at 2^53 − 16 is exact: they are only outside memory.
      const exact = address === 2 ** 53 - 16 && ring === 'packed' && which !== 'descriptorAddress';
      expect(open, which).toThrow(expect.objectContaining({ rule: exact ? 'ring-outside-memory' : 'ring-address' }));
    }
  });

  test('bytes of a region that came back smaller are neither read nor written', () => {
    const setup = setUpRing({ size: 8, ring });
    const driver = newDriver(ring, setup);
    const device = newDevice(ring, setup);
    const chain = new Chain();
    driver.begin();
    driver.readable(0x10_0000, 16);
    driver.writable(0x10_1000, 16);
    driver.submit(0);
    driver.publish();
    expect(device.pop(chain)).toBe(true);
    setup.space.remove(0);
    const plan = { kind: 'ram', size: 0x1000, device: null, bar: null } as const;
    setup.space.add(new MemoryRegion({ ...plan, id: 0, name: 'smaller', gpa: 0, memory: createSharedMemory(RAM_BYTES) }));
    const bytes = new Uint8Array(16);
    expect([readChain(setup.space, chain, 0, bytes, 0, 16), writeChain(setup.space, chain, bytes, 0, 16)]).toEqual([0, 0]);
  });
});

describe('packed', () => {
  const chain = new Chain();
  const bench = () => {
    const setup = setUpRing({ size: 8, ring: 'packed' });
    return { setup, driver: new RawPackedDriver(setup.space, setup.config), device: newDevice('packed', setup) };
  };

  test('a slot that was seen available and is so no more when it is taken breaks the ring', () => {
    const { driver, device } = bench();
    for (const slot of [0, 1]) driver.offer(slot, [{ ...good, next: slot }]);
    expect(device.pop(chain)).toBe(true);
    driver.slot(1, { ...good, next: 1 });
    expect(() => device.pop(chain)).toThrow(expect.objectContaining({ rule: 'wrong-wrap' }));
  });

  test('a ring that one chain fills has no room for another, whatever its id', () => {
    const { driver, device } = bench();
    driver.offer(
      0,
      Array.from({ length: 8 }, (_, i) => ({ ...good, flags: i < 7 ? NEXT : 0, next: 0 })),
    );
    expect(device.pop(chain)).toBe(true);
    driver.offer(0, [{ ...good, next: 1 }], 0);
    expect(() => device.pop(chain)).toThrow(expect.objectContaining({ rule: 'avail-ahead' }));
  });
});

describe.each(RINGS)('%s: what is not published', (ring) => {
  test('is not seen by the other side, neither the first of a batch nor the rest', () => {
    const setup = setUpRing({ size: 8, ring });
    const driver = newDriver(ring, setup);
    const device = newDevice(ring, setup);
    const chain = new Chain();
    const heads: number[] = [];
    for (const token of [0, 1, 2]) {
      driver.begin();
      driver.readable(setup.buffers, 4);
      driver.submit(token);
      expect(device.pop(chain)).toBe(false);
    }
    driver.publish();
    while (device.pop(chain)) heads.push(chain.head);
    expect(heads.length).toBe(3);
    for (const head of heads) {
      device.push(head, 0);
      expect(driver.popUsed()).toBe(false);
    }
    device.publish();
    expect([0, 1, 2, 3].map(() => driver.popUsed())).toEqual([true, true, true, false]);
  });
});

describe.each(RINGS)('%s driver without INDIRECT', (ring) => {
  test('a full ring takes no chain of one buffer, until one comes back', () => {
    const setup = setUpRing({ size: 4, ring });
    const driver = newDriver(ring, setup);
    const device = newDevice(ring, setup);
    const chain = new Chain();
    const submit = (token: number): boolean => {
      driver.begin();
      driver.readable(setup.buffers, 4);
      return driver.submit(token);
    };
    expect([0, 1, 2, 3, 4].map(submit)).toEqual([true, true, true, true, false]);
    driver.publish();
    device.pop(chain);
    device.push(chain.head, 0);
    device.publish();
    expect([driver.popUsed(), driver.usedToken, submit(4), submit(5), driver.free]).toEqual([true, 0, true, false, 0]);
  });

  test('a token that is none is refused', () => {
    const setup = setUpRing({ size: 4, ring });
    const driver = newDriver(ring, setup);
    for (const token of [-1, 2 ** 31, Number.NaN]) {
      driver.begin();
      driver.readable(setup.buffers, 4);
      expect(() => driver.submit(token), String(token)).toThrow(/no token/);
    }
    driver.begin();
    expect(() => driver.submit(0)).toThrow(/needs a buffer/);
  });
});
