import { type Calibration, notOfThisMachine } from '../calibration.ts';
import { InputError } from '../errors.ts';
import { counted, trimmed } from '../format.ts';
import type { Environment } from '../run-document.ts';
import type { Question } from './evaluate.ts';

/**
 * Refuses thresholds that are tighter than the machine resolves: they would let through or stop by chance.
 * @param maxPairs the most pairs that are measured; null: stored runs, which were not interleaved
 * @returns what the calibration says nothing of, one line each
 * @throws InputError naming the threshold and the smallest change that is found
 */
export function checkResolution(
  questions: readonly Question[],
  calibration: Calibration,
  environment: Environment,
  file: string,
  maxPairs: number | null,
): string[] {
  const other = notOfThisMachine(calibration, environment);
  if (other !== null) return [`${file} was made elsewhere and is not used: ${other}; scanout calibrate makes one for this machine`];
  const unknown = new Set<string>();
  for (const { scenario, threshold } of questions) {
    if (!threshold.relative) continue;
    const known = calibration.scenario === scenario ? calibration.metrics.find(({ metric }) => metric === threshold.metric) : undefined;
    if (known === undefined) {
      unknown.add(`${scenario} ${threshold.metric}`);
      continue;
    }
    const least = known.smallestDetectable;
    if (least !== null && Math.abs(threshold.bound - 1) >= least) continue;
    const figure = least === null ? 'no change up to a doubling' : `no change below ${trimmed(least * 100, 1)}%`;
    throw new InputError(
      `"${threshold.text}" of ${scenario} is tighter than this machine can resolve: ${figure} (${file}, ${counted(calibration.maxPairs, 'pair', 'pairs')})`,
    );
  }
  const notes: string[] = [];
  if (maxPairs === null) notes.push(`${file} is of interleaved pairs: stored runs resolve less than it says`);
  else if (maxPairs < calibration.maxPairs)
    notes.push(`${file} is of ${calibration.maxPairs} pairs: ${maxPairs} resolve less; --max-pairs ${calibration.maxPairs} or more`);
  if (unknown.size > 0) notes.push(`not calibrated: ${[...unknown].join(', ')}`);
  return notes;
}
