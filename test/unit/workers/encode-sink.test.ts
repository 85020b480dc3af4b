import { beforeEach, describe, expect, test } from 'vitest';
import { FrameFlag } from '../../../core/measure/frame-log.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import type { ScanoutImage } from '../../../core/sink/sink.ts';
import { EncodeSink } from '../../../workers/encode/encode-sink.ts';
import { type EncodeShare, type ImageNews, MOST_IMAGES, RECORDS, shareFor } from '../../../workers/encode/link.ts';
import { Offers } from '../../../workers/encode/offers.ts';

const WIDTH = 32;
const HEIGHT = 16;
const BYTES = WIDTH * 4 * HEIGHT;
const region = new MemoryRegion({
  ...({ id: 0, name: 'ram', kind: 'ram', gpa: 0, size: 4096, device: null, bar: null } as const),
  memory: createSharedMemory(4096),
});

function image(resourceId = 7, changes: Partial<ScanoutImage> = {}): ScanoutImage {
  const segments = new SegmentList();
  segments.append(region, 0, BYTES);
  return { width: WIDTH, height: HEIGHT, stride: WIDTH * 4, offset: 0, format: 2, segments, imported: true, resourceId, ...changes };
}

/** So much of one region again and again: sizes are looked at before bounds. */
const large = Object.assign(new SegmentList(), { length: 2 ** 40 });

/** The test is the encode thread: it takes a frame when it likes. */
describe('a sink whose encoder is another thread', () => {
  let share: EncodeShare;
  let offers: Offers;
  let news: ImageNews[];
  let rung: number;
  const now = new Float64Array([1000]);
  const make = (everyFrame: boolean, heads = 2): EncodeSink => {
    share = shareFor(heads);
    offers = new Offers(share);
    news = [];
    rung = 0;
    return new EncodeSink({ share, bell: { ring: () => void rung++ }, post: (one) => void news.push(one), everyFrame });
  };
  const released = (sink: EncodeSink): [number, number, number][] => {
    const all: [number, number, number][] = [];
    for (let count = sink.pollReleases(now); count > 0; count = sink.pollReleases(now)) {
      for (let i = 0; i < count; i++) all.push([sink.releasedScanout[i], sink.releasedFrame[i], sink.releasedFlags[i]]);
    }
    return all;
  };
  let sink: EncodeSink;
  beforeEach(() => {
    now[0] = 1000;
    sink = make(false);
  });

  test('an encoder that never takes a frame slows no guest: each frame is given back when the next one comes', () => {
    sink.setScanout(0, image());
    for (let frame = 0; frame < 5000; frame++) {
      sink.present(0, frame, now);
      expect(released(sink)).toEqual(frame === 0 ? [] : [[0, frame - 1, FrameFlag.superseded]]);
    }
    expect([sink.holds(7), rung > 5000]).toEqual([true, true]);
  });

  test('however many frames come before the releases are polled, all but the latest are given back', () => {
    sink.setScanout(0, image());
    for (let frame = 0; frame < 3 * RECORDS; frame++) sink.present(0, frame, now);
    expect(sink.deadline[0]).toBe(0);
    expect(released(sink)).toEqual(Array.from({ length: 3 * RECORDS - 1 }, (_, frame) => [0, frame, FrameFlag.superseded]));
    expect(sink.deadline[0]).toBe(Number.POSITIVE_INFINITY);
    expect([offers.take(now), offers.frame]).toEqual([true, 3 * RECORDS - 1]);
  });

  test('a frame that is being read is held until it is read, and those after it give way to the latest', () => {
    sink.setScanout(0, image());
    sink.present(0, 0, now);
    expect(offers.take(now)).toBe(true);
    for (const frame of [1, 2, 3]) sink.present(0, frame, now);
    expect(released(sink)).toEqual([1, 2].map((frame) => [0, frame, FrameFlag.superseded]));
    now[0] = 3000;
    offers.release(true, now);
    expect(sink.deadline[0]).toBe(0);
    expect(sink.pollReleases(new Float64Array([5000]))).toBe(1);
    expect([sink.releasedFrame[0], sink.releasedFlags[0], sink.presentedNs[0], sink.releasedNs[0]]).toEqual([0, 0, 1000, 3000]);
    expect([sink.deadline[0], offers.take(now), offers.frame]).toEqual([Number.POSITIVE_INFINITY, true, 3]);
  });

  describe('and a guest that flips between imported buffers', () => {
    const buffers = [image(7), image(8)];
    const flip = (frame: number, atNs: number): void => {
      now[0] = atNs;
      sink.setScanout(0, buffers[frame % 2]);
      sink.present(0, frame, now);
    };
    const at = (ns: number): Float64Array => {
      now[0] = ns;
      return now;
    };
    beforeEach(() => {
      // The first frame may be a single buffer's.
      flip(0, 0);
      offers.take(now);
      offers.release(true, now);
      expect(released(sink)).toEqual([[0, 0, 0]]);
    });

    test('a frame that the encoder does not begin is answered after 1 ms, and read when the encoder comes to it', () => {
      flip(1, 1e6);
      expect([released(sink), sink.deadline[0]]).toEqual([[], 2e6]);
      at(2e6);
      expect([released(sink), sink.presentedNs[0], sink.deadline[0]]).toEqual([[[0, 1, 0]], 2e6, Number.POSITIVE_INFINITY]);
      expect([sink.holds(8), offers.take(at(9e6)), offers.frame]).toEqual([true, true, 1]);
      offers.release(true, at(10e6));
      expect([sink.deadline[0], released(sink), sink.holds(8)]).toEqual([0, [], false]);
    });

    test('the next flip is not answered while the buffer that was shown is read', () => {
      flip(1, 1e6);
      released(sink);
      at(2e6);
      released(sink);
      expect(offers.take(now)).toBe(true);
      flip(2, 3e6);
      at(9e6);
      expect(released(sink)).toEqual([]);
      offers.release(true, now);
      expect(sink.deadline[0]).toBe(0);
      expect(released(sink)).toEqual([[0, 2, 0]]);
    });

    test('a frame that was answered and then gives way is not answered again', () => {
      flip(1, 1e6);
      at(2e6);
      expect(released(sink)).toEqual([[0, 1, 0]]);
      flip(2, 3e6);
      expect(released(sink)).toEqual([]);
      at(4e6);
      expect(released(sink)).toEqual([[0, 2, 0]]);
      sink.setScanout(0, null);
      expect([released(sink), sink.holds(7), sink.holds(8)]).toEqual([[], false, false]);
    });

    test('a stop takes back one that was answered, too', () => {
      flip(1, 1e6);
      at(2e6);
      released(sink);
      sink.stop(8);
      expect([sink.holds(8), offers.take(now), released(sink)]).toEqual([false, false, []]);
    });

    test('a buffer that was moved, or shows another part of itself, is no flip: the guest may draw into it once it is answered', () => {
      for (const [frame, changes] of [
        [1, {}],
        [2, { offset: WIDTH * 4, height: HEIGHT - 1 }],
      ] as const) {
        now[0] = frame * 100e6;
        sink.stop(7);
        sink.setScanout(0, image(7, changes));
        sink.present(0, frame, now);
        released(sink);
        at(now[0] + 60e6);
        expect(released(sink)).toEqual([]);
      }
    });

    test('a single buffer, and a copy of the host, are not answered before they are read', () => {
      flip(1, 1e6);
      now[0] = 2e6;
      sink.present(0, 2, now);
      released(sink);
      at(60e6);
      expect(released(sink)).toEqual([]);
      const copies = [image(9, { imported: false }), image(10, { imported: false })];
      for (const [i, copy] of copies.entries()) {
        sink.setScanout(0, copy);
        sink.present(0, 3 + i, now);
      }
      released(sink);
      at(90e6);
      expect(released(sink)).toEqual([]);
    });
  });

  test('with every frame wanted none gives way, and they are taken in order', () => {
    sink = make(true);
    sink.setScanout(0, image());
    for (let frame = 0; frame < RECORDS; frame++) sink.present(0, frame, now);
    expect(released(sink)).toEqual([]);
    // One more than there is room for.
    sink.present(0, RECORDS, now);
    expect(released(sink)).toEqual([[0, RECORDS, FrameFlag.superseded]]);
    for (let frame = 0; frame < RECORDS; frame++) {
      expect([offers.take(now), offers.frame]).toEqual([true, frame]);
      offers.release(true, now);
      expect(released(sink)).toEqual([[0, frame, 0]]);
    }
    expect([offers.take(now), sink.holds(7)]).toEqual([false, false]);
  });

  test('heads are served in turn', () => {
    sink = make(true, 3);
    for (let head = 0; head < 3; head++) {
      sink.setScanout(head, image(head + 1));
      for (const frame of [0, 1]) sink.present(head, frame, now);
    }
    const order: [number, number][] = [];
    while (offers.take(now)) {
      order.push([offers.head, offers.frame]);
      offers.release(true, now);
    }
    expect(order).toEqual([1, 2, 0, 1, 2, 0].map((head, i) => [head, i < 3 ? 0 : 1]));
  });

  test('a head whose next frame is not due yet is left, and it is known when it is', () => {
    sink.setScanout(0, image());
    sink.setScanout(1, image(8));
    sink.present(0, 0, now);
    offers.notBefore[0] = 9000;
    expect([offers.take(now), offers.due[0]]).toEqual([false, 9000]);
    sink.present(1, 5, now);
    expect([offers.take(now), offers.head]).toEqual([true, 1]);
    offers.release(true, now);
    expect([offers.take(new Float64Array([9000])), offers.head]).toEqual([true, 0]);
  });

  test('a guest whose rate is the bound is not delayed for ever by one frame that was taken late, and never sped up', () => {
    const interval = 1000;
    sink.setScanout(0, image());
    const takenAt = (frame: number, offeredAt: number, lookedAt: number): number => {
      now[0] = offeredAt;
      sink.present(0, frame, now);
      now[0] = Math.max(lookedAt, offers.notBefore[0]);
      expect([offers.take(now), offers.frame]).toEqual([true, frame]);
      offers.spaceNext(interval, now);
      offers.release(true, now);
      released(sink);
      return now[0];
    };
    const taken = [0, 1, 2, 3, 4, 5].map((frame) =>
      takenAt(frame, 20_000 + frame * interval, 20_000 + frame * interval + (frame === 2 ? 400 : 0)),
    );
    expect(taken.map((at) => at - 20_000)).toEqual([0, 1000, 2400, 3000, 4000, 5000]);
    // One that would go faster is held to the interval, but for the half that the first one after a pause is given.
    let last = takenAt(6, 90_000, 90_000);
    for (let frame = 7; frame < 107; frame++) last = takenAt(frame, last, last);
    expect(last).toBe(90_000 + 100 * interval - interval / 2);
  });

  test('an image is announced once, before the first frame of it is offered, and again when it was forgotten', () => {
    const first = image();
    sink.setScanout(0, first);
    sink.present(0, 0, now);
    sink.setScanout(0, first);
    expect(news).toHaveLength(1);
    expect(news[0]).toMatchObject({
      kind: 'image',
      width: WIDTH,
      height: HEIGHT,
      stride: WIDTH * 4,
      segments: [{ offset: 0, bytes: BYTES }],
    });
    for (let i = 0; i < MOST_IMAGES; i++) sink.setScanout(1, image(100 + i));
    expect(news.filter(({ kind }) => kind === 'gone')).toEqual([{ kind: 'gone', id: news[0].id }]);
    sink.present(0, 1, now);
    expect(news.at(-1)).toMatchObject({ kind: 'image', id: MOST_IMAGES + 2 });
    expect([offers.take(now), offers.image]).toEqual([true, MOST_IMAGES + 2]);
  });

  test.each([
    ['reaches past its buffer', { stride: WIDTH * 4 + 4 }],
    ['begins past its buffer', { offset: BYTES }],
    ['has a format that the protocol does not know', { format: 5 }],
    ['is smaller than a macroblock', { width: 8 }],
    ['is wider than an encoder takes', { width: 8193, stride: 0, segments: large }],
    ['is larger than the highest level of H.264', { width: 8192, height: 4353, stride: 0, segments: large }],
  ])('an image that %s is not read: its frames are given back at once', (_why, changes) => {
    sink.setScanout(0, image(7, changes));
    sink.present(0, 3, now);
    expect([news, offers.take(now)]).toEqual([[], false]);
    expect(released(sink)).toEqual([[0, 3, FrameFlag.superseded]]);
  });

  test('a scanout that goes off gives back what waits, and what is being read may be read to its end', () => {
    sink.setScanout(0, image());
    sink.present(0, 0, now);
    offers.take(now);
    sink.present(0, 1, now);
    sink.setScanout(0, null);
    expect(released(sink)).toEqual([[0, 1, FrameFlag.superseded]]);
    sink.present(0, 2, now);
    expect(released(sink)).toEqual([[0, 2, FrameFlag.superseded]]);
    expect(sink.holds(7)).toBe(true);
    offers.release(true, now);
    expect(released(sink)).toEqual([[0, 0, 0]]);
  });

  test('a stop takes back what waits of that resource alone, and tells that its image is gone', () => {
    sink.setScanout(0, image());
    sink.setScanout(1, image(8));
    sink.present(0, 0, now);
    sink.present(1, 1, now);
    sink.stop(7);
    expect(released(sink)).toEqual([[0, 0, FrameFlag.superseded]]);
    expect([sink.holds(7), sink.holds(8), news.at(-1)?.kind]).toEqual([false, true, 'gone']);
    expect([offers.take(now), offers.head, offers.frame]).toEqual([true, 1, 1]);
    // Shown again only when the scanout is set again.
    sink.present(0, 2, now);
    expect(released(sink)).toEqual([[0, 2, FrameFlag.superseded]]);
  });

  test('an encode thread that is gone holds nothing', () => {
    sink.setScanout(0, image());
    sink.present(0, 0, now);
    offers.take(now);
    sink.present(0, 1, now);
    offers.end();
    expect(sink.deadline[0]).toBe(0);
    expect(released(sink).map(([, frame, flags]) => [frame, flags])).toEqual([0, 1].map((frame) => [frame, FrameFlag.superseded]));
    sink.present(0, 2, now);
    expect(released(sink)).toEqual([[0, 2, FrameFlag.superseded]]);
  });
});
