import { breakEvens } from './break-even.ts';
import { BREAK_EVEN_NOTE, BREAK_EVEN_TITLE, breakEvenSentences, breakEvenTable, ofFirstRate } from './break-even-words.ts';
import { shownChecks } from './checks.ts';
import { COLUMN_NOTE, limitRows, ratioTables, wideColumns } from './columns.ts';
import { LATENCY_TITLE, latencyTable } from './distribution.ts';
import { ENCODE_HEADS, ENCODE_TITLE, ENCODE_WORDS, encodeNotes, encodeRows } from './encode.ts';
import { GAINS_NOTE, GAINS_TITLE, gainTable } from './encode-gains.ts';
import { plain } from './format.ts';
import { GLASS_HEADS, GLASS_TITLE, GLASS_WORDS, glassNote, glassRows } from './glass.ts';
import { WAY_TITLE, wayGroup, wayTable } from './hops.ts';
import { IMPORT_HEADS, IMPORT_NOTE, IMPORT_TITLE, IMPORT_WORDS, importRows } from './imports.ts';
import { notesOf } from './notes.ts';
import { PAIRS_TITLE, pairsNote, pairsWords, pairTable } from './pairs.ts';
import { rowName } from './row-name.ts';
import type { RunDocument } from './run-document.ts';
import { REPLACED_PATH } from './run-document.ts';
import type { SavingsSummary } from './savings.ts';
import { summariseSavings } from './savings.ts';
import { sharedSettings } from './settings.ts';
import { STAGE_NOTE, STAGE_TITLE, stageTable } from './stages.ts';
import { statusOf } from './status.ts';
import { studyMeasure, studyTable } from './study.ts';
import type { Group } from './summary.ts';
import { summarise } from './summary.ts';
import type { Table } from './table.ts';
import { machineWords } from './terminal.ts';

/** The run as GitHub-flavoured Markdown: the HTML report's verdicts, summary and tables, without its drawings. Ends with a newline. */
export function renderMarkdown(run: RunDocument): string {
  const summary = summarise(run);
  const blocks: string[] = ['# scanout'];
  const status = statusOf(run);
  const savings = summariseSavings(summary.groups);
  blocks.push(`${status.sign} **${status.word}** ${status.why}`);
  if (run.partial) blocks.push(`> **${escapeMarkdown(summary.warnings[0] ?? '')}**`);
  if (run.study !== undefined) {
    const { question, answers } = run.study;
    const { heads, rows } = studyTable(run.study);
    blocks.push(`**${escapeMarkdown(question)}** ${escapeMarkdown(answers.join(' ') || 'Too little was measured to answer it.')}`);
    const { gains = [] } = run.study;
    if (gains.length > 0) blocks.push(`**${GAINS_TITLE}**`, tableOf(gainTable(gains)), escapeMarkdown(GAINS_NOTE));
    if (rows.length > 0) blocks.push(escapeMarkdown(studyMeasure(run.study)), table(heads, rows));
  }
  if (run.pairs !== undefined && run.pairs.length > 0) {
    const count = pairsWords(run);
    blocks.push(`**${PAIRS_TITLE}**${count === '' ? '' : `, ${count}`}`, tableOf(pairTable(run.pairs)), escapeMarkdown(pairsNote(run)));
  }
  if (summary.verdicts.length > 0) {
    blocks.push(summary.verdicts.map(({ label, text }) => `- **${escapeMarkdown(label)}:** ${escapeMarkdown(text)}`).join('\n'));
  }
  blocks.push(...summary.remarks.map(escapeMarkdown));
  const warnings = run.partial ? summary.warnings.slice(1) : summary.warnings;
  if (warnings.length > 0) blocks.push(`**Mind:**\n\n${warnings.map((warning) => `- ${escapeMarkdown(warning)}`).join('\n')}`);
  blocks.push(...savingBlocks(summary.groups, savings));
  for (const group of summary.groups) {
    const unit = group.rateHz === null ? ' (updates a second)' : '';
    const columns = wideColumns(group);
    const rows = group.scenarios.map((s) => [
      `${rowName(s)}${s.results.disturbed ? ' (disturbed)' : ''}`,
      ...columns.map((column) => column.cell(s)),
    ]);
    blocks.push(
      `## ${escapeMarkdown(group.label)}${unit}`,
      escapeMarkdown(sharedSettings(group)),
      table(['path', ...columns.map((c) => c.title)], rows),
      ...notesOf(group).map(escapeMarkdown),
    );
  }
  if (summary.groups.length > 0) blocks.push(COLUMN_NOTE);
  const imports = importRows(summary.groups);
  const glass = glassRows(summary.groups);
  if (glass.length > 0) blocks.push(`## ${GLASS_TITLE}`, table(GLASS_HEADS, glass, GLASS_WORDS), escapeMarkdown(glassNote(summary.groups)));
  const encoded = encodeRows(summary.groups);
  if (encoded.length > 0)
    blocks.push(`## ${ENCODE_TITLE}`, table(ENCODE_HEADS, encoded, ENCODE_WORDS), escapeMarkdown(encodeNotes(summary.groups).join(' ')));
  if (imports.length > 0) blocks.push(`## ${IMPORT_TITLE}`, table(IMPORT_HEADS, imports, IMPORT_WORDS), IMPORT_NOTE);
  if (savings !== null) blocks.push('## What importing saves, by size and rate', tableOf(savings.table));
  blocks.push(...breakEvenBlocks(summary.groups), ...wayBlocks(summary.groups), ...timeBlocks(summary.groups));
  if (run.scenarios.some(({ results }) => results.disturbed)) blocks.push(escapeMarkdown('* disturbed: its times are not to be trusted'));
  blocks.push("## The machine's limits", table(['limit', 'measured in the same run'], limitRows(run.limits)));
  for (const ratios of ratioTables(summary.groups)) {
    blocks.push(
      `**${ratios.title}**`,
      table(
        ['', ...ratios.paths],
        ratios.rows.map((row) => [row.label, ...row.cells]),
      ),
    );
  }
  blocks.push('## Checks');
  const checks = shownChecks(run);
  blocks.push(
    checks.length === 0
      ? 'None were made.'
      : table(
          ['check', 'status', 'figures'],
          checks.map((c) => [c.name, c.status, c.detail]),
        ),
  );
  blocks.push('## Machine and command', escapeMarkdown(machineWords(run)), codeBlock(run.command));
  blocks.push(`scanout ${escapeMarkdown(run.scanoutVersion)}, suite ${escapeMarkdown(run.suite)}, ${run.startedAt} to ${run.finishedAt}`);
  return `${blocks.join('\n\n')}\n`;
}

/** What importing saves, and from when it pays, in sentences: their tables come with the others. */
function savingBlocks(groups: readonly Group[], savings: SavingsSummary | null): string[] {
  const blocks: string[] = [];
  if (savings !== null) {
    const figures = savings.figures.map(({ what, figure, detail }) => `- ${escapeMarkdown(what)}: **${figure}** (${detail})`);
    blocks.push(`**What importing saves**, ${savings.imported} against ${REPLACED_PATH}, which it replaces:`, figures.join('\n'));
  }
  const all = breakEvens(groups);
  if (all.length > 0) {
    const sentences = breakEvenSentences(ofFirstRate(all)).map((sentence) => `- ${escapeMarkdown(sentence)}`);
    blocks.push(`**${BREAK_EVEN_TITLE}:**`, sentences.join('\n'));
  }
  return blocks;
}

function breakEvenBlocks(groups: readonly Group[]): string[] {
  const all = breakEvens(groups);
  return all.length === 0 ? [] : [`## ${BREAK_EVEN_TITLE}`, tableOf(breakEvenTable(all)), BREAK_EVEN_NOTE];
}

function wayBlocks(groups: readonly Group[]): string[] {
  const group = wayGroup(groups);
  return group === undefined ? [] : [`## ${WAY_TITLE}`, `${escapeMarkdown(group.label)}:`, tableOf(wayTable(group))];
}

function timeBlocks(groups: readonly Group[]): string[] {
  if (groups.length === 0) return [];
  return [`## ${LATENCY_TITLE}`, tableOf(latencyTable(groups)), `## ${STAGE_TITLE}`, tableOf(stageTable(groups)), STAGE_NOTE];
}

/** Text that came from elsewhere: on one line, its Markdown and HTML without effect. */
export function escapeMarkdown(text: string): string {
  return plain(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll(/[\\`*_[\]|#~$!]/g, '\\$&');
}

function table(head: readonly string[], rows: readonly (readonly string[])[], words = 1): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(escapeMarkdown).join(' | ')} |`;
  const rule = `| ${head.map((_, i) => (i < words ? '---' : '---:')).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

function tableOf({ heads, rows, words }: Table): string {
  return table(heads, rows, words);
}

function codeBlock(text: string): string {
  const longest = [...text.matchAll(/`+/g)].reduce((most, [run]) => Math.max(most, run.length), 2);
  const fence = '`'.repeat(longest + 1);
  return `${fence}sh\n${plain(text)}\n${fence}`;
}
