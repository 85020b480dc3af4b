import type { Metrics, Scenario } from './run-document.ts';
import type { Group } from './summary.ts';
import { copiedGBps, savingPair, workUs } from './summary.ts';

/** What importing costs beside what it replaces, in one group. */
export interface Saving {
  group: Group;
  imported: Scenario;
  replaced: Scenario;
  cost: { imported: Cost; replaced: Cost };
}

export interface Cost {
  /** Median work of guest and host for a frame, µs. */
  workUs: number;
  /** Cores that this work keeps busy at the rate that was reached: 0.23 is 23% of one. */
  cores: number;
  /** 10^9 bytes a second on the memory bus for copying: a copied byte is read once and written once. */
  trafficGBps: number;
  /** Frames, at max rate updates, a second. */
  fps: number;
}

/** Of each group that has both paths and may be believed to name a headline, in the groups' order. */
export function savingsOf(groups: readonly Group[]): Saving[] {
  return groups.flatMap((group) => {
    const pair = savingPair(group);
    if (pair === null) return [];
    return [{ group, ...pair, cost: { imported: costOf(pair.imported.results), replaced: costOf(pair.replaced.results) } }];
  });
}

function costOf(metrics: Metrics): Cost {
  const work = workUs(metrics);
  return { workUs: work, cores: (work * metrics.fps) / 1e6, trafficGBps: 2 * copiedGBps(metrics), fps: metrics.fps };
}
