import { describe, expect, it } from 'vitest';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { plainAtomics, type RingAtomics, ringAtomics } from '../../../core/ring/atomics.ts';

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

it('a memory has one set of functions: call sites that see one are compiled to the instruction', () => {
  const memory = createSharedMemory(SIZE);
  expect(ringAtomics(regionOf(memory))).toBe(ringAtomics(regionOf(memory)));
  expect(ringAtomics(regionOf(createSharedMemory(SIZE)))).not.toBe(ringAtomics(regionOf(memory)));
});
