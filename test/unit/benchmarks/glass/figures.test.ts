import { describe, expect, test } from 'vitest';
import { glassChecks } from '../../../../benchmarks/glass/checks.ts';
import { GlassFigures, offsetError, ShownFrames } from '../../../../benchmarks/glass/figures.ts';
import { timesIn, treeCpuMs } from '../../../../benchmarks/glass/tree-cpu.ts';
import type { MeasuredRepetition } from '../../../../benchmarks/metrics.ts';
import { scenario, scenarioOfId } from '../../../../benchmarks/scenarios.ts';
import { DEFAULT_OPTIONS } from '../../../../core/machine/options.ts';
import { type MachinePlan, planMachine } from '../../../../core/machine/plan.ts';
import { FrameColumn, FrameLog } from '../../../../core/measure/frame-log.ts';

const PERIOD_NS = 1e9 / 30;

/** A machine whose guest's frame n was due at n periods and submitted 5 ms later. */
function planned(rateHz: number | null, frames: number): MachinePlan {
  const plan = planMachine({ ...DEFAULT_OPTIONS, width: 320, height: 200, rateHz }, 0);
  const log = new FrameLog(plan.frameLog, 1, plan.options.logCapacity);
  for (let frame = 0; frame < frames; frame++) {
    log.cells[log.row(0, frame) + FrameColumn.scheduled] = (frame + 1) * PERIOD_NS;
    log.cells[log.row(0, frame) + FrameColumn.submit] = (frame + 1) * PERIOD_NS + 5e6;
  }
  return plan;
}

describe('frames that a page has drawn', () => {
  test.each([
    [30, 40],
    [null, 35],
  ])('at a rate of %s Hz the time is %d ms: from when the frame was due, or else from its submission', (rateHz, ms) => {
    const shown = new ShownFrames(planned(rateHz, 100));
    for (let frame = 0; frame < 100; frame++) shown.add(0, frame, frame, ((frame + 1) * PERIOD_NS) / 1e6 + 40);
    const measured = shown.measured({ firstFrame: [70], endFrame: [90] });
    expect(measured).toHaveLength(20);
    for (const ns of measured) expect(ns / 1e6).toBeCloseTo(ms);
    expect([shown.count, shown.last(0), shown.backwards]).toEqual([100, 99, 0]);
  });

  test('are told apart from those before the measured part', () => {
    const shown = new ShownFrames(planned(30, 100));
    for (let frame = 20; frame < 100; frame += 2) shown.add(0, frame, frame, 5000);
    expect(shown.before({ firstFrame: [60] })).toBe(20);
    expect(shown.measured({ firstFrame: [60], endFrame: [80] })).toHaveLength(10);
  });

  test('that bear another number than was sent are no samples, and one that goes back is counted', () => {
    const shown = new ShownFrames(planned(30, 10));
    shown.add(0, 4, 4, 500);
    shown.add(0, 3, 5, 500);
    shown.add(0, 6, 6, 500);
    expect([shown.count, shown.backwards]).toEqual([2, 1]);
  });
});

describe('figures', () => {
  const of = (from: number, to: number): GlassFigures => {
    const figures = new GlassFigures();
    for (let ms = to; ms >= from; ms--) figures.ns.push(ms * 1e6);
    figures.guestFrames = 150;
    figures.wallNs = 1e9;
    return figures;
  };

  test('of several repetitions are of all their frames; the clocks are as wrong as in the worst', () => {
    const all = new GlassFigures();
    const [one, other] = [of(1, 100), of(101, 200)];
    one.offsetErrorUs = 300;
    other.offsetErrorUs = 200;
    other.lost = 4;
    all.add(one);
    all.add(other);
    expect(all.metrics()).toEqual({
      shown: 200,
      fps: 100,
      guestFrames: 300,
      lost: 4,
      backwards: 0,
      p50Us: 101_000,
      p99Us: 199_000,
      offsetErrorUs: 300,
    });
  });

  test('the offset of the clocks can be wrong by half of the shortest round trip and what the page rounds off', () => {
    expect(offsetError('0.3 ms')).toBeCloseTo(175);
    for (const trip of ['–', undefined, 3]) expect(offsetError(trip)).toBe(null);
  });
});

describe('checks', () => {
  const watched = scenario({ path: 'udmabuf', width: 1920, height: 1080, rateHz: 30, sink: 'encode', memory: 'memfd' }, 'glass');
  const repetition = (ms: number, fps: number, disturbed = false, backwards = 0, packets = 30): MeasuredRepetition => {
    const glass = new GlassFigures();
    for (let i = 0; i < fps; i++) glass.ns.push(ms * 1e6);
    glass.guestFrames = 30;
    glass.wallNs = 1e9;
    glass.backwards = backwards;
    return { glass, encode: { packets, wallNs: 1e9 }, repetition: { disturbed } } as unknown as MeasuredRepetition;
  };
  const statuses = (...timed: MeasuredRepetition[]): string[] => glassChecks({ scenario: watched, timed }).map(({ status }) => status);

  test('frames that go back fail', () => {
    expect(statuses(repetition(50, 30, false, 1))).toEqual(['fail', 'pass']);
  });

  test('100 ms are held where the encoder sustains the rate; a busy machine and a slow browser decide nothing', () => {
    expect(statuses(repetition(50, 30))).toEqual(['pass', 'pass']);
    expect(statuses(repetition(150, 30))).toEqual(['pass', 'fail']);
    expect(statuses(repetition(150, 30, true))).toEqual(['pass', 'inconclusive']);
    expect(statuses(repetition(150, 30, true), repetition(50, 30))).toEqual(['pass', 'pass']);
    expect(statuses(repetition(150, 20))).toEqual(['pass', 'inconclusive']);
    expect(statuses(repetition(50, 20))).toEqual(['pass', 'pass']);
    // Fast ones, but most of the guest's frames were never seen.
    expect(statuses(repetition(50, 14))).toEqual(['pass', 'inconclusive']);
    expect(statuses(repetition(50, 30, false, 0, 20))).toEqual(['pass']);
  });

  test('none are made of a scenario that nobody watched', () => {
    expect(glassChecks({ scenario: watched, timed: [{ repetition: {} } as MeasuredRepetition] })).toEqual([]);
  });

  test('a watched scenario is found again by its id, with the card', () => {
    expect(watched.id).toMatch(/-glass$/);
    expect(scenarioOfId(watched.id)).toEqual(watched);
    expect(watched.options.card).toBe(true);
  });
});

describe('the CPU time of a browser', () => {
  test('is that of all its processes, and of those that were', () => {
    const all = [
      { pid: 10, parent: 1, ms: 5 },
      { pid: 11, parent: 10, ms: 70 },
      { pid: 12, parent: 11, ms: 600 },
      { pid: 13, parent: 1, ms: 8000 },
    ];
    expect(treeCpuMs(10, all)).toBe(675);
    expect(treeCpuMs(99, all)).toBe(0);
    expect(treeCpuMs(process.pid)).toBeGreaterThan(0);
  });

  test('is read from where the system says it, whatever a process is called', () => {
    const stat = '77 (a (b) c) S 5 77 77 0 -1 4194560 100 0 0 0 12 3 2 1 20 0 1 0 100';
    expect(timesIn(stat)).toEqual({ pid: 77, parent: 5, ms: 180 });
  });
});
