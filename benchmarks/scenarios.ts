import os from 'node:os';
import { contentBytes } from '../core/machine/content.ts';
import { DEFAULT_FRAME, FAULTS, type Fault, MAX_FAULTS, parseFault, unfitFault } from '../core/machine/faults.ts';
import { DEFAULT_OPTIONS, HARDWARE, type MachineOptions, PATHS, type Path } from '../core/machine/options.ts';
import { memoryNeeded } from '../core/machine/plan.ts';
import { workloadMemory } from '../core/machine/workload.ts';
import { FrameLog } from '../core/measure/frame-log.ts';
import { PAGE_LAYOUTS, type PageLayout } from '../core/memory/allocator.ts';
import { MOST_PIXELS } from '../workers/encode/encoder.ts';
import { loadNodeAv } from '../workers/encode/node-av.ts';
import { Libc } from '../workers/native/libc.ts';
import { contentId } from './content.ts';
import { useInstead } from './nearest.ts';
import type { RecordedGuest } from './realguest/recorded.ts';

/** A wrong name or number in a command line or suite: one clear line. */
export class ScenarioError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ScenarioError';
  }
}

/**
 * What the host is: threads of this program; such threads whose stream a browser shows (`glass`); a process of it over vhost-user;
 * QEMU's vhost-user-gpu, as installed or the current one that the tests with real guests have fetched.
 */
export type HostKind = 'threads' | 'glass' | 'process' | 'qemu' | 'qemu-current';

/** One row of a suite: what is measured, turned into machine options. */
export interface Scenario {
  readonly id: string;
  readonly options: MachineOptions;
  /** A recorded guest in the place of this project's own. */
  readonly recorded?: RecordedGuest;
  /** Absent: threads. */
  readonly host?: HostKind;
}

/** Those that an id names at its end, the longer of two first. */
const HOSTS: readonly HostKind[] = ['glass', 'process', 'qemu-current', 'qemu'];

/** Whether its host is another process. */
export const isPeer = ({ host }: Scenario): boolean => host !== undefined && host !== 'threads' && host !== 'glass';

/** Whether a browser shows its stream. */
export const isWatched = ({ host }: Scenario): boolean => host === 'glass';

export const RESOLUTIONS: Readonly<Record<string, { readonly width: number; readonly height: number }>> = {
  '720p': { width: 1280, height: 720 },
  '1080p': { width: 1920, height: 1080 },
  '1440p': { width: 2560, height: 1440 },
  '4k': { width: 3840, height: 2160 },
  '8k': { width: 7680, height: 4320 },
};
const MAX_SIDE = 8192;
const MIN_SIDE = 32;

/** `1080p`, `4k`, … or WxH. @throws ScenarioError */
export function parseResolution(text: string): { width: number; height: number } {
  const name = text.toLowerCase();
  // Not what every object has, as `constructor`.
  if (Object.hasOwn(RESOLUTIONS, name)) return RESOLUTIONS[name];
  const match = /^(\d{1,6})x(\d{1,6})$/.exec(text);
  if (match === null)
    throw new ScenarioError(`unknown resolution '${text}': use ${Object.keys(RESOLUTIONS).join(', ')} or WxH, for example 1920x1200`);
  const width = Number(match[1]);
  const height = Number(match[2]);
  for (const side of [width, height]) {
    if (side < MIN_SIDE || side > MAX_SIDE) throw new ScenarioError(`resolution ${text}: a side has ${MIN_SIDE} to ${MAX_SIDE} pixels`);
  }
  return { width, height };
}

export function resolutionName(width: number, height: number): string {
  for (const [name, size] of Object.entries(RESOLUTIONS)) if (size.width === width && size.height === height) return name;
  return `${width}x${height}`;
}

/** `max` or Hz. @throws ScenarioError */
export function parseRate(text: string): number | null {
  return hertz(text, 'rate');
}

/** As `parseRate`, of `--max-refresh`. @throws ScenarioError */
export function parseMaxRefresh(text: string): number | null {
  return hertz(text, '--max-refresh');
}

function hertz(text: string, what: string): number | null {
  if (text === 'max') return null;
  const rate = Number(/^(\d+(?:\.\d+)?)(?:hz)?$/i.exec(text)?.[1]);
  if (!Number.isFinite(rate) || rate < 1 || rate > 1000) throw new ScenarioError(`unknown ${what} '${text}': use max or 1 to 1000 (Hz)`);
  return rate;
}

/** @throws ScenarioError naming the paths there are */
export function parsePath(text: string): Path {
  const found = PATHS.find((name) => name === text);
  if (found === undefined) throw new ScenarioError(`unknown path '${text}': ${useInstead(text, PATHS)}`);
  return found;
}

/** WxH+X+Y, in pixels, as X11 writes a geometry. @throws ScenarioError */
export function parseDamage(text: string): { x: number; y: number; width: number; height: number } {
  const match = /^(\d{1,5})x(\d{1,5})\+(\d{1,5})\+(\d{1,5})$/.exec(text);
  const [width, height, x, y] = match === null ? [0, 0, 0, 0] : match.slice(1).map(Number);
  if (width === 0 || height === 0) throw new ScenarioError(`unknown rectangle '${text}': use WxH+X+Y, for example 256x256+64+64`);
  return { x, y, width, height };
}

/** The first of each key, in order. */
export function unique<T>(list: readonly T[] | undefined, key: (one: T) => string): T[] | undefined {
  if (list === undefined) return undefined;
  const seen = new Map<string, T>();
  for (const one of list) if (!seen.has(key(one))) seen.set(key(one), one);
  return [...seen.values()];
}

/** Unique among scenarios that differ in what their id names. */
export function scenarioId(options: MachineOptions): string {
  const parts: string[] = [options.path, resolutionName(options.width, options.height)];
  parts.push(options.rateHz === null ? 'max' : `${options.rateHz}hz`);
  if (options.layout !== DEFAULT_OPTIONS.layout) parts.push(options.layout);
  if (options.buffers !== DEFAULT_OPTIONS.buffers) parts.push(`${options.buffers}buf`);
  if (options.heads !== 1) parts.push(`${options.heads}heads`);
  if (options.sink !== 'latch') parts.push(options.sink);
  if (options.sink === 'encode' && options.maxRefreshHz !== DEFAULT_OPTIONS.maxRefreshHz)
    parts.push(`refresh${options.maxRefreshHz ?? 'max'}`);
  if (options.encoder !== 'software') parts.push(options.encoder);
  if (options.scanoutUs !== usualScanoutUs(options.rateHz)) parts.push(`scanout${options.scanoutUs}us`);
  if (options.renderer !== 'stamp') parts.push(options.content === undefined ? options.renderer : contentId(options.content));
  if (options.damage !== null) parts.push(damageWord(options.damage));
  if (options.linuxPacing) parts.push('linux-pacing');
  if (options.transferOnly) parts.push('transfer-only');
  if (!options.fences) parts.push('nofences');
  if (options.migrateEvery > 0) parts.push(`migrate${options.migrateEvery}`);
  if (options.handicapPercent > 0) parts.push(`handicap${options.handicapPercent}`);
  if (options.inOrder) parts.push('in-order');
  if (options.ring !== 'split') parts.push(options.ring);
  if (options.memory !== 'shared') parts.push(options.memory);
  for (const fault of options.faults) parts.push(faultWord(fault));
  return parts.join('-');
}

/** `damage64x64`, of a rectangle in a corner of its own `damage64x64+16+32`. */
function damageWord({ x, y, width, height }: NonNullable<MachineOptions['damage']>): string {
  return `damage${width}x${height}${x === 0 && y === 0 ? '' : `+${x}+${y}`}`;
}

/** `lost-kick`, of a frame of its own `lost-kick@30`. */
function faultWord({ name, frame }: Fault): string {
  return frame === DEFAULT_FRAME ? name : `${name}@${frame}`;
}

const SINKS = ['verify', 'display', 'encode'] as const;

/** The bounds are those of the flags of `scanout run`. @throws ScenarioError */
function bounded(text: string, what: string, least: number, most: number): number {
  const value = Number(text);
  if (value >= least && value <= most) return value;
  throw new ScenarioError(`${text} ${what}: there are ${least} to ${most}`);
}

/** What an id says after path, size and rate, a word each, and what it means. */
const ID_WORDS: readonly (readonly [string, (figure: string, said: Partial<MachineOptions>) => Partial<MachineOptions>])[] = [
  [`(${PAGE_LAYOUTS.join('|')})`, (text) => ({ layout: PAGE_LAYOUTS.find((layout) => layout === text) ?? DEFAULT_OPTIONS.layout })],
  ['([0-9]+)buf', (count) => ({ buffers: bounded(count, 'buffers', 1, 16) })],
  ['([0-9]+)heads', (count) => ({ heads: bounded(count, 'heads', 1, 16) })],
  ['(verify|display|encode)', (sink) => ({ sink: SINKS.find((one) => one === sink) ?? DEFAULT_OPTIONS.sink })],
  ['refresh(max|[0-9.]+)', (rate) => ({ maxRefreshHz: parseRate(rate) })],
  [`(${HARDWARE.join('|')})`, (name) => ({ encoder: HARDWARE.find((one) => one === name) ?? DEFAULT_OPTIONS.encoder })],
  ['scanout([0-9]+)us', (us) => ({ scanoutUs: bounded(us, 'scanout µs', 0, 10_000_000) })],
  ['(paint)', () => ({ renderer: 'paint' })],
  ['damage([0-9x+]+)', (text) => ({ damage: parseDamage(text.includes('+') ? text : `${text}+0+0`) })],
  ['(linux-pacing)', () => ({ linuxPacing: true })],
  ['(transfer-only)', () => ({ transferOnly: true })],
  ['(nofences)', () => ({ fences: false })],
  ['migrate([0-9]+)', (every) => ({ migrateEvery: bounded(every, 'frames to a move', 1, 1_000_000) })],
  ['handicap([0-9]+)', (percent) => ({ handicapPercent: bounded(percent, 'percent of handicap', 1, 100) })],
  ['(in-order)', () => ({ inOrder: true })],
  ['(packed)', () => ({ ring: 'packed' })],
  ['(memfd)', () => ({ memory: 'memfd' })],
  [
    `((?:${FAULTS.map(({ name }) => name).join('|')})(?:@[0-9]{1,9})?)`,
    (text, { faults = [] }) => ({ faults: [...faults, parseFault(text)] }),
  ],
];

/**
 * The scenario that has this id; settings that ids do not name are as usual.
 * @returns null when no scenario has such an id
 * @throws ScenarioError an unknown resolution, rate or rectangle, a number out of bounds
 */
export function scenarioOfId(id: string): Scenario | null {
  const path = PATHS.find((name) => id.startsWith(`${name}-`));
  if (path === undefined) return null;
  const host = HOSTS.find((kind) => id.endsWith(`-${kind}`)) ?? 'threads';
  const [size = '', rate = ''] = id.slice(path.length + 1).split('-', 2);
  if (size === '' || rate === '') return null;
  let options: Partial<MachineOptions> = { path, ...parseResolution(size), rateHz: parseRate(rate) };
  // A word may have hyphens of its own.
  let rest = id.slice(path.length + 1 + size.length + 1 + rate.length, host === 'threads' ? undefined : -(host.length + 1));
  while (rest !== '') {
    let length = 0;
    for (const [pattern, meaning] of ID_WORDS) {
      const found = new RegExp(`^-${pattern}(?=-|$)`).exec(rest);
      if (found === null) continue;
      options = { ...options, ...meaning(found[1], options) };
      length = found[0].length;
      break;
    }
    if (length === 0) return null;
    rest = rest.slice(length);
  }
  if ((options.faults ?? []).length > MAX_FAULTS) return null;
  const found = scenario(options, host);
  return found.id === id ? found : null;
}

/** How long a sink reads a frame unless told, µs. */
export const usualScanoutUs = (rateHz: number | null): number => (rateHz === null ? 0 : 2000);

/** Fills in what the suite leaves open: a paced sink reads for 2 ms from its vblank; at max it reads at once. */
export function scenario(options: Partial<MachineOptions>, host: HostKind = 'threads'): Scenario {
  const shown = options.content === undefined ? {} : ({ renderer: 'content', card: false } as const);
  // Who watches finds the frame's number in the picture.
  const merged: MachineOptions = { ...DEFAULT_OPTIONS, ...options, ...(host === 'glass' ? { card: true } : {}), ...shown };
  const complete: MachineOptions = {
    ...merged,
    scanoutUs: options.scanoutUs ?? usualScanoutUs(merged.rateHz),
    listLimit: options.listLimit ?? DEFAULT_OPTIONS.listLimit,
  };
  const id = scenarioId(complete);
  return host === 'threads' ? { id, options: complete } : { id: `${id}-${host}`, options: complete, host };
}

export interface Matrix {
  readonly paths: readonly Path[];
  readonly resolutions: readonly { readonly width: number; readonly height: number }[];
  readonly rates: readonly (number | null)[];
  readonly layouts?: readonly PageLayout[];
  readonly base?: Partial<MachineOptions>;
}

/** Every combination, resolutions outermost, paths innermost: neighbours in time are what is compared. */
export function matrix(of: Matrix): Scenario[] {
  const scenarios: Scenario[] = [];
  for (const size of of.resolutions) {
    for (const rateHz of of.rates) {
      for (const layout of of.layouts ?? [of.base?.layout ?? DEFAULT_OPTIONS.layout]) {
        for (const path of of.paths) scenarios.push(scenario({ ...of.base, ...size, rateHz, layout, path }));
      }
    }
  }
  return scenarios;
}

/** Half of the memory that this process may have, bytes: what a run takes at most unless told otherwise. */
export function memoryBudget(): number {
  // 0: the system does not say; without a limit it may be 2^64 - 1.
  const constrained = process.constrainedMemory();
  return (constrained > 0 ? Math.min(constrained, os.totalmem()) : os.totalmem()) / 2;
}

/**
 * Refuses what cannot run before anything is started.
 * @param budgetBytes memory that the run may take
 * @throws ScenarioError
 */
export function checkScenario({ id, options, recorded, host }: Scenario, budgetBytes: number): void {
  const { damage, width, height, buffers } = options;
  if (host === 'glass' && options.sink !== 'encode') throw new ScenarioError('what a browser shows was encoded: leave out --sink');
  for (const fault of options.faults) {
    const why = unfitFault(fault, options.path);
    if (why !== null) throw new ScenarioError(`${why}: choose another --path`);
  }
  if (options.sink === 'encode') {
    if (options.faults.length > 0 || !options.fences)
      throw new ScenarioError('a sink that encodes is measured without faults, and with fences');
    if (width * height > MOST_PIXELS) throw new ScenarioError(`${id} is larger than H.264 allows: 8192x4352 at most`);
    const missing = loadNodeAv();
    if (typeof missing === 'string') throw new ScenarioError(`${id} has a sink that encodes: ${missing}`);
  }
  // Who watches looks for it too, and skips.
  const libc = options.memory === 'memfd' && host === undefined ? Libc.load() : null;
  if (typeof libc === 'string') throw new ScenarioError(`${id} needs memory that is files: ${libc}`);
  if (options.content !== undefined) {
    if (damage !== null) throw new ScenarioError('what --content shows changes the whole frame: leave out --damage');
    if (isPeer({ id, options, ...(host === undefined ? {} : { host }) }))
      throw new ScenarioError(`${id} is measured beside another program's, with stamps: leave out --content`);
  }
  if (damage !== null && buffers !== 1)
    throw new ScenarioError(
      'a damage rectangle needs --buffers 1: where the framebuffer changes with each frame, the whole frame counts as changed',
    );
  if (damage !== null && (damage.x + damage.width > width || damage.y + damage.height > height))
    throw new ScenarioError(`damage ${damage.width}x${damage.height}+${damage.x}+${damage.y} does not lie within ${width}x${height}`);
  const need = recorded === undefined ? memoryNeeded(options) : workloadMemory(recorded.workload, options);
  const total = need.ram * 1.5 + need.vram * 1.5 + need.host + contentBytes(options) + FrameLog.bytes(options.heads, options.logCapacity);
  if (total > budgetBytes) {
    throw new ScenarioError(
      `${id} needs about ${Math.ceil(total / 2 ** 20)} MiB and the memory budget is ${Math.floor(budgetBytes / 2 ** 20)} MiB: choose a smaller size, fewer buffers or heads`,
    );
  }
  for (const [name, bytes] of [
    ['guest RAM', need.ram],
    ['VRAM', need.vram],
  ] as const) {
    if (bytes * 1.5 + 8 * 2 ** 20 > 2 ** 32)
      throw new ScenarioError(`${id} needs more than 4096 MiB of ${name}, the most that one region holds`);
  }
  if (need.host > options.maxHostmem) {
    throw new ScenarioError(
      `${id} needs ${Math.ceil(need.host / 2 ** 20)} MiB of the host for its copies, which gives a guest ${options.maxHostmem / 2 ** 20} MiB: choose a smaller size, fewer buffers or heads`,
    );
  }
}
