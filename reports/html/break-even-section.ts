import type { BreakEven } from '../break-even.ts';
import { breakEvens } from '../break-even.ts';
import { BREAK_EVEN_NOTE, BREAK_EVEN_TITLE, breakEvenSentences, breakEvenTable, isDisturbed, ofFirstRate } from '../break-even-words.ts';
import { byteSize, duration, rateName, sizeName, unbroken } from '../format.ts';
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
  const drawn = ofFirstRate(all);
  const rate = rateName(drawn[0].imported.rateHz);
  const sizes = new Set(drawn.map(({ frameBytes }) => frameBytes));
  const { heads, rows, words } = breakEvenTable(all);
  return html`<h2>${BREAK_EVEN_TITLE}</h2>
${breakEvenSentences(drawn).map((sentence) => html`<p class="answer">${unbroken(sentence)}</p>\n`)}
${figure({
  title: `Cost of one import, and work that a frame saves, ${rate}`,
  drawing: sizes.size < 2 ? null : drawLines(chartOf(drawn, rate)),
  words: [
    sizes.size < 2
      ? 'One size was measured: the line over sizes needs two.'
      : 'Where a saving lies above its import, the first frame pays for it.',
    BREAK_EVEN_NOTE,
    all.some(isDisturbed) ? '* disturbed: its times are not to be trusted.' : null,
  ],
  table: dataTable(heads, rows, words),
})}`;
}

function chartOf(drawn: readonly BreakEven[], rate: string): Parameters<typeof drawLines>[0] {
  const series: LineSeries[] = [];
  const times = drawn.flatMap(({ importUs, savedUs }) => [importUs, savedUs]).filter((us) => us > 0);
  for (const path of ['vfio', 'udmabuf'] as const) {
    const points = drawn.filter(({ imported }) => imported.path === path).sort((a, b) => a.frameBytes - b.frameBytes);
    if (points.length === 0) continue;
    const style = path === 'vfio' ? 0 : 1;
    const name = path + (points.some(isDisturbed) ? '*' : '');
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
