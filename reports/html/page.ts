import { isRoutine, shownChecks } from '../checks.ts';
import type { Column } from '../columns.ts';
import { COLUMN_NOTE, frameColumns, limitRows, narrowColumns, ratioTables, threadColumns, wideColumns } from '../columns.ts';
import { byteSize, rateName, trimmed, unbroken } from '../format.ts';
import { WAY_TITLE, wayGroup } from '../hops.ts';
import { IMPORT_HEADS, IMPORT_NOTE, IMPORT_TITLE, IMPORT_WORDS, importRows } from '../imports.ts';
import { notesOf } from '../notes.ts';
import { rowName } from '../row-name.ts';
import type { Check, RunDocument } from '../run-document.ts';
import { REPLACED_PATH } from '../run-document.ts';
import { commonSettings, sharedSettings } from '../settings.ts';
import type { Group, Summary } from '../summary.ts';
import { hasOwnHeadline, summarise } from '../summary.ts';
import { breakEvenSection } from './break-even-section.ts';
import { rateCharts } from './charts.ts';
import { curveSection } from './curve-section.ts';
import { distributionSection } from './distribution-section.ts';
import { encodeSection } from './encode-section.ts';
import type { Markup } from './escape.ts';
import { html, raw } from './escape.ts';
import { glassSection } from './glass-section.ts';
import { pairsSection } from './pairs-section.ts';
import { pathDiagram } from './path-diagram.ts';
import { savingsSection } from './savings-section.ts';
import { scrolled } from './scrolled.ts';
import { statusLine } from './status.ts';
import { studySection } from './study-section.ts';
import { STYLE } from './style.ts';
import { traceScript } from './trace-script.ts';
import { hasTrace, traceSection } from './trace-section.ts';

/** The run as one HTML file that needs no network and no other file; a script only where frame traces can be zoomed. */
export function renderHtml(run: RunDocument): string {
  const summary = summarise(run);
  const trace = hasTrace(summary.groups) ? traceScript() : null;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:${trace === null ? '' : raw(`; script-src ${trace.source}`)}">
<link rel="icon" href="data:,">
<title>scanout: suite ${run.suite}, ${run.startedAt}</title>
<style>${raw(STYLE)}${trace === null ? '' : raw(trace.style)}</style>
</head>
<body>
<header>
<h1>How a guest's frame reaches the host: imported or copied</h1>
<p class="soft">scanout ${run.scanoutVersion}, suite ${run.suite}, ${timesWords(run)}${run.partial ? ', partial' : ''}</p>
</header>
<main>
${verdictSection(run, summary)}
${savingsSection(summary.groups)}
${waySection(summary.groups)}
${summarySection(summary)}
${glassSection(summary.groups)}
${encodeSection(summary.groups)}
${importSection(summary.groups)}
${breakEvenSection(summary.groups)}
${curveSection(run.scenarios)}
${chartSections(summary.groups)}
${distributionSection(summary.groups)}
${traceSection(summary.groups)}
${limitSection(run, summary.groups)}
${checkSection(run)}
${machineSection(run)}
</main>
<footer>A GB is 10^9 bytes. At max rate frames are not shown at that pace: the figures are updates a second.</footer>
${trace === null ? '' : html`<script>${raw(trace.script)}</script>`}
</body>
</html>
`;
  return page.text;
}

/** `2026-11-23 03:38:52 to 03:40:07 UTC`. */
function timesWords({ startedAt, finishedAt }: RunDocument): string {
  const [from = '', to = ''] = [startedAt, finishedAt].map((time) => time.replace('T', ' ').replace(/(\.\d+)?Z$/, ''));
  const [day = '', clock = ''] = to.split(' ');
  return `${from} to ${from.startsWith(`${day} `) ? clock : to} UTC`;
}

function verdictSection(run: RunDocument, summary: Summary): Markup {
  const warnings = run.partial ? summary.warnings.slice(1) : summary.warnings;
  const verdicts = html`<ul class="verdict">${summary.verdicts.map(({ label, text }) => html`<li><strong>${label}:</strong> ${unbroken(text)}</li>\n`)}</ul>
${summary.remarks.map((remark) => html`<p>${remark}</p>\n`)}`;
  return html`<section aria-label="Verdict">
${statusLine(run)}
${run.partial ? html`<p class="warn" id="partial"><strong>${summary.warnings[0] ?? ''}</strong></p>` : ''}
${run.pairs === undefined ? '' : pairsSection(run, run.pairs)}${!hasOwnHeadline(run) ? verdicts : html`${run.study === undefined ? '' : studySection(run.study)}<details id="verdicts"><summary>Each size and rate in a sentence</summary>${verdicts}</details>`}
${warnings.length === 0 ? '' : html`<div class="warn" id="warnings"><strong>Mind</strong><ul>${warnings.map((warning) => html`<li>${warning}</li>`)}</ul></div>`}
</section>`;
}

function summarySection(summary: Summary): Markup {
  if (summary.groups.length === 0) return html``;
  const common = commonSettings(summary.groups);
  return html`<h2>Summary</h2>
${common === null ? '' : html`<p class="soft">All scenarios: ${common}.</p>`}
${summary.groups.map(
  (group, i) => html`<h3>${group.label}${group.rateHz === null ? raw(' (updates a second)') : ''}</h3>
${common === null ? html`<p class="soft">${sharedSettings(group)}</p>` : ''}
${scrolled(groupTable(group, narrowColumns(group)))}
${i === 0 ? tableLegend(summary.groups) : ''}
${notesOf(group).map((note) => html`<p class="soft">${note}</p>\n`)}
<details><summary>All figures</summary>
${scrolled(groupTable(group, wideColumns(group)), 'widest')}
<h4>Frames</h4>${scrolled(groupTable(group, frameColumns()), 'wide')}
<h4>Threads, host / guest</h4>${scrolled(groupTable(group, threadColumns()), 'wide')}
</details>
`,
)}`;
}

function waySection(groups: readonly Group[]): Markup {
  const group = wayGroup(groups);
  return group === undefined ? html`` : html`<h2>${WAY_TITLE}</h2>\n<div class="whole">${pathDiagram(group)}</div>`;
}

/** What the columns and the tint of all the tables mean, under the first of them. */
function tableLegend(groups: readonly Group[]): Markup {
  const tinted = groups.some((group) => group.scenarios.some((scenario) => scenario.path === REPLACED_PATH));
  return html`<p class="soft" id="columns">${COLUMN_NOTE}</p>
${tinted ? html`<p class="soft" id="tint"><span class="swatch"></span>${REPLACED_PATH}: what importing replaces. Savings are counted against it.</p>` : ''}`;
}

function importSection(groups: readonly Group[]): Markup {
  const rows = importRows(groups);
  if (rows.length === 0) return html``;
  const side = (i: number): Markup => raw(i < IMPORT_WORDS ? ' class="name"' : '');
  return html`<h2>${IMPORT_TITLE}</h2>
${scrolled(html`<table id="imports"><thead><tr>${IMPORT_HEADS.map((head, i) => html`<th scope="col"${side(i)}>${head}</th>`)}</tr></thead><tbody>
${rows.map(([path = '', ...cells]) => html`<tr><th scope="row">${path}</th>${cells.map((cell, i) => html`<td${side(i + 1)}>${cell}</td>`)}</tr>\n`)}</tbody></table>`)}
<p class="soft">${IMPORT_NOTE}</p>
${rows.some(([path = '']) => path.endsWith('*')) ? html`<p class="soft">* disturbed: its times are not to be trusted.</p>` : ''}`;
}

function groupTable(group: Group, columns: readonly Column[]): Markup {
  return html`<table><thead><tr><th scope="col">path</th>${columns.map((column) => html`<th scope="col">${column.head[0]} <br>${column.head[1]}</th>`)}</tr></thead><tbody>
${group.scenarios.map(
  (
    s,
  ) => html`<tr${s.path === REPLACED_PATH ? raw(' class="reference"') : ''}><th scope="row">${rowName(s)}${s.results.disturbed ? raw(' (disturbed)') : ''}</th>${columns.map((column) => html`<td>${column.cell(s)}</td>`)}</tr>
`,
)}</tbody></table>`;
}

function chartSections(groups: readonly Group[]): Markup {
  const byRate = new Map<number | null, Group[]>();
  for (const group of groups) byRate.set(group.rateHz, [...(byRate.get(group.rateHz) ?? []), group]);
  return html`${[...byRate].map(([rateHz, members]) => {
    const id = rateHz === null ? 'max' : `hz${String(rateHz).replace('.', '-')}`;
    return html`<h2>${rateHz === null ? 'At max rate (updates a second)' : `At ${rateName(rateHz)}`}</h2>\n${rateCharts(members, id)}\n`;
  })}`;
}

function limitSection(run: RunDocument, groups: readonly Group[]): Markup {
  return html`<h2>The machine's limits</h2>
<p class="soft">Measured in the same run; results are shown as ratios to them.</p>
<table class="text"><tbody>${limitRows(run.limits).map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>\n`)}</tbody></table>
${ratioTables(groups).map(
  (table) => html`<h3>${table.title}</h3>
${scrolled(
  html`<table><thead><tr><th scope="col">size and rate</th>${table.paths.map((path) => html`<th scope="col">${path}</th>`)}</tr></thead><tbody>
${table.rows.map((row) => html`<tr><th scope="row">${row.label}</th>${row.cells.map((cell) => html`<td>${cell}</td>`)}</tr>\n`)}</tbody></table>`,
  'narrow',
)}
`,
)}`;
}

function checkSection(run: RunDocument): Markup {
  const checks = shownChecks(run);
  if (checks.length === 0) return html`<h2>Checks</h2>\n<p>None were made.</p>`;
  const routine = checks.filter(isRoutine);
  const others = checks.filter((check) => !isRoutine(check));
  return html`<h2>Checks</h2>
${others.length === 0 ? '' : checkTable(others)}
${routine.length === 0 ? '' : html`<details id="routine"><summary><span class="pass">pass</span> ${routine.length} of copies and torn frames, each scenario's</summary>${checkTable(routine)}</details>`}`;
}

function checkTable(checks: readonly Check[]): Markup {
  return scrolled(
    html`<table class="text"><thead><tr><th scope="col">check</th><th scope="col" class="status">status</th><th scope="col">figures</th></tr></thead><tbody>
${checks.map((check) => html`<tr><th scope="row">${check.name}</th><td class="status ${check.status}">${check.status}</td><td>${check.detail}</td></tr>\n`)}</tbody></table>`,
    'words',
  );
}

function machineSection(run: RunDocument): Markup {
  const e = run.environment;
  const rows: [string, string][] = [
    ['CPU', `${e.cpu}, ${e.cores} cores`],
    ['Memory', byteSize(e.memoryBytes)],
    ['Kernel', `${e.kernel} (${e.platform}, ${e.arch})`],
    ['Node', `${e.node}, V8 ${e.v8}`],
    ['Copier', e.copier],
    ['C compiler', e.compiler ?? 'none found'],
    ['Load average', e.loadAverage.map((load) => load.toFixed(2)).join(', ')],
    ['Steal', e.stealPercent === null ? 'unknown' : `${trimmed(e.stealPercent, 1)}%`],
    ['Governor', e.governor ?? 'unknown'],
    ['Seed', String(run.seed)],
  ];
  return html`<h2>Machine</h2>
<dl>${rows.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
<h2>Repeat with</h2>
<pre id="command">${run.command}</pre>`;
}
