import { compact } from '../format.ts';
import type { Markup } from '../html/escape.ts';
import { html } from '../html/escape.ts';
import { marker, round } from '../html/marker.ts';
import { levelsOf, rangeOf } from './plot.ts';
import type { HistoryDocument, Trend, TrendRun } from './trend.ts';
import { unitOf } from './unit.ts';
import { changeWords, commitWords, levelWords, runWords, timeWords, unchangedWords } from './words.ts';

const WIDTH = 640;
const LEFT = 64;
const RIGHT = 16;
const TOP = 26;
const PLOT = 170;

/** Rules of this chart, beside those of the report. */
export const TREND_STYLE = `svg .level{stroke:var(--ink);stroke-width:1.5}svg .change{stroke:var(--soft);stroke-dasharray:4 3}
svg .way{fill:var(--soft)}svg .way.regressed{fill:var(--bad)}svg .way.improved{fill:var(--good)}svg .value{text-anchor:end;fill:var(--soft);font-size:11px}svg .from{text-anchor:start}svg .to{text-anchor:end}`;

/** A trend as static SVG: discs for runs, hollow diamonds for those left out, a line a level, triangles where it changed. */
export function drawTrend(trend: Trend, history: HistoryDocument, id: string): Markup {
  const { runs, changes } = trend;
  const x = (at: number): number => round(LEFT + ((at + 0.5) / runs.length) * (WIDTH - LEFT - RIGHT));
  const { low, high } = rangeOf(
    runs.map(({ value }) => value),
    history.magnitude,
  );
  const axis = axisOf(low, high);
  const y = (value: number): number => round(TOP + (1 - (value - axis.low) / (axis.high - axis.low)) * PLOT);
  const bottom = TOP + PLOT;
  const first = runs[0];
  const last = runs[runs.length - 1];
  return html`<svg viewBox="0 0 ${WIDTH} ${bottom + 28}" role="img" aria-labelledby="${id}-title ${id}-desc" data-chart="${id}">
<title id="${id}-title">${history.metric} of ${trend.scenario}</title><desc id="${id}-desc">${descriptionOf(trend)}</desc>
<text class="axis" x="0" y="12">${unitOf(history.metric)}</text>${axis.ticks.map((tick) => html`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(tick)}" y2="${y(tick)}"/><text class="value" x="${LEFT - 8}" y="${y(tick) + 4}">${tickWords(tick, axis.step)}</text>`)}
${levelsOf(trend).map(({ from, to, level }) => html`<line class="level" x1="${round(x(from) - 4)}" x2="${round(x(to - 1) + 4)}" y1="${y(level)}" y2="${y(level)}"/>`)}
${changes.map((change) => {
  const middle = round((x(change.at) + x(change.at - 1)) / 2);
  const up = change.after > change.before;
  return html`<line class="change" x1="${middle}" x2="${middle}" y1="${TOP}" y2="${bottom}"/><path class="way ${change.verdict}" d="${up ? `M${middle - 6} ${TOP - 4}l6 -10 6 10z` : `M${middle - 6} ${TOP - 14}l6 10 6 -10z`}"><title>${change.verdict} ${changeWords(change)}: ${levelWords(change)}, ${timeWords(change.startedAt)}</title></path>`;
})}
${runs.map((run, at) => marker(run.excluded === null ? 0 : 1, x(at), y(run.value), 'mark', hintOf(run)))}
<text class="tick from" x="${LEFT}" y="${bottom + 20}">${timeWords(first.startedAt)}</text>
${runs.length > 1 ? html`<text class="tick to" x="${WIDTH - RIGHT}" y="${bottom + 20}">${timeWords(last.startedAt)}</text>` : ''}
</svg>`;
}

function hintOf(run: TrendRun): string {
  const left = run.excluded === null ? '' : `, left out: ${run.excluded}`;
  return `${timeWords(run.startedAt)}, commit ${commitWords(run)}: ${compact(run.value)}${left}`;
}

function descriptionOf(trend: Trend): string {
  const values = trend.runs.map(({ value }) => value);
  const told = trend.changes.map((change) => `${change.verdict} ${changeWords(change)} at ${timeWords(change.startedAt)}`);
  return `${runWords(trend)}, from ${compact(Math.min(...values))} to ${compact(Math.max(...values))}; ${told.length === 0 ? unchangedWords(trend) : told.join(', ')}.`;
}

interface Axis {
  readonly low: number;
  readonly high: number;
  readonly step: number;
  readonly ticks: readonly number[];
}

/** Round values around both; from 0 where they reach down to half of the highest. */
function axisOf(least: number, most: number): Axis {
  const from = least >= 0 && least <= most / 2 ? 0 : least;
  const span = most - from;
  const power = 10 ** Math.floor(Math.log10(span / 4));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= (span / 4) * 0.999) ?? 10) * power;
  const low = Math.floor(from / step + 1e-9) * step;
  const high = Math.max(low + step, Math.ceil(most / step - 1e-9) * step);
  const count = Math.round((high - low) / step);
  return { low, high, step, ticks: Array.from({ length: count + 1 }, (_, i) => low + i * step) };
}

/** As many digits as tell one tick from the next. */
function tickWords(tick: number, step: number): string {
  if (Math.abs(tick) >= 1e6) return compact(tick);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return tick.toFixed(Math.min(6, digits)).replace(/\B(?=(\d{3})+$)/g, digits === 0 ? ',' : '');
}
