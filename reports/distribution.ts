import { ABSENT } from './columns.ts';
import { duration, grouped } from './format.ts';
import { rowName } from './row-name.ts';
import type { Distribution, LogHistogram, Scenario } from './run-document.ts';
import type { Group } from './summary.ts';
import type { Table } from './table.ts';

export const LATENCY_TITLE = 'How long frames take to be shown';

/** A point of a latency's quantile function. */
export interface Quantile {
  /** Share of the frames that took less, in (0, 1). */
  below: number;
  us: number;
}

/** A percentile that a report names: one frame in so many took longer. */
export interface NamedQuantile extends Quantile {
  name: string;
}

const NAMED: readonly { name: string; oneIn: number; of(distribution: Distribution): number }[] = [
  { name: 'median', oneIn: 2, of: ({ p50 }) => p50 },
  { name: 'p90', oneIn: 10, of: ({ p90 }) => p90 },
  { name: 'p99', oneIn: 100, of: ({ p99 }) => p99 },
  { name: 'p99.9', oneIn: 1000, of: ({ p999 }) => p999 },
];

const NAMES: readonly string[] = [...NAMED.map(({ name }) => name), 'longest'];

export function framesOf({ counts }: LogHistogram): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

/**
 * The quantile function's steps: where each bin begins and ends, at the bin's middle. The last one ends half a frame early,
 * so that the longest has a place on an axis that never comes to 1.
 */
export function quantilesOf(histogram: LogHistogram): Quantile[] {
  const { binsPerDecade, firstBin, counts } = histogram;
  const frames = framesOf(histogram);
  const quantiles: Quantile[] = [];
  let before = 0;
  for (const [i, count] of counts.entries()) {
    if (count === 0) continue;
    const us = 10 ** ((firstBin + i + 0.5) / binsPerDecade);
    quantiles.push({ below: before / frames, us });
    before += count;
    quantiles.push({ below: Math.min(before, frames - 0.5) / frames, us });
  }
  return quantiles;
}

/** The percentiles above which so many frames leave at least one, and the longest. */
export function namedQuantiles(distribution: Distribution, frames: number): NamedQuantile[] {
  const named = NAMED.filter(({ oneIn }) => frames >= oneIn).map(({ name, oneIn, of }) => ({
    name,
    below: 1 - 1 / oneIn,
    us: of(distribution),
  }));
  return [...named, { name: 'longest', below: (frames - 0.5) / frames, us: distribution.max }];
}

/** Latencies of all groups, until the sink shows a frame; `-` where no frame lies above a percentile. */
export function latencyTable(groups: readonly Group[]): Table {
  const rows = groups.flatMap((group) => group.scenarios.map((scenario) => [group.label, ...latencyCells(scenario)]));
  return { heads: ['size and rate', 'path', 'frames', ...NAMES], rows, words: 2 };
}

/** Of a document that has no counts every percentile is told: how many frames they are of is unknown. */
function latencyCells(scenario: Scenario): string[] {
  const { results, latencyHistograms } = scenario;
  const frames = latencyHistograms === undefined ? null : framesOf(latencyHistograms.submitToPresent);
  const { submitToPresent } = results.latencyUs;
  const quantiles = submitToPresent === null ? [] : namedQuantiles(submitToPresent, frames ?? 1000);
  const told = new Map(quantiles.map(({ name, us }) => [name, duration(us)]));
  return [
    rowName(scenario) + (results.disturbed ? '*' : ''),
    frames === null ? ABSENT : grouped(frames),
    ...NAMES.map((name) => told.get(name) ?? ABSENT),
  ];
}
