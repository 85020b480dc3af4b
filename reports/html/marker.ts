import type { Markup } from './escape.ts';
import { html } from './escape.ts';

/** How many markers differ in shape; colours go with them (`p0` … `p4` of the page's style). */
export const MARKERS = 5;

/** One point of a chart: a disc, a hollow diamond, a square, a hollow triangle or an upright bar. @param extra class beside the marker's own */
export function marker(series: number, x: number, y: number, extra = '', hint: string | null = null): Markup {
  const kind = series % MARKERS;
  const name = `${extra === '' ? '' : `${extra} `}p${kind}`;
  const title = hint === null ? '' : html`<title>${hint}</title>`;
  const [cx, cy] = [round(x), round(y)];
  if (kind === 0) return html`<circle class="${name}" cx="${cx}" cy="${cy}" r="4.5">${title}</circle>`;
  return html`<path class="${name}" d="M${cx} ${cy}${SHAPES[kind] ?? ''}">${title}</path>`;
}

const SHAPES = ['', 'm0-6l6 6-6 6-6-6z', 'm-4-4h8v8h-8z', 'm0-5.5l5.5 9.5h-11z', 'm-1.5-6h3v12h-3z'];

/** To hundredths, as a drawing needs no more. */
export function round(value: number): number {
  return Math.round(value * 100) / 100;
}
