/** A comparison in words: for a terminal of 80 columns, and as Markdown for a job summary. */
import { counted, plain } from '../format.ts';
import type { Comparison, ComparisonDocument, Verdict } from './verdict.ts';

/** Shape besides the word: what is not read is seen. */
const MARKS: Readonly<Record<Verdict, string>> = { regressed: '✗', improved: '✓', equivalent: '=', inconclusive: '?' };
const ORDER: readonly Verdict[] = ['regressed', 'improved', 'equivalent', 'inconclusive'];
const WIDTH = 80;

/** `+5.2%`, `-0.4%`, `×12` from a tenfold change on, `any` from a million on: the end of an interval that two values have. */
export function changeWords(ratio: number): string {
  if (ratio >= 1e6) return 'any';
  if (ratio >= 10) return `×${ratio.toFixed(ratio < 100 ? 1 : 0)}`;
  const percent = (ratio - 1) * 100;
  const digits = Math.abs(percent) >= 100 ? 0 : 1;
  const words = percent.toFixed(digits);
  return Number(words) === 0 ? '0.0%' : `${percent > 0 ? '+' : ''}${words}%`;
}

/** `+5.2% [+3.1%, +7.0%]`. */
export function effectWords({ ratio, low, high }: Pick<Comparison, 'ratio' | 'low' | 'high'>): string {
  return `${changeWords(ratio)} [${changeWords(low)}, ${changeWords(high)}]`;
}

/** The verdict in one line, with what decided it. */
export function headline({ verdict, comparisons }: ComparisonDocument): string {
  const counts = ORDER.map((name) => [name, comparisons.filter((one) => one.verdict === name).length] as const)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name}`);
  return `${verdict.toUpperCase()}: of ${counted(comparisons.length, 'comparison', 'comparisons')}: ${counts.join(', ')}`;
}

/** Ended by a newline. */
export function comparisonText(document: ComparisonDocument): string {
  const lines = [headline(document), ...(document.advice === null ? [] : wrapped('> ', plain(document.advice))), ''];
  for (const [scenario, rows] of byScenario(document.comparisons)) {
    lines.push(`${plain(scenario)} (${sampleWords(rows)})`);
    for (const row of rows) {
      const interval = `[${changeWords(row.low)}, ${changeWords(row.high)}]`;
      lines.push(
        `  ${row.metric.padEnd(32)} ${changeWords(row.ratio).padStart(7)} ${interval.padEnd(19)} ${MARKS[row.verdict]} ${row.verdict}`,
      );
    }
    lines.push('');
  }
  lines.push(...wrapped('', `Head over base, 95% intervals. ${meaningOf(document)}`));
  for (const note of document.notes) lines.push(...wrapped('! ', plain(note)));
  return `${lines.join('\n')}\n`;
}

/** Ended by a newline. */
export function comparisonMarkdown(document: ComparisonDocument): string {
  const lines = [
    `**${headline(document)}**`,
    '',
    ...(document.advice === null ? [] : [cell(document.advice), '']),
    '| scenario | metric | change | 95% interval | verdict | n |',
    '| --- | --- | ---: | --- | --- | ---: |',
  ];
  for (const row of document.comparisons) {
    const interval = `${changeWords(row.low)} to ${changeWords(row.high)}`;
    const verdict = `${MARKS[row.verdict]} ${row.verdict}`;
    lines.push(`| ${cell(row.scenario)} | ${cell(row.metric)} | ${changeWords(row.ratio)} | ${interval} | ${verdict} | ${row.pairs} |`);
  }
  if (document.notes.length > 0) lines.push('');
  for (const note of document.notes) lines.push(`- **Mind:** ${cell(note)}`);
  return `${lines.join('\n')}\n`;
}

/** What a verdict is worth: repetitions of one process say what that process did, not what the next one will. */
function meaningOf({ comparisons }: ComparisonDocument): string {
  return comparisons.every(({ paired }) => paired)
    ? 'Verdicts: at 99%, any false one at most 1 in 100.'
    : 'Verdicts: at 99%, of these two runs; runs of one program differ, too, by what the margin must cover.';
}

function sampleWords(rows: readonly Comparison[]): string {
  const fewest = Math.min(...rows.map(({ pairs }) => pairs));
  return rows.every(({ paired }) => paired) ? counted(fewest, 'pair', 'pairs') : `${counted(fewest, 'repetition', 'repetitions')} a side`;
}

function byScenario(comparisons: readonly Comparison[]): Map<string, Comparison[]> {
  const groups = new Map<string, Comparison[]>();
  for (const comparison of comparisons) groups.set(comparison.scenario, [...(groups.get(comparison.scenario) ?? []), comparison]);
  return groups;
}

/** What came from files must neither break a table nor be markup. */
export function cell(text: string): string {
  return plain(text).replaceAll(/[\\`*_|<>[\]]/g, '\\$&');
}

/** `text` in lines of at most 80 columns, the first led by `lead`, the others indented as far. */
export function wrapped(lead: string, text: string): string[] {
  const lines: string[] = [];
  let line = lead;
  let empty = true;
  for (const word of text.split(' ')) {
    if (!empty && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = ' '.repeat(lead.length);
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}
