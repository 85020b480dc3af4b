import { compact, grouped, sizeName } from './format.ts';
import type { Scenario } from './run-document.ts';
import { median } from './statistics.ts';
import type { Group } from './summary.ts';

export const IMPORT_TITLE = 'What importing costs (host work, once a buffer)';
export const IMPORT_HEADS = ['path', 'size', 'layout', 'segments', 'imports', 'median µs', 'mean µs', 'max µs'] as const;
/** What `median` in the heads means: one import that the machine got in the way of would carry a mean away. */
export const IMPORT_NOTE = "median: of the repetitions' means.";
/** How many of the columns, from the first, are words. */
export const IMPORT_WORDS = 3;

/** Imports of buffers that are alike. */
interface Imports {
  path: string;
  size: string;
  layout: string;
  segments: number;
  count: number;
  /** Median µs; null: unknown. */
  typical: number | null;
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

/** Median µs of importing one buffer, of the timed repetitions' means; null: the scenarios imported none. */
export function importMedianUs(scenarios: readonly Scenario[]): number | null {
  const repetitions = scenarios
    .flatMap((scenario) => scenario.repetitions)
    .filter((repetition) => repetition.kind === 'timed' && (repetition.importUs?.count ?? 0) > 0);
  const calm = repetitions.filter((repetition) => !repetition.disturbed);
  const means = (calm.length > 0 ? calm : repetitions).flatMap(({ importUs }) => importUs?.mean ?? []);
  return means.length === 0 ? null : median(means);
}

function together(scenarios: readonly Scenario[]): Imports {
  const { path, width, height, layout, results } = scenarios[0];
  const typical = importMedianUs(scenarios);
  const imports: Imports = { path, size: sizeName(width, height), layout, segments: results.segments, count: 0, typical, sum: 0, max: 0 };
  for (const { results } of scenarios) {
    if (results.importUs === null) continue;
    imports.count += results.importUs.count;
    imports.sum += results.importUs.count * results.importUs.mean;
    imports.max = Math.max(imports.max, results.importUs.max);
  }
  return imports;
}

function cellsOf(imports: Imports, disturbed: boolean): string[] {
  const { segments, count, typical, sum, max } = imports;
  const words = [imports.path + (disturbed ? '*' : ''), imports.size, imports.layout];
  const times = [typical === null ? '-' : compact(typical), compact(sum / count), compact(max)];
  return [...words, grouped(segments), count < 1e6 ? grouped(count) : compact(count), ...times];
}
