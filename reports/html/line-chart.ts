import type { Markup } from './escape.ts';
import { html } from './escape.ts';
import { legend } from './legend.ts';
import { MARKERS, marker, round } from './marker.ts';
import type { Scale } from './scale.ts';

/** Static SVG of lines with marked points. */
export interface LineChart {
  /** Unique on the page, of letters, digits and dashes. */
  id: string;
  title: string;
  description: string;
  /** Written under and over the axes. */
  xName: string;
  yName: string;
  x: Scale;
  y: Scale;
  xTick(value: number): string;
  yTick(value: number): string;
  series: readonly LineSeries[];
}

export interface LineSeries {
  name: string;
  /** Which marker and colour; the same for one path in all charts. */
  style: number;
  points: readonly { x: number; y: number; hint: string }[];
  /** What the line runs through; absent: the points. */
  line?: readonly { x: number; y: number }[];
}

const WIDTH = 640;
const LEFT = 70;
const RIGHT = 30;
const PLOT = WIDTH - LEFT - RIGHT;
const HEIGHT = 230;

export function drawLines(chart: LineChart): Markup {
  const { markup, height } = legend(
    chart.series.map((series) => series.name),
    WIDTH,
    (i, x, y) => marker(chart.series[i].style, x + 8, y + 6),
  );
  const top = height + 26;
  const bottom = top + HEIGHT;
  const atX = (value: number): number => round(LEFT + chart.x.at(value) * PLOT);
  const atY = (value: number): number => round(bottom - chart.y.at(value) * HEIGHT);
  return html`<svg viewBox="0 0 ${WIDTH} ${bottom + 44}" role="img" aria-labelledby="${chart.id}-title ${chart.id}-desc" data-chart="${chart.id}">
<title id="${chart.id}-title">${chart.title}</title><desc id="${chart.id}-desc">${chart.description}</desc>
${markup}<text class="axis" x="0" y="${top - 12}">${chart.yName}</text>
${chart.y.ticks.map((tick) => html`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${atY(tick)}" y2="${atY(tick)}"/><text class="tick left" x="${LEFT - 8}" y="${atY(tick) + 4}">${chart.yTick(tick)}</text>`)}
${chart.x.ticks.map((tick) => html`<line class="grid" x1="${atX(tick)}" x2="${atX(tick)}" y1="${top}" y2="${bottom}"/><text class="tick" x="${atX(tick)}" y="${bottom + 18}">${chart.xTick(tick)}</text>`)}
<text class="axis end-of-axis" x="${WIDTH - RIGHT}" y="${bottom + 38}">${chart.xName}</text>
${chart.series.map((series) => line(series, atX, atY))}
</svg>`;
}

function line(series: LineSeries, atX: (value: number) => number, atY: (value: number) => number): Markup {
  const style = series.style % MARKERS;
  const points = (series.line ?? series.points).map(({ x, y }) => `${atX(x)},${atY(y)}`).join(' ');
  return html`<polyline class="line l${style}" points="${points}"/>${series.points.map((point) => marker(series.style, atX(point.x), atY(point.y), 'mark', point.hint))}`;
}
