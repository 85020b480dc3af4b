import { breakEvens } from './break-even.ts';
import { BREAK_EVEN_TITLE, breakEvenSentences, ofFirstRate } from './break-even-words.ts';
import { counted } from './format.ts';
import { WAY_TITLE, wayGroup, wayOf, wayWords } from './hops.ts';
import { REPLACED_PATH } from './run-document.ts';
import { summariseSavings } from './savings.ts';
import { STAGE_NOTE, STAGE_TITLE, stageTable } from './stages.ts';
import type { Group } from './summary.ts';
import type { Paint } from './terminal-layout.ts';
import { grid, wrap } from './terminal-layout.ts';

/** What importing saves, and from when it pays, each with an empty line before it; none where no group names a saving. */
export function savingLines(groups: readonly Group[], paint: Paint): string[] {
  const lines: string[] = [];
  const savings = summariseSavings(groups);
  if (savings !== null) {
    lines.push('', ...wrap(`What importing saves: ${savings.imported} against ${REPLACED_PATH}, which it replaces`, 2).map(paint.strong));
    for (const { what, figure, detail } of savings.figures) lines.push(...wrap(`  ${what}: ${figure} (${detail})`, 4));
  }
  const all = breakEvens(groups);
  if (all.length > 0) {
    lines.push('', paint.strong(BREAK_EVEN_TITLE));
    for (const sentence of breakEvenSentences(ofFirstRate(all))) lines.push(...wrap(`  ${sentence}`, 4));
  }
  return lines;
}

/** Each path's copies, told from the ledger, of one group. */
export function wayLines(groups: readonly Group[], paint: Paint): string[] {
  const group = wayGroup(groups);
  if (group === undefined) return [];
  const ways = group.scenarios.map(wayOf);
  const heads = grid(
    group.scenarios.map(({ path }, i) => [`  ${path}`, counted(ways[i].hops.length, 'copy', 'copies')]),
    2,
  );
  const width = Math.max(...heads.map((head) => head.length));
  const [title = '', ...rest] = wrap(`${WAY_TITLE}, ${group.label}`, 2);
  return [paint.strong(title), ...rest, ...heads.flatMap((head, i) => wrap(`${head.padEnd(width)}  ${wayWords(ways[i])}`, width + 2))];
}

/** The stages' shares of the first group of each rate; the other reports have all groups. */
export function stageLines(groups: readonly Group[], paint: Paint): string[] {
  const firsts = groups.filter((group, i) => groups.findIndex(({ rateHz }) => rateHz === group.rateHz) === i);
  const lines = firsts.flatMap((group) => {
    const { heads, rows, words } = stageTable([group]);
    // The title says the size and the rate.
    const [head = '', ...body] = grid(
      [heads, ...rows].map((cells) => cells.slice(1)),
      words - 1,
    );
    const [title = '', ...rest] = wrap(`${STAGE_TITLE}, ${group.label}`, 2);
    return [paint.strong(title), ...rest, paint.faint(head), ...body, ''];
  });
  return lines.length === 0 ? [] : [...lines.slice(0, -1), ...wrap(STAGE_NOTE, 0).map(paint.faint)];
}
