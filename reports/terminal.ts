import { isRoutine, shownChecks } from './checks.ts';
import { limitRows, narrowColumns, ratioTables } from './columns.ts';
import { ENCODE_HEADS, ENCODE_TITLE, ENCODE_WORDS, encodeNotes, encodeRows } from './encode.ts';
import { GAINS_NOTE, GAINS_TITLE, gainTable } from './encode-gains.ts';
import { grouped, plain } from './format.ts';
import { GLASS_HEADS, GLASS_TITLE, GLASS_WORDS, glassNote, glassRows } from './glass.ts';
import { IMPORT_HEADS, IMPORT_NOTE, IMPORT_TITLE, IMPORT_WORDS, importRows } from './imports.ts';
import { notesOf } from './notes.ts';
import { PAIRS_TITLE, pairsNote, pairsWords, pairTable } from './pairs.ts';
import { rowName } from './row-name.ts';
import type { PairedRatio, RunDocument, Study } from './run-document.ts';
import { commonSettings, sharedSettings } from './settings.ts';
import { statusOf } from './status.ts';
import { studyMeasure, studyTable } from './study.ts';
import type { Group } from './summary.ts';
import { hasOwnHeadline, summarise } from './summary.ts';
import type { Paint } from './terminal-layout.ts';
import { ANSI_PAINT, grid, PLAIN_PAINT, WIDTH, wrap } from './terminal-layout.ts';
import { savingLines, stageLines, wayLines } from './terminal-sections.ts';

export { wrap } from './terminal-layout.ts';

export interface TerminalOptions {
  /** ANSI colours; off unless asked for. */
  colour?: boolean;
}

/** The run as text of at most 80 columns: verdict, what importing saves, tables, limits, checks, how to repeat it. Ends with a newline. */
export function renderTerminal(run: RunDocument, options: TerminalOptions = {}): string {
  const paint = options.colour === true ? ANSI_PAINT : PLAIN_PAINT;
  const summary = summarise(run);
  const lines: string[] = [];
  if (run.partial) lines.push(...wrap(summary.warnings[0] ?? '', 0).map(paint.warn), '');
  const status = statusOf(run);
  const statusLines = wrap(`${status.sign} ${status.word} ${status.why}`, 2);
  // What speaks against a run comes before what it found.
  if (status.kind !== 'pass') lines.push(...statusLines.map(paint.warn), '');
  const ownHeadline = hasOwnHeadline(run);
  if (run.study !== undefined) lines.push(...studyLines(run.study, paint));
  if (run.pairs !== undefined) lines.push(...pairLines(run, run.pairs, paint));
  for (const { label, text } of ownHeadline ? [] : summary.verdicts) {
    const [first = '', ...rest] = wrap(`${label}: ${text}`, 2);
    lines.push(first.startsWith(label) ? paint.strong(label) + first.slice(label.length) : first, ...rest);
  }
  for (const remark of summary.remarks) lines.push(...wrap(remark, 2));
  if (status.kind === 'pass') lines.push(...(ownHeadline ? [''] : []), ...statusLines);
  const warnings = run.partial ? summary.warnings.slice(1) : summary.warnings;
  // Without a verdict the status's empty line is still the last one.
  if (warnings.length > 0 && lines.at(-1) !== '') lines.push('');
  lines.push(...warnings.flatMap((warning) => wrap(`! ${warning}`, 2)).map(paint.warn));
  if (!ownHeadline) lines.push(...savingLines(summary.groups, paint));
  const settings = commonSettings(summary.groups);
  for (const group of summary.groups) lines.push('', ...groupTable(group, settings === null, paint));
  if (summary.groups.length > 0) {
    lines.push('');
    const glass = glassLines(summary.groups, paint);
    if (glass.length > 0) lines.push(...glass, '');
    const encoded = encodeLines(summary.groups, paint);
    if (encoded.length > 0) lines.push(...encoded, '');
    const imports = importLines(summary.groups, paint);
    if (imports.length > 0) lines.push(...imports, '');
    // The groups of a study are as many as its points.
    if (!ownHeadline) lines.push(...wayLines(summary.groups, paint), '', ...stageLines(summary.groups, paint), '');
    const marked = run.scenarios.some((scenario) => scenario.results.disturbed);
    if (marked) lines.push(paint.faint('* disturbed: its times are not to be trusted'));
    if (settings !== null) lines.push(...wrap(`All tables: ${settings}.`, 0).map(paint.faint));
    lines.push(
      ...wrap(
        'host, guest: median work for a frame, without waiting. present: until shown, from submit or (fixed rate) from the tick it was due.',
        0,
      ).map(paint.faint),
    );
  }
  lines.push('', ...limitLines(run, summary.groups, paint));
  lines.push('', ...checkLines(run, paint));
  lines.push('', paint.strong('Machine'), ...wrap(`  ${machineWords(run)}`, 2));
  lines.push('', paint.strong('Repeat with'), ...wrapCommand(run.command));
  return `${lines.join('\n')}\n`;
}

/** CPU, cores, kernel, Node and copier in one sentence. */
export function machineWords(run: RunDocument): string {
  const { cpu, cores, kernel, node, v8, copier, stealPercent } = run.environment;
  const steal = stealPercent === null ? 'steal unknown' : `steal ${stealPercent.toFixed(1)}%`;
  return plain(`${cpu}, ${cores} cores, ${kernel}, Node ${node}, V8 ${v8}, copier ${copier}, ${steal}`);
}

/** The suite's question, its answer and the figures that it rests on. */
function studyLines(study: Study, paint: Paint): string[] {
  const { heads, rows, disturbed } = studyTable(study);
  const lines = wrap(plain(study.question), 0).map(paint.strong);
  for (const answer of study.answers) lines.push(...wrap(`  ${plain(answer)}`, 2));
  if (study.answers.length === 0) lines.push('  Too little was measured to answer it.');
  lines.push(...gainLines(study, paint));
  if (rows.length === 0) return lines;
  const [head = '', ...body] = grid([heads, ...rows], 1);
  const marked = disturbed ? [paint.faint('* disturbed: its times are not to be trusted')] : [];
  return [...lines, '', ...wrap(plain(studyMeasure(study)), 0).map(paint.faint), paint.faint(head), ...body, ...marked];
}

function gainLines({ gains = [] }: Study, paint: Paint): string[] {
  if (gains.length === 0) return [];
  const { heads, rows, words } = gainTable(gains);
  const [head = '', ...body] = grid([heads, ...rows.map((cells) => cells.map(plain))], words);
  return ['', paint.strong(GAINS_TITLE), paint.faint(head), ...body, ...wrap(GAINS_NOTE, 0).map(paint.faint)];
}

function glassLines(groups: readonly Group[], paint: Paint): string[] {
  const rows = glassRows(groups);
  if (rows.length === 0) return [];
  const [head = '', ...body] = grid([[...GLASS_HEADS], ...rows], GLASS_WORDS);
  return [paint.strong(GLASS_TITLE), paint.faint(head), ...body, ...wrap(plain(glassNote(groups)), 0).map(paint.faint)];
}

function encodeLines(groups: readonly Group[], paint: Paint): string[] {
  const rows = encodeRows(groups);
  if (rows.length === 0) return [];
  const [head = '', ...body] = grid([[...ENCODE_HEADS], ...rows], ENCODE_WORDS);
  const notes = encodeNotes(groups).flatMap((note) => wrap(plain(note), 0));
  return [paint.strong(ENCODE_TITLE), paint.faint(head), ...body, ...notes.map(paint.faint)];
}

function pairLines(run: RunDocument, pairs: readonly PairedRatio[], paint: Paint): string[] {
  const count = pairsWords(run);
  const title = paint.strong(count === '' ? PAIRS_TITLE : `${PAIRS_TITLE}, ${count}`);
  if (pairs.length === 0)
    return [title, ...wrap('  Of no pair both scenarios were measured: a selection of paths or sizes may leave one out.', 2)];
  const { heads, rows, words } = pairTable(pairs);
  // What is compared is too long for a column of its own.
  const [head = '', ...body] = grid(
    [heads, ...rows].map((cells) => cells.slice(1)),
    words - 1,
  );
  const lines = body.flatMap((line, i) => [...(rows[i - 1]?.[0] === rows[i]?.[0] ? [] : wrap(rows[i]?.[0] ?? '', 2)), `  ${line}`]);
  return [title, paint.faint(`  ${head}`), ...lines, ...wrap(pairsNote(run), 0).map(paint.faint)];
}

function importLines(groups: readonly Group[], paint: Paint): string[] {
  const rows = importRows(groups);
  if (rows.length === 0) return [];
  const [head = '', ...body] = grid([[...IMPORT_HEADS], ...rows], IMPORT_WORDS);
  return [paint.strong(IMPORT_TITLE), paint.faint(head), ...body, paint.faint(IMPORT_NOTE)];
}

function groupTable(group: Group, withSettings: boolean, paint: Paint): string[] {
  const columns = narrowColumns(group);
  const rows = group.scenarios.map((scenario) => [
    rowName(scenario) + (scenario.results.disturbed ? '*' : ''),
    ...columns.map((column) => column.cell(scenario)),
  ]);
  const [top = '', bottom = '', ...body] = grid(
    [['', ...columns.map((column) => column.head[0])], ['path', ...columns.map((column) => column.head[1])], ...rows],
    1,
  );
  const unit = group.rateHz === null ? ' (updates a second)' : '';
  const [title = '', ...settings] = wrap(`${group.label}${unit}${withSettings ? `: ${sharedSettings(group)}` : ''}`, 2);
  const lines = [paint.strong(title), ...settings, paint.faint(top), paint.faint(bottom), ...body, verifiedLine(group)];
  lines.push(...notesOf(group).flatMap((note) => wrap(note, 2)));
  return lines;
}

function verifiedLine(group: Group): string {
  let verified = 0;
  let torn = 0;
  for (const { results } of group.scenarios) {
    verified += results.framesVerified;
    torn += results.framesTorn ?? 0;
  }
  return verified === 0 ? 'No frame was verified.' : `Verified: ${grouped(verified)} frames, ${grouped(torn)} torn.`;
}

function limitLines(run: RunDocument, groups: readonly Group[], paint: Paint): string[] {
  const rows = limitRows(run.limits);
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = [paint.strong("The machine's limits, measured in the same run")];
  for (const [name, value] of rows) lines.push(...wrap(`  ${name.padEnd(width)}  ${plain(value)}`, width + 4));
  for (const table of ratioTables(groups)) {
    const cellWidths = table.paths.map((path) => Math.max(path.length, 7));
    const room = WIDTH - cellWidths.reduce((sum, cell) => sum + cell + 1, 0);
    const labelWidth = Math.min(room, Math.max(...table.rows.map((row) => row.label.length)));
    const cells = (texts: readonly string[]): string => texts.map((text, i) => ` ${text.padStart(cellWidths[i])}`).join('');
    lines.push('', table.title, paint.faint(' '.repeat(labelWidth) + cells(table.paths)));
    for (const row of table.rows) {
      // A label that does not fit has a line of its own.
      if (row.label.length > labelWidth) lines.push(...wrap(row.label, 2), ' '.repeat(labelWidth) + cells(row.cells));
      else lines.push(row.label.padEnd(labelWidth) + cells(row.cells));
    }
  }
  return lines;
}

function checkLines(run: RunDocument, paint: Paint): string[] {
  const checks = shownChecks(run);
  if (checks.length === 0) return [paint.strong('Checks'), '  none were made'];
  // Passed ones that say the same of every scenario are counted; run.json and the other reports have them all.
  const routine = checks.filter(isRoutine);
  const lines = [paint.strong('Checks')];
  if (routine.length > 0) lines.push(`  pass          ${routine.length} of copies and torn frames, each scenario's`);
  for (const check of checks) {
    if (isRoutine(check)) continue;
    const text = wrap(`  ${check.status.padEnd(12)}  ${plain(check.name)}: ${plain(check.detail)}`, 16);
    lines.push(...(check.status === 'pass' ? text : text.map(paint.warn)));
  }
  return lines;
}

/** A command stays as it is and ready to paste: broken with backslashes, between words only, never inside quotes. */
function wrapCommand(command: string): string[] {
  const words = plain(command).match(/(?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|\S)+\s*/g) ?? [];
  const lines: string[] = [];
  let line = '  ';
  for (const [i, word] of words.entries()) {
    // Room for the backslash.
    if (i > 0 && line.length + word.trimEnd().length > WIDTH - 2) {
      lines.push(`${line.trimEnd()} \\`);
      line = '    ';
    }
    line += word;
  }
  return [...lines, line.trimEnd()];
}
