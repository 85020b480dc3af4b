import { describe, expect, test } from 'vitest';
import { Copier, copyKernels } from '../../../core/memory/copier.ts';
import { Ledger } from '../../../core/memory/ledger.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import { DisplaySink } from '../../../core/sink/display.ts';
import { LatchSink } from '../../../core/sink/latch.ts';
import type { ScanoutImage } from '../../../core/sink/sink.ts';
import { VerifySink } from '../../../core/sink/verify.ts';
import { slot } from '../../support/slot.ts';

const makeRegion = (size: number): MemoryRegion =>
  new MemoryRegion({ id: 1000, name: 'test', kind: 'ram', gpa: 0, size, device: null, bar: null, memory: createSharedMemory(size) });

function makeImage(region: MemoryRegion, imported: boolean, resourceId = 5): ScanoutImage {
  const segments = new SegmentList(1);
  segments.append(region, 0, region.size);
  return { width: 16, height: 16, stride: 64, offset: 0, format: 2, segments, imported, resourceId };
}

describe('verify', () => {
  test('remembers the rows of 64 images at most; one that was forgotten is checked all the same', () => {
    const sink = new VerifySink({ heads: 2, periodNs: 0, phaseNs: 0, scanoutNs: 0, crcEvery: 0 });
    const region = makeRegion(4096);
    const first = makeImage(region, true);
    sink.setScanout(0, first);
    for (let i = 0; i < 200; i++) sink.setScanout(1, makeImage(region, true, i));
    expect(sink.tables).toBe(64);
    sink.present(0, 0, slot(1));
    expect(sink.pollReleases(slot(1))).toBe(1);
    expect(sink.releasedFlags[0]).not.toBe(0);
    expect(sink.tables).toBe(64);
  });
});

describe('any sink', () => {
  const timing = { heads: 1, periodNs: 0, phaseNs: 0, scanoutNs: 0 };

  test.each([{ heads: 0 }, { heads: Number.NaN }, { periodNs: -1 }, { scanoutNs: -1 }, { scanoutNs: Number.NaN }, { phaseNs: Number.NaN }])(
    'is not made with %o',
    (change) => {
      expect(() => new LatchSink({ ...timing, ...change })).toThrow(/a sink needs/);
    },
  );

  test.each([-1, 1, Number.NaN])('has no scanout %s', (scanout) => {
    expect(() => new LatchSink(timing).setScanout(scanout, null)).toThrow(RangeError);
  });
});

describe('display', () => {
  const make = (maxTextureBytes: number): { sink: DisplaySink; held: Set<MemoryRegion> } => {
    const held = new Set<MemoryRegion>();
    const sink = new DisplaySink({
      heads: 4,
      periodNs: 0,
      phaseNs: 0,
      scanoutNs: 0,
      maxTextureBytes,
      copier: new Copier(copyKernels()[0], new Ledger()),
      allocateTexture: (bytes) => {
        const region = makeRegion(Math.ceil(bytes / 4096) * 4096);
        held.add(region);
        return region;
      },
      freeTexture: (region) => {
        if (!held.delete(region)) throw new Error('freed twice');
      },
    });
    return { sink, held };
  };

  test('a head that is disabled gives its texture back', () => {
    const { sink, held } = make(1 << 20);
    for (let head = 0; head < 4; head++) sink.setScanout(head, makeImage(makeRegion(4096), false));
    expect(held.size).toBe(4);
    expect(sink.textureBytes).toBe(4096);
    for (let head = 0; head < 4; head++) sink.setScanout(head, null);
    expect(held.size).toBe(0);
    expect(sink.textureBytes).toBe(0);
  });

  test('heads that show one image have a texture each, and give it back whichever goes first', () => {
    const { sink, held } = make(1 << 20);
    const image = makeImage(makeRegion(4096), false);
    sink.setScanout(0, image);
    sink.setScanout(1, image);
    expect(held.size).toBe(2);
    sink.setScanout(1, null);
    sink.present(0, 0, slot(5));
    sink.pollReleases(slot(1e6));
    sink.setScanout(0, null);
    expect(sink.uploads).toBe(1);
    expect(held.size).toBe(0);
    expect(sink.textureBytes).toBe(0);
  });

  test('an image that reaches past its buffer is not uploaded, its upload counted as failed', () => {
    const { sink } = make(1 << 20);
    sink.setScanout(0, { ...makeImage(makeRegion(4096), false), offset: 4096 - 15 * 64 - 63 });
    sink.present(0, 0, slot(1));
    expect(() => sink.pollReleases(slot(1))).not.toThrow();
    expect([sink.uploads, sink.uploadsFailed]).toEqual([0, 1]);
  });

  test('textures past the bound are not made: the frame is shown, its upload counted as failed', () => {
    const { sink, held } = make(2048);
    for (let head = 0; head < 4; head++) sink.setScanout(head, makeImage(makeRegion(4096), false));
    expect(held.size).toBe(2);
    for (let head = 0; head < 4; head++) sink.present(head, 0, slot(1));
    expect(sink.pollReleases(slot(1))).toBe(4);
    expect(sink.uploads).toBe(2);
    expect(sink.uploadsFailed).toBe(2);
  });
});
