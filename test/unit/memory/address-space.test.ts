import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AddressSpace } from '../../../core/memory/address-space.ts';
import { createSharedMemory } from '../../../core/memory/region.ts';
import { testRegion } from './regions.ts';

const PAGE = 4096;
const memory = createSharedMemory(16 * PAGE);

/** RAM below the 4 GiB hole, RAM above it, and a BAR that touches the latter. */
function machine(): AddressSpace {
  const space = new AddressSpace();
  space.add(testRegion(2, 2 ** 32 + 16 * PAGE, 2 * PAGE, memory));
  space.add(testRegion(0, 0, 8 * PAGE, memory));
  space.add(testRegion(1, 2 ** 32, 16 * PAGE, memory));
  return space;
}

describe('translate', () => {
  test('finds what lies whole in one region', () => {
    const space = machine();
    for (const [address, length, id, offset] of [
      [0, 8 * PAGE, 0, 0],
      [8 * PAGE - 1, 1, 0, 8 * PAGE - 1],
      [2 ** 32 + 5, 10, 1, 5],
      [2 ** 32 + 16 * PAGE, 2 * PAGE, 2, 0],
      [17, 0, 0, 17],
      [-0, 1, 0, 0],
    ]) {
      expect(space.translate(address, length)).toBe(true);
      expect(space.hitRegion?.id).toBe(id);
      expect(space.hitOffset).toBe(offset);
    }
  });

  test.each([
    ['the end of a region', 8 * PAGE, 0],
    ['past a region by a byte', 8 * PAGE - 1, 2],
    ['the hole', 2 ** 31, 1],
    ['two regions that touch', 2 ** 32 + 16 * PAGE - 1, 2],
    ['below the first address', -1, 1],
    ['a length that wraps', 4096, 2 ** 64 - 4096],
    ['the largest length', 0, Number.MAX_SAFE_INTEGER],
    ['a negative length', 4096, -1],
    ['a fraction', 0.5, 1],
    ['a fractional length', 0, 0.5],
    ['NaN', Number.NaN, 1],
    ['a length of NaN', 0, Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY, 1],
    ['past 2^53 - 1', 2 ** 53, 1],
  ])('refuses %s and keeps the last hit', (_, address, length) => {
    const space = machine();
    expect(space.translate(5, 1)).toBe(true);
    expect(space.translate(address, length)).toBe(false);
    expect([space.hitRegion?.id, space.hitOffset]).toEqual([0, 5]);
  });

  test('regions may touch, whichever comes first', () => {
    const space = new AddressSpace();
    space.add(testRegion(0, 4 * PAGE, PAGE, memory));
    space.add(testRegion(1, 5 * PAGE, PAGE, memory));
    space.add(testRegion(2, 3 * PAGE, PAGE, memory));
    expect([3, 4, 5].map((page) => space.translate(page * PAGE, PAGE))).toEqual([true, true, true]);
  });

  test('an empty space holds nothing', () => {
    expect(new AddressSpace().translate(0, 0)).toBe(false);
  });

  test('agrees with a search of all regions, for any numbers and any table', () => {
    const near = fc.integer({ min: -2, max: 40 * PAGE });
    const anything = fc.oneof(near, fc.double(), fc.maxSafeInteger(), fc.constantFrom(2 ** 53, 2 ** 64, -0));
    const table = fc.array(fc.record({ page: fc.integer({ min: 0, max: 39 }), pages: fc.integer({ min: 1, max: 16 }) }), { maxLength: 6 });
    fc.assert(
      fc.property(table, anything, anything, (wanted, address, length) => {
        const space = new AddressSpace();
        wanted.forEach(({ page, pages }, id) => {
          try {
            space.add(testRegion(id, page * PAGE, pages * PAGE, memory));
          } catch {
            // Overlaps an earlier one: it stays absent.
          }
        });
        const valid = Number.isSafeInteger(address) && Number.isSafeInteger(length) && length >= 0;
        const home = space.regions.find(
          (r) => valid && r && address >= r.gpa && address < r.gpa + r.size && BigInt(address) + BigInt(length) <= BigInt(r.gpa + r.size),
        );
        expect(space.translate(address, length)).toBe(home !== undefined);
        if (home) {
          expect(space.hitRegion).toBe(home);
          expect(space.hitOffset).toBe(address - home.gpa + 0);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('the table', () => {
  test('refuses an overlap from either side, from within and from around', () => {
    const space = new AddressSpace();
    space.add(testRegion(0, 4 * PAGE, 4 * PAGE, memory));
    for (const [page, pages] of [
      [3, 2],
      [7, 2],
      [5, 1],
      [2, 16],
      [4, 4],
    ]) {
      expect(() => space.add(testRegion(1, page * PAGE, pages * PAGE, memory))).toThrow(/overlaps/);
    }
    expect([space.generation, space.regions.length]).toEqual([1, 1]);
  });

  test('refuses an id that is taken or no id', () => {
    const space = machine();
    expect(() => space.add(testRegion(0, 2 ** 40, PAGE, memory))).toThrow(/taken/);
    expect(() => space.add(testRegion(-1, 2 ** 40, PAGE, memory))).toThrow(RangeError);
    expect(() => space.add(testRegion(0.5, 2 ** 40, PAGE, memory))).toThrow(RangeError);
  });

  test('a removed region is found no more, and its id and place may be taken again', () => {
    const space = machine();
    expect(space.translate(2 ** 32, 1)).toBe(true);
    const removed = space.remove(1);
    expect(removed?.id).toBe(1);
    expect(space.hitRegion).toBeNull();
    expect(space.translate(2 ** 32, 1)).toBe(false);
    expect(space.regions[1]).toBeNull();
    expect(space.remove(1)).toBeNull();
    expect(space.remove(99)).toBeNull();
    expect(space.generation).toBe(4);
    space.add(testRegion(1, 2 ** 32, PAGE, memory));
    expect(space.translate(2 ** 32, PAGE)).toBe(true);
    expect(space.generation).toBe(5);
  });

  test('absent ids below a present one are null', () => {
    const space = new AddressSpace();
    space.add(testRegion(2, 0, PAGE, memory));
    expect(space.regions.map((region) => region?.id ?? null)).toEqual([null, null, 2]);
  });
});
