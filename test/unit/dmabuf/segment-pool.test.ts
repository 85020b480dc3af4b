import { expect, test } from 'vitest';
import { SegmentPool } from '../../../core/dmabuf/segment-pool.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';

test('a released list serves the next buffer of about its length', () => {
  const pool = new SegmentPool();
  const list = pool.take(8100);
  pool.give(list);
  expect(pool.take(8100)).toBe(list);
  pool.give(list);
  expect(pool.take(5000)).toBe(list);
});

test('a short buffer does not hold a long list: what a guest makes the host keep is what its entries are charged', () => {
  const pool = new SegmentPool();
  for (let i = 0; i < 100; i++) {
    pool.give(pool.take(16384));
    expect(pool.take(1).offset.length).toBeLessThanOrEqual(128);
  }
});

test('lists of lengths that nobody wants again make room for those that are', () => {
  const pool = new SegmentPool();
  for (let i = 0; i < 20; i++) pool.give(pool.take(1 + i));
  const list = pool.take(8100);
  pool.give(list);
  expect(pool.take(8100)).toBe(list);
});

test('a list too short for a buffer is not taken, and only the eight given last are kept', () => {
  const pool = new SegmentPool();
  pool.give(pool.take(10));
  expect(pool.take(50).offset.length).toBeGreaterThanOrEqual(50);
  const lists = Array.from({ length: 9 }, () => new SegmentPool().take(100));
  for (const list of lists) pool.give(list);
  expect(pool.take(100)).toBe(lists[1]);
});

test('a list that waits for its next buffer keeps no region', () => {
  const pool = new SegmentPool();
  const memory = createSharedMemory(1 << 20);
  const region = new MemoryRegion({ id: 0, name: 'ram', kind: 'ram', gpa: 0, size: 1 << 20, device: null, bar: null, memory });
  const list = pool.take(100);
  for (let i = 0; i < 100; i++) list.append(region, 8192 * i, 4096);
  pool.give(list);
  expect(list.region.filter((each) => each !== undefined)).toEqual([]);
});
