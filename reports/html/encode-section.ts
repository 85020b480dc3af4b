import { ENCODE_HEADS, ENCODE_TITLE, ENCODE_WORDS, encodeNotes, encodeRows } from '../encode.ts';
import type { Group } from '../summary.ts';
import type { Markup } from './escape.ts';
import { html, raw } from './escape.ts';
import { scrolled } from './scrolled.ts';

/** What an encoder got by each path; empty where nothing was encoded. */
export function encodeSection(groups: readonly Group[]): Markup {
  const rows = encodeRows(groups);
  if (rows.length === 0) return html``;
  const side = (i: number): Markup => raw(i < ENCODE_WORDS ? ' class="name"' : '');
  return html`<h2>${ENCODE_TITLE}</h2>
${scrolled(html`<table id="encoding"><thead><tr>${ENCODE_HEADS.map((head, i) => html`<th scope="col"${side(i)}>${head}</th>`)}</tr></thead><tbody>
${rows.map(([path = '', ...cells]) => html`<tr><th scope="row">${path}</th>${cells.map((cell, i) => html`<td${side(i + 1)}>${cell}</td>`)}</tr>\n`)}</tbody></table>`)}
${encodeNotes(groups).map((note) => html`<p class="soft">${note}</p>\n`)}`;
}
