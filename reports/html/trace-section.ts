import { compact, duration, grouped, rateName } from '../format.ts';
import { rowName } from '../row-name.ts';
import type { FrameTrace, Scenario } from '../run-document.ts';
import { PATHS } from '../run-document.ts';
import { percentile } from '../statistics.ts';
import type { Group } from '../summary.ts';
import type { Markup } from './escape.ts';
import { html, raw } from './escape.ts';
import { dataTable, figure } from './figure.ts';
import { round } from './marker.ts';
import { linearScale, logScale } from './scale.ts';

interface Traced {
  scenario: Scenario;
  trace: FrameTrace;
}

const WIDTH = 960;
const LEFT = 118;
const RIGHT = 70;
const PLOT = WIDTH - LEFT - RIGHT;
const STRIP = 62;
/** Figures that are not folded: of a suite with many groups the page would be nothing else. */
const OPEN = 4;

/** Whether any scenario has a trace to draw. */
export function hasTrace(groups: readonly Group[]): boolean {
  return groups.some((group) => tracedOf(group).length > 0);
}

/** Frame after frame: one repetition a path, a strip each, all on one logarithmic scale. A script makes them zoomable. */
export function traceSection(groups: readonly Group[]): Markup {
  const figures = groups.filter((group) => tracedOf(group).length > 0).map((group, i) => traceFigure(group, `trace-${i}`));
  if (figures.length === 0) return html``;
  return html`<h2>Frame after frame</h2>
<p class="soft">Time from each presented frame to the next, of one repetition. Of many frames the longest of each run is drawn.</p>
${figures.slice(0, OPEN)}
${figures.length <= OPEN ? '' : html`<details id="more-traces"><summary>${figures.length - OPEN} more</summary>${figures.slice(OPEN)}</details>`}`;
}

function tracedOf(group: Group): Traced[] {
  return group.scenarios.flatMap((scenario) =>
    scenario.frameTrace === undefined || scenario.frameTrace.atMs.length === 0 ? [] : [{ scenario, trace: scenario.frameTrace }],
  );
}

function nameOf(scenario: Scenario): string {
  return rowName(scenario) + (scenario.results.disturbed ? '*' : '');
}

function traceFigure(group: Group, id: string): Markup {
  const traced = tracedOf(group);
  const title = `Frame times, ${group.label}`;
  const paths = traced.map(({ scenario, trace }) => ({
    name: nameOf(scenario),
    style: PATHS.indexOf(scenario.path),
    atMs: trace.atMs,
    frameTimeUs: trace.frameTimeUs.map(drawn),
  }));
  // In a script's text only `<` could end it.
  const data = JSON.stringify({ title, paths }).replaceAll('<', '\\u003c');
  return html`<div class="whole trace" id="${id}">${figure({
    title,
    drawing: drawing(traced, id, title, group.rateHz),
    words: [
      'Every path on the same two axes; time on a logarithmic one.',
      traced.some(({ scenario }) => scenario.results.disturbed) ? '* disturbed: its times are not to be trusted.' : null,
    ],
    table: dataTable(
      ['path', 'frames', 'drawn of each', 'median of those', 'p99 of those', 'longest', 'longest at'],
      traced.map(({ scenario, trace }) => cells(scenario, trace)),
    ),
  })}<script type="application/json" data-trace="${id}">${raw(data)}</script></div>`;
}

/** A logarithmic axis has no 0: the clock's step stands for it. */
function drawn(us: number): number {
  return Math.max(us, 0.01);
}

function cells(scenario: Scenario, { frames, every, atMs, frameTimeUs }: FrameTrace): string[] {
  const longest = Math.max(...frameTimeUs);
  return [
    nameOf(scenario),
    grouped(frames),
    every === 1 ? 'all' : `longest of ${grouped(every)}`,
    duration(percentile(frameTimeUs, 50)),
    duration(percentile(frameTimeUs, 99)),
    duration(longest),
    `${compact(atMs[frameTimeUs.indexOf(longest)])} ms`,
  ];
}

function drawing(traced: readonly Traced[], id: string, title: string, rateHz: number | null): Markup {
  const times = traced.flatMap(({ trace }) => trace.frameTimeUs.map(drawn));
  const y = logScale(Math.min(...times), Math.max(...times));
  const x = linearScale(Math.max(...traced.map(({ trace }) => trace.atMs[trace.atMs.length - 1])));
  const bottom = 8 + traced.length * STRIP;
  const atX = (ms: number): number => round(LEFT + x.at(ms) * PLOT);
  const words = traced.map(({ scenario, trace }) => `${rowName(scenario)} longest ${duration(Math.max(...trace.frameTimeUs))}`);
  return html`<svg class="trace" viewBox="0 0 ${WIDTH} ${bottom + 26}" role="img" aria-labelledby="${id}-title ${id}-desc" data-chart="${id}">
<title id="${id}-title">${title}</title><desc id="${id}-desc">Time between presented frames at ${rateName(rateHz)}, microseconds on a logarithmic axis, over milliseconds, a strip a path. ${words.join(', ')}.</desc>
${x.ticks.map((tick) => html`<line class="grid" x1="${atX(tick)}" x2="${atX(tick)}" y1="8" y2="${bottom}"/><text class="tick" x="${atX(tick)}" y="${bottom + 18}">${tick === 0 ? '0' : `${compact(tick)} ms`}</text>`)}
${traced.map(({ scenario, trace }, i) => {
  const top = 8 + i * STRIP;
  const atY = (us: number): number => round(top + STRIP - 6 - y.at(us) * (STRIP - 14));
  const points = trace.atMs.map((ms, k) => `${atX(ms)},${atY(trace.frameTimeUs[k])}`).join(' ');
  const ends = [y.ticks[0], y.ticks[y.ticks.length - 1]];
  return html`<text class="block" x="0" y="${top + STRIP / 2 + 2}">${nameOf(scenario)}</text>${ends.map((tick) => html`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${atY(tick)}" y2="${atY(tick)}"/><text class="tick right" x="${WIDTH - RIGHT + 6}" y="${atY(tick) + 4}">${duration(tick).replace('.0 ', ' ')}</text>`)}<polyline class="line mark t${PATHS.indexOf(scenario.path)}" points="${points}"><title>${scenario.path}</title></polyline>\n`;
})}
</svg>`;
}
