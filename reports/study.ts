import { ABSENT } from './columns.ts';
import { compact } from './format.ts';
import type { Study, StudyPoint } from './run-document.ts';

/** A study as a table: the axis down, its series across. */
export interface StudyTable {
  heads: string[];
  rows: string[][];
  /** Whether a point is marked `*`: the machine got in its way. */
  disturbed: boolean;
}

export function studyTable(study: Study): StudyTable {
  const places = new Map<string, number>();
  for (const { points } of study.series) for (const { label, at } of points) places.set(label, at);
  const labels = [...places].sort(([, a], [, b]) => a - b).map(([label]) => label);
  const rows = labels.map((label) => [label, ...study.series.map(({ points }) => cellOf(points.find((point) => point.label === label)))]);
  const disturbed = study.series.some(({ points }) => points.some((point) => point.disturbed));
  return { heads: ['', ...study.series.map(({ name }) => name)], rows, disturbed };
}

/** What the table's figures are: `guest and host work a frame, median (µs), by …`. */
export function studyMeasure({ measure, unit, axis }: Study): string {
  return `${measure}${unit === '' ? '' : ` (${unit})`}, by ${axis}`;
}

function cellOf(point: StudyPoint | undefined): string {
  if (point === undefined || point.value === null) return ABSENT;
  return compact(point.value) + (point.disturbed ? '*' : '');
}
