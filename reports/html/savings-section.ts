import { REPLACED_PATH } from '../run-document.ts';
import { summariseSavings } from '../savings.ts';
import type { Group } from '../summary.ts';
import type { Markup } from './escape.ts';
import { html } from './escape.ts';
import { dataTable } from './figure.ts';
import { scrolled } from './scrolled.ts';

/** The savings in a few figures that need no knowledge of the paths, and of all groups in a table. */
export function savingsSection(groups: readonly Group[]): Markup {
  const summary = summariseSavings(groups);
  if (summary === null) return html``;
  const { heads, rows, words } = summary.table;
  return html`<h2>What importing saves</h2>
<p>A copied frame is read and written once more for each copy, by a CPU. An imported frame is shown from where it lies.
Counted: <b>${summary.imported}</b> against <b>${REPLACED_PATH}</b>, which it replaces.</p>
<ul class="tiles" id="savings">${summary.figures.map(({ what, figure, detail }) => html`<li><span>${what}</span><strong>${figure}</strong><span>${detail}</span></li>\n`)}</ul>
${summary.disturbed ? html`<p class="soft">* disturbed: its times are not to be trusted.</p>` : ''}
<details><summary>Of every size and rate</summary>${scrolled(dataTable(heads, rows, words))}</details>`;
}
