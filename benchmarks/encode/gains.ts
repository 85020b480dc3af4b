import type { RatioInterval, Repetition, Scenario as ScenarioRecord } from '../../reports/run-document.ts';
import { ratioOfPairs } from '../../reports/statistics.ts';

/**
 * Frames encoded a second of one scenario over another's, repetition by repetition; of pairs that nothing disturbed, where there
 * are any. Null: not measured of both.
 */
export function encodeGain(one: ScenarioRecord, other: ScenarioRecord): RatioInterval | null {
  const all: [number, number][] = [];
  const calm: [number, number][] = [];
  const [a, b] = [one, other].map(({ repetitions }) => repetitions.filter(({ kind }) => kind === 'timed'));
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const pair: [number, number] = [encodedFps(a[i]), encodedFps(b[i])];
    if (pair[0] <= 0 || pair[1] <= 0) continue;
    all.push(pair);
    if (!a[i].disturbed && !b[i].disturbed) calm.push(pair);
  }
  if (all.length === 0) return null;
  return ratioOfPairs(calm.length > 0 ? calm : all);
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
