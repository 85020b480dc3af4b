import type { Markup } from './escape.ts';
import { html } from './escape.ts';
import { legend } from './legend.ts';
import { marker, round } from './marker.ts';
import type { Scale } from './scale.ts';

/** Static SVG of horizontal rows in blocks: bars that stack, or points on a line. Colours come from the page's style. */
export interface Chart {
  /** Unique on the page, of letters, digits and dashes. */
  id: string;
  title: string;
  description: string;
  kind: 'bars' | 'points';
  series: readonly string[];
  blocks: readonly Block[];
  scale: Scale;
  tick(value: number): string;
}

export interface Block {
  label: string;
  rows: readonly Row[];
}

export interface Row {
  label: string;
  /** One value a series; null: none, no mark. */
  values: readonly (number | null)[];
  /** What a mark says when pointed at, one a series. */
  hints: readonly string[];
  /** Written after the row's marks. */
  end: string;
}

const WIDTH = 640;
const LEFT = 108;
const RIGHT = 134;
const PLOT = WIDTH - LEFT - RIGHT;
const ROW = 20;
const BAR = 13;
const BLOCK_HEAD = 24;

/** Textures over the series' colours, so that no reading depends on colour. The first has none. */
const TEXTURES: readonly string[] = [
  '',
  'M-1 1L1 -1M0 6L6 0M5 7L7 5',
  'M0 1.5H6M0 4.5H6',
  'M1.5 0V6M4.5 0V6',
  'M0 0L6 6M0 6L6 0',
  'M-1 5L1 7M0 0L6 6M5 -1L7 1',
  'M2 3H4M3 2V4',
];

export function drawChart(chart: Chart): Markup {
  const legend = legendOf(chart);
  let y = legend.height;
  const top = y;
  const body: Markup[] = [];
  for (const block of chart.blocks) {
    body.push(html`<text class="block" x="0" y="${y + 16}">${block.label}</text>`);
    y += BLOCK_HEAD;
    for (const row of block.rows) {
      body.push(chart.kind === 'bars' ? barRow(chart, row, y) : pointRow(chart, row, y));
      y += ROW;
    }
  }
  const grid = chart.scale.ticks.map((tick) => {
    const x = round(LEFT + chart.scale.at(tick) * PLOT);
    return html`<line class="grid" x1="${x}" x2="${x}" y1="${top + 6}" y2="${y + 4}"/><text class="tick" x="${x}" y="${y + 18}">${chart.tick(tick)}</text>`;
  });
  const height = y + 26;
  return html`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="${chart.id}-title ${chart.id}-desc" data-chart="${chart.id}">
<title id="${chart.id}-title">${chart.title}</title><desc id="${chart.id}-desc">${chart.description}</desc>
<defs>${chart.series.map((_, i) => texture(chart.id, i))}</defs>
${grid}${legend.markup}
${body}
</svg>`;
}

function barRow(chart: Chart, row: Row, y: number): Markup {
  const marks: Markup[] = [];
  let sum = 0;
  for (const [i, value] of row.values.entries()) {
    if (value === null) continue;
    const from = LEFT + chart.scale.at(sum) * PLOT;
    sum += value;
    const to = LEFT + chart.scale.at(sum) * PLOT;
    marks.push(
      html`<rect class="mark" fill="url(#${chart.id}-s${i})" x="${round(from)}" y="${y + (ROW - BAR) / 2}" width="${round(to - from)}" height="${BAR}"><title>${row.hints[i] ?? ''}</title></rect>`,
    );
  }
  const end = LEFT + chart.scale.at(sum) * PLOT;
  return html`${label(row, y)}<line class="zero" x1="${LEFT}" x2="${LEFT}" y1="${y}" y2="${y + ROW}"/>${marks}${endLabel(row, end, y)}`;
}

function pointRow(chart: Chart, row: Row, y: number): Markup {
  const middle = y + ROW / 2;
  const places = row.values.map((value) => (value === null ? null : LEFT + chart.scale.at(value) * PLOT));
  const present = places.filter((place) => place !== null);
  if (present.length === 0) return html`${label(row, y)}${endLabel(row, LEFT, y)}`;
  const from = Math.min(...present);
  const to = Math.max(...present);
  const marks = places.map((x, i) => (x === null ? '' : marker(i, x, middle, 'mark', row.hints[i] ?? '')));
  return html`${label(row, y)}<line class="span" x1="${round(from)}" x2="${round(to)}" y1="${middle}" y2="${middle}"/>${marks}${endLabel(row, to + 4, y)}`;
}

function label(row: Row, y: number): Markup {
  return html`<text class="row" x="${LEFT - 8}" y="${y + ROW / 2 + 4}">${row.label}</text>`;
}

function endLabel(row: Row, x: number, y: number): Markup {
  return html`<text class="end" x="${round(x + 6)}" y="${y + ROW / 2 + 4}">${row.end}</text>`;
}

function legendOf(chart: Chart): { markup: Markup; height: number } {
  return legend(chart.series, WIDTH, (i, x, y) =>
    chart.kind === 'bars' ? html`<rect fill="url(#${chart.id}-s${i})" x="${x}" y="${y}" width="16" height="12"/>` : marker(i, x + 8, y + 6),
  );
}

function texture(id: string, series: number): Markup {
  const lines = TEXTURES[series % TEXTURES.length] ?? '';
  const overlay = lines === '' ? '' : html`<path class="texture" d="${lines}"/>`;
  return html`<pattern id="${id}-s${series}" width="6" height="6" patternUnits="userSpaceOnUse"><rect class="c${series}" width="6" height="6"/>${overlay}</pattern>`;
}
