import { compact, counted, duration, grouped } from './format.ts';
import type { Metrics, Path, Scenario } from './run-document.ts';
import type { Group } from './summary.ts';
import { copiedGBps, savingPair, workUs } from './summary.ts';
import type { Table } from './table.ts';

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

/** A saving in words that need no knowledge of the paths. */
export interface SavingFigure {
  what: string;
  figure: string;
  detail: string;
}

export interface SavingsSummary {
  /** What the figures are of; they are counted against REPLACED_PATH. */
  imported: Path;
  figures: SavingFigure[];
  /** Of every group, two rows each. */
  table: Table;
  /** Whether a place is marked `*`: the machine got in its way. */
  disturbed: boolean;
}

/** Of each group that has both paths and may be believed to name a headline, in the groups' order. */
export function savingsOf(groups: readonly Group[]): Saving[] {
  return groups.flatMap((group) => {
    const pair = savingPair(group);
    if (pair === null) return [];
    const [imported, replaced] = [costOf(pair.imported.results), costOf(pair.replaced.results)];
    return imported === null || replaced === null ? [] : [{ group, ...pair, cost: { imported, replaced } }];
  });
}

/** CPU, work and memory traffic at the first fixed rate, frames at max rate; null: no group names a saving. */
export function summariseSavings(groups: readonly Group[]): SavingsSummary | null {
  const savings = savingsOf(groups);
  const paced = savings.find((saving) => saving.group.rateHz !== null);
  const atMax = savings.filter((saving) => saving.group.rateHz === null);
  const shown = paced ?? atMax[0];
  if (shown === undefined) return null;
  const rival = atMax.find(({ group }) => group.width === shown.group.width && group.height === shown.group.height) ?? atMax[0];
  return {
    imported: shown.imported.path,
    figures: [
      ...(paced === undefined ? [] : [coreFigure(paced)]),
      workFigure(shown),
      trafficFigure(shown),
      ...(rival === undefined ? [] : [framesFigure(rival)]),
    ],
    table: savingsTable(savings),
    disturbed: savings.some(isDisturbed),
  };
}

/** null: the host's work is not known. */
function costOf(metrics: Metrics): Cost | null {
  const work = workUs(metrics);
  if (work === null) return null;
  return { workUs: work, cores: (work * metrics.fps) / 1e6, trafficGBps: 2 * copiedGBps(metrics), fps: metrics.fps };
}

function isDisturbed({ imported, replaced }: Saving): boolean {
  return imported.results.disturbed || replaced.results.disturbed;
}

function place(saving: Saving): string {
  return saving.group.label + (isDisturbed(saving) ? '*' : '');
}

function coreFigure(saving: Saving): SavingFigure {
  const { imported, replaced } = saving.cost;
  const percent = (replaced.cores - imported.cores) * 100;
  return {
    what: `CPU, ${place(saving)}`,
    figure: percent >= 0 ? `${compact(percent)}% of a core free` : `${compact(-percent)}% of a core more`,
    detail: `${compact(imported.cores * 100)}% busy instead of ${compact(replaced.cores * 100)}%`,
  };
}

function workFigure(saving: Saving): SavingFigure {
  const { imported, replaced } = saving.cost;
  const less = replaced.workUs - imported.workUs;
  return {
    what: `Work for a frame, ${place(saving)}`,
    figure: `${duration(Math.abs(less))} ${less >= 0 ? 'less' : 'more'}`,
    detail: `${duration(imported.workUs)} instead of ${duration(replaced.workUs)}, guest and host together`,
  };
}

function trafficFigure(saving: Saving): SavingFigure {
  const { imported, replaced } = saving.cost;
  const less = replaced.trafficGBps - imported.trafficGBps;
  return {
    what: `Memory traffic, ${place(saving)}`,
    figure: `${Math.abs(less).toFixed(2)} GB/s ${less >= 0 ? 'less' : 'more'}`,
    detail: `${counted(saving.imported.results.copiesPerFrame, 'copy', 'copies')} of a frame instead of ${grouped(saving.replaced.results.copiesPerFrame)}; a copied byte is read and written`,
  };
}

function framesFigure(saving: Saving): SavingFigure {
  const { imported, replaced } = saving.cost;
  const times = replaced.fps > 0 ? imported.fps / replaced.fps : 0;
  return {
    what: `Frames, ${place(saving)}`,
    figure: times > 0 ? `${compact(times)} times as many` : 'no figure',
    detail: `${compact(imported.fps)} updates a second instead of ${compact(replaced.fps)}`,
  };
}

function savingsTable(savings: readonly Saving[]): Table {
  const paced = savings.some(({ group }) => group.rateHz !== null);
  const rows = savings.flatMap(({ group, imported, replaced, cost }) =>
    [
      { scenario: imported, own: cost.imported },
      { scenario: replaced, own: cost.replaced },
    ].map(({ scenario, own }) => [
      group.label,
      scenario.path + (scenario.results.disturbed ? '*' : ''),
      duration(own.workUs),
      own.cores.toFixed(2),
      own.trafficGBps.toFixed(2),
      compact(own.fps),
      ...(paced ? [group.rateHz === null ? '-' : grouped(scenario.results.vblanksMissed)] : []),
    ]),
  );
  const heads = ['size and rate', 'path', 'work a frame', 'cores busy', 'memory GB/s', 'a second'];
  return { heads: paced ? [...heads, 'vblanks missed'] : heads, rows, words: 2 };
}
