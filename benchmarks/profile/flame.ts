import { duration, trimmed } from '../../reports/format.ts';
import { html, type Markup, raw } from '../../reports/html/escape.ts';
import { type Call, KIND_WORDS, type Kind, placeOf } from './call-tree.ts';

const WIDTH = 1180;
const ROW = 18;
/** A lane's heading. */
const HEAD = 24;
/** Narrower calls are left out, and said to be: they could not be seen. */
const LEAST = 0.8;
/** Width of a character, roughly. */
const LETTER = 6.6;

/** Over a kind's colour, so that no reading depends on colour; plain work, and what is outside, have none. */
const TEXTURES: Readonly<Partial<Record<Kind, string>>> = {
  copy: 'M0 3H6',
  spin: 'M-1 1L1 -1M0 6L6 0M5 7L7 5',
  sleep: 'M1 2H2.5M4 5H5.5',
  collection: 'M3 0V6',
};

interface Box {
  readonly call: Call;
  readonly x: number;
  readonly width: number;
  readonly depth: number;
}

/** The calls that can be seen, each below its caller, and how many rows they take. */
export function layOut(root: Call): { boxes: Box[]; rows: number; hidden: number } {
  const boxes: Box[] = [];
  let rows = 0;
  let hidden = 0;
  const scale = root.totalUs > 0 ? WIDTH / root.totalUs : 0;
  const place = (call: Call, x: number, depth: number): void => {
    const width = call.totalUs * scale;
    if (width < LEAST) {
      hidden++;
      return;
    }
    boxes.push({ call, x, width, depth });
    rows = Math.max(rows, depth + 1);
    let at = x;
    for (const child of call.children) {
      place(child, at, depth + 1);
      at += child.totalUs * scale;
    }
  };
  place(root, 0, 0);
  return { boxes, rows, hidden };
}

/** All threads in one drawing, a lane each, on the same scale of time. */
export function drawFlame(lanes: readonly Call[], id: string, title: string): Markup {
  const laid = lanes.map((root) => ({ root, ...layOut(root) }));
  const height = laid.reduce((sum, { rows }) => sum + HEAD + rows * ROW + 8, 0);
  let y = 0;
  const drawn: Markup[] = [];
  for (const { root, boxes, rows } of laid) {
    drawn.push(html`<g><text class="lane" x="2" y="${y + 17}">${root.name} thread</text>`);
    for (const box of boxes) drawn.push(drawBox(box, y + HEAD, root.totalUs));
    drawn.push(raw('</g>\n'));
    y += HEAD + rows * ROW + 8;
  }
  const longest = lanes.map((root) => describe(root)).join(' ');
  return html`<svg class="flame" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="${id}-title ${id}-text" data-chart="${id}">
<title id="${id}-title">${title}</title><desc id="${id}-text">Each box is a function, below its caller, as wide as its share of the thread's time. ${longest}</desc>
<defs>${Object.entries(TEXTURES).map(([kind, lines]) => html`<pattern id="${id}-${kind}" width="6" height="6" patternUnits="userSpaceOnUse"><path class="texture" d="${lines}"/></pattern>`)}</defs>
${drawn}</svg>`;

  function drawBox({ call, x, width, depth }: Box, top: number, total: number): Markup {
    const at = top + depth * ROW;
    const share = trimmed((call.totalUs / total) * 100, 1);
    const own = trimmed((call.selfUs / total) * 100, 1);
    const hint = `${call.name} (${placeOf(call)}): ${duration(call.totalUs)}, ${share}% of the thread, ${own}% its own; ${KIND_WORDS[call.kind]}`;
    const letters = Math.floor((width - 6) / LETTER);
    const name = call.name.length <= letters ? call.name : letters > 3 ? `${call.name.slice(0, letters - 1)}…` : '';
    const box = `x="${x.toFixed(2)}" y="${at}" width="${Math.max(0.3, width - 0.5).toFixed(2)}" height="${ROW - 1}"`;
    const texture = TEXTURES[call.kind] === undefined ? '' : raw(`<rect ${box} fill="url(#${id}-${call.kind})"/>`);
    const words = name === '' ? '' : html`<text class="on ${call.kind}" x="${(x + 4).toFixed(2)}" y="${at + 13}">${name}</text>`;
    return html`<g><title>${hint}</title><rect class="mark ${call.kind}" ${raw(box)}/>${texture}${words}</g>\n`;
  }
}

/** `Host: most of its own time in copy (61%), ring (20%).` */
function describe(root: Call): string {
  const most: Call[] = [];
  const visit = (call: Call): void => {
    if (call.selfUs > 0) most.push(call);
    for (const child of call.children) visit(child);
  };
  visit(root);
  most.sort((a, b) => b.selfUs - a.selfUs);
  const named = most.slice(0, 3).map(({ name, selfUs }) => `${name} (${trimmed((selfUs / root.totalUs) * 100, 0)}%)`);
  return named.length === 0 ? `${root.name}: no samples.` : `${root.name}: most of its own time in ${named.join(', ')}.`;
}
