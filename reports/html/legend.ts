import type { Markup } from './escape.ts';
import { html } from './escape.ts';
import { round } from './marker.ts';

const LEGEND_ROW = 20;

/** The names of a chart's series in rows at its top; of one series none. @param key draws a series' sign 16 units wide, 12 high */
export function legend(
  names: readonly string[],
  width: number,
  key: (series: number, x: number, y: number) => Markup,
): { markup: Markup; height: number } {
  if (names.length < 2) return { markup: html``, height: 0 };
  const items: Markup[] = [];
  let x = 0;
  let y = 4;
  for (const [i, name] of names.entries()) {
    // No way to measure text without a browser: 6.6 units a character is on the safe side at 12 units' size.
    const taken = 24 + name.length * 6.6 + 14;
    if (x > 0 && x + taken > width) {
      x = 0;
      y += LEGEND_ROW;
    }
    items.push(html`${key(i, round(x), y)}<text class="key" x="${round(x + 22)}" y="${y + 10}">${name}</text>`);
    x += taken;
  }
  return { markup: html`${items}`, height: y + LEGEND_ROW + 2 };
}
