import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSharedMemory } from '../../../core/memory/region.ts';
import { RowTable } from '../../../core/memory/row-table.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import { testRegion } from './regions.ts';

const regions = [testRegion(0, 0, 65536), testRegion(1, 65536, 65536)];

function buffer(...pieces: [number, number, number][]): SegmentList {
  const list = new SegmentList();
  for (const [region, offset, bytes] of pieces) list.append(regions[region], offset, bytes);
  return list;
}

describe('RowTable', () => {
  test('finds the first word of every row, wherever its page lies', () => {
    const piece = fc.tuple(fc.nat({ max: 1 }), fc.nat({ max: 100 }), fc.integer({ min: 1, max: 100 }));
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 20 }), fc.nat({ max: 20 }), fc.nat({ max: 40 }), (pieces, offset, stride) => {
        const list = buffer(...pieces.map(([region, at, words]): [number, number, number] => [region, at * 400, words * 4]));
        const home = Array.from({ length: list.count }, (_, i) => i).flatMap((i) =>
          Array.from({ length: list.bytes[i] / 4 }, (_, k) => [list.region[i].id, list.offset[i] / 4 + k]),
        );
        const rows = offset >= home.length ? 0 : stride === 0 ? 3 : 1 + Math.floor((home.length - 1 - offset) / stride);
        const table = new RowTable();
        table.build(list, offset * 4, stride * 4, rows);
        expect(table.rows).toBe(rows);
        for (let r = 0; r < rows; r++) {
          const [region, word] = home[offset + r * stride];
          expect(table.views[table.view[r]]).toBe(regions[region].u32);
          expect(table.word[r]).toBe(word);
        }
      }),
    );
  });

  test.each([
    ['a row past the end', 0, 64, 5],
    ['an offset that is no word', 2, 64, 1],
    ['a stride that is no word', 0, 30, 2],
    ['a negative offset', -4, 64, 1],
    ['a negative stride', 128, -64, 2],
    ['NaN', Number.NaN, 64, 1],
  ])('refuses %s', (_, offset, stride, rows) => {
    expect(() => new RowTable().build(buffer([0, 0, 256]), offset, stride, rows)).toThrow(RangeError);
  });

  test('refuses a word that a segment cuts or that lies unaligned', () => {
    expect(() => new RowTable().build(buffer([0, 0, 2], [0, 100, 62]), 0, 4, 1)).toThrow(RangeError);
    expect(() => new RowTable().build(buffer([0, 2, 64]), 0, 4, 1)).toThrow(RangeError);
    expect(() => new RowTable().build(buffer([0, 0, 6], [0, 102, 64]), 8, 4, 1)).not.toThrow();
  });

  test('can be built again for another buffer', () => {
    const table = new RowTable();
    table.build(buffer([0, 0, 256]), 0, 64, 4);
    table.build(buffer([1, 128, 64]), 0, 64, 1);
    expect([table.rows, table.views.length, table.word[0], table.views[0] === regions[1].u32]).toEqual([1, 1, 32, true]);
    table.build(buffer([1, 256, 64]), 0, 64, 1);
    expect([table.views.length, table.word[0], table.views[0] === regions[1].u32]).toEqual([1, 64, true]);
  });

  test('refuses an offset or stride that is no word also where the words happen to lie aligned', () => {
    expect(() => new RowTable().build(buffer([0, 2, 64]), 2, 4, 1)).toThrow(/offset 2/);
    expect(() => new RowTable().build(buffer([0, 0, 30], [0, 100, 62]), 0, 30, 2)).toThrow(/stride 30/);
  });

  test("says which row lies past the buffer's end, and by how much is too much", () => {
    expect(() => new RowTable().build(buffer([0, 0, 256]), 0, 64, 5)).toThrow(/row 4 lies past/);
    expect(() => new RowTable().build(buffer([0, 0, 256]), 252, 0, 1)).not.toThrow();
    expect(() => new RowTable().build(buffer([0, 0, 256]), 256, 0, 1)).toThrow(/row 0 lies past/);
  });

  test('refuses an image in more than 256 regions', () => {
    const memory = createSharedMemory(4096);
    const image = (count: number): SegmentList => {
      const list = new SegmentList();
      for (let i = 0; i < count; i++) list.append(testRegion(i, i * 4096, 4096, memory), 0, 4);
      return list;
    };
    expect(() => new RowTable().build(image(256), 0, 4, 256)).not.toThrow();
    expect(() => new RowTable().build(image(257), 0, 4, 257)).toThrow(/more than 256 regions/);
  });
});
