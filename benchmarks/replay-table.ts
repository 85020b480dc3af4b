import { basename } from 'node:path';
import { byteSize, compact, counted, grouped, plain } from '../reports/format.ts';
import type { ReplayDocument, ReplayedTrace } from './replay.ts';

const WIDTH = 80;
const NAME_WIDTH = 30;
/** Errors listed a trace; the rest is only counted. */
const LISTED_ERRORS = 10;

type Cells = readonly string[];

/** What `scanout replay` prints: the verdict, then tables of at most 80 columns. Ended by a newline. */
export function replayText(document: ReplayDocument): string {
  const { traces } = document;
  const blocks = [verdict(document), table(traceRows(traces)), table(commandRows(traces)), table(responseRows(traces))];
  blocks.push(traces.flatMap(fallbackLines).join('\n'), traces.flatMap(errorLines).join('\n'));
  return `${blocks.filter((block) => block !== '').join('\n\n')}\n`;
}

export function errorCount(document: ReplayDocument): number {
  return sum(document.traces, ({ errors }) => errors.length);
}

function verdict(document: ReplayDocument): string {
  const { traces, interrupted } = document;
  const errors = errorCount(document);
  const fallbacks = sum(traces, (trace) => trace.fallbacks.length);
  const commands = sum(traces, commandCount);
  const what = `${traces.length} ${traces.length === 1 ? 'trace' : 'traces'}, ${commands} ${commands === 1 ? 'command' : 'commands'}`;
  let text = `${what}: ${errors === 0 ? 'no' : errors} error ${errors < 2 ? 'response' : 'responses'}`;
  if (fallbacks > 0) text += `; ${counted(fallbacks, 'import', 'imports')} became ${fallbacks === 1 ? 'a copy' : 'copies'}`;
  return interrupted ? `interrupted, ${text}` : text;
}

function traceRows(traces: readonly ReplayedTrace[]): Cells[] {
  const rows: Cells[] = [['trace', 'commands', 'errors', 'copied', 'fallbacks', 'host ms']];
  for (const trace of traces) {
    const us = sum(Object.values(trace.times), ({ count, meanUs }) => count * meanUs);
    rows.push([
      shortName(trace),
      grouped(commandCount(trace)),
      grouped(trace.errors.length),
      byteSize(trace.bytesCopied),
      grouped(trace.fallbacks.length),
      compact(us / 1000),
    ]);
  }
  return rows;
}

/** Over all traces, the most frequent first. */
function commandRows(traces: readonly ReplayedTrace[]): Cells[] {
  const all = new Map<string, { count: number; us: number; maxUs: number }>();
  for (const { times } of traces) {
    for (const [name, { count, meanUs, maxUs }] of Object.entries(times)) {
      const entry = all.get(name) ?? { count: 0, us: 0, maxUs: 0 };
      all.set(name, { count: entry.count + count, us: entry.us + count * meanUs, maxUs: Math.max(entry.maxUs, maxUs) });
    }
  }
  const rows: Cells[] = [['command', 'count', 'host µs mean', 'host µs max']];
  for (const [name, { count, us, maxUs }] of [...all].sort((a, b) => b[1].count - a[1].count)) {
    rows.push([name, grouped(count), compact(us / count), compact(maxUs)]);
  }
  return rows;
}

function responseRows(traces: readonly ReplayedTrace[]): Cells[] {
  const all = new Map<string, number>();
  for (const { responses } of traces) {
    for (const [name, count] of Object.entries(responses)) all.set(name, (all.get(name) ?? 0) + count);
  }
  const rows: Cells[] = [['response', 'count']];
  for (const [name, count] of [...all].sort((a, b) => b[1] - a[1])) rows.push([name, grouped(count)]);
  return rows;
}

function fallbackLines(trace: ReplayedTrace): string[] {
  return trace.fallbacks.flatMap(({ resourceId, reason, line, entries }) =>
    wrap(
      `${shortName(trace)}: line ${line}: resource ${resourceId} (${counted(entries, 'entry', 'entries')}) was copied: ${plain(reason)}`,
    ),
  );
}

function errorLines(trace: ReplayedTrace): string[] {
  const lines = trace.errors
    .slice(0, LISTED_ERRORS)
    .flatMap(({ line, command, response }) => wrap(`${shortName(trace)}: line ${line}: ${command}: ${plain(response)}`));
  const more = trace.errors.length - LISTED_ERRORS;
  if (more > 0) lines.push(`${shortName(trace)}: and ${counted(more, 'more error', 'more errors')}, all with --json`);
  return lines;
}

/** The first column is text, the others are numbers. */
function table(rows: readonly Cells[]): string {
  if (rows.length < 2) return '';
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The file's name without folder and ending; of a long one the end, where recordings differ. */
function shortName(trace: ReplayedTrace): string {
  const name = plain(basename(trace.file)).replace(/\.jsonl$/, '');
  return name.length <= NAME_WIDTH ? name : `…${name.slice(1 - NAME_WIDTH)}`;
}

/** Breaks at spaces; continued lines are indented. */
function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = `  ${word}`;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function commandCount(trace: ReplayedTrace): number {
  return sum(Object.values(trace.commands), (count) => count);
}

function sum<T>(list: readonly T[], value: (item: T) => number): number {
  return list.reduce((total, item) => total + value(item), 0);
}
