import { compact, grouped, ratioWords, trimmed } from './format.ts';
import type { LimitRatios, Limits, Path, Scenario } from './run-document.ts';
import { PATHS } from './run-document.ts';
import type { Group } from './summary.ts';
import { copiedGBps } from './summary.ts';

/** What is written where a figure does not exist. */
export const ABSENT = '-';

/** One column of a group's table. */
export interface Column {
  /** Two short lines, for narrow renderings. */
  head: readonly [string, string];
  /** The same on one line. */
  title: string;
  cell(scenario: Scenario): string;
}

/** Columns that fit 80 characters with the path before them. */
export function narrowColumns(group: Group): Column[] {
  const paced = group.rateHz !== null;
  const columns: Column[] = [
    column(paced ? 'frames' : 'updates', 'a second', (s) => compact(s.results.fps)),
    column('copies', 'a frame', (s) => trimmed(s.results.copiesPerFrame, 2)),
    column('copied', 'GB/s', (s) => speed(copiedGBps(s.results))),
    column('host µs', 'a frame', (s) => optional(s.results.hostServiceUs?.p50 ?? null, compact)),
    column('guest µs', 'a frame', (s) => compact(s.results.guestServiceUs.p50)),
    column('present', 'p50 µs', (s) => optional(s.results.latencyUs.submitToPresent?.p50 ?? null, compact)),
    column('present', 'p99 µs', (s) => optional(s.results.latencyUs.submitToPresent?.p99 ?? null, compact)),
  ];
  if (paced) columns.push(column('vblanks', 'missed', (s) => tally(s.results.vblanksMissed)));
  return columns;
}

/** All that a wide rendering shows. */
export function wideColumns(group: Group): Column[] {
  return [
    ...narrowColumns(group),
    column('answer', 'p50 µs', (s) => answer(s, 'p50')),
    column('answer', 'p99 µs', (s) => answer(s, 'p99')),
    column('host CPU', 'µs a frame', (s) => compact(s.results.hostCpuUsPerFrame)),
    column('guest CPU', 'µs a frame', (s) => compact(s.results.guestCpuUsPerFrame)),
    column('segments', 'a buffer', (s) => grouped(s.results.segments)),
    column('frames', 'presented', (s) => grouped(s.results.framesPresented)),
    column('torn', 'of verified', (s) =>
      s.results.framesTorn === null ? ABSENT : `${grouped(s.results.framesTorn)} of ${grouped(s.results.framesVerified)}`,
    ),
  ];
}

/** How the frames fared: for a table of their own. */
export function frameColumns(): Column[] {
  return [
    column('repetitions', '(disturbed)', (s) => repetitions(s)),
    column('frames', 'superseded', (s) => tally(s.results.framesSuperseded)),
    column('frames', 'timed out', (s) => tally(s.results.framesTimedOut)),
    column('stutters', 'over 2 medians', (s) => optional(s.results.stutters, tally)),
    column('1% low', '1000 / p99', (s) => optional(s.results.onePercentLowFps?.byP99 ?? null, compact)),
    column('1% low', 'mean of worst', (s) => optional(s.results.onePercentLowFps?.byWorstMean ?? null, compact)),
    column('import', 'mean µs', (s) => optional(s.results.importUs?.mean ?? null, compact)),
    column('import', 'max µs', (s) => optional(s.results.importUs?.max ?? null, compact)),
    column('copies', 'GB/s', (s) => optional(s.results.transferGBps, compact)),
  ];
}

/** How the two threads spent their time, host / guest. */
export function threadColumns(): Column[] {
  return [
    column('spinning', '%', (s) => both(s.results.spinShare.host, s.results.spinShare.guest, percent)),
    column('asleep', '%', (s) => both(s.results.sleepShare.host, s.results.sleepShare.guest, percent)),
    column('waiting for a CPU', '%', (s) =>
      both(s.results.hostRunQueueWaitPercent, s.results.guestRunQueueWaitPercent, (value) => value.toFixed(1)),
    ),
    column('collections', '', (s) => both(s.results.gcCount.host, s.results.gcCount.guest, tally)),
    column('allocated', 'B a frame', (s) => both(s.results.allocatedBytesPerFrame.host, s.results.allocatedBytesPerFrame.guest, compact)),
    column('kicks', 'sent / suppressed', (s) =>
      both(s.results.notifications?.kicks ?? null, s.results.notifications?.kicksSuppressed ?? null, tally),
    ),
    column('interrupts', 'sent / suppressed', (s) =>
      both(s.results.notifications?.interrupts ?? null, s.results.notifications?.interruptsSuppressed ?? null, tally),
    ),
  ];
}

/** What `present` and `answer` in the headings mean. */
export const COLUMN_NOTE =
  'host, guest: work for a frame, waiting excluded (median). present: until the sink shows the frame, from submit or, at a fixed rate, from the tick it was due. ' +
  'CPU: thread CPU time, spinning included. answer: from the same point until the guest sees the flush fence (copy, readback-copy: the TRANSFER response).';

/** The machine's limits: name and value, "unavailable" with its reason where there is none. */
export function limitRows(limits: Limits): [string, string][] {
  const why = (name: string): string => {
    const reason = limits.unavailable[name];
    return reason === undefined ? 'unavailable' : `unavailable: ${reason}`;
  };
  const value = (name: string, figure: number | null, unit: string): string => (figure === null ? why(name) : `${compact(figure)} ${unit}`);
  const { wakeUpUs: wake, jsCopyToMemcpyRatio: ratio } = limits;
  const pairs = ratio?.pairs === undefined ? '' : `, ${ratio.pairs} pairs`;
  return [
    ['memcpy in C', value('memcpyGBps', limits.memcpyGBps, 'GB/s')],
    ['best copy in JavaScript', value('jsCopyGBps', limits.jsCopyGBps, 'GB/s')],
    ['JavaScript copy / memcpy', ratio === null ? why('jsCopyToMemcpyRatio') : `${ratioWords(ratio)}${pairs}`],
    ['ping-pong in C', value('pingPongNs', limits.pingPongNs, 'ns')],
    ['ping-pong in JavaScript', value('jsPingPongNs', limits.jsPingPongNs, 'ns')],
    ['wake-up of a sleeper', wake === null ? why('wakeUpUs') : `median ${compact(wake.median)} µs, p99 ${compact(wake.p99)} µs`],
  ];
}

export interface RatioTable {
  title: string;
  paths: readonly Path[];
  rows: { label: string; cells: string[] }[];
}

interface RatioKind {
  key: keyof LimitRatios;
  title: string;
  /** Paced groups wait for their vblank: such a latency says nothing about the machine. */
  unpacedOnly: boolean;
}

const RATIOS: readonly RatioKind[] = [
  { key: 'transferGBpsToMemcpy', title: 'Copy speed of a path / memcpy', unpacedOnly: false },
  { key: 'submitToFenceToPingPong', title: 'Submit to fence / ping-pong in C', unpacedOnly: true },
  { key: 'submitToFenceToJsPingPong', title: 'Submit to fence / ping-pong in JavaScript', unpacedOnly: true },
];

/** Results over the limits, groups down and paths across; a ratio that no scenario has makes no table. */
export function ratioTables(groups: readonly Group[]): RatioTable[] {
  return RATIOS.map((kind) => ratioTable(groups, kind)).filter((table) => table.rows.length > 0);
}

function ratioTable(groups: readonly Group[], kind: RatioKind): RatioTable {
  const ratioOf = (group: Group, path: Path): number | null => group.scenarios.find((s) => s.path === path)?.ratios[kind.key] ?? null;
  const shown = groups.filter(
    (group) => !(kind.unpacedOnly && group.rateHz !== null) && PATHS.some((path) => ratioOf(group, path) !== null),
  );
  const paths = PATHS.filter((path) => shown.some((group) => ratioOf(group, path) !== null));
  const rows = shown.map((group) => ({
    label: group.label,
    cells: paths.map((path) => {
      const ratio = ratioOf(group, path);
      return ratio === null ? ABSENT : compact(ratio);
    }),
  }));
  return { title: kind.title, paths, rows };
}

function column(top: string, bottom: string, cell: (scenario: Scenario) => string): Column {
  return { head: [top, bottom], title: `${top} ${bottom}`.trim(), cell };
}

function optional(value: number | null, show: (value: number) => string): string {
  return value === null ? ABSENT : show(value);
}

function both(first: number | null, second: number | null, show: (value: number) => string): string {
  return first === null && second === null ? ABSENT : `${optional(first, show)} / ${optional(second, show)}`;
}

function percent(share: number): string {
  return (share * 100).toFixed(0);
}

/** Timed ones, and of these the disturbed. */
function repetitions(scenario: Scenario): string {
  const timed = scenario.repetitions.filter((repetition) => repetition.kind === 'timed');
  return `${timed.length} (${timed.filter((repetition) => repetition.disturbed).length})`;
}

/** 10^9 bytes a second, to the hundredth while that fits the column. */
function speed(gbps: number): string {
  return gbps < 999.995 ? gbps.toFixed(2) : compact(gbps);
}

function tally(count: number): string {
  return count < 1e6 ? grouped(count) : compact(count);
}

function answer(scenario: Scenario, at: 'p50' | 'p99'): string {
  const { submitToFence, submitToResponse } = scenario.results.latencyUs;
  const latency = submitToFence ?? submitToResponse;
  return latency === null ? ABSENT : compact(latency[at]);
}
