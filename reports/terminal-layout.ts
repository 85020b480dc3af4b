/** Columns of a terminal that every text fits. */
export const WIDTH = 80;
/** Characters of ` GB/s` and of what follows it. */
const LONGEST_UNIT = 6;

/** How a text is made to stand out. */
export interface Paint {
  strong(text: string): string;
  warn(text: string): string;
  faint(text: string): string;
}

export const PLAIN_PAINT: Paint = { strong: (text) => text, warn: (text) => text, faint: (text) => text };
export const ANSI_PAINT: Paint = {
  strong: (text) => `\u001b[1m${text}\u001b[22m`,
  warn: (text) => `\u001b[33m${text}\u001b[39m`,
  faint: (text) => `\u001b[2m${text}\u001b[22m`,
};

/** Cells in columns of equal width, the first `words` of them to the left. */
export function grid(rows: readonly (readonly string[])[], words: number): string[] {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const needed = widths.reduce((sum, width) => sum + width, 0);
  const gap = needed + 2 * (widths.length - 1) <= WIDTH ? '  ' : ' ';
  return rows.map((row) =>
    row
      .map((cell, i) => (i < words ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join(gap)
      .trimEnd(),
  );
}

/** Breaks at spaces (inside a word only when it alone is too long); following lines are indented. */
export function wrap(text: string, indent: number, width = WIDTH): string[] {
  const lines: string[] = [];
  let margin = '';
  let at = 0;
  while (margin.length + text.length - at > width) {
    // No more than one line and the unit after it: a text may be as long as a file.
    const rest = margin + text.slice(at, at + width + LONGEST_UNIT);
    let end = rest.lastIndexOf(' ', width);
    // A number keeps its unit.
    if (/^ (µs|ms|ns|s|[kMG]?B|GB\/s|Hz)(?![A-Za-z])/.test(rest.slice(end))) end = rest.lastIndexOf(' ', end - 1);
    // Never break inside the margin: that would not move on.
    if (end <= indent || rest.slice(0, end).trim() === '') end = width;
    lines.push(rest.slice(0, end).trimEnd());
    at += end - margin.length;
    while (/\s/.test(text.charAt(at))) at++;
    margin = ' '.repeat(indent);
  }
  lines.push((margin + text.slice(at)).trimEnd());
  return lines;
}
