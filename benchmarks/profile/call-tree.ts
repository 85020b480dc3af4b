import type { CallFrame, CpuProfile, CpuProfileNode } from './cpu-profile.ts';

/** What a thread does in a function: work, or wait, or neither of its own accord. */
export const KINDS = ['work', 'copy', 'spin', 'sleep', 'collection', 'other'] as const;
export type Kind = (typeof KINDS)[number];

export const KIND_WORDS: Readonly<Record<Kind, string>> = {
  work: 'work',
  copy: 'copying (WebAssembly)',
  spin: 'spinning, with the turns made meanwhile',
  sleep: 'asleep',
  collection: 'garbage collection',
  other: 'outside JavaScript, or not running',
};

/** A function called from one place of the call tree. Times in µs. */
export interface Call {
  readonly name: string;
  /** Path within the project, or what V8 names it by; '': native. */
  readonly file: string;
  /** From 1; 0: none. */
  readonly line: number;
  readonly kind: Kind;
  selfUs: number;
  totalUs: number;
  /** Samples with it on top. */
  samples: number;
  /**
   * Variance of `selfUs`, µs²: the sum of the squares of its visits, runs of samples one after the other. A thread that
   * loses its CPU is sampled where it stands, again and again, which is one visit.
   */
  variance: number;
  readonly children: Call[];
}

/** Everything before these functions is how a thread is started, the same in every profile. */
const ENTRY = /^(?:runGuest|runHost)$/;
const PACKAGE = /\/(node_modules\/(?!scanout\/).*)$/;
const PROJECT = /\/((?:core|workers|benchmarks|reports)\/[^?]*)$/;

/**
 * The profile as one tree from the thread's own loop down, of calls that took time; each sample counts for the time up to the next.
 * @returns its root, named by the thread
 */
export function callTree(profile: CpuProfile, name: string): Call {
  const self = new Map<number, Own>();
  let visitUs = 0;
  for (const [i, id] of profile.samples.entries()) {
    const entry = self.get(id) ?? { us: 0, samples: 0, variance: 0 };
    const us = profile.timeDeltas[i + 1] ?? Math.max(0, profile.endTime - lastSampleUs(profile));
    visitUs = profile.samples[i - 1] === id ? visitUs + us : us;
    entry.us += us;
    entry.samples++;
    // (v + us)² − v².
    entry.variance += us * (2 * visitUs - us);
    self.set(id, entry);
  }
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const children = new Set(profile.nodes.flatMap((node) => node.children ?? []));
  const roots = profile.nodes.filter(({ id }) => !children.has(id));
  const root: Call = { name, file: '', line: 0, kind: 'work', selfUs: 0, totalUs: 0, samples: 0, variance: 0, children: [] };
  const entries = profile.nodes.filter(({ callFrame }) => ENTRY.test(callFrame.functionName));
  const within = new Set<number>();
  for (const entry of entries) grow(root, entry, 'work', nodes, self, within);
  // What lies outside: collections and natives stand beside the program's own functions.
  for (const top of roots) growRest(root, top, nodes, self, within);
  settle(root);
  return root;
}

function lastSampleUs({ startTime, timeDeltas }: CpuProfile): number {
  return timeDeltas.reduce((at, delta) => at + delta, startTime);
}

type Nodes = ReadonlyMap<number, CpuProfileNode>;
type Selves = ReadonlyMap<number, Own>;

/** Of one node. */
interface Own {
  us: number;
  samples: number;
  variance: number;
}

function grow(parent: Call, node: CpuProfileNode, inherited: Kind, nodes: Nodes, self: Selves, seen: Set<number>): void {
  if (seen.has(node.id)) return;
  seen.add(node.id);
  const call = childOf(parent, node.callFrame, inherited);
  charge(call, self.get(node.id));
  for (const id of node.children ?? []) {
    const child = nodes.get(id);
    if (child !== undefined) grow(call, child, call.kind === 'spin' ? 'spin' : 'work', nodes, self, seen);
  }
}

/** Calls outside the thread's loop, without their callers. */
function growRest(root: Call, node: CpuProfileNode, nodes: Nodes, self: Selves, seen: Set<number>): void {
  if (seen.has(node.id)) return;
  seen.add(node.id);
  const own = self.get(node.id);
  if (own !== undefined) {
    charge(childOf(root, node.callFrame, 'work'), own);
  }
  for (const id of node.children ?? []) {
    const child = nodes.get(id);
    if (child !== undefined) growRest(root, child, nodes, self, seen);
  }
}

function charge(call: Call, own: Own | undefined): void {
  if (own === undefined) return;
  call.selfUs += own.us;
  call.samples += own.samples;
  call.variance += own.variance;
}

function childOf(parent: Call, frame: CallFrame, inherited: Kind): Call {
  const file = fileOf(frame.url);
  const line = frame.lineNumber + 1;
  const name = frame.functionName === '' ? '(anonymous)' : frame.functionName;
  const found = parent.children.find((call) => call.name === name && call.file === file && call.line === line);
  if (found !== undefined) return found;
  const call: Call = {
    name,
    file,
    line,
    kind: kindOf(name, file, inherited),
    selfUs: 0,
    totalUs: 0,
    samples: 0,
    variance: 0,
    children: [],
  };
  parent.children.push(call);
  return call;
}

/** A module's path within the project or below node_modules; else what V8 names it by. */
export function fileOf(url: string): string {
  return PACKAGE.exec(url)?.[1] ?? PROJECT.exec(url)?.[1] ?? url.replace(/^file:\/\//, '');
}

/** Spinning and sleeping are functions of their own, so that they can be told by name. */
function kindOf(name: string, file: string, inherited: Kind): Kind {
  if (name === '(garbage collector)') return 'collection';
  if (/^\((?:program|idle|root)\)$/.test(name)) return 'other';
  if (/core\/ring\/doorbell\.[jt]s$/.test(file)) {
    if (name === 'blockUntilDeadline') return 'sleep';
    if (name === '#poll' || name === 'spin') return 'spin';
  }
  if (name === 'spin' && /workers\/loop\.[jt]s$/.test(file)) return 'spin';
  // By its name the turn that ends a spin is one of those that pass the time; but pixels are never copied for that.
  if (name.startsWith('wasm-function')) return 'copy';
  return inherited === 'spin' ? 'spin' : 'work';
}

/** Sums up the tree, drops what took no time, and puts the longest first. @returns the total */
function settle(call: Call): number {
  call.totalUs = call.selfUs;
  for (const child of call.children) call.totalUs += settle(child);
  const kept = call.children.filter(({ totalUs }) => totalUs > 0).sort((a, b) => b.totalUs - a.totalUs);
  call.children.splice(0, call.children.length, ...kept);
  return call.totalUs;
}

/** All of one function, wherever it was called from. */
export interface FunctionTime {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  readonly kind: Kind;
  selfUs: number;
  samples: number;
  variance: number;
}

/** Functions by their own time, the longest first. */
export function functionTimes(root: Call): FunctionTime[] {
  const byKey = new Map<string, FunctionTime>();
  const visit = (call: Call): void => {
    if (call.samples > 0) {
      const { name, file, line, kind } = call;
      const key = `${name} ${file} ${line} ${kind}`;
      const time = byKey.get(key) ?? { name, file, line, kind, selfUs: 0, samples: 0, variance: 0 };
      time.selfUs += call.selfUs;
      time.samples += call.samples;
      time.variance += call.variance;
      byKey.set(key, time);
    }
    for (const child of call.children) visit(child);
  };
  visit(root);
  return [...byKey.values()].sort((a, b) => b.selfUs - a.selfUs);
}

/** `#draw core/guest/compositor.ts:162`. */
export function placeOf({ file, line }: { readonly file: string; readonly line: number }): string {
  return file === '' ? 'native' : line > 0 ? `${file}:${line}` : file;
}
