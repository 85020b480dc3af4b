import { InputError } from '../../reports/index.ts';
import { parseJson } from '../../reports/json.ts';

/** Where a function is, as V8 says: lines count from 0, −1: none. */
export interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

export interface CpuProfileNode {
  readonly id: number;
  readonly callFrame: CallFrame;
  readonly children?: readonly number[];
}

/** Whose profile it is: a field of our own, which other readers of the format leave alone. */
export interface ProfileOrigin {
  readonly scenario: string;
  readonly thread: 'guest' | 'host';
  /** Frames of the profiled time. */
  readonly frames: number;
  readonly node: string;
}

/** A .cpuprofile (Chrome DevTools Protocol, Profiler.Profile): times in µs. */
export interface CpuProfile {
  readonly nodes: readonly CpuProfileNode[];
  readonly startTime: number;
  readonly endTime: number;
  /** Ids of the nodes that were on top of the stack. */
  readonly samples: readonly number[];
  /** From one sample to the next; the first from `startTime`. */
  readonly timeDeltas: readonly number[];
  readonly scanout?: ProfileOrigin;
}

/** @param source what the text came from, for messages @throws InputError */
export function parseCpuProfile(text: string, source: string): CpuProfile {
  const profile = parseJson(text, source) as Partial<CpuProfile> | null;
  const missing = missingPart(profile);
  if (missing !== null) throw new InputError(`${source}: not a CPU profile: ${missing}`);
  return profile as CpuProfile;
}

const isNumber = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value);

function missingPart(profile: Partial<CpuProfile> | null): string | null {
  if (typeof profile !== 'object' || profile === null) return 'no object';
  const { nodes, samples, timeDeltas } = profile;
  if (!Array.isArray(nodes) || nodes.length === 0) return 'no nodes';
  if (!Array.isArray(samples) || !Array.isArray(timeDeltas) || samples.length !== timeDeltas.length) return 'no samples with a time each';
  if (!isNumber(profile.startTime) || !isNumber(profile.endTime) || !timeDeltas.every(isNumber)) return 'no times';
  const ids = new Set<unknown>();
  for (const node of nodes as readonly Partial<CpuProfileNode>[]) {
    const frame = node?.callFrame;
    if (!isNumber(node?.id) || typeof frame?.functionName !== 'string' || typeof frame.url !== 'string' || !isNumber(frame.lineNumber))
      return 'a node without id and call frame';
    ids.add(node.id);
  }
  if (!nodes.every(({ children = [] }) => Array.isArray(children) && children.every((id) => ids.has(id)))) return 'a call of no node';
  if (!samples.every((id) => ids.has(id))) return 'a sample of no node';
  return isDeeper(nodes as readonly CpuProfileNode[], MOST_CALLS) ? `calls more than ${MOST_CALLS} deep` : null;
}

/** V8 samples 255 callers at most. What walks the calls calls itself for each. */
const MOST_CALLS = 1000;

/** Also of calls in a circle. */
function isDeeper(nodes: readonly CpuProfileNode[], most: number): boolean {
  const callers = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const depths = new Map<number, number>();
  for (const { id } of nodes) {
    const climbed: number[] = [];
    let at: number | undefined = id;
    while (at !== undefined && !depths.has(at) && climbed.length <= most) {
      climbed.push(at);
      at = callers.get(at);
    }
    let depth = at === undefined ? 0 : (depths.get(at) ?? most);
    for (const each of climbed.reverse()) depths.set(each, ++depth);
    if (depth > most) return true;
  }
  return false;
}

/** V8's clock lies whole multiples of this off CLOCK_MONOTONIC on some systems, µs. */
const WRAP_US = 2 ** 34;
/** How long after the request a profile may end, µs. */
const END_SLACK_US = 50_000;

/**
 * The profile on CLOCK_MONOTONIC, given when its end was asked for (µs).
 * Where its clock is another one altogether its end is taken for that moment.
 */
export function alignEnd(profile: CpuProfile, askedUs: number): CpuProfile {
  const wraps = Math.round((askedUs - profile.endTime) / WRAP_US) * WRAP_US;
  const late = profile.endTime + wraps - askedUs;
  const shift = Math.abs(late) <= END_SLACK_US ? wraps : askedUs - profile.endTime;
  return { ...profile, startTime: profile.startTime + shift, endTime: profile.endTime + shift };
}

/** The samples from `fromUs` on and before `toUs`; all nodes stay. */
export function clip(profile: CpuProfile, fromUs: number, toUs: number): CpuProfile {
  const samples: number[] = [];
  const timeDeltas: number[] = [];
  let at = profile.startTime;
  let last = Math.max(fromUs, profile.startTime);
  const startTime = last;
  for (const [i, id] of profile.samples.entries()) {
    at += profile.timeDeltas[i];
    if (at < fromUs || at >= toUs) continue;
    samples.push(id);
    timeDeltas.push(at - last);
    last = at;
  }
  return { ...profile, startTime, endTime: Math.min(toUs, Math.max(profile.endTime, startTime)), samples, timeDeltas };
}
