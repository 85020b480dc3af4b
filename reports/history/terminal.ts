import { compact, plain } from '../format.ts';
import { wrap } from '../terminal.ts';
import { plotTrend } from './plot.ts';
import type { HistoryDocument, Trend } from './trend.ts';
import {
  canChange,
  changeWords,
  commitWords,
  environmentWords,
  levelWords,
  nearWords,
  pWords,
  runWords,
  timeWords,
  unchangedWords,
  wayWords,
} from './words.ts';

const WIDTH = 80;
/** More trends than that are a table with a line each. */
const DRAWN = 4;

/** The trends as text of at most 80 columns: what changed first, then a drawing each, or a table of many. Ends with a newline. */
export function renderHistory(history: HistoryDocument): string {
  const { metric, better, trends } = history;
  const changed = trends.filter(({ changes }) => changes.length > 0).length;
  const lines = wrap(
    `${metric} (${better} is better): ${changed === 0 ? (trends.some(canChange) ? 'no change' : 'too few runs to judge') : `${changed} of ${trends.length} ${trends.length === 1 ? 'trend' : 'trends'} changed`}.`,
    0,
  );
  for (const environment of history.environments) {
    const own = trends.filter((trend) => trend.environment === environment.id);
    lines.push('', ...wrap(environmentWords(environment), 2));
    if (trends.length > DRAWN) lines.push(...table(own));
    else for (const trend of own) lines.push('', ...drawing(trend, history.magnitude));
  }
  lines.push(
    '',
    ...wrap(
      `Changes: E-divisive with a t-test, p < ${history.p}, at least ${Number((history.magnitude * 100).toFixed(2))}%, two runs on each side. Runs compare within one environment and one set of options.`,
      0,
    ),
  );
  if (trends.length > DRAWN) lines.push(...wrap('One scenario with its drawing: scanout history --scenario NAME', 0));
  return `${lines.join('\n')}\n`;
}

function drawing(trend: Trend, magnitude: number): string[] {
  const lines = wrap(`${plain(trend.scenario)}: ${runWords(trend)}`, 2);
  lines.push(...wrap(`  ${plain(trend.options)}`, 2), '', ...plotTrend(trend, WIDTH, magnitude));
  for (const change of trend.changes) {
    lines.push(
      '',
      `  ${wayWords(change)} ${changeWords(change)}: ${levelWords(change)} since ${timeWords(change.startedAt)} (${pWords(change.p)})`,
      `    ${nearWords(change)}; ${trend.runs.length - change.at} ${trend.runs.length - change.at === 1 ? 'run' : 'runs'} since`,
    );
  }
  if (trend.changes.length === 0) lines.push('', ...wrap(`  ${unchangedWords(trend)}`, 4));
  for (const reason of new Set(trend.runs.flatMap(({ excluded }) => (excluded === null ? [] : [excluded])))) {
    lines.push(...wrap(`  left out (o): ${plain(reason)}`, 4));
  }
  return lines;
}

/** A line a scenario, its last change beside it. Options that make several trends of one scenario stand below. */
function table(trends: readonly Trend[]): string[] {
  const rows = trends.map((trend) => {
    const last = trend.runs.at(-1);
    const change = trend.changes.at(-1);
    return [
      plain(trend.scenario),
      String(trend.runs.length),
      last === undefined ? '-' : compact(last.value),
      change === undefined ? '-' : changeWords(change),
      change === undefined ? '' : wayWords(change),
      change === undefined ? '' : timeWords(change.startedAt).slice(0, 10),
      change === undefined ? '' : commitWords(trend.runs[change.at]),
    ];
  });
  const head = ['scenario', 'runs', 'latest', 'change', '', 'since', 'commit'];
  const left = new Set([0, 4, 5, 6]);
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  // A long scenario has a line of its own.
  const rest = widths.slice(1).reduce((sum, width) => sum + width + 1, 0);
  const room = Math.min(widths[0], WIDTH - rest);
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(room) : left.has(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join(' ')
      .trimEnd();
  const seen = new Map<string, number>();
  for (const { scenario } of trends) seen.set(scenario, (seen.get(scenario) ?? 0) + 1);
  const lines = [line(head)];
  for (const [i, row] of rows.entries()) {
    const [name = '', ...cells] = row;
    if (name.length > room) lines.push(...wrap(name, 2), line(['', ...cells]));
    else lines.push(line(row));
    if ((seen.get(trends[i].scenario) ?? 0) > 1) lines.push(...wrap(`  ${plain(trends[i].options)}`, 2));
  }
  return lines;
}
