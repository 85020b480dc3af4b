import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Counter, Counters } from '../../../core/measure/counters.ts';
import { FrameFlag } from '../../../core/measure/frame-log.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import { LatchSink } from '../../../core/sink/latch.ts';
import type { ScanoutImage, Sink } from '../../../core/sink/sink.ts';
import { slot } from '../../support/slot.ts';

const image = (resourceId: number): ScanoutImage => ({
  width: 16,
  height: 16,
  stride: 64,
  offset: 0,
  format: 2,
  segments: new SegmentList(1),
  imported: true,
  resourceId,
});

interface Released {
  head: number;
  frame: number;
  flags: number;
  presented: number;
  released: number;
  vblank: number;
}

function drain(sink: Sink, now: number): Released[] {
  const all: Released[] = [];
  for (;;) {
    const count = sink.pollReleases(slot(now));
    if (count === 0) return all;
    for (let i = 0; i < count; i++) {
      all.push({
        head: sink.releasedScanout[i],
        frame: sink.releasedFrame[i],
        flags: sink.releasedFlags[i],
        presented: sink.presentedNs[i],
        released: sink.releasedNs[i],
        vblank: sink.vblank[i],
      });
    }
  }
}

describe('without a period', () => {
  const sink = (scanoutNs: number): LatchSink => {
    const made = new LatchSink({ heads: 1, periodNs: 0, phaseNs: 0, scanoutNs });
    made.setScanout(0, image(2));
    return made;
  };

  test('a frame is shown when it is presented and released by the next poll', () => {
    const latch = sink(0);
    latch.present(0, 7, slot(1000));
    expect(drain(latch, 1000)).toEqual([{ head: 0, frame: 7, flags: 0, presented: 1000, released: 1000, vblank: 0 }]);
  });

  test('a flush completes without a successor frame, at the end of its scanout', () => {
    const latch = sink(500);
    latch.present(0, 0, slot(1000));
    expect(drain(latch, 1499)).toEqual([]);
    expect(latch.deadline[0]).toBe(1500);
    expect(drain(latch, 1500)).toMatchObject([{ frame: 0, released: 1500, flags: 0 }]);
    expect(latch.deadline[0]).toBe(Number.POSITIVE_INFINITY);
  });

  test('a frame shown at time 0 counts as shown', () => {
    const latch = sink(0);
    latch.present(0, 0, slot(0));
    expect(drain(latch, 0)[0].presented).toBe(1);
  });

  test('frames of a scanout that is off are superseded at once', () => {
    const latch = sink(500);
    latch.setScanout(0, null);
    latch.present(0, 3, slot(10));
    expect(drain(latch, 10)).toMatchObject([{ frame: 3, flags: FrameFlag.superseded, presented: 0 }]);
  });

  test('more frames than one poll reports are all released', () => {
    const latch = sink(10);
    for (let i = 0; i < 200; i++) latch.present(0, i, slot(i / 1000));
    expect(drain(latch, 100).map((r) => r.frame)).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });
});

describe('with a period', () => {
  const PERIOD = 1000;
  const sink = (options: { heads?: number; scanoutNs?: number; counters?: Counters } = {}): LatchSink => {
    const made = new LatchSink({
      heads: options.heads ?? 1,
      periodNs: PERIOD,
      phaseNs: 300,
      scanoutNs: options.scanoutNs ?? 200,
      counters: options.counters ?? null,
    });
    for (let head = 0; head < (options.heads ?? 1); head++) made.setScanout(head, image(2 + head));
    return made;
  };

  test('the next vblank latches the frame; it is released a scanout later', () => {
    const latch = sink();
    latch.present(0, 0, slot(400));
    expect(latch.deadline[0]).toBe(1300);
    expect(drain(latch, 1300)).toEqual([]);
    expect(latch.deadline[0]).toBe(1500);
    expect(drain(latch, 1500)).toEqual([{ head: 0, frame: 0, flags: 0, presented: 1300, released: 1500, vblank: 2 }]);
  });

  test('a frame presented at the moment of a vblank waits for the next one', () => {
    const latch = sink();
    latch.present(0, 0, slot(1300));
    expect(latch.deadline[0]).toBe(2300);
  });

  test('vblank 0 lies at the phase', () => {
    const latch = sink();
    latch.present(0, 0, slot(0));
    expect(drain(latch, 500)).toMatchObject([{ presented: 300, vblank: 1 }]);
  });

  test('a newer frame supersedes the one that waits, which is released at once and marked', () => {
    const latch = sink();
    latch.present(0, 0, slot(400));
    latch.present(0, 1, slot(500));
    expect(drain(latch, 500)).toMatchObject([{ frame: 0, flags: FrameFlag.superseded, presented: 0, vblank: 0 }]);
    expect(drain(latch, 1500)).toMatchObject([{ frame: 1, flags: 0, presented: 1300 }]);
  });

  test('a newer frame does not supersede the one that is being read, nor that of another head', () => {
    const latch = sink({ heads: 2 });
    latch.present(0, 0, slot(400));
    latch.present(1, 0, slot(400));
    drain(latch, 1300);
    latch.present(0, 1, slot(1350));
    expect(drain(latch, 1400)).toEqual([]);
    expect(drain(latch, 1500)).toMatchObject([
      { head: 0, frame: 0, flags: 0 },
      { head: 1, frame: 0, flags: 0 },
    ]);
    expect(drain(latch, 2500)).toMatchObject([{ head: 0, frame: 1, vblank: 3 }]);
  });

  test('a vblank that passed unseen still latched the frame of its time', () => {
    const latch = sink();
    latch.present(0, 0, slot(400));
    latch.present(0, 1, slot(1400));
    expect(drain(latch, 2500)).toMatchObject([
      { frame: 0, flags: 0, presented: 1300 },
      { frame: 1, flags: 0, presented: 2300 },
    ]);
  });

  test('a late wake-up is counted, with the largest lateness', () => {
    const counters = new Counters();
    const latch = new LatchSink({ heads: 1, periodNs: 1e7, phaseNs: 0, scanoutNs: 0, counters });
    latch.setScanout(0, image(2));
    latch.present(0, 0, slot(1));
    drain(latch, 1e7 + 999_999);
    expect(counters.get(Counter.vblankLate)).toBe(0);
    latch.present(0, 1, slot(1.5e7));
    drain(latch, 2e7 + 1_500_000);
    expect(counters.get(Counter.vblankLate)).toBe(1);
    expect(counters.get(Counter.vblankLateMaxNs)).toBe(1_500_000);
  });

  test('disabling a scanout ends the frame that waits, not the one being read', () => {
    const latch = sink();
    latch.present(0, 0, slot(400));
    drain(latch, 1300);
    latch.present(0, 1, slot(1310));
    latch.setScanout(0, null);
    expect(drain(latch, 1320)).toMatchObject([{ frame: 1, flags: FrameFlag.superseded }]);
    expect(latch.holds(2)).toBe(true);
    expect(drain(latch, 1500)).toMatchObject([{ frame: 0, flags: 0 }]);
    expect(latch.holds(2)).toBe(false);
  });

  test('stop releases all frames of the resource by the next poll and no others', () => {
    const latch = sink({ heads: 2 });
    latch.present(0, 0, slot(400));
    latch.present(1, 0, slot(400));
    drain(latch, 1300);
    latch.present(0, 1, slot(1310));
    latch.stop(2);
    expect(latch.deadline[0]).toBeLessThanOrEqual(1310);
    expect(drain(latch, 1310)).toMatchObject([
      { head: 0, frame: 0, presented: 1300 },
      { head: 0, frame: 1, presented: 0 },
    ]);
    expect(latch.holds(2)).toBe(false);
    expect(latch.holds(3)).toBe(true);
  });
});

test('every frame is released exactly once, within a period and a scanout, whatever the order of calls', () => {
  const steps = fc.array(fc.record({ head: fc.nat(1), dt: fc.nat(1500), poll: fc.boolean(), stop: fc.integer({ min: 0, max: 20 }) }), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(steps, fc.constantFrom(0, 1000), fc.nat(2500), (list, periodNs, scanoutNs) => {
      const latch = new LatchSink({ heads: 2, periodNs, phaseNs: 0, scanoutNs });
      latch.setScanout(0, image(2));
      latch.setScanout(1, image(3));
      const due = new Map<string, number>();
      const next = [0, 0];
      let now = 1;
      const take = (): void => {
        for (const r of drain(latch, now)) {
          const key = `${r.head}/${r.frame}`;
          expect(due.has(key)).toBe(true);
          expect(r.released).toBeLessThanOrEqual(now);
          due.delete(key);
        }
        for (const [key, at] of due) expect(at, key).toBeGreaterThan(now);
      };
      for (const step of list) {
        now += step.dt;
        if (step.stop === 0) {
          latch.stop(2 + step.head);
          latch.setScanout(step.head, image(2 + step.head));
        }
        const frame = next[step.head]++;
        due.set(`${step.head}/${frame}`, now + periodNs + scanoutNs + (periodNs + scanoutNs === 0 ? 1 : 0));
        latch.present(step.head, frame, slot(now));
        if (step.poll) take();
      }
      now += 10_000;
      take();
      expect(due.size).toBe(0);
      expect(latch.deadline[0]).toBe(Number.POSITIVE_INFINITY);
    }),
    { numRuns: 200 },
  );
});
