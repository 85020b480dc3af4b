import type { Markup } from './escape.ts';
import { html } from './escape.ts';

/** About how wide a table is, CSS pixels. */
export const TABLE_WIDTHS = { words: 345, narrow: 460, usual: 720, wide: 1000, widest: 1300 } as const;
export type TableWidth = keyof typeof TABLE_WIDTHS;

/** A table that scrolls sideways where its place is narrower than it. Words above say so: no page without a script knows how wide it is. */
export function scrolled(table: Markup, width: TableWidth = 'usual'): Markup {
  return html`<div class="place"><p class="hint ${width}" aria-hidden="true">Scroll sideways for all columns →</p>
<div class="scroll table" tabindex="0" role="group" aria-label="Table">${table}</div></div>`;
}

/** The rules that show the hints. */
export const HINT_STYLE = Object.entries(TABLE_WIDTHS)
  .map(([name, pixels]) => `@container (max-width:${pixels}px){.hint.${name}{display:block}}`)
  .join('\n');
