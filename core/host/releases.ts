import { Counter } from '../measure/counters.ts';
import { FrameColumn, FrameFlag } from '../measure/frame-log.ts';
import { Size } from '../protocol/layout.ts';
import type { DeviceQueue } from '../ring/queue.ts';
import { destroy } from './commands-2d.ts';
import type { Context } from './context.ts';
import type { FenceTimeline } from './fence-timeline.ts';
import { FlushAnswer } from './flushes.ts';

/**
 * Takes the frames that the sink has read for the last time, and answers the flushes that end with them: unfenced ones
 * at once, fenced ones in the fence timeline. @returns how many frames were released
 */
export function takeReleases(context: Context, timeline: FenceTimeline, queue: DeviceQueue | null): number {
  const sink = context.options.sink;
  const flushes = context.flushes;
  let total = 0;
  for (;;) {
    const count = sink.pollReleases(context.nowSlot);
    if (count === 0) return total;
    total += count;
    for (let i = 0; i < count; i++) {
      const head = sink.releasedScanout[i];
      const frame = sink.releasedFrame[i];
      const slot = flushes.take(head, frame);
      if (slot < 0) continue;
      logRelease(context, i);
      const resource = flushes.resource[slot];
      if (resource !== null) {
        resource.held--;
        if (resource.held === 0 && resource.doomed) {
          context.resources.forget(resource);
          destroy(context, resource);
        }
      }
      if (!flushes.countDown(slot)) continue;
      const token = flushes.token[slot];
      const answer = flushes.answer[slot];
      if (answer === FlushAnswer.fenced) timeline.finish(token);
      else if (answer === FlushAnswer.unfenced && queue !== null) {
        queue.push(token, Size.respNodata);
        context.pushed++;
      }
      flushes.close(slot);
    }
  }
}

function logRelease(context: Context, i: number): void {
  const sink = context.options.sink;
  const counters = context.options.counters;
  const head = sink.releasedScanout[i];
  const flags = sink.releasedFlags[i];
  if (sink.presentedNs[i] > 0) counters.add(Counter.framesPresented, 1);
  if ((flags & FrameFlag.superseded) !== 0) counters.add(Counter.superseded, 1);
  if ((flags & FrameFlag.verified) !== 0) counters.add(Counter.framesVerified, 1);
  if ((flags & FrameFlag.torn) !== 0) counters.add(Counter.framesTorn, 1);
  const log = context.options.frameLog;
  if (log === null || head >= log.heads) return;
  const row = log.row(head, sink.releasedFrame[i]);
  log.cells[row + FrameColumn.present] = sink.presentedNs[i];
  log.cells[row + FrameColumn.release] = sink.releasedNs[i];
  log.cells[row + FrameColumn.hostFlags] = flags;
  log.cells[row + FrameColumn.vblank] = sink.vblank[i];
  context.touch(row);
}
