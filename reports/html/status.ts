import type { RunDocument } from '../run-document.ts';
import { statusOf } from '../status.ts';
import type { Markup } from './escape.ts';
import { html } from './escape.ts';

/** Whether the run is to be believed, before anything that it found. */
export function statusLine(run: RunDocument): Markup {
  const { kind, sign, word, why } = statusOf(run);
  return html`<p id="status" class="status-line"><strong class="${kind}"><span aria-hidden="true">${sign}</span> ${word}</strong> ${why}</p>`;
}
