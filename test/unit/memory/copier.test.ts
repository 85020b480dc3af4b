import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Clock, VirtualClock } from '../../../core/measure/clock.ts';
import { Copier, type CopyKernel, copyKernelNamed, copyKernels, pickCopyKernel } from '../../../core/memory/copier.ts';
import { RUN_WORDS } from '../../../core/memory/copy-kernels.ts';
import { COPY_STAGES, CopyStage, Ledger } from '../../../core/memory/ledger.ts';
import { createSharedMemory, type MemoryRegion } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import { testRegion } from './regions.ts';

const SIZE = 65536;
/** Regions of two memories each way, and one memory that both ends have regions in. */
const targets = [testRegion(0, 0, SIZE), testRegion(1, SIZE, SIZE)];
const sources = [testRegion(2, 2 * SIZE, SIZE), testRegion(3, 3 * SIZE, SIZE)];

beforeEach(() => {
  for (const region of [...targets, ...sources]) for (let i = 0; i < SIZE; i++) region.u8[i] = (i * 31 + region.id * 57 + (i >> 8)) & 0xff;
});

/** Disjoint segments over the regions: pieces cut off their starts, gaps between them. */
function segmentation(regions: MemoryRegion[]): fc.Arbitrary<SegmentList> {
  const piece = fc.record({
    which: fc.nat({ max: regions.length - 1 }),
    gap: fc.nat({ max: 40 }),
    bytes: fc.integer({ min: 1, max: 600 }),
  });
  return fc.array(piece, { minLength: 1, maxLength: 40 }).map((list) => {
    const segments = new SegmentList(1);
    const used = regions.map(() => 0);
    for (const { which, gap, bytes } of list) {
      segments.append(regions[which], used[which] + gap, bytes);
      used[which] += gap + bytes;
    }
    return segments;
  });
}

function bytesOf(list: SegmentList): Uint8Array {
  const out = new Uint8Array(list.length);
  for (let i = 0; i < list.count; i++) out.set(list.region[i].u8.subarray(list.offset[i], list.offset[i] + list.bytes[i]), list.start[i]);
  return out;
}
const image = (): Uint8Array[] => targets.map((region) => region.u8.slice());
const charges = (ledger: Ledger): [string, number, number][] =>
  COPY_STAGES.map((name): [string, number, number] => [name, ledger.copies(CopyStage[name]), ledger.bytesCopied(CopyStage[name])]).filter(
    (c) => c[1] > 0,
  );

describe('a copier with a handicap', () => {
  test('copies that part of each rectangle again, the same pixels, and charges the rectangle once', () => {
    let copied = 0;
    const kernel: CopyKernel = {
      name: 'counting',
      copy(to, toOffset, from, fromOffset, bytes) {
        copied += bytes;
        to.u8.set(from.u8.subarray(fromOffset, fromOffset + bytes), toOffset);
      },
    };
    const whole = (region: MemoryRegion): SegmentList => {
      const list = new SegmentList(1);
      list.append(region, 0, SIZE);
      return list;
    };
    for (const [stride, percent, again] of [
      [256, 5, 5 * 256],
      [300, 5, 5 * 256],
      [256, 100, 100 * 256],
      [256, 0, 0],
    ]) {
      copied = 0;
      const ledger = new Ledger();
      new Copier(kernel, ledger, percent).copyRect(
        whole(targets[0]),
        0,
        stride,
        whole(sources[0]),
        0,
        stride,
        256,
        100,
        CopyStage.transfer,
      );
      expect(copied).toBe(100 * 256 + again);
      expect(charges(ledger)).toEqual([['transfer', 1, 100 * 256]]);
      const row = 99 * stride;
      expect(targets[0].u8.slice(row, row + 256)).toEqual(sources[0].u8.slice(row, row + 256));
    }
  });
});

describe.each(copyKernels().map((kernel): [string, CopyKernel] => [kernel.name, kernel]))('a copier on %s', (_, kernel) => {
  test('equals a naive copy over any segmentation, touches nothing else and charges once', () => {
    const at = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(segmentation(targets), segmentation(sources), at, at, at, (to, from, a, b, c) => {
        const bytes = Math.floor(c * Math.min(to.length, from.length));
        const toOffset = Math.floor(a * (to.length - bytes));
        const fromOffset = Math.floor(b * (from.length - bytes));
        const ledger = new Ledger();
        const expected = image();
        naive(expected, to, toOffset, bytesOf(from), fromOffset, bytes);
        new Copier(kernel, ledger).copy(to, toOffset, from, fromOffset, bytes, CopyStage.transfer);
        expect(same(image(), expected)).toBe(true);
        expect(charges(ledger)).toEqual([['transfer', 1, bytes]]);
      }),
      { numRuns: 150 },
    );
  });

  test('a rectangle equals its rows copied one by one and is charged once', () => {
    const stride = fc.nat({ max: 300 });
    fc.assert(
      fc.property(
        segmentation(targets),
        segmentation(sources),
        fc.nat({ max: 200 }),
        fc.nat({ max: 30 }),
        stride,
        stride,
        fc.nat({ max: 60 }),
        fc.nat({ max: 60 }),
        (to, from, rowBytes, wantedRows, toGap, fromGap, toOffset, fromOffset) => {
          const toStride = rowBytes + toGap;
          const fromStride = rowBytes + fromGap;
          const fits = (list: SegmentList, offset: number, step: number): number =>
            offset + rowBytes > list.length ? 0 : step === 0 ? wantedRows : 1 + Math.floor((list.length - offset - rowBytes) / step);
          const rows = Math.min(wantedRows, fits(to, toOffset, toStride), fits(from, fromOffset, fromStride));
          fc.pre(toOffset <= to.length && fromOffset <= from.length);
          const ledger = new Ledger();
          const expected = image();
          const pixels = bytesOf(from);
          for (let row = 0; row < rows; row++)
            naive(expected, to, toOffset + row * toStride, pixels, fromOffset + row * fromStride, rowBytes);
          new Copier(kernel, ledger).copyRect(to, toOffset, toStride, from, fromOffset, fromStride, rowBytes, rows, CopyStage.upload);
          expect(same(image(), expected)).toBe(true);
          expect(charges(ledger)).toEqual([['upload', 1, rowBytes * rows]]);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('copies more runs than a batch holds, between changing regions', () => {
    const to = new SegmentList();
    const from = new SegmentList();
    for (let i = 0; i < 5000; i++) to.append(targets[i < 3000 ? 0 : 1], i * 9, 3 + (i % 5));
    for (let i = 0; i < 4000; i++) from.append(sources[i < 3500 ? 0 : 1], i * 12, 7);
    const bytes = Math.min(to.length, from.length) - 1;
    const expected = image();
    naive(expected, to, 1, bytesOf(from), 0, bytes);
    new Copier(kernel, new Ledger()).copy(to, 1, from, 0, bytes, CopyStage.transfer);
    expect(same(image(), expected)).toBe(true);
  });

  test('reaches offsets past 2 GiB', () => {
    const size = 0xc000_0000;
    const big = testRegion(4, 0, size, createSharedMemory(size));
    const to = new SegmentList();
    to.append(big, size - 100, 100);
    to.append(big, 0x8000_0000, 100);
    const from = new SegmentList();
    from.append(sources[0], 50, 200);
    const copier = new Copier(kernel, new Ledger());
    copier.copy(to, 0, from, 0, 200, CopyStage.transfer);
    expect(bytesOf(to)).toEqual(bytesOf(from));
    const back = new SegmentList();
    back.append(targets[0], 0, 200);
    copier.copy(back, 0, to, 0, 200, CopyStage.transfer);
    expect(bytesOf(back)).toEqual(bytesOf(from));
  });

  test('nothing of a failed copy is made up for by the next one', () => {
    const bad = new SegmentList();
    bad.append(targets[0], 0, 10);
    bad.append(targets[0], SIZE + 1, 10);
    bad.append(targets[0], 500, 10);
    const { to, from, copier } = thousand(kernel);
    expect(() => copier.copy(bad, 0, from, 0, 30, CopyStage.transfer)).toThrow(Error);
    const expected = image();
    naive(expected, to, 990, bytesOf(from), 0, 10);
    copier.copy(to, 990, from, 0, 10, CopyStage.transfer);
    expect(same(image(), expected)).toBe(true);
  });

  test('copies between two regions of one memory', () => {
    const list = (offset: number): SegmentList => {
      const segments = new SegmentList();
      segments.append(targets[0], offset, 5000);
      return segments;
    };
    const pixels = bytesOf(list(0));
    new Copier(kernel, new Ledger()).copy(list(20000), 0, list(0), 0, 5000, CopyStage.migrate);
    expect(bytesOf(list(20000))).toEqual(pixels);
  });

  test('a segment past the end of its memory throws instead of touching what lies behind', () => {
    const to = new SegmentList();
    const from = new SegmentList();
    to.append(targets[0], 0, 2 * SIZE);
    from.append(sources[0], 0, 2 * SIZE);
    expect(() => new Copier(kernel, new Ledger()).copy(to, 0, from, 0, 2 * SIZE, CopyStage.fallback)).toThrow(Error);
  });

  test.each([
    [0, 0, 1001],
    [1, 0, 1000],
    [0, 1, 1000],
    [1001, 0, 0],
    [-1, 0, 10],
    [0, -1, 10],
    [0, 0, -1],
    [0.5, 0, 10],
    [0, 0, 0.5],
    [Number.NaN, 0, 10],
    [0, Number.NaN, 10],
    [0, 0, Number.NaN],
    [2 ** 53, 0, 10],
    [0, 0, Number.POSITIVE_INFINITY],
  ])('copy(to + %s, from + %s, %s bytes) of 1000 throws before anything is copied or charged', (toOffset, fromOffset, bytes) => {
    const { to, from, ledger, copier } = thousand(kernel);
    const before = image();
    expect(() => copier.copy(to, toOffset, from, fromOffset, bytes, CopyStage.transfer)).toThrow(RangeError);
    expect(same(image(), before)).toBe(true);
    expect(charges(ledger)).toEqual([]);
  });

  test.each([
    [100, 100, 100, 11],
    [101, 100, 100, 10.5],
    [102, 100, 100, 10],
    [100, 100, 100, 9.5],
    [226, 100, 100, 5],
    [100, 226, 100, 5],
    [0, 0, 1001, 1],
    [-100, 100, 100, 2],
    [100, 0.5, 100, 2],
    [2 ** 52, 2 ** 52, 100, 3],
    [100, 100, Number.NaN, 1],
    [100, 100, 100, Number.NaN],
    [100, 100, -100, 2],
    [100, 100, 100, -1],
  ])(
    'copyRect(strides %s and %s, rows of %s × %s) of 1000 throws before anything is copied or charged',
    (toStride, fromStride, rowBytes, rows) => {
      const { to, from, ledger, copier } = thousand(kernel);
      const before = image();
      expect(() => copier.copyRect(to, 0, toStride, from, 0, fromStride, rowBytes, rows, CopyStage.transfer)).toThrow(RangeError);
      expect(same(image(), before)).toBe(true);
      expect(charges(ledger)).toEqual([]);
    },
  );

  test('no bytes are no error, also at the end and in an empty buffer', () => {
    const { to, from, copier } = thousand(kernel);
    const before = image();
    copier.copy(to, 1000, from, 1000, 0, CopyStage.transfer);
    copier.copy(new SegmentList(), 0, new SegmentList(), 0, 0, CopyStage.transfer);
    copier.copyRect(to, 1000, 4, from, 1000, 4, 0, 0, CopyStage.transfer);
    expect(same(image(), before)).toBe(true);
  });
});

test('the kernel that sets typed arrays takes no bytes from past a region, which a subarray would leave out silently', () => {
  const before = image();
  expect(() => copyKernelNamed('typed-array-set').copy(targets[0], 0, sources[0], SIZE - 4, 8)).toThrow(RangeError);
  expect(same(image(), before)).toBe(true);
});

test('a run of 4 GiB, too long for a batch, is copied by itself and in its turn', () => {
  const calls: (string | number)[] = [];
  const kernel = {
    name: 'recorder',
    runs: new Uint32Array(4 * RUN_WORDS),
    copy: (_to: MemoryRegion, _toOffset: number, _from: MemoryRegion, _fromOffset: number, bytes: number) => calls.push('copy', bytes),
    copyRuns: (_to: MemoryRegion, _from: MemoryRegion, count: number) => calls.push('batch', count),
  };
  const to = new SegmentList();
  const from = new SegmentList();
  for (const [list, region] of [
    [to, targets[0]],
    [from, sources[0]],
  ] as const) {
    list.append(region, 8, 8);
    list.append(region, 0, 2 ** 32);
    list.append(region, 0, 8);
  }
  new Copier(kernel, new Ledger()).copy(to, 0, from, 0, to.length, CopyStage.migrate);
  expect(calls).toEqual(['batch', 1, 'copy', 2 ** 32, 'batch', 1]);
});

test('a kernel is found by its name, and an unknown name lists those there are', () => {
  for (const { name } of copyKernels()) expect(copyKernelNamed(name).name).toBe(name);
  expect(() => copyKernelNamed('dma')).toThrow(/typed-array-set/);
});

describe('pickCopyKernel', () => {
  /** Takes as long for each byte as it says, on a virtual clock. */
  const paced = (name: string, clock: VirtualClock, nsPerByte: number): CopyKernel => ({
    name,
    copy: (_t, _o, _f, _p, bytes) => clock.advance(bytes * nsPerByte),
  });

  test('takes the fastest kernel and says the rates', () => {
    const clock = new VirtualClock();
    const { kernel, measured } = pickCopyKernel(clock, [
      paced('slow', clock, 0.5),
      paced('fast', clock, 0.125),
      paced('middle', clock, 0.25),
    ]);
    expect(kernel.name).toBe('fast');
    expect(measured).toEqual([
      { name: 'slow', gigabytesPerSecond: 2 },
      { name: 'fast', gigabytesPerSecond: 8 },
      { name: 'middle', gigabytesPerSecond: 4 },
    ]);
  });

  test('makes five rounds however slow they are, and no more then', () => {
    const clock = new VirtualClock();
    pickCopyKernel(clock, [paced('very slow', clock, 10)]);
    clock.read();
    expect(clock.slot[0]).toBe((3840 * 2160 + 1920 * 1080) * 4 * 10 * 5);
  });

  test('a clock that stands still gives the first kernel and no rates', () => {
    const still: Clock = { slot: new Float64Array(1), read: () => undefined };
    const { kernel, measured } = pickCopyKernel(still);
    expect(kernel.name).toBe(copyKernels()[0].name);
    expect(measured.every((each) => each.gigabytesPerSecond === 0)).toBe(true);
  });

  test('refuses to pick from nothing', () => {
    expect(() => pickCopyKernel(new VirtualClock(), [])).toThrow(RangeError);
  });
});

test('a copier has the name of its kernel', () => {
  const [kernel] = copyKernels();
  expect(new Copier(kernel, new Ledger()).name).toBe(kernel.name);
});

function thousand(kernel: CopyKernel): { to: SegmentList; from: SegmentList; ledger: Ledger; copier: Copier } {
  const to = new SegmentList();
  const from = new SegmentList();
  to.append(targets[0], 0, 600);
  to.append(targets[1], 7, 400);
  from.append(sources[0], 3, 1000);
  const ledger = new Ledger();
  return { to, from, ledger, copier: new Copier(kernel, ledger) };
}

function naive(into: Uint8Array[], to: SegmentList, toOffset: number, pixels: Uint8Array, fromOffset: number, bytes: number): void {
  for (let i = 0; i < bytes; i++) {
    let at = toOffset + i;
    let segment = 0;
    while (at >= to.bytes[segment]) at -= to.bytes[segment++];
    into[targets.indexOf(to.region[segment])][to.offset[segment] + at] = pixels[fromOffset + i];
  }
}

function same(a: Uint8Array[], b: Uint8Array[]): boolean {
  return a.every((bytes, i) => Buffer.compare(bytes, b[i]) === 0);
}
