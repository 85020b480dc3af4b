import type { Markup } from './escape.ts';
import { html } from './escape.ts';

/**
 * A table that scrolls sideways where the page is narrower than it; words above it say so on pages where that is
 * likely (usual: a phone; wide: most; widest: all, as inside a chart's card). Without a script no page knows its tables' widths.
 */
export function scrolled(table: Markup, width: 'usual' | 'wide' | 'widest' = 'usual'): Markup {
  return html`<p class="hint ${width}" aria-hidden="true">Scroll sideways for all columns →</p>
<div class="scroll table">${table}</div>`;
}
