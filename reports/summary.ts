import { byteSize, compact, counted, duration, plain, rateName, sizeName } from './format.ts';
import { importMedianUs } from './imports.ts';
import { rowName } from './row-name.ts';
import type { Metrics, Path, RunDocument, Scenario } from './run-document.ts';
import { PATHS, REPLACED_PATH } from './run-document.ts';
import { distinctions } from './settings.ts';
import { warningsOf } from './warnings.ts';

/** Scenarios that may be compared: one table in every rendering. */
export interface Group {
  /** `4K at 60 Hz`, with whatever else sets it apart. */
  label: string;
  width: number;
  height: number;
  rateHz: number | null;
  /** In the order of PATHS. */
  scenarios: Scenario[];
}

const IMPORTING: readonly Path[] = ['vfio', 'udmabuf'];

export interface Summary {
  /** What a reader must know before believing the figures. */
  warnings: string[];
  /** One sentence a group. */
  verdicts: { label: string; text: string }[];
  /** What the verdicts lack and why. */
  remarks: string[];
  groups: Group[];
}

export function summarise(run: RunDocument): Summary {
  const groups = groupScenarios(run.scenarios);
  const importsOnly = run.scenarios.every((scenario) => IMPORTING.includes(scenario.path));
  return {
    warnings: warningsOf(run, groups),
    verdicts: groups.map((group) => ({ label: group.label, text: verdictOf(group, importsOnly) })),
    remarks: hasOwnHeadline(run) ? [] : remarksOf(groups),
    groups,
  };
}

/** Whether a suite's question or its pairs are the headline: verdicts on each of many scenarios would bury it. */
export function hasOwnHeadline({ study, pairs }: RunDocument): boolean {
  return study !== undefined || pairs !== undefined;
}

/** Bytes copied a second, 10^9. */
export function copiedGBps(metrics: Metrics): number {
  return (metrics.bytesCopiedPerFrame * metrics.fps) / 1e9;
}

/** Median work of both sides a frame, µs: a few disturbed frames would carry a mean away. null: the host does not say. */
export function workUs(metrics: Metrics): number | null {
  return metrics.hostServiceUs === null ? null : metrics.hostServiceUs.p50 + metrics.guestServiceUs.p50;
}

/** `60 frames a second`, or `updates a second` where no vblank paces them. */
export function rateWords(scenario: Scenario): string {
  return `${compact(scenario.results.fps)} ${scenario.rateHz === null ? 'updates' : 'frames'} a second`;
}

/** Paced before max, larger before smaller. */
export function groupScenarios(scenarios: readonly Scenario[]): Group[] {
  const byPlace = new Map<string, Scenario[]>();
  for (const scenario of scenarios) push(byPlace, `${scenario.width}x${scenario.height}@${scenario.rateHz ?? 'max'}`, scenario);
  const groups: Group[] = [];
  for (const members of byPlace.values()) groups.push(...splitBySettings(members));
  return groups.sort(
    (a, b) =>
      Number(a.rateHz === null) - Number(b.rateHz === null) || (a.rateHz ?? 0) - (b.rateHz ?? 0) || b.width * b.height - a.width * a.height,
  );
}

/** Paths may differ in settings within a table; one path with two settings makes a table of each. */
function splitBySettings(members: readonly Scenario[]): Group[] {
  const paths = new Set(members.map(rowName));
  if (paths.size === members.length) return [groupOf(members, '')];
  const suffixes = distinctions(members);
  const parts = new Map<string, Scenario[]>();
  for (const [i, scenario] of members.entries()) push(parts, suffixes[i], scenario);
  return [...parts].map(([suffix, part]) => groupOf(part, suffix));
}

function groupOf(members: readonly Scenario[], suffix: string): Group {
  const { width, height, rateHz } = members[0];
  const scenarios = [...members].sort((a, b) => PATHS.indexOf(a.path) - PATHS.indexOf(b.path));
  return {
    label: `${sizeName(width, height)} at ${rateName(rateHz)}${suffix === '' ? '' : `, ${suffix}`}`,
    width,
    height,
    rateHz,
    scenarios,
  };
}

function verdictOf(group: Group, importsOnly: boolean): string {
  const faulty = noHeadline(group);
  if (faulty !== null) return faulty;
  const replaced = replacedIn(group);
  const imported = importedIn(group);
  if (imported === undefined) return `${group.scenarios.map(figures).join('; ')}.`;
  if (replaced !== undefined) return `${figures(imported)}; ${figures(replaced)}; ${savings(imported, replaced)}.`;
  const typical = importsOnly ? importMedianUs([imported]) : null;
  return `${figures(imported)}${typical === null ? '' : `, an import ${duration(typical)}`}.`;
}

/** Whether faults were injected into a scenario, or counted and not explained: its figures then say nothing of its path. */
export function isFaulty({ faults }: Scenario): boolean {
  return faults !== undefined && faults.injected.length + faults.unexplained.length > 0;
}

/** Whether an encoder worked at the frames, whose work is no part of the guest's and the host's: what a path costs is more than theirs. */
export function isEncoded({ scenarios }: Group): boolean {
  return scenarios.some(({ results }) => results.encode !== undefined);
}

/** Why a group's figures are no headline; null: no fault of any kind. */
function noHeadline({ scenarios }: Group): string | null {
  const injected = [...new Set(scenarios.flatMap(({ faults }) => faults?.injected ?? []))];
  if (injected.length > 0) return `no headline: faults were injected (${injected.map(plain).join(', ')}).`;
  const unexplained = [...new Set(scenarios.flatMap(({ faults }) => faults?.unexplained ?? []))];
  return unexplained.length > 0 ? `no headline: unexplained faults were counted (${unexplained.map(plain).join(', ')}).` : null;
}

/** Why groups name no saving, once for all of them. */
function remarksOf(all: readonly Group[]): string[] {
  // A recorded guest has the one path that it was recorded with.
  const groups = all.filter((group) => noHeadline(group) === null && group.scenarios.some(({ layout }) => layout !== 'recorded'));
  const unreplaced = groups.filter((group) => importedIn(group) !== undefined && replacedIn(group) === undefined);
  const unimported = groups.filter((group) => importedIn(group) === undefined);
  const remarks: string[] = [];
  const remark = (members: readonly Group[], what: string, so: string): void => {
    if (members.length === 0) return;
    const place = members.length === groups.length ? 'here' : `at ${members.map((group) => group.label).join('; ')}`;
    remarks.push(`${what} ${place}${so}.`);
  };
  remark(unreplaced, `${REPLACED_PATH} has no results`, ', so no saving is named');
  remark(unimported, 'No importing path has results', '');
  return remarks;
}

function replacedIn(group: Group): Scenario | undefined {
  return group.scenarios.find((scenario) => scenario.path === REPLACED_PATH);
}

/** What a group's savings are counted between; null: one of them has no results, faults forbid a headline, or more works at a frame. */
export function savingPair(group: Group): { imported: Scenario; replaced: Scenario } | null {
  const [imported, replaced] = [importedIn(group), replacedIn(group)];
  if (imported === undefined || replaced === undefined || isEncoded(group)) return null;
  return noHeadline(group) === null ? { imported, replaced } : null;
}

function importedIn(group: Group): Scenario | undefined {
  return importing(group, 'udmabuf') ?? importing(group, 'vfio');
}

function importing(group: Group, path: 'udmabuf' | 'vfio'): Scenario | undefined {
  return group.scenarios.find((scenario) => scenario.path === path);
}

function figures(scenario: Scenario): string {
  const { results } = scenario;
  const rate = scenario.rateHz === null ? `${rateWords(scenario)}, ` : '';
  const copies = counted(results.copiesPerFrame, 'copy', 'copies');
  const gbps = copiedGBps(results);
  const fallback = results.fallback === null ? '' : ' (fell back to copying)';
  const { hostServiceUs, hostCpuUsPerFrame } = results;
  const host = hostServiceUs === null ? `${duration(hostCpuUsPerFrame)} of CPU` : duration(hostServiceUs.p50);
  const work = `host ${host} a frame, guest ${duration(results.guestServiceUs.p50)}`;
  return `${rowName(scenario)}${fallback} ${rate}${copies}, ${gbps === 0 ? '0.0' : gbps.toFixed(2)} GB/s, ${work}`;
}

function savings(imported: Scenario, replaced: Scenario): string {
  const a = imported.results;
  const b = replaced.results;
  const parts: string[] = [];
  const paced = imported.rateHz !== null;
  const bytes = b.bytesCopiedPerFrame - a.bytesCopiedPerFrame;
  const gbps = copiedGBps(b) - copiedGBps(a);
  if (bytes > 0 && (!paced || gbps > 0)) parts.push(paced ? `${gbps.toFixed(2)} GB/s of copying` : `${byteSize(bytes)} of copying a frame`);
  const [before, after] = [workUs(b), workUs(a)];
  const work = before === null || after === null ? 0 : before - after;
  if (work > 0) parts.push(`${duration(work)} of guest and host work a frame`);
  const against = `against ${replaced.path}, which it replaces`;
  const ratio = b.fps > 0 ? compact(a.fps / b.fps) : '';
  const times = !paced && a.fps > b.fps && ratio !== '' && ratio !== '1.0' ? `makes ${ratio} times the updates and ` : '';
  if (parts.length === 0) return `${imported.path} saves nothing ${against}`;
  const extra = work < 0 ? `, at ${duration(-work)} more work a frame` : '';
  return `${imported.path} ${times}saves ${parts.join(' and ')} ${against}${extra}`;
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
