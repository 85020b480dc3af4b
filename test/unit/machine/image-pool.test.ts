import { describe, expect, test } from 'vitest';
import { ImagePool } from '../../../core/machine/host-machine.ts';
import type { MemoryRegion } from '../../../core/memory/region.ts';

const MIB = 1024 * 1024;

function take(pool: ImagePool, bytes: number): MemoryRegion {
  const region = pool.allocate(bytes);
  if (region === null) throw new Error('no memory');
  return region;
}

describe('the pool of host images', () => {
  test('gives a region of the same size again, zeroed', () => {
    const pool = new ImagePool();
    const first = take(pool, 10_000);
    first.u32.fill(0xa5a5a5a5);
    pool.free(first);
    expect(pool.keptBytes).toBe(12_288);
    const again = take(pool, 12_000);
    expect(again).toBe(first);
    expect(again.u32.every((word) => word === 0)).toBe(true);
    expect(pool.keptBytes).toBe(0);
  });

  test('keeps no more than 64 regions, whatever sizes a guest makes up (hostile-guest 45)', () => {
    const pool = new ImagePool();
    for (let i = 1; i <= 200; i++) pool.free(take(pool, i * 4096));
    let sum = 0;
    for (let i = 137; i <= 200; i++) sum += i * 4096;
    expect(pool.keptBytes).toBe(sum);
  });

  test('keeps no more than 512 MiB', () => {
    const pool = new ImagePool();
    for (let i = 0; i < 4; i++) pool.free(take(pool, 200 * MIB + i * 4096));
    expect(pool.keptBytes).toBeLessThanOrEqual(512 * MIB);
    expect(pool.keptBytes).toBeGreaterThan(300 * MIB);
  });
});
