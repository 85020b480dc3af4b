import { compact } from '../format.ts';
import type { Markup } from '../html/escape.ts';
import { html, raw } from '../html/escape.ts';
import { dataTable, figure } from '../html/figure.ts';
import { STYLE } from '../html/style.ts';
import { drawTrend, TREND_STYLE } from './chart.ts';
import type { Change, HistoryDocument, Trend } from './trend.ts';
import { unitOf } from './unit.ts';
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

/** The history as one HTML file that needs no network, no script and no other file. */
export function renderHistoryPage(history: HistoryDocument): string {
  const unit = unitOf(history.metric);
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>scanout history: ${history.metric}</title>
<style>${raw(STYLE)}${raw(TREND_STYLE)}</style>
</head>
<body>
<header>
<h1>History of ${history.metric}</h1>
<p class="soft">${unit === '' ? '' : html`In ${unit}. `}${history.better === 'lower' ? 'Lower' : 'Higher'} is better. ${history.trends.length} ${history.trends.length === 1 ? 'trend' : 'trends'}; runs compare within one environment and one set of options.</p>
</header>
<main>
${verdicts(history)}
${history.environments.map((environment, e) => {
  const trends = history.trends.filter((trend) => trend.environment === environment.id);
  return html`<h2>${environmentWords(environment)}</h2>
<div class="charts">${trends.map((trend, t) => trendFigure(trend, history, `trend-${e}-${t}`))}</div>
`;
})}
</main>
<footer>Changes: E-divisive with a t-test, p &lt; ${history.p}, at least ${Number((history.magnitude * 100).toFixed(2))}% of the lesser level, two runs on each side. Disc: a run. Hollow diamond: a run that was left out. Line: the mean between changes. Triangle: a change, up or down. Times are UTC; a commit with + had changes that were not committed.</footer>
</body>
</html>
`;
  return page.text;
}

/** What changed, the latest first. */
function verdicts(history: HistoryDocument): Markup {
  const changes = history.trends.flatMap((trend) => trend.changes.map((change) => ({ trend, change })));
  changes.sort((a, b) => Date.parse(b.change.startedAt) - Date.parse(a.change.startedAt));
  if (changes.length === 0) {
    const words = history.trends.some(canChange)
      ? html`<strong>No change</strong> in any trend.`
      : html`<strong>Too few runs</strong> to judge any trend.`;
    return html`<ul class="verdict" aria-label="Changes"><li>${words}</li></ul>`;
  }
  return html`<ul class="verdict" aria-label="Changes">${changes.map(
    ({ trend, change }) =>
      html`<li><strong>${trend.scenario}: ${wayWords(change)} ${changeWords(change)}</strong> (${levelWords(change)}) since ${timeWords(change.startedAt)}, ${nearWords(change)} (${trend.environment})</li>\n`,
  )}</ul>`;
}

function trendFigure(trend: Trend, history: HistoryDocument, id: string): Markup {
  return figure({
    title: `${trend.scenario}: ${runWords(trend)}`,
    drawing: drawTrend(trend, history, id),
    words: [trend.options, ...(trend.changes.length === 0 ? [unchangedSentence(trend)] : trend.changes.map(changeSentence))],
    table: dataTable(
      ['run', 'commit', 'left out', history.metric],
      trend.runs.map((run) => [timeWords(run.startedAt), commitWords(run), run.excluded ?? '', compact(run.value)]),
      3,
    ),
  });
}

function unchangedSentence(trend: Trend): string {
  const words = unchangedWords(trend);
  return `${words[0].toUpperCase()}${words.slice(1)}.`;
}

function changeSentence(change: Change): string {
  return `${wayWords(change)} ${changeWords(change)}: ${levelWords(change)} since ${timeWords(change.startedAt)} (${pWords(change.p)}), ${nearWords(change)}.`;
}
