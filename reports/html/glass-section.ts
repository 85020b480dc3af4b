import { GLASS_HEADS, GLASS_TITLE, GLASS_WORDS, glassNote, glassRows } from '../glass.ts';
import type { Group } from '../summary.ts';
import type { Markup } from './escape.ts';
import { html, raw } from './escape.ts';
import { scrolled } from './scrolled.ts';

/** How long until a browser showed the frames, by each path; empty where none did. */
export function glassSection(groups: readonly Group[]): Markup {
  const rows = glassRows(groups);
  if (rows.length === 0) return html``;
  const side = (i: number): Markup => raw(i < GLASS_WORDS ? ' class="name"' : '');
  return html`<h2>${GLASS_TITLE}</h2>
${scrolled(html`<table id="glass"><thead><tr>${GLASS_HEADS.map((head, i) => html`<th scope="col"${side(i)}>${head}</th>`)}</tr></thead><tbody>
${rows.map(([path = '', ...cells]) => html`<tr><th scope="row">${path}</th>${cells.map((cell, i) => html`<td${side(i + 1)}>${cell}</td>`)}</tr>\n`)}</tbody></table>`)}
<p class="soft">${glassNote(groups)}</p>
`;
}
