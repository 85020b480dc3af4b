import { describe, expect, test } from 'vitest';
import { fail } from '../../../core/dmabuf/errno.ts';
import { Counter } from '../../../core/measure/counters.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import type { SegmentList } from '../../../core/memory/segments.ts';
import { Response } from '../../../core/protocol/constants.ts';
import { LatchSink } from '../../../core/sink/latch.ts';
import type { ScanoutImage } from '../../../core/sink/sink.ts';
import { BAR, frame, HIGH, PIXELS, Rig, type RigOptions } from './rig.ts';

const OK = Response.OK_NODATA;
/** Four pages that lie apart. */
const ENTRIES = [0, 2, 4, 6].map((page) => ({ address: HIGH + PIXELS + page * 4096, length: 4096 }));

/** A system that can map side by side, `most` views at a time (below 0: it refuses each), and a sink that notes what it is shown. */
function setUp(most = 8, options: RigOptions = {}, refusal = fail('EINVAL', 'no pages')) {
  const views = new Set<MemoryRegion>();
  const mapped: SegmentList[] = [];
  const refused: SegmentList[] = [];
  const shown: (ScanoutImage | null)[] = [];
  class Noting extends LatchSink {
    override setScanout(scanout: number, image: ScanoutImage | null): void {
      shown.push(image);
      super.setScanout(scanout, image);
    }
  }
  const rig = new Rig({
    ...options,
    makeSink: (heads, counters) => new Noting({ heads, periodNs: 0, phaseNs: 0, scanoutNs: 1000, counters }),
    sideBySide: {
      map(pages) {
        if (most < 0) {
          refused.push(pages);
          return refusal;
        }
        if (views.size === most) return null;
        const size = pages.length;
        const id = 2000 + mapped.length;
        mapped.push(pages);
        const plan = { id, name: `view-${id}`, kind: 'ram', gpa: 0, size, device: null, bar: null } as const;
        const view = new MemoryRegion({ ...plan, memory: createSharedMemory(size) });
        views.add(view);
        return view;
      },
      unmap: (view) => void views.delete(view),
    },
  });
  return { rig, views, mapped, refused, shown };
}

describe('an import whose pages can be mapped side by side', () => {
  test('is shown as one range, and counts as imported', () => {
    const { rig, views, mapped, shown } = setUp();
    expect(rig.createBlob(2, ENTRIES)).toBe(OK);
    expect(mapped[0].count).toBe(4);
    expect(rig.setScanoutBlob(0, 2)).toBe(OK);
    expect(shown.at(-1)?.segments.count).toBe(1);
    expect(shown.at(-1)?.segments.region[0]).toBe([...views][0]);
    expect(shown.at(-1)?.imported).toBe(true);
    rig.flush(2);
    rig.advance(1000);
    expect(rig.counters.get(Counter.framesImported)).toBe(1);
  });

  test('in one piece needs none, and a copy has none', () => {
    const { rig, views } = setUp(8, { udmabuf: { listLimit: 3, sizeLimitMb: 64 } });
    expect(rig.createBlob(2, frame(HIGH + PIXELS))).toBe(OK);
    expect(rig.createBlob(3, ENTRIES)).toBe(OK);
    expect(rig.counters.get(Counter.importFallbacks)).toBe(1);
    expect(views.size).toBe(0);
  });

  test('is shown by its segments where no more can be mapped', () => {
    const { rig, shown } = setUp(0);
    expect(rig.createBlob(2, ENTRIES)).toBe(OK);
    expect(rig.setScanoutBlob(0, 2)).toBe(OK);
    expect(shown.at(-1)?.segments.count).toBe(4);
  });

  test('is no import where its pages are refused: copied, and why is said', () => {
    const { rig, refused, shown } = setUp(-1, {}, fail('EMFILE', 'too many'));
    expect(rig.createBlob(2, ENTRIES)).toBe(OK);
    // Given back with the dma-buf that had them.
    expect(refused.map(({ count }) => count)).toEqual([0]);
    expect(rig.setScanoutBlob(0, 2)).toBe(OK);
    expect(shown.at(-1)?.imported).toBe(false);
    expect(rig.counters.get(Counter.imports)).toBe(0);
    expect(rig.device.fallbacks).toEqual([{ resourceId: 2, reason: 'udmabuf EMFILE: too many' }]);
  });

  test('is no import where its pages are refused: by the policy an error', () => {
    const { rig } = setUp(-1, { policy: 'error' });
    expect(rig.createBlob(2, ENTRIES)).toBe(Response.ERR_UNSPEC);
    expect(rig.createBlob(2, frame(HIGH + PIXELS))).toBe(OK);
  });

  test('of a VFIO device is no import where its pages are refused, and the device revokes nothing then', () => {
    const { rig, shown } = setUp(-1);
    const entries = [0, 2, 4, 6].map((page) => ({ address: BAR + PIXELS + page * 4096, length: 4096 }));
    expect(rig.createBlob(2, entries)).toBe(OK);
    expect(rig.setScanoutBlob(0, 2)).toBe(OK);
    expect(shown.at(-1)?.imported).toBe(false);
    expect(rig.device.fallbacks[0].reason).toMatch(/^vfio \S+ EINVAL: no pages$/);
  });

  const ends: [how: string, end: (rig: Rig) => void][] = [
    ['DETACH_BACKING', (rig) => void rig.detach(2)],
    ['UNREF', (rig) => void rig.unref(2)],
    ['a reset', (rig) => rig.start()],
    ['the region that leaves', (rig) => rig.device.setRegionPresent(1, false)],
  ];
  test.each(ends)('ends its mapping with %s', (_how, end) => {
    const { rig, views } = setUp();
    expect(rig.createBlob(2, ENTRIES)).toBe(OK);
    expect(rig.setScanoutBlob(0, 2)).toBe(OK);
    expect(views.size).toBe(1);
    end(rig);
    rig.advance(2000);
    expect(views.size).toBe(0);
  });

  test('keeps its mapping while the sink reads a frame of it', () => {
    const { rig, views } = setUp();
    expect(rig.createBlob(2, ENTRIES)).toBe(OK);
    expect(rig.setScanoutBlob(0, 2)).toBe(OK);
    rig.flush(2, { fenced: true });
    rig.unref(2);
    expect(views.size).toBe(1);
    rig.advance(2000);
    expect(views.size).toBe(0);
  });

  test('as qemu-10.2 leaves it after DETACH shows the pages themselves', () => {
    const { rig, views, shown } = setUp(8, { profile: 'qemu-10.2' });
    expect(rig.createBlob(2, ENTRIES)).toBe(OK);
    expect(rig.setScanoutBlob(0, 2)).toBe(OK);
    rig.detach(2);
    rig.advance(2000);
    expect(views.size).toBe(0);
    expect(shown.at(-1)?.segments.count).toBe(4);
  });

  test('of a VFIO device ends when the device revokes it', () => {
    const { rig, views } = setUp();
    const entries = [0, 2, 4, 6].map((page) => ({ address: BAR + PIXELS + page * 4096, length: 4096 }));
    expect(rig.createBlob(2, entries)).toBe(OK);
    expect(views.size).toBe(1);
    rig.device.setRegionPresent(2, false);
    rig.advance(1);
    expect(views.size).toBe(0);
  });
});
