import { describe, expect, test } from 'vitest';
import { SegmentList } from '../../../core/memory/segments.ts';
import { testRegion } from './regions.ts';

describe('SegmentList', () => {
  const one = testRegion(0, 0, 65536);
  const two = testRegion(1, 65536, 65536);

  test('joins a piece that follows the last one in its region, and no other', () => {
    const list = new SegmentList(1);
    list.append(one, 0, 100);
    list.append(one, 100, 50);
    list.append(two, 150, 10);
    list.append(two, 149, 1);
    expect(list.count).toBe(3);
    expect(Array.from(list.bytes.subarray(0, 3))).toEqual([150, 10, 1]);
    expect(Array.from(list.start.subarray(0, 3))).toEqual([0, 150, 160]);
    expect(list.length).toBe(161);
  });

  test('finds the segment of every byte', () => {
    const list = new SegmentList();
    const owner: number[] = [];
    for (let i = 0; i < 40; i++) {
      const bytes = 1 + (i % 5);
      list.append(one, i * 100, bytes);
      for (let k = 0; k < bytes; k++) owner.push(i);
    }
    expect(owner.map((_, at) => list.find(at))).toEqual(owner);
  });

  test('is empty and usable after clear', () => {
    const list = new SegmentList();
    list.append(one, 0, 100);
    list.clear();
    expect([list.count, list.length, list.region.length]).toEqual([0, 0, 0]);
    list.append(one, 100, 1);
    expect([list.count, list.start[0]]).toEqual([1, 0]);
  });
});
