import type { RatioInterval, Scenario as ScenarioRecord } from '../../reports/run-document.ts';
import { ratioOfPairs } from '../../reports/statistics.ts';
import { neighbours } from '../neighbours.ts';

/**
 * Frames encoded a second of one scenario over another's, round by round; of rounds that nothing disturbed, where there are any.
 * Null: not measured of both.
 */
export function encodeGain(one: ScenarioRecord, other: ScenarioRecord): RatioInterval | null {
  const all: [number, number][] = [];
  const calm: [number, number][] = [];
  for (const [a, b] of neighbours(one.repetitions, other.repetitions)) {
    const pair: [number, number] = [a.encode?.fps ?? 0, b.encode?.fps ?? 0];
    if (pair[0] <= 0 || pair[1] <= 0) continue;
    all.push(pair);
    if (!a.disturbed && !b.disturbed) calm.push(pair);
  }
  if (all.length === 0) return null;
  return ratioOfPairs(calm.length > 0 ? calm : all);
}

/**
 * Frames a second that the CPU times of a frame allow: the encode thread does one after the other, and all threads together
 * have the machine's CPUs. Null: nothing was encoded, or by hardware, whose own time is not the CPUs'.
 */
export function predictedFps({ results, settings }: ScenarioRecord, cpus: number): number | null {
  const { encode } = results;
  if (encode === undefined || encode.framesEncoded === 0 || settings?.['encoder'] !== undefined) return null;
  const own = encode.gatherCpuUs + encode.conversionCpuUs + encode.encodingCpuUs;
  const all = own + results.hostCpuUsPerFrame + results.guestCpuUsPerFrame;
  return 1e6 / Math.max(own, all / cpus);
}
