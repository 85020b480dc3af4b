import type { Markup } from './escape.ts';
import { html } from './escape.ts';
import type { TableWidth } from './scrolled.ts';
import { scrolled } from './scrolled.ts';

export interface Figure {
  title: string;
  /** null: `words` stand in its place. */
  drawing: Markup | null;
  words?: readonly (string | null)[];
  /** The drawing's figures. */
  table: Markup;
  tableWidth?: TableWidth;
}

/** A chart with its data in a table that opens below it. */
export function figure({ title, drawing, words = [], table, tableWidth = 'usual' }: Figure): Markup {
  return html`<figure>
<figcaption>${title}</figcaption>
${drawing === null ? '' : html`<p class="hint chart" aria-hidden="true">Scroll sideways for the whole chart →</p><div class="scroll" tabindex="0" role="group" aria-label="Chart: ${title}">${drawing}</div>`}
${words.map((line) => (line === null ? '' : html`<p${drawing === null ? '' : html` class="soft"`}>${line}</p>\n`))}<details><summary>Data</summary>${scrolled(table, tableWidth)}</details>
</figure>`;
}

/** @param words how many of the columns, from the first, are words; the first cell heads its row */
export function dataTable(heads: readonly string[], rows: readonly (readonly string[])[], words = 1): Markup {
  const cell = (text: string, i: number): Markup =>
    i === 0 ? html`<th scope="row">${text}</th>` : i < words ? html`<td class="name">${text}</td>` : html`<td>${text}</td>`;
  return html`<table><thead><tr>${heads.map((head, i) => (i < words ? html`<th scope="col" class="name">${head}</th>` : html`<th scope="col">${head}</th>`))}</tr></thead><tbody>
${rows.map((cells) => html`<tr>${cells.map(cell)}</tr>\n`)}</tbody></table>`;
}
