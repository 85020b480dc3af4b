/**
 * The rules of the layers, as a pure function of the sources, so that each rule can be shown to bite.
 */
import { posix } from 'node:path';

export interface Violation {
  file: string;
  rule: string;
}

/** Sources by path from the project's root, with `/`. */
export type Sources = ReadonlyMap<string, string>;

export const LAYERS = ['core', 'workers', 'benchmarks', 'reports'] as const;
export const MAX_LINES = 400;

/** Folder → folders that neither it nor anything it imports may reach. */
const NEVER: readonly (readonly [from: string, to: string, except?: string])[] = [
  ['core/guest', 'core/host'],
  ['core/host', 'core/guest'],
  ['core/protocol', 'core/ring'],
  ['core/memory', 'core', 'core/measure'],
  ['core/measure', 'core'],
  ['core/dmabuf', 'core/host'],
  ['core/dmabuf', 'core/guest'],
  ['core/dmabuf', 'core/protocol'],
  ['core/sink', 'core/host'],
  ['core', 'workers'],
  ['core', 'benchmarks'],
  ['core', 'reports'],
  ['workers', 'benchmarks'],
  ['reports', 'core'],
  ['reports', 'workers'],
  ['reports', 'benchmarks'],
  ['core', 'test'],
  ['workers', 'test'],
  ['benchmarks', 'test'],
  ['reports', 'test'],
];

/** Where core may touch memory that two threads share: memory, ring (the doorbells are there), measure. */
const SHARED_MEMORY = ['core/memory', 'core/ring', 'core/measure'];
/** A driver that breaks the ring on purpose has to reach into it. */
const ATOMICS = [...SHARED_MEMORY, 'core/machine/testing'];
/** The machine makes the session's shared buffers and hands them on; it looks into none (that takes Atomics). */
const SHARED_BUFFERS = [...SHARED_MEMORY, 'core/machine'];
const CLOCK = ['core/measure'];
const CLOCK_USE = /\b(?:performance\s*\.\s*(?:now|timeOrigin)|process\s*\.\s*hrtime|Date\s*\.\s*now|new\s+Date\s*\()/;

export function violations(sources: Sources): Violation[] {
  const found: Violation[] = [];
  const report = (file: string, rule: string) => found.push({ file, rule });
  const code = new Map([...sources].map(([file, text]) => [file, withoutComments(text)]));
  const imports = new Map([...code].map(([file, text]) => [file, importsOf(file, text)]));

  for (const [file, text] of code) {
    const direct = imports.get(file) ?? [];
    if (under(file, 'core')) {
      for (const target of direct) if (isPackage(target)) report(file, `core imports no package: ${target}`);
      const bare = withoutStrings(text);
      const allows = (folders: readonly string[]) => folders.some((folder) => under(file, folder));
      if (/\bAtomics\b/.test(bare) && !allows(ATOMICS)) report(file, 'Atomics only in memory, ring, measure');
      if (/\bSharedArrayBuffer\b/.test(bare) && !allows(SHARED_BUFFERS)) report(file, 'raw shared buffers only in memory, ring, measure');
      if (CLOCK_USE.test(bare) && !allows(CLOCK)) report(file, 'the clock only in measure');
      const sides = ['core/guest', 'core/host'].filter((folder) => direct.some((target) => under(target, folder)));
      const own = sides.filter((folder) => !under(file, folder));
      if (own.length > 0 && !under(file, 'core/machine') && !under(file, 'core/guest') && !under(file, 'core/host')) {
        report(file, `in core only machine imports guest and host: ${own.join(', ')}`);
      }
    }
    const lines = (sources.get(file) ?? '').split('\n').length;
    if (LAYERS.some((layer) => under(file, layer)) && lines > MAX_LINES + 1) report(file, `${lines - 1} lines, more than ${MAX_LINES}`);

    const reached = closure(file, imports);
    for (const [from, to, except] of NEVER) {
      if (!under(file, from)) continue;
      for (const target of reached) {
        const own = from !== 'core' && under(target, from);
        if (!own && under(target, to) && !(except !== undefined && under(target, except)))
          report(file, `${from} → ${to}: reaches ${target}`);
      }
    }
    const side = ringSide(file);
    if (side !== null) {
      for (const target of reached) {
        const other = ringSide(target);
        if (other !== null && other !== side) report(file, `driver side and device side share only layout: reaches ${target}`);
      }
    }
  }
  return found;
}

/** 'driver' or 'device' for a file of one side of a queue, null for what both share. */
function ringSide(file: string): 'driver' | 'device' | null {
  const match = /^core\/ring\/[^/]+\/(driver|device)\b/.exec(file);
  return match ? (match[1] as 'driver' | 'device') : null;
}

/** Bare specifiers (packages and node: modules) and project paths that a file imports, in any way. */
export function importsOf(file: string, code: string): string[] {
  const found: string[] = [];
  const patterns = [
    /\b(?:import|export)\b[^'"`;]*?\bfrom\s*(['"])(.+?)\1/g,
    /\bimport\s*(['"])(.+?)\1/g,
    /\bimport\s*\(\s*(['"`])(.+?)\1/g,
    /\brequire(?:\.resolve)?\s*\(\s*(['"`])(.+?)\1/g,
    /\bnew\s+URL\s*\(\s*(['"`])(\.{1,2}\/.+?)\1/g,
    /\bcreateRequire\s*\([^)]*\)\s*(?:\.\s*resolve\s*)?\(\s*(['"`])(.+?)\1/g,
    /\bimport\.meta\.resolve\s*\(\s*(['"`])(.+?)\1/g,
  ];
  for (const pattern of patterns) {
    for (const match of code.matchAll(pattern)) {
      const specifier = match[2];
      // `new URL('./entry' + extension)` and templates name an entry file up to its extension.
      const plain = specifier.replace(/\$\{.*$/, '');
      found.push(plain.startsWith('.') ? posix.normalize(posix.join(posix.dirname(file), plain)) : plain);
    }
  }
  return found;
}

function isPackage(target: string): boolean {
  return !LAYERS.some((layer) => under(target, layer)) && !under(target, 'test');
}

/** Everything that is loaded with `file`, itself left out. */
function closure(file: string, imports: ReadonlyMap<string, string[]>): Set<string> {
  const reached = new Set<string>();
  const open = [file];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const target of imports.get(next) ?? imports.get(`${next}.ts`) ?? []) {
      if (target === file || reached.has(target)) continue;
      reached.add(target);
      open.push(target);
    }
  }
  return reached;
}

function under(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

const COMMENT_OR_STRING = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;

function withoutComments(text: string): string {
  return text.replace(COMMENT_OR_STRING, (match) => (match.startsWith('/') ? ' ' : match));
}

function withoutStrings(code: string): string {
  // Templates are kept: their ${} holes are code.
  return code.replace(/'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g, "''");
}
