import { plain } from '../format.ts';

/** Text that is HTML already. Only `html` and `raw` make it, so that nothing unescaped slips in. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Part = string | number | Markup | readonly Part[];

/** A template whose values are escaped, for text and quoted attributes alike, unless they are Markup. */
export function html(strings: TemplateStringsArray, ...parts: Part[]): Markup {
  let text = strings[0] ?? '';
  for (const [i, part] of parts.entries()) text += write(part) + (strings[i + 1] ?? '');
  return new Markup(text);
}

/** Our own text, as it is: style sheets. */
export function raw(text: string): Markup {
  return new Markup(text);
}

/** For text and for attribute values in quotes; control characters become spaces. */
export function escapeHtml(text: string): string {
  return plain(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

function write(part: Part): string {
  if (part instanceof Markup) return part.text;
  if (typeof part === 'string') return escapeHtml(part);
  if (typeof part === 'number') return String(part);
  return part.map(write).join('');
}
