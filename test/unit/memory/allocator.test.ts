import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PAGE_LAYOUTS, PageAllocator, type PageLayout } from '../../../core/memory/allocator.ts';
import { Random } from '../../../core/memory/random.ts';
import { createSharedMemory } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import { testRegion } from './regions.ts';

const PAGE = 4096;
const MIB = 2 ** 20;
const FRAME_4K = 3840 * 2160 * 4;
const BLOCK: Record<PageLayout, number> = { contiguous: Number.MAX_SAFE_INTEGER, '2m': 2 * MIB, '64k': 65536, '4k': PAGE };
const layout = fc.constantFrom(...PAGE_LAYOUTS);

const large = testRegion(0, 0, 128 * MIB, createSharedMemory(128 * MIB));
const allocator = (seed: number, firstOffset = 0, region = large): PageAllocator =>
  new PageAllocator(region, firstOffset, new Random(seed));
const pieces = (list: SegmentList): [number, number][] =>
  Array.from({ length: list.count }, (_, i) => [list.offset[i], list.bytes[i]] as [number, number]);

describe('layouts', () => {
  test.each([
    ['4k', 8100],
    ['64k', 507],
    ['2m', 16],
    ['contiguous', 1],
  ] as const)('a 4K frame in %s pages has %i segments', (name, segments) => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const list = allocator(seed, 5 * PAGE).alloc(FRAME_4K, name);
        expect(list?.count).toBe(segments);
        expect(list?.length).toBe(FRAME_4K);
      }),
      { numRuns: 5 },
    );
  });

  test('blocks are aligned, free, distinct, in range and follow no predecessor', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        layout,
        fc.integer({ min: 1, max: 3 * MIB }),
        fc.integer({ min: 0, max: 20 * PAGE }),
        (seed, name, bytes, first) => {
          const list = allocator(seed, first).alloc(bytes, name);
          if (list === null) throw new Error('128 MiB hold 3 MiB in any layout');
          const length = Math.ceil(bytes / PAGE) * PAGE;
          expect(list.length).toBe(length);
          expect(list.count).toBe(Math.ceil(length / BLOCK[name]));
          let taken = 0;
          pieces(list).forEach(([offset, size], i) => {
            expect(offset % (name === 'contiguous' ? PAGE : BLOCK[name])).toBe(0);
            expect(size).toBe(Math.min(BLOCK[name], length - taken));
            expect(offset).toBeGreaterThanOrEqual(first);
            expect(offset + size).toBeLessThanOrEqual(large.size);
            if (i > 0) expect(offset).not.toBe(list.offset[i - 1] + list.bytes[i - 1]);
            taken += size;
          });
          expect(disjoint(pieces(list))).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a region taken to its last page still gives one segment a page', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 40 }), (seed, pages) => {
        const region = testRegion(0, 0, pages * PAGE, small);
        const list = allocator(seed, 0, region).alloc(region.size, '4k');
        expect(list?.count).toBe(pages);
        expect(disjoint(list ? pieces(list) : [])).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('pages in a row are no neighbours in either direction while there is a choice', () => {
    for (let seed = 0; seed < 200; seed++) {
      const list = allocator(seed).alloc(64 * PAGE, '4k');
      if (list === null) throw new Error('no room');
      for (let i = 1; i < list.count; i++) expect(Math.abs(list.offset[i] - list.offset[i - 1])).toBeGreaterThan(PAGE);
    }
  });

  test('a scattered frame leaves large blocks free', () => {
    const pages = allocator(3);
    expect(pages.alloc(FRAME_4K, '4k')).not.toBeNull();
    expect(pages.alloc(FRAME_4K / 2, '2m')).not.toBeNull();
    expect(pages.alloc(FRAME_4K / 2, 'contiguous')).not.toBeNull();
  });

  test('the same seed and calls give the same pages, another seed others', () => {
    const draw = (seed: number): [number, number][][] => {
      const pages = allocator(seed);
      return PAGE_LAYOUTS.map((name) => {
        const list = pages.alloc(4 * MIB, name);
        return list ? pieces(list) : [];
      });
    };
    expect(draw(5)).toEqual(draw(5));
    expect(draw(5)).not.toEqual(draw(6));
  });
});

const small = createSharedMemory(40 * PAGE);

describe('accounting', () => {
  test('pages are never handed out twice, and freeing gives all bytes back', () => {
    const step = fc.record({ name: layout, bytes: fc.integer({ min: 1, max: 40 * PAGE }), drop: fc.nat({ max: 3 }) });
    fc.assert(
      fc.property(fc.integer(), fc.array(step, { maxLength: 30 }), (seed, steps) => {
        const region = testRegion(0, 0, 40 * PAGE, small);
        const pages = allocator(seed, PAGE + 1, region);
        expect(pages.totalBytes).toBe(38 * PAGE);
        const live: SegmentList[] = [];
        for (const { name, bytes, drop } of steps) {
          const before = pages.freeBytes;
          const list = pages.alloc(bytes, name);
          if (list) live.push(list);
          expect(pages.freeBytes).toBe(before - (list?.length ?? 0));
          if (drop < live.length) for (const old of live.splice(drop, 1)) pages.free(old);
          expect(pages.freeBytes).toBe(pages.totalBytes - live.reduce((sum, l) => sum + l.length, 0));
          expect(disjoint(live.flatMap(pieces))).toBe(true);
        }
        for (const list of live) pages.free(list);
        expect(pages.freeBytes).toBe(pages.totalBytes);
        expect(pages.alloc(pages.totalBytes, 'contiguous')?.count).toBe(1);
      }),
      { numRuns: 200 },
    );
  });

  test('freeing twice, or pages of another region, is refused and gives nothing back', () => {
    const pages = allocator(1);
    const other = new PageAllocator(testRegion(1, 2 ** 40, 40 * PAGE, small), 0, new Random(1));
    const list = pages.alloc(8 * PAGE, '4k');
    const foreign = other.alloc(8 * PAGE, '4k');
    if (!list || !foreign) throw new Error('no room');
    expect(() => pages.free(foreign)).toThrow(RangeError);
    pages.free(list);
    expect(() => pages.free(list)).toThrow(RangeError);
    expect(pages.freeBytes).toBe(pages.totalBytes);
  });

  test('pages below the first offset cannot be freed into use', () => {
    const all = allocator(1);
    const list = all.alloc(2 * PAGE, 'contiguous');
    if (!list) throw new Error('no room');
    expect(() => allocator(1, PAGE).free(list)).toThrow(RangeError);
  });

  test('freeing what only looks like taken pages is refused and gives nothing back', () => {
    const region = testRegion(0, 0, 40 * PAGE, small);
    const other = testRegion(1, 2 ** 40, 40 * PAGE, small);
    const pages = allocator(1, 4 * PAGE, region);
    if (!pages.alloc(36 * PAGE, 'contiguous')) throw new Error('no room');
    for (const [where, offset, bytes] of [
      [other, 8 * PAGE, PAGE],
      [region, 8 * PAGE + 512, PAGE],
      [region, 8 * PAGE, PAGE + 512],
      [region, 3 * PAGE, PAGE],
      [region, 39 * PAGE, 2 * PAGE],
      [region, 40 * PAGE, PAGE],
    ] as const) {
      const list = new SegmentList();
      list.append(where, offset, bytes);
      expect(() => pages.free(list), `${bytes} bytes at ${offset} of ${where.name}`).toThrow(RangeError);
      expect(pages.freeBytes).toBe(0);
    }
  });

  test.each([0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('alloc refuses %s bytes', (bytes) => {
    expect(() => allocator(1).alloc(bytes, '4k')).toThrow(RangeError);
  });

  test.each([-1, Number.NaN, 129 * MIB])('pages cannot start at %s', (first) => {
    expect(() => allocator(1, first)).toThrow(RangeError);
  });

  test.each(PAGE_LAYOUTS)('more than there is in %s gives null and takes nothing', (name) => {
    const pages = allocator(1);
    expect(pages.alloc(129 * MIB, name)).toBeNull();
    expect(pages.freeBytes).toBe(pages.totalBytes);
  });
});

function disjoint(ranges: [number, number][]): boolean {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  return sorted.every(([offset], i) => i === 0 || sorted[i - 1][0] + sorted[i - 1][1] <= offset);
}
