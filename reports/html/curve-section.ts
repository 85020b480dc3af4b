import type { CurvePoint, Curves } from '../curves.ts';
import { costByFragments, costBySize, importByFragments } from '../curves.ts';
import { duration, grouped, rateName, sizeName } from '../format.ts';
import type { Path, Scenario } from '../run-document.ts';
import { PATHS } from '../run-document.ts';
import type { Markup } from './escape.ts';
import { html } from './escape.ts';
import { dataTable, figure } from './figure.ts';
import { drawLines } from './line-chart.ts';
import { logScale, logScaleOf } from './scale.ts';

interface CurveKind {
  id: string;
  title: string;
  xName: string;
  /** What a point's place is called. */
  at(scenario: Scenario): string;
  /** What all points share. */
  shared(scenario: Scenario): string;
}

const BY_SIZE: CurveKind = {
  id: 'by-size',
  title: 'Work for a frame by its size',
  xName: 'frame size',
  at: (s) => sizeName(s.width, s.height),
  shared: (s) => `${s.layout} pages`,
};
const BY_FRAGMENTS: CurveKind = {
  id: 'by-fragments',
  title: "Work for a frame by its buffer's fragments",
  xName: 'segments of a buffer',
  at: (s) => grouped(s.results.segments),
  shared: (s) => sizeName(s.width, s.height),
};
const IMPORT_BY_FRAGMENTS: CurveKind = { ...BY_FRAGMENTS, id: 'import-by-fragments', title: 'One import by its fragments' };

/** Flat where frames are imported, rising where they are copied: drawn where a run has two sizes, or two layouts. */
export function curveSection(scenarios: readonly Scenario[]): Markup {
  const figures = [
    ...costBySize(scenarios).map((curves, i) => curveFigure(BY_SIZE, curves, i)),
    ...costByFragments(scenarios).map((curves, i) => curveFigure(BY_FRAGMENTS, curves, i)),
    ...importByFragments(scenarios).map((curves, i) => curveFigure(IMPORT_BY_FRAGMENTS, curves, i)),
  ];
  if (figures.length === 0) return html``;
  return html`<h2>How cost grows</h2>
<p class="soft">Median work of guest and host. Both axes are logarithmic: a flat line costs the same at every place.</p>
<div class="charts">${figures}</div>`;
}

function curveFigure(kind: CurveKind, curves: Curves, index: number): Markup {
  const points = curves.paths.flatMap((each) => each.points);
  const title = `${kind.title}: ${kind.shared(points[0].scenario)}, ${rateName(curves.rateHz)}`;
  const name = ({ x }: CurvePoint): string => kind.at(points.find((point) => point.x === x)?.scenario ?? points[0].scenario);
  const places = [...new Map(points.map((point) => [point.x, point])).values()].sort((a, b) => a.x - b.x);
  const drawing = drawLines({
    id: `${kind.id}-${index}`,
    title,
    description: `${curves.paths.map((each) => `${each.path}: ${growth(each.points)}`).join('; ')}.`,
    xName: kind.xName,
    yName: 'time',
    x: logScaleOf(points.map(({ x }) => x)),
    y: logScale(Math.min(...points.map(({ us }) => us)), Math.max(...points.map(({ us }) => us))),
    xTick: (x) => name(places.find((place) => place.x === x) ?? places[0]),
    yTick: (us) => duration(us).replace('.0 ', ' '),
    series: curves.paths.map((each) => ({
      name: each.path + (each.points.some(({ scenario }) => scenario.results.disturbed) ? '*' : ''),
      style: styleOf(each.path),
      points: each.points.map((point) => ({ x: point.x, y: point.us, hint: `${each.path}, ${name(point)}: ${duration(point.us)}` })),
    })),
  });
  const marked = points.some(({ scenario }) => scenario.results.disturbed);
  return figure({
    title,
    drawing,
    words: marked ? ['* disturbed: its times are not to be trusted.'] : [],
    table: dataTable(
      ['path', ...places.map(name)],
      curves.paths.map((each) => [each.path, ...places.map(({ x }) => cell(each.points.find((point) => point.x === x)))]),
    ),
  });
}

function styleOf(path: Path): number {
  return PATHS.indexOf(path);
}

function cell(point: CurvePoint | undefined): string {
  return point === undefined ? '-' : duration(point.us) + (point.scenario.results.disturbed ? '*' : '');
}

/** `4.0 ms at the most, 3.9 times the least`. */
function growth(points: readonly CurvePoint[]): string {
  const [first, last] = [points[0], points[points.length - 1]];
  return `from ${duration(first.us)} to ${duration(last.us)}, ${(last.us / first.us).toFixed(1)} times`;
}
