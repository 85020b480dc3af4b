import type { RatioInterval, Repetition, Scenario as ScenarioRecord } from '../../reports/run-document.ts';
import { ratioOfPairs } from '../../reports/statistics.ts';

/** Frames encoded a second of one scenario over another's, repetition by repetition. Null: not measured of both. */
export function encodeGain(one: ScenarioRecord, other: ScenarioRecord): RatioInterval | null {
  const pairs: [number, number][] = [];
  const [a, b] = [one, other].map(({ repetitions }) => repetitions.filter(({ kind }) => kind === 'timed').map(encodedFps));
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] > 0 && b[i] > 0) pairs.push([a[i], b[i]]);
  return pairs.length === 0 ? null : ratioOfPairs(pairs);
}

const encodedFps = ({ encode }: Repetition): number => encode?.fps ?? 0;

/**
 * Frames a second that the CPU times of a frame allow: the encode thread does one after the other, and all threads together
 * have the machine's CPUs. Null: nothing was encoded.
 */
export function predictedFps({ results }: ScenarioRecord, cpus: number): number | null {
  const { encode } = results;
  if (encode === undefined || encode.framesEncoded === 0) return null;
  const own = encode.gatherCpuUs + encode.conversionCpuUs + encode.encodingCpuUs;
  const all = own + results.hostCpuUsPerFrame + results.guestCpuUsPerFrame;
  return 1e6 / Math.max(own, all / cpus);
}
