import { describe, expect, it } from 'vitest';
import { TRACE_POINTS, traceFrames } from '../../../benchmarks/frame-trace.ts';
import { DEFAULT_OPTIONS } from '../../../core/machine/options.ts';
import type { MachinePlan } from '../../../core/machine/plan.ts';
import { FrameColumn, FrameLog } from '../../../core/measure/frame-log.ts';
import type { FrameTrace } from '../../../reports/run-document.ts';
import type { GuestReport } from '../../../workers/task.ts';

/** The trace of frames that were presented at these times, ns; 0: was not. */
function traced(presents: readonly number[], logCapacity = 4096): FrameTrace | null {
  const options = { ...DEFAULT_OPTIONS, logCapacity };
  const frameLog = new SharedArrayBuffer(FrameLog.bytes(options.heads, logCapacity));
  const log = new FrameLog(frameLog, options.heads, logCapacity);
  presents.forEach((present, frame) => {
    log.cells[log.begin(0, frame) + FrameColumn.present] = present;
  });
  return traceFrames({ options, frameLog } as MachinePlan, { firstFrame: [0], endFrame: [presents.length] } as GuestReport);
}

describe('the trace of a repetition', () => {
  it('has each frame where they are few: time since the first, and from the one before', () => {
    expect(traced([5e6, 6e6, 8.5e6])).toEqual({ frames: 2, every: 1, atMs: [1, 3.5], frameTimeUs: [1000, 2500] });
  });

  it('leaves out frames that were not presented: the next one took longer', () => {
    expect(traced([1e6, 0, 3e6])).toEqual({ frames: 1, every: 1, atMs: [2], frameTimeUs: [2000] });
  });

  it('thins many frames and keeps the longest of each run', () => {
    const presents: number[] = [];
    for (let frame = 0, at = 1e6; frame <= 3000; frame++) {
      at += frame === 1234 ? 50e3 : 1e3;
      presents.push(at);
    }
    const trace = traced(presents);
    expect(trace?.every).toBe(10);
    expect(trace?.frames).toBe(3000);
    expect(trace?.atMs).toHaveLength(TRACE_POINTS);
    expect(trace?.frameTimeUs.filter((us) => us > 1)).toEqual([50]);
    expect(trace?.atMs).toEqual([...(trace?.atMs ?? [])].sort((a, b) => a - b));
  });

  it('does not read rows that later frames have overwritten', () => {
    const presents = Array.from({ length: 100 }, (_, frame) => (frame + 1) * 1e6);
    expect(traced(presents, 64)?.frameTimeUs.every((us) => us === 1000)).toBe(true);
    expect(traced(presents, 64)?.frames).toBeLessThan(64);
  });

  it('is none of a single frame', () => {
    expect(traced([1e6])).toBeNull();
    expect(traced([])).toBeNull();
  });
});
