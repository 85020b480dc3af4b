/** A live comparison: two sides measured now, in pairs A B B A of fresh processes, until the verdict is clear or the cap is met. */

import { environmentDifferences } from '../../reports/compare/environments.ts';
import { compareSeries, disturbedPairs, type RunPair, seriesOf, withoutRatio } from '../../reports/compare/live.ts';
import { lookSchedule, pairsNeeded } from '../../reports/compare/looks.ts';
import { defaultMetrics } from '../../reports/compare/metrics.ts';
import { counted } from '../../reports/format.ts';
import { InputError } from '../../reports/index.ts';
import type { Checkout } from './checkout.ts';
import type { MeasureSide } from './side.ts';

export interface LiveOptions {
  readonly base: Checkout;
  readonly head: Checkout;
  /** Arguments of `scanout run` for both sides, and for head alone. */
  readonly runArgs: readonly string[];
  readonly headArgs?: readonly string[];
  readonly maxPairs: number;
  /** Of the first pair; the next has the next one. */
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly measure: MeasureSide;
  readonly judge: Judge;
  /** Told before each pair. `done` of at most `total` are behind. */
  readonly progress: (step: { done: number; total: number; text: string }) => void;
}

/** What decides when there are enough pairs. */
export interface Judge {
  /** How many things are decided together. @throws InputError none can be */
  readonly family: (runs: readonly RunPair[]) => number;
  readonly conclusive: (runs: readonly RunPair[], alpha: number) => boolean;
}

/** What is compared of pairs of runs. @param metrics null: none were named */
export function metricsOfPairs(metrics: readonly string[] | null, runs: readonly RunPair[]): readonly string[] {
  return metrics ?? defaultMetrics(runs.flat());
}

/** Judges what `compareSeries` compares. @param named metrics; null: the usual ones */
export function comparisonJudge(named: readonly string[] | null, margin: number): Judge {
  return {
    family: (runs) => {
      const metrics = metricsOfPairs(named, runs);
      const family = seriesOf(runs, metrics).length;
      const mixed = withoutRatio(runs, metrics).find(({ fault }) => fault === 'mixed');
      if (mixed !== undefined && family === 0)
        throw new InputError(`${mixed.metric} of ${mixed.scenario} has no ratio (${mixed.figures}): 'scanout gate' bounds it by itself`);
      if (family === 0) throw new InputError(`the runs have no figures of ${metrics.join(', ')} in common`);
      return family;
    },
    conclusive: (runs, alpha) =>
      compareSeries(seriesOf(runs, metricsOfPairs(named, runs)), margin, alpha, []).comparisons.every(
        ({ verdict }) => verdict !== 'inconclusive',
      ),
  };
}

export interface LiveRuns {
  readonly runs: readonly RunPair[];
  /** Level at which they may be judged. */
  readonly alpha: number;
  readonly notes: readonly string[];
  /** Stopped before its end: the verdict comes from the pairs that were complete. */
  readonly partial: boolean;
}

/**
 * Pairs are looked at after a few fixed numbers of them, each look at its share of alpha; it ends when everything is conclusive.
 * @throws InputError, InvalidRunError a side cannot be run; nothing to compare. The signal's reason before the first pair is complete
 */
export async function measurePairs(options: LiveOptions): Promise<LiveRuns> {
  const { maxPairs, signal, progress, judge } = options;
  const runs: RunPair[] = [];
  let looks = lookSchedule(1, maxPairs);
  let family = 1;
  for (let pair = 0; pair < maxPairs; pair++) {
    progress({ done: pair, total: maxPairs, text: `pair ${pair + 1}${pair < looks.at[0] ? '' : ', inconclusive so far'}` });
    try {
      runs.push(await measurePair(options, pair));
    } catch (error) {
      if (!signal.aborted || runs.length === 0) throw error;
      break;
    }
    checkAlike(runs[pair]);
    if (pair === 0) {
      family = judge.family(runs);
      looks = lookSchedule(family, maxPairs);
    }
    if (looks.at.includes(runs.length) && judge.conclusive(runs, looks.alpha)) break;
  }
  return { runs, alpha: looks.alpha, notes: notesOf(options, runs, family), partial: signal.aborted };
}

async function measurePair({ base, head, runArgs, headArgs = [], seed, signal, measure }: LiveOptions, pair: number): Promise<RunPair> {
  const args = ['--repetitions', '1', '--seed', String((seed + pair) % 2 ** 32), ...runArgs];
  // A B, B A: what drifts favours neither.
  if (pair % 2 === 0) {
    const first = await measure(base, args, signal);
    return [first, await measure(head, [...args, ...headArgs], signal)];
  }
  const first = await measure(head, [...args, ...headArgs], signal);
  return [await measure(base, args, signal), first];
}

/** @throws InputError the sides measured different scenarios, or none */
function checkAlike([base, head]: RunPair): void {
  const ids = ({ scenarios }: RunPair[0]): string[] => scenarios.map(({ id }) => id);
  const [before, after] = [ids(base), ids(head)];
  if (before.length > 0 && [...before].sort().join() === [...after].sort().join()) return;
  const only = (these: readonly string[], those: readonly string[]): string =>
    these.filter((id) => !those.includes(id)).join(', ') || 'none';
  throw new InputError(
    `the sides do not measure the same scenarios: only base ${only(before, after)}; only head ${only(after, before)}; name those of both after --, for example -- --path copy --resolution 4k --rate max`,
  );
}

function notesOf({ base, head, maxPairs, signal }: LiveOptions, runs: readonly RunPair[], family: number): string[] {
  const notes = [`base ${base.label}, head ${head.label}: interleaved pairs in fresh processes`];
  if (signal.aborted) notes.push(`stopped before its end: what ${counted(runs.length, 'complete pair says', 'complete pairs say')}`);
  for (const { warning } of base.root === head.root ? [base] : [base, head]) if (warning !== undefined) notes.push(warning);
  const unlike = new Map<string, number>();
  for (const [first, second] of runs)
    for (const difference of environmentDifferences(first.environment, second.environment))
      unlike.set(difference, (unlike.get(difference) ?? 0) + 1);
  for (const [difference, times] of unlike)
    notes.push(`the sides ran differently in ${times} of ${counted(runs.length, 'pair', 'pairs')}: ${difference}`);
  const disturbed = disturbedPairs(runs);
  if (disturbed > 0) notes.push(`the machine disturbed ${disturbed} of ${counted(runs.length, 'pair', 'pairs')}; they are counted`);
  const needed = pairsNeeded(family);
  if (maxPairs < needed) notes.push(`at most ${maxPairs} pairs can show no change in ${family} comparisons: --max-pairs ${needed} or more`);
  return notes;
}
