import { plain } from '../format.ts';
import type { Metrics, RunDocument, Scenario } from '../run-document.ts';

type Cell = string | number | boolean | null;

/** What tells scenarios apart, before the figures. */
const KEYS = ['id', 'path', 'width', 'height', 'rateHz', 'sink', 'ring', 'layout', 'host', 'renderer', 'buffers', 'heads'] as const;

/**
 * RFC 4180: a header, then a row of each scenario's pooled results (`row` is `results`) and one of each repetition
 * (`timed`, `verify`). Columns are the run document's fields, `latencyUs.submitToPresent.p50`; empty: null there.
 */
export function exportCsv(run: RunDocument): string {
  const rows: Map<string, Cell>[] = [];
  for (const scenario of run.scenarios) {
    const results = rowOf(scenario, 'results', scenario.results);
    // Of all repetitions together: its share of what the encoder does alone has no other place.
    if (scenario.encoder !== undefined) flatten(scenario.encoder, 'encoder.', results);
    rows.push(results);
    for (const repetition of scenario.repetitions) rows.push(rowOf(scenario, repetition.kind, repetition));
  }
  const columns = columnsOf(rows);
  const lines = [columns, ...rows.map((row) => columns.map((column) => row.get(column) ?? null))];
  return lines.map((cells) => `${cells.map(csvCell).join(',')}\r\n`).join('');
}

function rowOf(scenario: Scenario, kind: string, metrics: Metrics): Map<string, Cell> {
  const row = new Map<string, Cell>();
  for (const key of KEYS) row.set(key, scenario[key]);
  row.set(
    'settings',
    Object.entries(scenario.settings ?? {})
      .map(([name, value]) => `${name}=${value}`)
      .join(' '),
  );
  row.set('row', kind);
  flatten(metrics, '', row);
  row.delete('kind');
  return row;
}

/** A null object leaves no columns of its own: a row that has the object brings them. */
function flatten(value: object, prefix: string, row: Map<string, Cell>): void {
  for (const [name, inner] of Object.entries(value)) {
    // A field that this version does not know may have any name: none takes the place of what tells scenarios apart.
    if (Array.isArray(inner) || row.has(`${prefix}${name}`)) continue;
    if (typeof inner === 'object' && inner !== null) flatten(inner, `${prefix}${name}.`, row);
    else if (typeof inner === 'string' || typeof inner === 'number' || typeof inner === 'boolean') row.set(`${prefix}${name}`, inner);
    else row.set(`${prefix}${name}`, null);
  }
}

/** In the order in which the rows first have them; without those that are null everywhere and objects elsewhere. */
function columnsOf(rows: readonly Map<string, Cell>[]): string[] {
  const columns = [...new Set(rows.flatMap((row) => [...row.keys()]))];
  const objects = new Set(columns.map((column) => column.slice(0, Math.max(0, column.lastIndexOf('.')))));
  return columns.filter((column) => !objects.has(column));
}

function csvCell(cell: Cell): string {
  if (typeof cell !== 'string') return cell === null ? '' : String(cell);
  const text = plain(cell);
  // A spreadsheet runs what begins so as a formula.
  const safe = /^[=+\-@]/.test(text) ? `'${text}` : text;
  return /[",]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
