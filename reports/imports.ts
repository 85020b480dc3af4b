import { compact, grouped, sizeName } from './format.ts';
import type { Scenario } from './run-document.ts';
import type { Group } from './summary.ts';

export const IMPORT_TITLE = 'What importing costs (host work, once a buffer)';
export const IMPORT_HEADS = ['path', 'size', 'layout', 'segments', 'imports', 'mean µs', 'max µs'] as const;
/** How many of the columns, from the first, are words. */
export const IMPORT_WORDS = 3;

/** Imports of buffers that are alike. */
interface Imports {
  path: string;
  size: string;
  layout: string;
  segments: number;
  count: number;
  /** µs, of all of them. */
  sum: number;
  max: number;
}

/**
 * Cells of the table, in the order of the groups' sizes. An import is done once a buffer, whatever the rate or the ring:
 * scenarios of the same path, size and layout make one row, of the undisturbed ones while there are any (else marked `*`).
 */
export function importRows(groups: readonly Group[]): string[][] {
  const alike = new Map<string, Scenario[]>();
  for (const scenario of groups.flatMap((group) => group.scenarios)) {
    if ((scenario.results.importUs?.count ?? 0) === 0) continue;
    const key = `${scenario.path} ${scenario.width}x${scenario.height} ${scenario.layout} ${scenario.results.segments}`;
    alike.set(key, [...(alike.get(key) ?? []), scenario]);
  }
  return [...alike.values()].map((scenarios) => {
    const calm = scenarios.filter((scenario) => !scenario.results.disturbed);
    return cellsOf(together(calm.length > 0 ? calm : scenarios), calm.length === 0);
  });
}

/** Mean µs of importing one buffer; null: the scenario imported none. */
export function importMeanUs(scenario: Scenario): number | null {
  const { importUs } = scenario.results;
  return importUs === null || importUs.count === 0 ? null : importUs.mean;
}

function together(scenarios: readonly Scenario[]): Imports {
  const { path, width, height, layout, results } = scenarios[0];
  const imports: Imports = { path, size: sizeName(width, height), layout, segments: results.segments, count: 0, sum: 0, max: 0 };
  for (const { results } of scenarios) {
    if (results.importUs === null) continue;
    imports.count += results.importUs.count;
    imports.sum += results.importUs.count * results.importUs.mean;
    imports.max = Math.max(imports.max, results.importUs.max);
  }
  return imports;
}

function cellsOf(imports: Imports, disturbed: boolean): string[] {
  const { path, size, layout, segments, count, sum, max } = imports;
  return [
    path + (disturbed ? '*' : ''),
    size,
    layout,
    grouped(segments),
    count < 1e6 ? grouped(count) : compact(count),
    compact(sum / count),
    compact(max),
  ];
}
