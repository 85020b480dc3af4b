/** What to do where there is no verdict: few samples can show nothing, however large the change. */
import { counted } from '../format.ts';
import { pairsNeeded } from './looks.ts';
import { leastP, repetitionsNeeded } from './samples.ts';
import { ALPHA, type Comparison } from './verdict.ts';

/** The most that --max-pairs takes. */
export const MOST_PAIRS = 1000;

const inconclusive = (comparisons: readonly Comparison[]): boolean => comparisons.some(({ verdict }) => verdict === 'inconclusive');
const fewestOf = (comparisons: readonly Comparison[]): number => Math.min(...comparisons.map(({ pairs }) => pairs));
const family = (comparisons: readonly Comparison[]): string => counted(comparisons.length, 'comparison', 'comparisons');

/** Of stored runs. @param sizes repetitions of both sides, of each comparison. @returns null: everything is conclusive */
export function storedAdvice(comparisons: readonly Comparison[], sizes: readonly (readonly [number, number])[]): string | null {
  if (!inconclusive(comparisons)) return null;
  const fewest = fewestOf(comparisons);
  if (sizes.some(([m, n]) => leastP(m, n) * comparisons.length > ALPHA)) {
    const needed = repetitionsNeeded(ALPHA, comparisons.length);
    return `${counted(fewest, 'repetition', 'repetitions')} a side can show no change, however large, in ${family(comparisons)} at ${ALPHA * 100}%: run both sides again with --repetitions ${needed} or more, compare fewer scenarios or metrics, or use --live`;
  }
  return `too much noise for ${fewest} repetitions a side: run both again with --repetitions ${2 * fewest}, or use --live, which adds pairs until they suffice`;
}

/** Of interleaved pairs. @param maxPairs the cap. @returns null: everything is conclusive */
export function liveAdvice(comparisons: readonly Comparison[], maxPairs: number): string | null {
  if (!inconclusive(comparisons)) return null;
  const fewest = fewestOf(comparisons);
  const needed = pairsNeeded(comparisons.length);
  if (fewest < needed)
    return `${counted(fewest, 'pair', 'pairs')} can show no change, however large, in ${family(comparisons)} at ${ALPHA * 100}%: --max-pairs ${needed} or more, or fewer scenarios or metrics`;
  return `too much noise for ${counted(fewest, 'pair', 'pairs')}: --max-pairs ${Math.min(MOST_PAIRS, 2 * maxPairs)}, fewer scenarios or metrics, or a quieter machine`;
}
