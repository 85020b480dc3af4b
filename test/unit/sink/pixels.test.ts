import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { Counter, Counters } from '../../../core/measure/counters.ts';
import { FrameFlag } from '../../../core/measure/frame-log.ts';
import { Copier, copyKernels } from '../../../core/memory/copier.ts';
import { CopyStage, Ledger } from '../../../core/memory/ledger.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import { CRC_START, crcBytes, crcEnd, crcWords } from '../../../core/sink/crc32.ts';
import { DisplaySink } from '../../../core/sink/display.ts';
import type { ScanoutImage } from '../../../core/sink/sink.ts';
import { VerifySink } from '../../../core/sink/verify.ts';
import { slot } from '../../support/slot.ts';

const WIDTH = 32;
const HEIGHT = 64;
const STRIDE = WIDTH * 4;

const makeRegion = (size: number): MemoryRegion =>
  new MemoryRegion({ id: 1000, name: 'test', kind: 'ram', gpa: 0, size, device: null, bar: null, memory: createSharedMemory(size) });

/** An image of two pages that lie apart and in reverse order. */
function makeImage(imported = true): { image: ScanoutImage; region: MemoryRegion; stamp: (value: number, rows?: number) => void } {
  const region = makeRegion(16384);
  const segments = new SegmentList(2);
  segments.append(region, 8192, 4096);
  segments.append(region, 0, 4096);
  const image = { width: WIDTH, height: HEIGHT, stride: STRIDE, offset: 0, format: 2, segments, imported, resourceId: 5 };
  const stamp = (value: number, rows = HEIGHT): void => {
    for (let row = 0; row < rows; row++) {
      const at = row * STRIDE;
      region.u32[(at < 4096 ? at + 8192 : at - 4096) / 4] = value;
    }
  };
  return { image, region, stamp };
}

test('CRC-32 is that of zlib, by bytes and by words', () => {
  const words = new Uint32Array(64);
  for (let i = 0; i < 64; i++) words[i] = Math.imul(i + 1, 0x9e3779b1);
  const bytes = new Uint8Array(words.buffer);
  expect(crcEnd(crcBytes(CRC_START, bytes, 3, 200)) >>> 0).toBe(crc32(bytes.subarray(3, 200)));
  expect(crcEnd(crcWords(CRC_START, words, 1, 64)) >>> 0).toBe(crc32(bytes.subarray(4)));
});

describe('verify', () => {
  const make = (options: { crcEvery?: number; expectSequence?: boolean; counters?: Counters } = {}) => {
    const sink = new VerifySink({
      heads: 1,
      periodNs: 0,
      phaseNs: 0,
      scanoutNs: 100,
      crcEvery: options.crcEvery ?? 0,
      expectSequence: options.expectSequence ?? false,
      counters: options.counters ?? null,
    });
    const made = makeImage();
    sink.setScanout(0, made.image);
    return { sink, ...made };
  };
  const flagsAt = (sink: VerifySink, now: number): number => {
    expect(sink.pollReleases(slot(now))).toBe(1);
    return sink.releasedFlags[0];
  };

  test('equal stamps in all rows at both times: verified, not torn', () => {
    const { sink, stamp } = make();
    stamp(9);
    sink.present(0, 0, slot(0));
    expect(flagsAt(sink, 100)).toBe(FrameFlag.verified);
  });

  test('one row of another stamp when shown: torn, even if it is right at the end', () => {
    const { sink, stamp } = make();
    stamp(9);
    stamp(8, 1);
    sink.present(0, 0, slot(0));
    stamp(9);
    expect(flagsAt(sink, 100)).toBe(FrameFlag.verified | FrameFlag.torn);
  });

  test('pixels rewritten while they are read: torn (hostile-guest 73)', () => {
    const { sink, stamp } = make();
    stamp(9);
    sink.present(0, 0, slot(0));
    stamp(10);
    expect(flagsAt(sink, 100)).toBe(FrameFlag.verified | FrameFlag.torn);
  });

  test('pixels rewritten before stop are found by stop, later ones do not count', () => {
    const { sink, stamp } = make();
    stamp(9);
    sink.present(0, 0, slot(0));
    sink.stop(5);
    stamp(10);
    expect(flagsAt(sink, 1)).toBe(FrameFlag.verified);
  });

  test('a whole frame of another number is torn where the sequence is expected', () => {
    const { sink, stamp } = make({ expectSequence: true });
    stamp(4);
    sink.present(0, 3, slot(0));
    expect(flagsAt(sink, 100)).toBe(FrameFlag.verified);
    sink.present(0, 4, slot(200));
    expect(flagsAt(sink, 300)).toBe(FrameFlag.verified | FrameFlag.torn);
  });

  test('one frame in N gets a CRC of all pixels, which sees what stamps do not', () => {
    const counters = new Counters();
    const { sink, region, stamp } = make({ crcEvery: 2, counters });
    stamp(1);
    const torn: boolean[] = [];
    for (let frame = 0; frame < 4; frame++) {
      sink.present(0, frame, slot(frame * 1000));
      region.u32[2050]++; // the third pixel of the first row
      torn.push((flagsAt(sink, frame * 1000 + 100) & FrameFlag.torn) !== 0);
    }
    expect(torn).toEqual([false, true, false, true]);
    expect(counters.get(Counter.framesCrcChecked)).toBe(2);
  });

  test('an image that reaches past its buffer is shown but not verified', () => {
    const { sink, image } = make();
    sink.setScanout(0, { ...image, height: HEIGHT + 1 });
    sink.present(0, 0, slot(0));
    expect(flagsAt(sink, 100)).toBe(0);
  });
});

describe('display', () => {
  const make = (room = true) => {
    const ledger = new Ledger();
    const textures: MemoryRegion[] = [];
    const sink = new DisplaySink({
      heads: 2,
      periodNs: 1000,
      phaseNs: 0,
      scanoutNs: 10,
      copier: new Copier(copyKernels()[0], ledger),
      allocateTexture: (bytes) => {
        if (!room) return null;
        const region = makeRegion(Math.ceil(bytes / 4096) * 4096);
        textures.push(region);
        return region;
      },
      freeTexture: () => {},
    });
    return { sink, ledger, textures };
  };

  test('an imported image is mapped once and never copied', () => {
    const { sink, ledger } = make();
    const { image } = makeImage(true);
    for (let frame = 0; frame < 3; frame++) {
      sink.setScanout(0, image);
      sink.present(0, frame, slot(frame * 1000 + 1));
      expect(sink.pollReleases(slot(frame * 1000 + 1010))).toBe(1);
    }
    expect(sink.mappings).toBe(1);
    expect(ledger.copies(CopyStage.upload)).toBe(0);
  });

  test('a host copy is uploaded for each frame shown, superseded ones excepted', () => {
    const { sink, ledger, textures } = make();
    const { image, region } = makeImage(false);
    region.u32[2048] = 77;
    sink.setScanout(0, image);
    sink.present(0, 0, slot(1));
    sink.present(0, 1, slot(2));
    sink.pollReleases(slot(1010));
    expect(ledger.copies(CopyStage.upload)).toBe(1);
    expect(ledger.bytesCopied(CopyStage.upload)).toBe(STRIDE * HEIGHT);
    expect(textures).toHaveLength(1);
    expect(textures[0].u32[0]).toBe(77);
  });

  test('without memory for a texture the frame is shown and the failure counted', () => {
    const { sink, ledger } = make(false);
    sink.setScanout(0, makeImage(false).image);
    sink.present(0, 0, slot(1));
    expect(sink.pollReleases(slot(1010))).toBe(1);
    expect(sink.uploadsFailed).toBe(1);
    expect(ledger.copies(CopyStage.upload)).toBe(0);
  });
});
