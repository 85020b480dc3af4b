import type { MachinePlan } from '../core/machine/plan.ts';
import { FrameColumn, FrameLog } from '../core/measure/frame-log.ts';
import type { FrameTrace } from '../reports/run-document.ts';
import type { GuestReport } from '../workers/task.ts';

/** Most points of a trace: as many as a drawing can show apart. */
export const TRACE_POINTS = 300;

/**
 * The first head's measured frames on a timeline, as far as the log still holds them. Of each run of `every` frames
 * the one with the longest time is kept, so that thinning hides no stall. null: fewer than two frames were presented.
 */
export function traceFrames(plan: MachinePlan, guest: GuestReport): FrameTrace | null {
  const { options } = plan;
  const log = new FrameLog(plan.frameLog, options.heads, options.logCapacity);
  const end = guest.endFrame[0];
  // Older rows than the log holds have been overwritten.
  const first = Math.max(guest.firstFrame[0], end - options.logCapacity + options.buffers + 1);
  const shown: number[] = [];
  for (let frame = first; frame < end; frame++) {
    const present = log.cells[log.row(0, frame) + FrameColumn.present];
    if (present > 0) shown.push(present);
  }
  const frames = shown.length - 1;
  if (frames < 1) return null;
  const every = Math.ceil(frames / TRACE_POINTS);
  const atMs: number[] = [];
  const frameTimeUs: number[] = [];
  for (let i = 1; i <= frames; i += every) {
    let longest = i;
    for (let k = i; k < i + every && k <= frames; k++) {
      if (shown[k] - shown[k - 1] > shown[longest] - shown[longest - 1]) longest = k;
    }
    atMs.push(Math.round((shown[longest] - shown[0]) / 1e3) / 1e3);
    frameTimeUs.push(Math.round((shown[longest] - shown[longest - 1]) / 10) / 100);
  }
  return { frames, every, atMs, frameTimeUs };
}
