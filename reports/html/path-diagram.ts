import { byteSize, counted } from '../format.ts';
import type { Hop, Way } from '../hops.ts';
import { PLACES, SINK, wayOf, wayTable, wayWords } from '../hops.ts';
import { rowName } from '../row-name.ts';
import type { Scenario } from '../run-document.ts';
import type { Group } from '../summary.ts';
import type { Markup } from './escape.ts';
import { html } from './escape.ts';
import { dataTable, figure } from './figure.ts';

const WIDTH = 960;
const LEFT = 132;
const BOX = 118;
const STEP = 234;
const ROW = 66;
const HEAD = 40;

/** The ways of one group's frames: a row a path, a column a place, an arrow a copy with its bytes. */
export function pathDiagram(group: Group): Markup {
  const rows = group.scenarios.map((scenario) => ({ scenario, way: wayOf(scenario) }));
  const { heads, rows: cells, words } = wayTable(group);
  const height = HEAD + rows.length * ROW + 6;
  const drawing = html`<svg class="paths" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="paths-title paths-desc" data-chart="paths">
<title id="paths-title">Copies on a frame's way</title><desc id="paths-desc">${rows.map(({ scenario, way }) => `${rowName(scenario)}: ${wayWords(way)}`).join('. ')}.</desc>
${PLACES.map((place, i) => html`<text class="place-name" x="${boxAt(i) + BOX / 2}" y="16">${place}</text>`)}
${rows.map(({ scenario, way }, i) => row(scenario, way, HEAD + i * ROW))}
</svg>`;
  return figure({
    title: `Copies on a frame's way, ${group.label}`,
    drawing,
    words: ['Thick arrow: the CPU copies every pixel. Thin dashed arrow: nothing is copied, the sink reads where the pixels lie.'],
    table: dataTable(heads, cells, words),
  });
}

function boxAt(place: number): number {
  return LEFT + place * STEP - (place === SINK ? 12 : 0);
}

function row(scenario: Scenario, way: Way, y: number): Markup {
  const used = new Set([way.start, SINK, ...way.hops.flatMap((hop) => [hop.from, hop.to])]);
  const middle = y + ROW / 2;
  return html`<text class="block" x="0" y="${middle - 2}">${rowName(scenario)}</text><text class="key" x="0" y="${middle + 14}">${counted(way.hops.length, 'copy', 'copies')}</text>
${[...used].map((place) => html`<rect class="place-box" x="${boxAt(place)}" y="${middle - 15}" width="${BOX}" height="30" rx="4"/><text class="in-box" x="${boxAt(place) + BOX / 2}" y="${middle + 4}">${boxWords(scenario, way, place)}</text>`)}
${way.hops.map((hop) => copyArrow(hop, middle))}${way.readAt === SINK ? '' : readArrow(way.readAt, middle)}
`;
}

function boxWords(scenario: Scenario, way: Way, place: number): string {
  if (place === SINK) return `${scenario.sink} sink`;
  if (place === way.start) return place === 0 ? 'GPU buffer' : 'buffer';
  return place === 1 ? 'dumb buffer' : 'host image';
}

function copyArrow(hop: Hop, y: number): Markup {
  const [from, to] = [boxAt(hop.from) + BOX, boxAt(hop.to)];
  const words = `${byteSize(hop.bytes)}, ${hop.by} CPU`;
  return html`<g class="mark copy"><title>${hop.stage}: ${words}</title><path class="copy-line" d="M${from + 2} ${y}H${to - 11}"/><path class="copy-head" d="M${to - 1} ${y}l-12-8v16z"/></g><text class="copy-name" x="${(from + to) / 2}" y="${y - 10}">COPY ${byteSize(hop.bytes)}</text><text class="hop-by" x="${(from + to) / 2}" y="${y + 20}">${hop.by} CPU</text>`;
}

function readArrow(place: number, y: number): Markup {
  const [from, to] = [boxAt(place) + BOX, boxAt(SINK)];
  // Straight through the columns of places that the frame does not visit.
  return html`<g class="read"><title>read in place</title><path class="read-line" d="M${from + 2} ${y}H${to - 8}"/><path class="read-head" d="M${to - 9} ${y - 5}l8 5-8 5"/></g><text class="hop-by" x="${(from + to) / 2}" y="${y - 6}">read in place</text>`;
}
