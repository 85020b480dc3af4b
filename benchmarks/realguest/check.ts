import { expectedWork } from '../../core/machine/workload.ts';
import type { Check } from '../../reports/run-document.ts';
import type { MeasuredRepetition } from '../metrics.ts';
import type { Scenario } from '../scenarios.ts';

/**
 * The host copied, and showed from the guest's own memory, exactly what its limits and the recorded buffers make it: a
 * buffer of more entries than the list limit is copied at each of its frames, the others never.
 * @returns null where the recording transfers pixels that are no frame's
 */
export function copiesAsRecorded({ id, options, recorded }: Scenario, repetitions: readonly MeasuredRepetition[]): Check | null {
  if (recorded === undefined || !recorded.workload.countable) return null;
  const { workload } = recorded;
  const cycle = expectedWork(workload, options, workload.frames.length);
  const name = `${id} copies ${Math.round(cycle.bytes / workload.frames.length)} bytes a frame, as its recording has it`;
  let frames = 0;
  for (const { totals } of repetitions) {
    const expected = expectedWork(workload, options, totals.allFrames);
    const copied = totals.bytesByStage.transfer + totals.bytesByStage.fallback;
    if (copied !== expected.bytes) {
      return {
        name,
        status: 'fail',
        detail: `one repetition copied ${copied} bytes for ${totals.allFrames} frames, not ${expected.bytes}`,
      };
    }
    if (totals.framesFromGuest !== expected.imported) {
      const detail = `${totals.framesFromGuest} of ${totals.framesShown} frames were shown from the guest's own memory, not ${expected.imported}`;
      return { name, status: 'fail', detail };
    }
    frames += totals.allFrames;
  }
  return { name, status: 'pass', detail: `${frames} frames in the ledger` };
}
