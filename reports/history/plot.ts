import { compact } from '../format.ts';
import type { Trend } from './trend.ts';

const HEIGHT = 9;
const LABEL = 9;

/**
 * A trend drawn with characters: `*` a run, `o` one that was left out, `-` the level between changes, `|` a change.
 * @param width columns that it may take
 * @param magnitude smallest change that counts: noise far below it is drawn small
 */
export function plotTrend(trend: Trend, width: number, magnitude: number): string[] {
  const { runs } = trend;
  const room = width - LABEL - 3;
  const step = Math.max(1, Math.min(4, Math.floor(room / runs.length)));
  const columns = Math.min(room, (runs.length - 1) * step + 1);
  const column = (at: number): number => (runs.length * step <= room ? at * step : Math.floor((at * columns) / runs.length));
  const values = runs.map(({ value }) => value);
  const { low, high } = rangeOf(values, magnitude);
  const row = (value: number): number => Math.round(((high - value) / (high - low)) * (HEIGHT - 1));
  const cells = Array.from({ length: HEIGHT }, () => new Array<string>(columns).fill(' '));
  for (const { from, to, level } of levelsOf(trend)) {
    for (let x = column(from); x <= column(to - 1); x++) cells[row(level)][x] = '-';
  }
  for (const { at } of trend.changes) for (const line of cells) line[column(at)] = '|';
  for (const [at, { value, excluded }] of runs.entries()) {
    const line = cells[row(value)];
    if (excluded === null) line[column(at)] = '*';
    else if (line[column(at)] !== '*') line[column(at)] = 'o';
  }
  const label = (y: number): string => (y === row(high) ? compact(high) : y === row(low) ? compact(low) : '');
  const first = runs[0].startedAt.slice(0, 10);
  const last = runs[runs.length - 1].startedAt.slice(0, 10);
  const dates = first === last || columns < 22 ? first : `${first}${last.padStart(columns - first.length)}`;
  return [
    ...cells.map((line, y) => `${label(y).padStart(LABEL)} ${y === row(high) || y === row(low) ? '+' : '|'}${line.join('')}`.trimEnd()),
    `${' '.repeat(LABEL + 2)}${dates}`,
  ];
}

/** What an axis has to reach over: the values, and at least twice the smallest change that counts. */
export function rangeOf(values: readonly number[], magnitude: number): { low: number; high: number } {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const middle = (low + high) / 2;
  const missing = Math.max(0, 2 * magnitude * Math.abs(middle) - (high - low));
  if (missing === 0 && low === high) return low === 0 ? { low, high: 1 } : { low: low - 1, high: high + 1 };
  return { low: low - missing / 2, high: high + missing / 2 };
}

/** Stretches between changes, as places in `runs`, with their means. */
export function levelsOf({ runs, changes }: Trend): { from: number; to: number; level: number }[] {
  const ends = [...changes.map(({ at }) => at), runs.length];
  return ends.flatMap((to, i) => {
    const from = ends[i - 1] ?? 0;
    const used = runs.slice(from, to).filter(({ excluded }) => excluded === null);
    return used.length === 0 ? [] : [{ from, to, level: used.reduce((sum, { value }) => sum + value, 0) / used.length }];
  });
}
