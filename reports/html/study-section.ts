import { GAINS_NOTE, GAINS_TITLE, gainTable } from '../encode-gains.ts';
import { compact, unbroken } from '../format.ts';
import type { Study } from '../run-document.ts';
import type { Markup } from './escape.ts';
import { html } from './escape.ts';
import { dataTable, figure } from './figure.ts';
import { drawLines } from './line-chart.ts';
import { linearScale, logScale } from './scale.ts';
import { scrolled } from './scrolled.ts';

/** A suite's question, its answer and the one chart that shows it. */
export function studySection(study: Study): Markup {
  const points = study.series.flatMap((series) => series.points);
  const places = [...new Map(points.map(({ at, label }) => [at, label]))].sort(([a], [b]) => a - b);
  const title = `${study.measure}${study.unit === '' ? '' : `, ${study.unit}`}, by ${study.axis}`;
  const table = dataTable(
    [study.axis, ...study.series.map(({ name }) => name)],
    places.map(([at, label]) => [label, ...study.series.map((series) => cell(series.points.find((point) => point.at === at)))]),
  );
  const marked = points.some(({ disturbed }) => disturbed);
  return html`<h2 class="question">${study.question}</h2>
${study.answers.map((answer) => html`<p class="answer">${unbroken(answer)}</p>\n`)}
${figure({ title, drawing: drawing(study, places, title), words: marked ? ['* disturbed: its times are not to be trusted.'] : [], table })}
${gainSection(study)}`;
}

function gainSection({ gains = [] }: Study): Markup {
  if (gains.length === 0) return html``;
  const { heads, rows, words } = gainTable(gains);
  return html`<h3 id="gains">${GAINS_TITLE}</h3>
${scrolled(dataTable(heads, rows, words))}
<p class="soft">${GAINS_NOTE}</p>`;
}

function cell(point: Study['series'][number]['points'][number] | undefined): string {
  return point === undefined || point.value === null ? '-' : compact(point.value) + (point.disturbed ? '*' : '');
}

/** Places stand evenly apart in their order: they may be names. @returns null where nothing was measured */
function drawing(study: Study, places: readonly [number, string][], title: string): Markup | null {
  const values = study.series.flatMap(({ points }) => points.flatMap(({ value }) => value ?? []));
  if (values.length === 0) return null;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  // Costs a hundred times apart need decades; what can be 0 has no logarithm.
  const y = low > 0 && high / low > 20 ? logScale(low, high) : linearScale(high);
  const index = new Map(places.map(([at], i) => [at, i]));
  const last = Math.max(1, places.length - 1);
  return drawLines({
    id: 'study',
    title,
    description: study.answers.length > 0 ? study.answers.join(' ') : `${study.question} Too little was measured for an answer.`,
    xName: study.axis,
    yName: study.unit === '' ? study.measure : study.unit,
    x: { at: (i) => 0.06 + (0.88 * i) / last, ticks: places.map((_, i) => i) },
    y,
    xTick: (i) => places[i]?.[1] ?? '',
    yTick: (value) => compact(value).replace(/\.0$/, ''),
    series: study.series.map(({ name, points }, style) => ({
      name: name + (points.some(({ disturbed }) => disturbed) ? '*' : ''),
      style,
      points: [...points]
        .sort((a, b) => a.at - b.at)
        .flatMap(({ at, label, value }) =>
          value === null ? [] : [{ x: index.get(at) ?? 0, y: value, hint: `${name}, ${label}: ${compact(value)} ${study.unit}` }],
        ),
    })),
  });
}
