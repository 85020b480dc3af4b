import { describe, expect, test } from 'vitest';
import { RAM_BYTES, type RingSetup, setUpRing } from '../../../core/machine/testing/ring-setup.ts';
import { createSharedMemory } from '../../../core/memory/region.ts';
import { Chain } from '../../../core/ring/chain.ts';
import { newDevice, newDriver } from '../../support/ring-kinds.ts';

const memories = [createSharedMemory(RAM_BYTES), createSharedMemory(RAM_BYTES)] as const;
const WRITABLE = 24;
/** More than fits a ring of 16, so that it wraps. */
const CHAINS = 6;

describe.each(['split', 'packed'] as const)('IN_ORDER on the %s ring', (ring) => {
  /** A ring near its end with `CHAINS` chains of two descriptors taken, tokens 10 …; `heads` in the order they came. */
  function taken(): { setup: RingSetup; driver: ReturnType<typeof newDriver>; device: ReturnType<typeof newDevice>; heads: number[] } {
    const setup = setUpRing({ size: 16, ring, inOrder: true }, memories);
    const driver = newDriver(ring, setup);
    const device = newDevice(ring, setup);
    const chain = new Chain();
    const send = (token: number): number => {
      driver.begin();
      driver.readable(setup.buffers, 32);
      driver.writable(setup.buffers, WRITABLE);
      expect(driver.submit(token)).toBe(true);
      driver.publish();
      expect(device.pop(chain)).toBe(true);
      return chain.head;
    };
    for (let i = 0; i < 6; i++) {
      device.push(send(1), WRITABLE);
      device.publish();
      driver.popUsed();
    }
    return { setup, driver, device, heads: Array.from({ length: CHAINS }, (_, i) => send(10 + i)) };
  }
  const given = (driver: ReturnType<typeof newDriver>): [token: number, length: number][] => {
    const all: [number, number][] = [];
    while (driver.popUsed()) all.push([driver.usedToken, driver.usedLength]);
    return all;
  };

  test('heads go round the ring in order', () => {
    expect(taken().heads).toEqual([12, 14, 0, 2, 4, 6]);
  });

  test('a chain returned early is seen only after those before it, and asks for no interrupt', () => {
    const { driver, device, heads } = taken();
    for (const early of [5, 3, 1, 2, 4]) {
      device.push(heads[early], WRITABLE);
      expect(device.publish()).toBe(false);
      expect(given(driver)).toEqual([]);
    }
    expect(device.inFlight).toBe(1);
    device.push(heads[0], WRITABLE);
    expect(device.publish()).toBe(true);
    expect(given(driver)).toEqual([10, 11, 12, 13, 14, 15].map((token) => [token, WRITABLE]));
    expect(driver.free).toBe(16);
  });

  test('a batch written completely is one used element, the last one, in the place of the first', () => {
    const { setup, device, heads } = taken();
    const words = setup.high.u32;
    const at = ((ring === 'split' ? setup.config.deviceAddress : setup.config.descriptorAddress) - setup.high.gpa) / 4;
    const before = words.slice(at, at + 64);
    for (const head of heads) device.push(head, WRITABLE);
    device.publish();
    const after = words.slice(at, at + 64);
    const changed = [...after.keys()].filter((i) => after[i] !== before[i]);
    if (ring === 'split') {
      // idx, and element 6.
      expect(after[0] >>> 16).toBe(12);
      expect(changed.every((i) => i === 0 || i === 1 + 12 || i === 2 + 12)).toBe(true);
      expect([after[1 + 12], after[2 + 12]]).toEqual([heads[5], WRITABLE]);
    } else {
      expect(changed.every((i) => i >= 4 * heads[0] + 2 && i < 4 * heads[0] + 4)).toBe(true);
      expect([after[4 * heads[0] + 3] & 0xffff, after[4 * heads[0] + 2]]).toEqual([heads[5], WRITABLE]);
    }
  });

  test('one written in part ends a batch: its length arrives, as do those around it', () => {
    const { driver, device, heads } = taken();
    const lengths = [WRITABLE, WRITABLE, 7, 0, WRITABLE, WRITABLE];
    for (const i of [3, 1, 0, 5, 4, 2]) device.push(heads[i], lengths[i]);
    device.publish();
    expect(given(driver)).toEqual(lengths.map((length, i) => [10 + i, length]));
  });

  test('an answer while more of the batch is to be given out wants no sleep', () => {
    const { driver, device, heads } = taken();
    for (const head of heads.slice(0, 2)) device.push(head, WRITABLE);
    device.publish();
    expect(driver.popUsed()).toBe(true);
    expect(driver.enableInterrupts()).toBe(true);
    expect(driver.popUsed()).toBe(true);
    expect(driver.enableInterrupts()).toBe(false);
  });

  test('lap after lap in batches, returned in any order', () => {
    const { setup, driver, device, heads } = taken();
    let rest = heads;
    const chain = new Chain();
    for (let lap = 0; lap < 40; lap++) {
      for (const head of rest.toReversed()) device.push(head, lap % 3 === 0 ? 5 : WRITABLE);
      device.publish();
      expect(given(driver)).toHaveLength(rest.length);
      rest = [];
      for (let i = 0; i < 1 + (lap % 7); i++) {
        driver.begin();
        driver.readable(setup.buffers, 32);
        driver.writable(setup.buffers, WRITABLE);
        driver.submit(lap);
      }
      driver.publish();
      while (device.pop(chain)) rest.push(chain.head);
      expect(rest).toHaveLength(1 + (lap % 7));
    }
  });

  test('a chain is returned once', () => {
    const { device, heads } = taken();
    device.push(heads[1], 0);
    expect(() => device.push(heads[1], 0)).toThrow(RangeError);
    device.push(heads[0], 0);
    device.publish();
    expect(() => device.push(heads[0], 0)).toThrow(RangeError);
    expect(() => device.push(heads[1], 0)).toThrow(RangeError);
  });
});
