import { describe, expect, test } from 'vitest';
import { createSharedMemory } from '../../../core/memory/region.ts';
import { testRegion } from './regions.ts';

describe('MemoryRegion', () => {
  const memory = createSharedMemory(65536);

  test.each([0, -4096, 4095, 4097, Number.NaN, Number.POSITIVE_INFINITY])('refuses the size %s', (size) => {
    expect(() => testRegion(0, 0, size, memory)).toThrow(RangeError);
  });

  test.each([-4096, 1, 4095, Number.NaN, 2 ** 53, 2 ** 53 - 4096])('refuses the address %s', (gpa) => {
    expect(() => testRegion(0, gpa, 8192, memory)).toThrow(RangeError);
  });

  test('refuses a memory that is too small or not shared', () => {
    expect(() => testRegion(0, 0, 131072, memory)).toThrow(/region0: its memory is not shared or smaller/);
    expect(() => testRegion(0, 0, 4096, new WebAssembly.Memory({ initial: 1 }))).toThrow(/region0: its memory is not shared/);
  });

  test('its views end where the region ends, though the memory goes on', () => {
    const region = testRegion(0, 0, 4096, memory);
    expect([region.u8.length, region.u16.length, region.u32.length, region.i32.length]).toEqual([4096, 2048, 1024, 1024]);
  });
});

test.each([0, -1, Number.NaN, 2 ** 32 + 1])('createSharedMemory refuses %s bytes', (bytes) => {
  expect(() => createSharedMemory(bytes)).toThrow(new RangeError(`a shared memory of ${bytes} bytes is not possible (1 … 4 GiB)`));
});
