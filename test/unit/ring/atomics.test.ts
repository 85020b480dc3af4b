import { describe, expect, it } from 'vitest';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { plainAtomics, type RingAtomics, ringAtomics, storeThenLoad } from '../../../core/ring/atomics.ts';

const SIZE = 65536;

function regionOf(memory: WebAssembly.Memory): MemoryRegion {
  return new MemoryRegion({ id: 0, name: 'ram', kind: 'ram', gpa: 0x10_0000, size: SIZE, device: null, bar: null, memory });
}

const kinds: [name: string, of: (region: MemoryRegion) => RingAtomics][] = [
  ['in WebAssembly', ringAtomics],
  ['with Atomics', plainAtomics],
];

describe.each(kinds)('atomic accesses %s', (_, of) => {
  it('read and write 16 bits at their byte offset, unsigned, and no neighbour', () => {
    const region = regionOf(createSharedMemory(SIZE));
    const atomics = of(region);
    for (const [at, value] of [
      [0, 1],
      [2, 0xffff],
      [4094, 0x8000],
      [SIZE - 2, 0x1234],
    ]) {
      region.u8.fill(0xa5);
      atomics.store16(at, value);
      expect(region.u16[at / 2]).toBe(value);
      expect(atomics.load16(at)).toBe(value);
      expect(region.u8.filter((byte) => byte !== 0xa5).length).toBeLessThanOrEqual(2);
      if (at > 0) expect(region.u16[at / 2 - 1]).toBe(0xa5a5);
    }
  });

  it('read and write 32 bits at their byte offset, signed, and no neighbour', () => {
    const region = regionOf(createSharedMemory(SIZE));
    const atomics = of(region);
    for (const [at, value] of [
      [0, 1],
      [4, -1],
      [SIZE - 4, -0x8000_0000],
    ]) {
      region.u8.fill(0xa5);
      atomics.store32(at, value);
      expect(region.i32[at / 4]).toBe(value);
      expect(atomics.load32(at)).toBe(value);
      if (at > 0) expect(region.u32[at / 4 - 1]).toBe(0xa5a5a5a5);
    }
  });
});

describe.each(kinds)('a store and then a load %s', (_, of) => {
  it('does both, the store first, at their own offsets', () => {
    const region = regionOf(createSharedMemory(SIZE));
    region.i32.fill(7);
    region.i32[16] = -9;
    expect(of(region).storeThenLoad32(4, -2, 64)).toBe(-9);
    expect([...region.i32.subarray(0, 3)]).toEqual([7, -2, 7]);
    expect(of(region).storeThenLoad32(SIZE - 4, 5, SIZE - 4)).toBe(5);
  });
});

it('a store and then a load in two regions', () => {
  const [to, from] = [regionOf(createSharedMemory(SIZE)), regionOf(createSharedMemory(SIZE))];
  from.i32[1] = 3;
  expect(storeThenLoad(to, from)(4, 9, 4)).toBe(3);
  expect([to.i32[1], from.i32[1]]).toEqual([9, 3]);
  expect(storeThenLoad(to, to)(4, 8, 4)).toBe(8);
});

it('a memory has one set of functions: call sites that see one are compiled to the instruction', () => {
  const memory = createSharedMemory(SIZE);
  expect(ringAtomics(regionOf(memory))).toBe(ringAtomics(regionOf(memory)));
  expect(ringAtomics(regionOf(createSharedMemory(SIZE)))).not.toBe(ringAtomics(regionOf(memory)));
});
