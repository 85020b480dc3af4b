import { byteSize, compact, duration, grouped, rateName, trimmed } from '../format.ts';
import { rowName } from '../row-name.ts';
import type { Scenario } from '../run-document.ts';
import { LATENCY_STAGES } from '../run-document.ts';
import type { Group } from '../summary.ts';
import type { Block, Chart, Row } from './chart.ts';
import { drawChart } from './chart.ts';
import type { Markup } from './escape.ts';
import { html } from './escape.ts';
import { figure } from './figure.ts';
import { linearScale, logScale } from './scale.ts';
import type { TableWidth } from './scrolled.ts';

/** The charts of all groups with one rate, each with its data in a table. */
export function rateCharts(groups: readonly Group[], id: string): Markup {
  const at = rateName(groups[0].rateHz);
  const presented = scenariosOf(groups).some(({ results }) => results.latencyUs.submitToPresent !== null);
  const copied = scenariosOf(groups).some((scenario) => scenario.results.bytesCopiedPerFrame > 0);
  return html`<div class="charts">
${chartFigure(
  latencyChart(groups, `${id}-latency`, at),
  tableOf(groups, ['p50 µs', 'p90 µs', 'p99 µs', 'p99.9 µs', 'max µs'], latencyCells),
  'usual',
  presented ? null : 'No frame was seen to be shown.',
)}
${chartFigure(cpuChart(groups, `${id}-cpu`, at), tableOf(groups, ['host CPU µs', 'guest CPU µs', 'host work µs', 'guest work µs'], cpuCells))}
${chartFigure(
  bytesChart(groups, `${id}-bytes`, at),
  tableOf(groups, ['bytes a frame', 'copies a frame', 'where, bytes in all'], bytesCells),
  'usual',
  copied ? null : 'No path copied anything.',
)}
${chartFigure(
  stageChart(groups, `${id}-stages`, at),
  tableOf(
    groups,
    LATENCY_STAGES.map((stage) => `${stage} p50 / p99 µs`),
    stageCells,
  ),
  'wide',
)}
</div>`;
}

function latencyChart(groups: readonly Group[], id: string, at: string): Chart {
  const all = scenariosOf(groups).flatMap((scenario) => scenario.results.latencyUs.submitToPresent ?? []);
  const series = ['median', 'p90', 'p99', 'p99.9', 'longest'];
  return {
    id,
    title: `Latency at ${at}: submit to present`,
    description: `Microseconds from the guest's submit until the sink shows the frame: median, 90th, 99th and 99.9th percentile and the longest, by size and path, on a logarithmic axis. ${extremes(groups, (s) => s.results.latencyUs.submitToPresent?.p50 ?? null, duration, 'Median')}`,
    kind: 'points',
    series,
    blocks: blocksOf(groups, (scenario) => {
      const latency = scenario.results.latencyUs.submitToPresent;
      if (latency === null) return { values: [], names: [], show: duration, end: '-' };
      const { p50, p90, p99, p999, max } = latency;
      return { values: [p50, p90, p99, p999, max], names: series, show: duration, end: `${duration(p50)} – ${duration(max)}` };
    }),
    scale: logScale(Math.min(...all.map((latency) => latency.p50)), Math.max(...all.map((latency) => latency.max))),
    tick: tick(duration),
  };
}

function cpuChart(groups: readonly Group[], id: string, at: string): Chart {
  const total = (s: Scenario): number => s.results.hostCpuUsPerFrame + s.results.guestCpuUsPerFrame;
  const series = ['host thread', 'guest thread'];
  return {
    id,
    title: `CPU time a frame at ${at}`,
    description: `Thread CPU time a frame, spinning included, host and guest stacked, by size and path. ${extremes(groups, total, duration, 'Together')}`,
    kind: 'bars',
    series,
    blocks: blocksOf(groups, (scenario) => {
      const { hostCpuUsPerFrame, guestCpuUsPerFrame } = scenario.results;
      return { values: [hostCpuUsPerFrame, guestCpuUsPerFrame], names: series, show: duration, end: duration(total(scenario)) };
    }),
    scale: linearScale(Math.max(...scenariosOf(groups).map(total))),
    tick: tick(duration),
  };
}

function bytesChart(groups: readonly Group[], id: string, at: string): Chart {
  const bytes = (s: Scenario): number => s.results.bytesCopiedPerFrame;
  return {
    id,
    title: `Bytes copied a frame at ${at}`,
    description: `Bytes of pixels copied by the CPU for one frame, by size and path. ${extremes(groups, bytes, byteSize, 'Bytes')}`,
    kind: 'bars',
    series: ['bytes copied'],
    blocks: blocksOf(groups, (scenario) => ({
      values: [bytes(scenario)],
      names: ['copied'],
      show: byteSize,
      end: byteSize(bytes(scenario)),
    })),
    scale: linearScale(Math.max(...scenariosOf(groups).map(bytes))),
    tick: tick(byteSize),
  };
}

function stageChart(groups: readonly Group[], id: string, at: string): Chart {
  const values = (s: Scenario): (number | null)[] => LATENCY_STAGES.map((stage) => s.results.latencyUs[stage]?.p50 ?? null);
  const total = (s: Scenario): number => values(s).reduce((sum: number, value) => sum + (value ?? 0), 0);
  return {
    id,
    title: `Stages of a frame at ${at}`,
    description: `Medians of the stages of a frame's way, stacked in their order, by size and path. Medians do not add up exactly to the median of the whole. ${extremes(groups, total, duration, 'Sum')}`,
    kind: 'bars',
    series: LATENCY_STAGES,
    blocks: blocksOf(groups, (scenario) => ({
      values: values(scenario),
      names: LATENCY_STAGES,
      show: duration,
      end: duration(total(scenario)),
    })),
    scale: linearScale(Math.max(...scenariosOf(groups).map(total))),
    tick: tick(duration),
  };
}

interface RowFigures {
  values: (number | null)[];
  names: readonly string[];
  show(value: number): string;
  end: string;
}

function blocksOf(groups: readonly Group[], figures: (scenario: Scenario) => RowFigures): Block[] {
  return groups.map((group) => ({
    label: group.label,
    rows: group.scenarios.map((scenario): Row => {
      const { values, names, show, end } = figures(scenario);
      const hints = values.map((value, i) =>
        value === null ? '' : `${rowName(scenario)}, ${group.label}: ${names[i] ?? ''} ${show(value)}`,
      );
      return { label: rowName(scenario) + (scenario.results.disturbed ? '*' : ''), values, hints, end };
    }),
  }));
}

/** `Median from 8.2 ms (vfio, 4K at 60 Hz) to …`: what the drawing shows, in words. */
function extremes(groups: readonly Group[], value: (s: Scenario) => number | null, show: (value: number) => string, what: string): string {
  let least: { value: number; place: string } | undefined;
  let most: { value: number; place: string } | undefined;
  for (const group of groups) {
    for (const scenario of group.scenarios) {
      const figure = value(scenario);
      if (figure === null) continue;
      const found = { value: figure, place: `${rowName(scenario)}, ${group.label}` };
      if (least === undefined || found.value < least.value) least = found;
      if (most === undefined || found.value > most.value) most = found;
    }
  }
  if (least === undefined || most === undefined) return '';
  return `${what} from ${show(least.value)} (${least.place}) to ${show(most.value)} (${most.place}).`;
}

function scenariosOf(groups: readonly Group[]): Scenario[] {
  return groups.flatMap((group) => group.scenarios);
}

/** A tick is a round number: `10 ms`, not `10.0 ms`. */
function tick(show: (value: number) => string): (value: number) => string {
  return (value) =>
    show(value)
      .replace(/(\.\d*?)0+ /, '$1 ')
      .replace('. ', ' ')
      .replace(/^0 \S+$/, '0');
}

const DISTURBED = '* disturbed: its times are not to be trusted.';

/** @param instead said in place of a drawing that would be empty; null: there is one */
function chartFigure(chart: Chart, table: Markup, tableWidth: TableWidth = 'usual', instead: string | null = null): Markup {
  if (instead !== null) return figure({ title: chart.title, drawing: null, words: [instead], table, tableWidth });
  const disturbed = chart.blocks.some((block) => block.rows.some((row) => row.label.endsWith('*')));
  return figure({ title: chart.title, drawing: drawChart(chart), words: disturbed ? [DISTURBED] : [], table, tableWidth });
}

function tableOf(groups: readonly Group[], heads: readonly string[], cells: (scenario: Scenario) => string[]): Markup {
  return html`<table><thead><tr><th scope="col">size and rate</th><th scope="col" class="name">path</th>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead><tbody>
${groups.map((group) => group.scenarios.map((s) => html`<tr><th scope="row">${group.label}</th><th scope="row">${rowName(s)}</th>${cells(s).map((cell) => html`<td>${cell}</td>`)}</tr>\n`))}</tbody></table>`;
}

function latencyCells(scenario: Scenario): string[] {
  const latency = scenario.results.latencyUs.submitToPresent;
  if (latency === null) return ['-', '-', '-', '-', '-'];
  const { p50, p90, p99, p999, max } = latency;
  return [p50, p90, p99, p999, max].map(compact);
}

function cpuCells(scenario: Scenario): string[] {
  const { hostCpuUsPerFrame, guestCpuUsPerFrame, hostServiceUs, guestServiceUs } = scenario.results;
  const host = hostServiceUs === null ? '-' : compact(hostServiceUs.p50);
  return [compact(hostCpuUsPerFrame), compact(guestCpuUsPerFrame), host, compact(guestServiceUs.p50)];
}

function bytesCells(scenario: Scenario): string[] {
  const { bytesCopiedPerFrame, copiesPerFrame, bytesCopiedByStage } = scenario.results;
  const places = Object.entries(bytesCopiedByStage)
    .filter(([, bytes]) => bytes > 0)
    .map(([stage, bytes]) => `${stage} ${grouped(bytes)}`);
  return [grouped(bytesCopiedPerFrame), trimmed(copiesPerFrame, 2), places.length === 0 ? 'none' : places.join(', ')];
}

function stageCells(scenario: Scenario): string[] {
  return LATENCY_STAGES.map((stage) => {
    const latency = scenario.results.latencyUs[stage];
    return latency === null ? '-' : `${compact(latency.p50)} / ${compact(latency.p99)}`;
  });
}
