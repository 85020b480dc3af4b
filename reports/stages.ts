import { ABSENT } from './columns.ts';
import { duration } from './format.ts';
import { rowName } from './row-name.ts';
import type { LatencyStage, Scenario } from './run-document.ts';
import { LATENCY_STAGES } from './run-document.ts';
import type { Group } from './summary.ts';
import type { Table } from './table.ts';

export const STAGE_TITLE = "Where a frame's time goes";
/** What the shares are of. */
export const STAGE_NOTE = "shares: of the sum of the stages' medians. submit: from the end of rendering or the tick, a readback included.";

const STAGES: readonly LatencyStage[] = LATENCY_STAGES;

/** The stages' medians of groups of one rate or of several, a row a path, each as its share of their sum. */
export function stageTable(groups: readonly Group[]): Table {
  const rows = groups.flatMap((group) => group.scenarios.map((scenario) => [group.label, ...stageCells(scenario)]));
  return { heads: ['size and rate', 'path', ...STAGES, 'sum'], rows, words: 2 };
}

function stageCells(scenario: Scenario): string[] {
  const medians = STAGES.map((stage) => scenario.results.latencyUs[stage]?.p50 ?? null);
  const sum = medians.reduce((total: number, median) => total + (median ?? 0), 0);
  const name = rowName(scenario) + (scenario.results.disturbed ? '*' : '');
  return [name, ...medians.map((median) => (median === null || sum === 0 ? ABSENT : percent(median / sum))), duration(sum)];
}

/** A stage that takes next to nothing is not one that takes nothing. */
function percent(share: number): string {
  return share > 0 && share < 0.005 ? '<1%' : `${(share * 100).toFixed(0)}%`;
}
