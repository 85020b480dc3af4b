import type { NamedQuantile, Quantile } from '../distribution.ts';
import { framesOf, LATENCY_TITLE, latencyTable, namedQuantiles, quantilesOf } from '../distribution.ts';
import { duration } from '../format.ts';
import { rowName } from '../row-name.ts';
import type { Scenario } from '../run-document.ts';
import { PATHS } from '../run-document.ts';
import type { Group } from '../summary.ts';
import type { Markup } from './escape.ts';
import { html } from './escape.ts';
import { dataTable, figure } from './figure.ts';
import type { LineSeries } from './line-chart.ts';
import { drawLines } from './line-chart.ts';
import type { Scale } from './scale.ts';
import { fineLogScale } from './scale.ts';

interface Distributed {
  scenario: Scenario;
  /** With `*` where the machine got in the way. */
  name: string;
  frames: number;
  quantiles: readonly Quantile[];
  named: readonly NamedQuantile[];
}

/** Figures that are not folded: of a suite with many groups the page would be nothing else. */
const OPEN = 4;
/** Shares that the axis names, as far as there are frames for them. */
const TICKS = [0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];

/**
 * Each path's whole distribution of latencies, a drawing a group: by percentile, the axis wider towards the slowest,
 * as HdrHistogram's plots are.
 */
export function distributionSection(groups: readonly Group[]): Markup {
  const figures = groups
    .map((group) => ({ group, paths: distributed(group) }))
    .filter(({ paths }) => paths.length > 0)
    .map(({ group, paths }, i) => distributionFigure(group, paths, `distribution-${i}`));
  if (figures.length === 0) return html``;
  return html`<h2>${LATENCY_TITLE}</h2>
<p class="soft">Latency from submit, at a fixed rate from the tick it was due, until the sink shows the frame. At 99% stands the time that 99 of 100 frames
kept within. Flat: frames alike. A step: two kinds of frames. A rise at the right: the slowest few.</p>
<div class="charts">${figures.slice(0, OPEN)}</div>
${figures.length <= OPEN ? '' : html`<details id="more-distributions"><summary>${figures.length - OPEN} more</summary><div class="charts">${figures.slice(OPEN)}</div></details>`}`;
}

function distributed(group: Group): Distributed[] {
  return group.scenarios.flatMap((scenario) => {
    const histogram = scenario.latencyHistograms?.submitToPresent;
    const frames = histogram === undefined ? 0 : framesOf(histogram);
    const name = rowName(scenario) + (scenario.results.disturbed ? '*' : '');
    const { submitToPresent } = scenario.results.latencyUs;
    if (histogram === undefined || submitToPresent === null || frames === 0) return [];
    const named = namedQuantiles(submitToPresent, frames);
    return [{ scenario, name, frames, quantiles: quantilesOf(histogram), named }];
  });
}

function distributionFigure(group: Group, paths: readonly Distributed[], id: string): Markup {
  const title = `Latency by percentile, ${group.label}`;
  const { heads, rows, words } = latencyTable([{ ...group, scenarios: paths.map(({ scenario }) => scenario) }]);
  const times = paths.flatMap(({ quantiles, named }) => [...quantiles, ...named].map(({ us }) => us));
  const drawing = drawLines({
    id,
    title,
    description: `Time until a frame is shown, microseconds on a logarithmic axis, by the share of the frames that took less. ${paths.map(({ name, named }) => `${name}: ${named.map((each) => `${each.name} ${duration(each.us)}`).join(', ')}`).join('; ')}.`,
    xName: 'share of the frames that were faster',
    yName: 'time',
    x: tailScale(Math.max(...paths.map(({ frames }) => frames))),
    y: fineLogScale(Math.min(...times), Math.max(...times)),
    xTick: percentWords,
    yTick: (us) => duration(us).replace('.0 ', ' '),
    series: paths.map((path) => seriesOf(path, group)),
  });
  return figure({
    title,
    drawing,
    words: [
      'Marked: median, 90%, 99%, 99.9% where a frame lies above, and the longest.',
      paths.some(({ scenario }) => scenario.results.disturbed) ? '* disturbed: its times are not to be trusted.' : null,
    ],
    // The title says the size and the rate.
    table: dataTable(
      heads.slice(1),
      rows.map((cells) => cells.slice(1)),
      words - 1,
    ),
  });
}

function seriesOf({ scenario, name, quantiles, named }: Distributed, group: Group): LineSeries {
  const hint = (each: NamedQuantile): string => `${rowName(scenario)}, ${group.label}: ${each.name} ${duration(each.us)}`;
  return {
    name,
    style: PATHS.indexOf(scenario.path),
    points: named.map((each) => ({ x: each.below, y: each.us, hint: hint(each) })),
    line: quantiles.map(({ below, us }) => ({ x: below, y: us })),
  };
}

/** Evenly by the frames that are left: 90%, 99% and 99.9% are as far apart as 0 and 90%. */
function tailScale(frames: number): Scale {
  const decades = (below: number): number => -Math.log10(1 - below);
  const end = Math.max(1, decades((frames - 0.5) / frames)) * 1.03;
  return { at: (below) => Math.min(1, decades(below) / end), ticks: TICKS.filter((tick) => decades(tick) <= end) };
}

function percentWords(share: number): string {
  return `${Number((share * 100).toFixed(4))}%`;
}
