import { describe, expect, it } from 'vitest';
import { FrameSamples, sampleFrames } from '../../../benchmarks/samples.ts';
import { DEFAULT_OPTIONS, type MachineOptions } from '../../../core/machine/options.ts';
import type { MachinePlan } from '../../../core/machine/plan.ts';
import { FrameColumn, FrameFlag, FrameLog } from '../../../core/measure/frame-log.ts';
import type { GuestReport } from '../../../workers/task.ts';

const MS = 1e6;
/** 100 Hz: a period of 10 ms. */
const PACED = { rateHz: 100 } as const;
const PERIOD = 10 * MS;

type Row = Partial<Record<keyof typeof FrameColumn, number>>;

/** What `sampleFrames` makes of a log that holds these rows, frame 0 first; all are measured unless told otherwise. */
function sampled(rows: readonly Row[], options: Partial<MachineOptions> = {}, report: Partial<GuestReport> = {}): FrameSamples {
  const complete = { ...DEFAULT_OPTIONS, logCapacity: 4096, ...options };
  const frameLog = new SharedArrayBuffer(FrameLog.bytes(complete.heads, complete.logCapacity));
  const log = new FrameLog(frameLog, complete.heads, complete.logCapacity);
  rows.forEach((row, frame) => {
    const at = log.begin(0, frame);
    for (const [column, value] of Object.entries(row)) log.cells[at + FrameColumn[column as keyof typeof FrameColumn]] = value;
  });
  return sampleFrames(
    { options: complete, frameLog } as MachinePlan,
    { firstFrame: [0], endFrame: [rows.length], ...report } as GuestReport,
  );
}

/** A paced frame that goes as it should: due at tick `tick`, shown at the sink's vblank of that number, half a period later. */
function onTime(tick: number, row: Row = {}): Row {
  const due = tick * PERIOD;
  const submit = due + 0.1 * MS;
  const present = due + PERIOD / 2;
  return {
    scheduled: due,
    renderStart: due - 0.3 * MS,
    renderEnd: due - 0.2 * MS,
    submit,
    pickup: submit + 0.02 * MS,
    flush: submit + 0.03 * MS,
    present,
    release: present + 2 * MS,
    fenceSeen: present + 2.05 * MS,
    vblank: tick + 1,
    ...row,
  };
}

/** The same frame, shown `late` vblanks later. */
function shownLater(tick: number, late: number, row: Row = {}): Row {
  const { present = 0, release = 0, fenceSeen = 0 } = onTime(tick);
  const by = late * PERIOD;
  return onTime(tick, { present: present + by, release: release + by, fenceSeen: fenceSeen + by, vblank: tick + late + 1, ...row });
}

const late = { guestFlags: FrameFlag.late };
const superseded = (tick: number, row: Row = {}): Row =>
  onTime(tick, {
    present: 0,
    vblank: 0,
    hostFlags: FrameFlag.superseded,
    release: tick * PERIOD + MS,
    fenceSeen: tick * PERIOD + MS,
    ...row,
  });
const us = (samples: FrameSamples, kind: Parameters<FrameSamples['distribution']>[0]): number =>
  samples.distribution(kind)?.max ?? Number.NaN;

describe('latencies', () => {
  it('of a paced run count from when the frame was due, so that a stall is not hidden', () => {
    // The guest was held up for 8 ms before it submitted; the host then took 1 ms.
    const stalled = onTime(3, {
      submit: 3 * PERIOD + 8 * MS,
      flush: 3 * PERIOD + 8.1 * MS,
      present: 3 * PERIOD + 9 * MS,
      fenceSeen: 3 * PERIOD + 9.5 * MS,
    });
    const samples = sampled([stalled], PACED);
    expect(us(samples, 'submitToPresent')).toBeCloseTo(9000, -2);
    expect(us(samples, 'submitToFence')).toBeCloseTo(9500, -2);
    expect(us(samples, 'submit')).toBeCloseTo(8000, -2);
  });

  it('of an unpaced run count from submission', () => {
    const samples = sampled([
      { renderEnd: 2 * MS, submit: 3 * MS, pickup: 3.1 * MS, flush: 3.2 * MS, present: 4 * MS, release: 5 * MS, fenceSeen: 6 * MS },
    ]);
    expect(us(samples, 'submitToPresent')).toBeCloseTo(1000, -1);
    expect(us(samples, 'submitToFence')).toBeCloseTo(3000, -1);
    expect(us(samples, 'pickup')).toBeCloseTo(100, -1);
    expect(us(samples, 'present')).toBeCloseTo(800, -1);
    expect(us(samples, 'release')).toBeCloseTo(1000, -1);
    expect(us(samples, 'fence')).toBeCloseTo(1000, -1);
    // The stage before it: reading back, where a path does.
    expect(us(samples, 'submit')).toBeCloseTo(1000, -1);
  });

  it('without a fence there is no time to it: the response is sampled in its place', () => {
    const samples = sampled([{ submit: MS, flush: MS, present: 2 * MS, release: 3 * MS, responseSeen: 4 * MS, transferNs: 700_000 }]);
    expect(samples.distribution('submitToFence')).toBeNull();
    expect(samples.distribution('fence')).toBeNull();
    expect(us(samples, 'submitToResponse')).toBeCloseTo(3000, -1);
    expect(us(samples, 'transfer')).toBeCloseTo(700, -1);
    expect(samples.transferNs).toBe(700_000);
  });

  it('until presented are counted in bins too, the same frames', () => {
    const samples = sampled([onTime(0), superseded(1), onTime(2), shownLater(3, 1)], PACED);
    // 5 ms, 5 ms and 15 ms.
    const { binsPerDecade, firstBin, counts } = samples.toPresent.histogram() ?? { binsPerDecade: 0, firstBin: 0, counts: [] };
    expect(counts.flatMap((count, i) => (count > 0 ? [[firstBin + i, count]] : []))).toEqual(
      [5000, 15_000].map((us, i) => [Math.floor(Math.log10(us) * binsPerDecade), 2 - i]),
    );
    const both = new FrameSamples();
    both.add(samples);
    both.add(samples);
    expect(both.toPresent.histogram()?.counts).toEqual(counts.map((count) => 2 * count));
  });

  it('superseded frames are counted and are no samples', () => {
    const samples = sampled([onTime(0), superseded(1), onTime(2)], PACED);
    expect(samples).toMatchObject({ presented: 2, superseded: 1 });
    expect(samples.distributions.get('submitToPresent')?.count).toBe(2);
    expect(samples.distributions.get('submitToFence')?.count).toBe(2);
    expect(samples.distributions.get('hostService')?.count).toBe(2);
  });

  it('frames whose fence the guest did not wait out are counted and are no samples', () => {
    const samples = sampled([onTime(0), onTime(1, { guestFlags: FrameFlag.timedOut, fenceSeen: 0 })], PACED);
    expect(samples).toMatchObject({ presented: 2, timedOut: 1 });
    expect(samples.distributions.get('submitToPresent')?.count).toBe(1);
  });

  it('frames before the measured part are no samples', () => {
    const samples = sampled([onTime(0), onTime(1), onTime(2)], PACED, { firstFrame: [1], endFrame: [2] });
    expect(samples.presented).toBe(1);
  });

  it('rows that the log has overwritten are left out and counted', () => {
    const rows = Array.from({ length: 100 }, (_, tick) => onTime(tick));
    const samples = sampled(rows, { ...PACED, logCapacity: 64, buffers: 2 });
    expect(samples.overwritten + samples.presented).toBe(100);
    expect(samples.presented).toBe(64 - 3);
    expect(samples.vblanksMissed).toBe(0);
  });
});

describe('missed vblanks', () => {
  it('none, where the sink has no vblanks', () => {
    const rows = [0, 1, 2].map((tick) => onTime(tick, { vblank: 0 }));
    expect(sampled(rows, PACED)).toMatchObject({ presented: 3, vblanksMissed: 0, vblanksMissedUndisturbed: 0 });
  });

  it('none, where each frame came to the vblank of its tick', () => {
    expect(sampled([onTime(4), onTime(5), onTime(6)], PACED)).toMatchObject({
      vblanksMissed: 0,
      vblanksMissedUndisturbed: 0,
      disturbed: 0,
    });
  });

  it('the first measured frame counts by the tick at which it was due', () => {
    expect(sampled([shownLater(4, 2), onTime(7)], PACED)).toMatchObject({ vblanksMissed: 2, vblanksMissedUndisturbed: 2 });
  });

  it('a frame that is shown a vblank later missed one; back in step it is not counted again', () => {
    expect(sampled([onTime(0), shownLater(1, 1), onTime(3), onTime(4)], PACED)).toMatchObject({
      vblanksMissed: 1,
      vblanksMissedUndisturbed: 1,
    });
  });

  it('ticks without a frame are missed too', () => {
    expect(sampled([onTime(0), onTime(4)], PACED).vblanksMissed).toBe(3);
  });

  it('a superseded frame is a vblank missed', () => {
    expect(sampled([onTime(0), superseded(1), onTime(2)], PACED)).toMatchObject({ vblanksMissed: 1, vblanksMissedUndisturbed: 1 });
  });

  it.each([
    ['a late tick of the guest', late],
    ['a late vblank or release of the host', { hostFlags: FrameFlag.late }],
    ['a late pickup', { pickup: PERIOD + 0.1 * MS + 1.1 * MS }],
    ['a fence seen late', { fenceSeen: 2 * PERIOD + PERIOD / 2 + 2 * MS + 1.1 * MS }],
  ])('of a frame that the machine disturbed do not count against the path: %s', (_, how) => {
    expect(sampled([onTime(0), shownLater(1, 1, how), onTime(3)], PACED)).toMatchObject({
      vblanksMissed: 1,
      vblanksMissedUndisturbed: 0,
      disturbed: 1,
    });
  });

  it('nor do those of the frame after a disturbed one, whose buffer came back late', () => {
    expect(sampled([onTime(0), onTime(1, late), onTime(3)], PACED)).toMatchObject({
      vblanksMissed: 1,
      vblanksMissedUndisturbed: 0,
      disturbed: 1,
    });
  });

  it('also where the disturbed frame was superseded', () => {
    expect(sampled([onTime(0), superseded(1, late), onTime(2)], PACED)).toMatchObject({
      vblanksMissed: 1,
      vblanksMissedUndisturbed: 0,
      disturbed: 1,
    });
  });

  it('two frames after a disturbance they count again', () => {
    expect(sampled([onTime(0, late), onTime(1), onTime(3)], PACED)).toMatchObject({
      vblanksMissed: 1,
      vblanksMissedUndisturbed: 1,
      disturbed: 1,
    });
  });

  it('there are none without vblanks, and no disturbed frame', () => {
    expect(sampled([onTime(0), onTime(7, late)])).toMatchObject({ vblanksMissed: 0, disturbed: 0 });
  });
});

describe('frame times', () => {
  const withTimes = (times: number[]): FrameSamples => {
    const samples = new FrameSamples();
    samples.frameTimes = times;
    return samples;
  };
  const steady = (count: number, ns = 10 * MS): number[] => new Array<number>(count).fill(ns);

  it('lie between presented frames', () => {
    expect(sampled([onTime(0), superseded(1), onTime(2), onTime(3)], PACED).frameTimes).toEqual([2 * PERIOD, PERIOD]);
  });

  it('a stutter is longer than twice the median of the 19 around it', () => {
    const times = steady(40);
    times[20] = 20 * MS;
    expect(withTimes(times).stutters()).toBe(0);
    times[20] = 20 * MS + 1;
    expect(withTimes(times).stutters()).toBe(1);
  });

  it('a change of pace is no stutter', () => {
    expect(withTimes([...steady(40), ...steady(40, 15 * MS)]).stutters()).toBe(0);
  });

  it('fewer than 19 frames tell of no stutter', () => {
    expect(withTimes(steady(18)).stutters()).toBeNull();
    expect(withTimes(steady(19)).stutters()).toBe(0);
  });

  it('1% low, two ways: the rate of the 99th percentile, and of the mean of the worst hundredth', () => {
    const times = steady(1000);
    // Ten worst: 20, 21, … 29 ms, anywhere.
    for (let i = 0; i < 10; i++) times[i * 90] = (20 + i) * MS;
    const low = withTimes(times).onePercentLow();
    expect(low?.byP99).toBeCloseTo(1000 / 20, 6);
    expect(low?.byWorstMean).toBeCloseTo(1000 / 24.5, 6);
  });

  it('1% of fewer than 1,000 frames says nothing', () => {
    expect(withTimes(steady(999)).onePercentLow()).toBeNull();
    expect(withTimes(steady(1000)).onePercentLow()).toEqual({ byP99: 100, byWorstMean: 100 });
  });

  it('repetitions add up', () => {
    const all = new FrameSamples();
    all.add(sampled([onTime(0), superseded(1), onTime(2)], PACED));
    all.add(sampled([onTime(0), onTime(1, late), onTime(3)], PACED));
    expect(all).toMatchObject({ presented: 5, superseded: 1, vblanksMissed: 2, vblanksMissedUndisturbed: 1, disturbed: 1 });
    expect(all.frameTimes).toEqual([2 * PERIOD, PERIOD, 2 * PERIOD]);
    expect(all.distributions.get('submitToPresent')?.count).toBe(5);
  });
});
