import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { MemoryRegion } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import { Libc } from '../../../workers/native/libc.ts';
import { FileMappings } from '../../../workers/native/mapping.ts';
import { MappedSideBySide } from '../../../workers/native/side-by-side.ts';

const loaded = Libc.load();
const PAGE = 4096;

describe.skipIf(typeof loaded === 'string')('pages mapped side by side', () => {
  const libc = loaded as Libc;
  const mappings = new FileMappings(libc);

  /** A region of a memfd, page i of which begins with the word i + 1. */
  const region = (pages: number): MemoryRegion => {
    const size = pages * PAGE;
    const fd = libc.memfd('pages', size);
    const memory = mappings.map(fd, 0, size);
    libc.close(fd);
    const made = new MemoryRegion({ id: 0, name: 'ram', kind: 'ram', gpa: 0, size, device: null, bar: null, memory });
    for (let i = 0; i < pages; i++) made.u32[(i * PAGE) / 4] = i + 1;
    return made;
  };
  /** Those pages of a region, in that order. */
  const scattered = (ram: MemoryRegion, pages: readonly number[]): SegmentList => {
    const list = new SegmentList();
    for (const page of pages) list.append(ram, page * PAGE, PAGE);
    return list;
  };
  const firstWords = ({ u32 }: MemoryRegion, pages: number): number[] => Array.from({ length: pages }, (_, i) => u32[(i * PAGE) / 4]);

  test('are one range of the same memory: what either side writes the other reads', () => {
    const ram = region(8);
    const views = new MappedSideBySide(libc);
    const view = views.map(scattered(ram, [6, 1, 4, 0]));
    expect(view).not.toBeNull();
    if (view === null) return;
    expect(firstWords(view, 4)).toEqual([7, 2, 5, 1]);
    ram.u32[(4 * PAGE) / 4] = 99;
    view.u32[(3 * PAGE) / 4 + 1] = 77;
    expect(view.u32[(2 * PAGE) / 4]).toBe(99);
    expect(ram.u32[1]).toBe(77);
    views.unmap(view);
    // Zeros, not a hole; and the guest's own pages are as they were.
    expect(firstWords(view, 4)).toEqual([0, 0, 0, 0]);
    expect(firstWords(ram, 8)).toEqual([1, 2, 3, 4, 99, 6, 7, 8]);
    mappings.unmap(ram.memory, ram.size);
  });

  test('the list of segments is kept when there would be too many maps, for parts of pages, and for memory without a file', () => {
    const ram = region(8);
    const views = new MappedSideBySide(libc, 5);
    const first = views.map(scattered(ram, [0, 2, 4]));
    expect(first).not.toBeNull();
    expect(views.map(scattered(ram, [1, 3, 5]))).toBeNull();
    if (first !== null) views.unmap(first);
    const again = views.map(scattered(ram, [1, 3, 5]));
    expect(again === null ? [] : firstWords(again, 3)).toEqual([2, 4, 6]);
    const part = new SegmentList();
    part.append(ram, 0, 512);
    expect(views.map(part)).toBeNull();
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const own = new MemoryRegion({ id: 1, name: 'own', kind: 'ram', gpa: 0, size: 65536, device: null, bar: null, memory });
    expect(views.count).toBe(1);
    // Private memory is not mapped again but moved or refused, according to the kernel; never shown as the guest's.
    own.u32[0] = 5;
    const strange = views.map(scattered(own, [0, 2]));
    if (strange !== null) views.unmap(strange);
    mappings.unmap(ram.memory, ram.size);
  });

  test('10,000 imports and closes leave address space, maps and files as they were', () => {
    const ram = region(64);
    const views = new MappedSideBySide(libc);
    const order = Array.from({ length: 32 }, (_, i) => (i * 13) % 64);
    const turn = (i: number): void => {
      const pages = scattered(ram, order.slice(0, 8 + (i % 24)));
      const view = views.map(pages);
      if (view === null) throw new Error('no view');
      expect(view.u32[0]).toBe(1);
      views.unmap(view);
    };
    for (let i = 0; i < 2000; i++) turn(i);
    const before = { maps: maps(), files: readdirSync('/proc/self/fd').length, space: addressSpace() };
    for (let i = 0; i < 10_000; i++) turn(i);
    // V8's own heap takes some dozen maps meanwhile; a view that left one of its 8 to 32 would leave 10,000.
    expect(maps() - before.maps).toBeLessThanOrEqual(100);
    expect(readdirSync('/proc/self/fd').length).toBe(before.files);
    expect(addressSpace() - before.space).toBeLessThanOrEqual(64 * 1024 * 1024);
    mappings.unmap(ram.memory, ram.size);
  });
});

const maps = (): number => readFileSync('/proc/self/maps', 'utf8').split('\n').length;
/** Bytes. */
const addressSpace = (): number => Number(/VmSize:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
