import { PAIRS_TITLE, pairsNote, pairsWords, pairTable } from '../pairs.ts';
import type { PairedRatio, RunDocument } from '../run-document.ts';
import type { Markup } from './escape.ts';
import { html } from './escape.ts';
import { dataTable } from './figure.ts';
import { scrolled } from './scrolled.ts';

/** What a suite's hosts do beside one another. */
export function pairsSection(run: RunDocument, pairs: readonly PairedRatio[]): Markup {
  const count = pairsWords(run);
  if (pairs.length === 0)
    return html`<h2>${PAIRS_TITLE}</h2><p>Of no pair both scenarios were measured: a selection of paths or sizes may leave one out.</p>`;
  const { heads, rows, words } = pairTable(pairs);
  return html`<h2>${PAIRS_TITLE}${count === '' ? '' : `, ${count}`}</h2>
${scrolled(dataTable(heads, rows, words))}
<p class="soft">${pairsNote(run)}</p>`;
}
