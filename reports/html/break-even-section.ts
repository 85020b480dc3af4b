import type { BreakEven } from '../break-even.ts';
import { breakEvens, firstFrameBytes } from '../break-even.ts';
import { byteSize, counted, duration, grouped, rateName, sizeName } from '../format.ts';
import { PATHS, REPLACED_PATH } from '../run-document.ts';
import type { Group } from '../summary.ts';
import type { Markup } from './escape.ts';
import { html } from './escape.ts';
import { dataTable, figure } from './figure.ts';
import type { LineSeries } from './line-chart.ts';
import { drawLines } from './line-chart.ts';
import { logScale, logScaleOf } from './scale.ts';

/** From which frame size and rate importing pays: each size's import beside what a frame saves. */
export function breakEvenSection(groups: readonly Group[]): Markup {
  const all = breakEvens(groups);
  if (all.length === 0) return html``;
  // One rate in the drawing, the first of the groups: latencies of a paced run and of one at max rate are not the same work.
  const { rateHz } = all[0].imported;
  const drawn = all.filter(({ imported }) => imported.rateHz === rateHz);
  const sizes = new Set(drawn.map(({ frameBytes }) => frameBytes));
  const marked = all.some(disturbed);
  return html`<h2>From when importing pays</h2>
${sentences(drawn).map((sentence) => html`<p class="answer">${sentence}</p>\n`)}
${figure({
  title: `Cost of one import, and work that a frame saves, ${rateName(rateHz)}`,
  drawing: sizes.size < 2 ? null : drawLines(chartOf(drawn, rateName(rateHz))),
  words: [
    sizes.size < 2
      ? 'One size was measured: the line over sizes needs two.'
      : 'Where a saving lies above its import, the first frame pays for it.',
    "Import: the host's work for one buffer. What the replaced path imports itself is not held against it.",
    marked ? '* disturbed: its times are not to be trusted.' : null,
  ],
  table: dataTable(['size and rate', 'path', 'one import', 'saved a frame', 'frames to pay', 'all buffers paid after'], all.map(cells), 2),
})}`;
}

function disturbed({ imported, replaced }: BreakEven): boolean {
  return imported.results.disturbed || replaced.results.disturbed;
}

function cells(each: BreakEven): string[] {
  return [
    each.group.label,
    each.imported.path + (disturbed(each) ? '*' : ''),
    duration(each.importUs),
    each.savedUs > 0 ? duration(each.savedUs) : `−${duration(-each.savedUs)}`,
    each.frames === null ? 'never' : grouped(each.frames),
    each.paidAfterUs === null ? '-' : duration(each.paidAfterUs),
  ];
}

function sentences(drawn: readonly BreakEven[]): string[] {
  return PATHS.flatMap((path) => {
    const points = drawn.filter(({ imported }) => imported.path === path);
    const largest = points[0];
    if (largest === undefined) return [];
    const size = sizeName(largest.imported.width, largest.imported.height);
    const cost = `${path}${points.some(disturbed) ? ' (disturbed)' : ''}, ${size}: importing a buffer costs ${duration(largest.importUs)} once`;
    if (largest.frames === null) return [`${cost} and saves nothing against ${REPLACED_PATH}.`];
    const when = largest.frames === 1 ? 'with its first frame' : `after ${counted(largest.frames, 'frame', 'frames')}`;
    const after =
      largest.paidAfterUs === null
        ? ''
        : ` (${buffersWords(largest.imported.buffers)} within ${duration(largest.paidAfterUs)} at ${rateName(largest.imported.rateHz)})`;
    const from = firstFrameBytes(points);
    const smaller =
      from === null
        ? ''
        : from < 4096
          ? ' A line through the measured sizes finds no size at which the first frame would not pay.'
          : ` A line through the measured sizes: the first frame pays from ${byteSize(from)} (${wideSize(from)} pixels); smaller frames need their buffer to be shown more often.`;
    return [`${cost} and each frame saves ${duration(largest.savedUs)} against ${REPLACED_PATH}: paid ${when}${after}.${smaller}`];
  });
}

function buffersWords(count: number): string {
  return count === 1 ? 'the buffer' : count === 2 ? 'both buffers' : `all ${grouped(count)} buffers`;
}

/** About the 16:9 frame of so many bytes, 4 a pixel. */
function wideSize(bytes: number): string {
  const width = Math.sqrt((bytes / 4) * (16 / 9));
  return `about ${Math.round(width)}x${Math.round((width * 9) / 16)}`;
}

function chartOf(drawn: readonly BreakEven[], rate: string): Parameters<typeof drawLines>[0] {
  const series: LineSeries[] = [];
  const times = drawn.flatMap(({ importUs, savedUs }) => [importUs, savedUs]).filter((us) => us > 0);
  for (const path of ['vfio', 'udmabuf'] as const) {
    const points = drawn.filter(({ imported }) => imported.path === path).sort((a, b) => a.frameBytes - b.frameBytes);
    if (points.length === 0) continue;
    const style = path === 'vfio' ? 0 : 1;
    const name = path + (points.some(disturbed) ? '*' : '');
    const at = (us: (each: BreakEven) => number, what: string): LineSeries['points'] =>
      points
        .filter((each) => us(each) > 0)
        .map((each) => ({ x: each.frameBytes, y: us(each), hint: `${path}, ${each.group.label}: ${what} ${duration(us(each))}` }));
    series.push({ name: `${name}: one import`, style, points: at((each) => each.importUs, 'one import') });
    series.push({ name: `${name}: saved a frame`, style: style + 2, points: at((each) => each.savedUs, 'saved a frame') });
  }
  return {
    id: 'break-even',
    title: `Cost of one import, and work that a frame saves, ${rate}`,
    description: `Microseconds by frame size, both axes logarithmic. ${series.map(({ name, points }) => `${name} ${points.map(({ y }) => duration(y)).join(', ')}`).join('; ')}.`,
    xName: 'frame size',
    yName: 'time',
    x: logScaleOf(drawn.map(({ frameBytes }) => frameBytes)),
    y: logScale(Math.min(...times), Math.max(...times)),
    xTick: (bytes) => {
      const found = drawn.find(({ frameBytes }) => frameBytes === bytes)?.imported;
      return found === undefined ? byteSize(bytes) : sizeName(found.width, found.height);
    },
    yTick: tidy,
    series,
  };
}

function tidy(us: number): string {
  return duration(us).replace('.0 ', ' ');
}
