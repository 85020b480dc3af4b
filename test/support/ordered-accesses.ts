/**
 * The rules of the memory that both sides of a ring share, checked in the text of core/ring, for no test that runs can see
 * them broken: on x86 a plain access does what an ordered one does. Read by tokens (comments and strings apart) and by the
 * formatter's layout (a method begins at two spaces, a function at none).
 */

/** The views of a region, and an indirect table: what they are given to, and typed arrays that a method is given, are shared too. */
const VIEW = /\.(?:u8|u16|u32|i32|table)\b/;
const VIEW_TYPE = /\b(\w+): (?:Uint8|Uint16|Uint32|Int32)Array\b/g;
/** Functions whose result is a view, and those that do for their caller what he would do by an index. */
const VIEW_FUNCTION = /\bthis\.find\(/;
const ACCESS_FUNCTION = 'copyBytes';
/** Fields by which one side tells the other: through an accessor, or not at all. */
const ORDERED_FIELD = /\b(?:AVAIL_IDX|AVAIL_FLAGS|USED_IDX|USED_FLAGS)\b|this\.(?:usedEvent|availEvent|driverEventAt|deviceEventAt)\b/g;
/** Before the constructor returns, nobody else has the queue. */
const BEFORE_SHARED = 'constructor';

/** One ordered access. `where`: the method; `what`: the accessor and, of the offset, what names the field. */
export interface OrderedAccess {
  readonly where: string;
  readonly what: string;
}

interface Code {
  /** The text with comments and strings blanked: every offset stays. */
  readonly text: string;
  /** Offsets of comments that begin with `RACE:`. */
  readonly races: ReadonlySet<number>;
}

function codeOf(source: string): Code {
  const races = new Set<number>();
  const token = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;
  const text = source.replace(token, (found, at: number) => {
    if (found.startsWith('// RACE:')) races.add(at);
    return found.replace(/[^\n]/g, ' ');
  });
  return { text, races };
}

/** The name of the method or function that each offset lies in, by the header above it. */
function methodAt(text: string): (offset: number) => string {
  const header = /^(?: {2}(?:(?:static|get|set|private) )?|(?:export )?function )(#?\w+)\(.*$/gm;
  const found = [...text.matchAll(header)].map((match) => ({ at: match.index, name: match[1] }));
  return (offset) => found.findLast(({ at }) => at <= offset)?.name ?? '';
}

/** What stands between the parenthesis at `open` and its partner. */
function argumentsAt(text: string, open: number): string {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === '(') depth++;
    else if (text[i] === ')' && --depth === 0) return text.slice(open + 1, i);
  }
  throw new Error('a parenthesis is not closed');
}

/** The first of some arguments. */
function firstOf(args: string): string {
  let depth = 0;
  for (let i = 0; i < args.length; i++) {
    if ('([{'.includes(args[i])) depth++;
    else if (')]}'.includes(args[i])) depth--;
    else if (args[i] === ',' && depth === 0) return args.slice(0, i);
  }
  return args;
}

/** A queue's function that stores, and then loads the peer's event structure: all its arguments count. */
const PUBLISH = 'publishFlags';

interface Call {
  readonly at: number;
  readonly open: number;
  readonly operation: string;
  readonly object: string;
}

function accessorCalls(text: string): Call[] {
  return [...text.matchAll(/this\.(?:(\w+)\.((?:load|store)(?:16|32)|scan)|(publishFlags))\(/g)].map((match) => ({
    at: match.index,
    open: match.index + match[0].length - 1,
    operation: match[2] ?? 'store-load',
    object: match[1] ?? PUBLISH,
  }));
}

/** Every access of a queue's file through `ringAtomics`, in the order of the text. */
export function ringSites(source: string): OrderedAccess[] {
  const { text } = codeOf(source);
  const where = methodAt(text);
  return accessorCalls(text).map(({ at, open, operation, object }) => {
    const args = argumentsAt(text, open);
    const offset = (object === PUBLISH ? args : firstOf(args)).replaceAll('this.', '').replaceAll(/\s+/g, ' ').trim();
    return { where: where(at), what: `${object} ${operation} ${offset}` };
  });
}

/** Every access of a file of cells through `Atomics`, in the order of the text. */
export function cellSites(source: string): OrderedAccess[] {
  const { text } = codeOf(source);
  const where = methodAt(text);
  return [...text.matchAll(/\bAtomics\.(\w+)\(/g)].map((match) => {
    const args = argumentsAt(text, match.index + match[0].length - 1).split(',');
    const cell = (args[1] ?? '').replaceAll(/this\.#?/g, '').trim();
    return { where: where(match.index), what: `${match[1]} ${cell}` };
  });
}

/** What breaks the rule of the cells that registers and doorbells lie in: through `Atomics`, also by another name. */
export function cellViolations(source: string): string[] {
  const { text } = codeOf(source);
  const plain = /\bcells(?:\[|\.(?:fill|set|at|copyWithin)\()/g;
  const renamed = /(?:const|let) (?!cells\b)\w+ = (?:this\.#?)?cells;/g;
  return [plain, renamed].flatMap((rule) => [...text.matchAll(rule)].map((match) => `line ${lineOf(text, match.index)}: ${match[0]}`));
}

/** Of each body: load16, store16, load32, store32, scan, storeThenLoad32. */
const ACCESSES = [1, 1, 1, 1, 1, 2];
const ATOMIC = 0xfe;
const CODE_SECTION = 10;
/** With one number: block, loop, br, br_if, local.get, local.set, local.tee, i32.const. */
const WITH_NUMBER = new Set([0x02, 0x03, 0x0c, 0x0d, 0x20, 0x21, 0x22, 0x41]);
/** Those and end, i32.ne, i32.ge_s, i32.add, i32.and, i32.shr_u. */
const WITHOUT_MEMORY = new Set([...WITH_NUMBER, 0x0b, 0x47, 0x4e, 0x6a, 0x71, 0x76]);

/** Bytes of the LEB128 number after the operation at `at`, if it has one. */
function immediates(bytes: readonly number[], at: number): number {
  if (!WITH_NUMBER.has(bytes[at])) return 0;
  let length = 1;
  while (bytes[at + length] >= 0x80) length++;
  return length;
}

/** What breaks the rule of the WebAssembly module that the accessors are: bodies of nothing but arguments and atomic accesses. */
export function moduleViolations(source: string): string[] {
  const { text } = codeOf(source);
  const literal = /ATOMICS_MODULE = new Uint8Array\(\[([\s\S]*?)\n\]\)/.exec(text)?.[1] ?? '';
  const bytes = [...literal.matchAll(/0x([0-9a-f]{2})/g)].map((match) => Number.parseInt(match[1], 16));
  let at = 8;
  while (at < bytes.length && bytes[at] !== CODE_SECTION) at += 2 + bytes[at + 1];
  const bodies = bytes[at + 2];
  if (bodies === undefined) return ['there is no code'];
  const found: string[] = [];
  at += 3;
  for (let body = 0; body < bodies; body++) {
    const end = at + 1 + bytes[at];
    let accesses = 0;
    // Its size, then groups of locals.
    at += 2 + 2 * bytes[at + 1];
    while (at < end) {
      const operation = bytes[at];
      if (operation === ATOMIC) accesses++;
      else if (!WITHOUT_MEMORY.has(operation)) found.push(`body ${body}: operation ${operation}`);
      at += operation === ATOMIC ? 4 : 1 + immediates(bytes, at);
    }
    if (accesses !== ACCESSES[body]) found.push(`body ${body}: ${accesses} atomic accesses`);
    at = end;
  }
  return found;
}

/** What breaks the rules in a queue's file: an ordered field without its accessor, shared memory without `// RACE:`. */
export function ringViolations(source: string): string[] {
  const code = codeOf(source);
  const { text } = code;
  const where = methodAt(text);
  const found: string[] = [];
  const ordered = accessorCalls(text).map(({ open }) => ({ from: open, to: open + argumentsAt(text, open).length + 1 }));
  for (const match of text.matchAll(ORDERED_FIELD)) {
    const at = match.index;
    const method = where(at);
    if (method === BEFORE_SHARED || method === '') continue;
    if (ordered.some(({ from, to }) => at > from && at < to)) continue;
    found.push(`line ${lineOf(text, at)}: ${match[0]} outside an ordered access, in ${method}`);
  }
  const shared = sharedNames(text);
  const covered = raceCoverage(code);
  const access = /(?:this\.)?(#?\w+)(?:\[|\.(?:fill|set|at|copyWithin)\()/g;
  for (const match of text.matchAll(access)) {
    const method = where(match.index);
    if (!shared.has(match[1]) || method === BEFORE_SHARED || method === ACCESS_FUNCTION || covered(match.index)) continue;
    found.push(`line ${lineOf(text, match.index)}: ${match[1]} without // RACE:, in ${method}`);
  }
  for (const match of text.matchAll(new RegExp(`(?<!function )\\b${ACCESS_FUNCTION}\\(`, 'g'))) {
    if (!covered(match.index)) found.push(`line ${lineOf(text, match.index)}: ${ACCESS_FUNCTION} without // RACE:`);
  }
  return found;
}

/** Copies of the text, each without the `// RACE:` of one method that has some: every one must break the rules. */
export function withoutMarks(source: string): { where: string; copy: string }[] {
  const code = codeOf(source);
  const method = methodAt(code.text);
  const names = new Set([...code.races].map(method));
  return [...names].map((where) => {
    let copy = source;
    for (const at of code.races) if (method(at) === where) copy = `${copy.slice(0, at)}// gone:${copy.slice(at + '// RACE:'.length)}`;
    return { where, copy };
  });
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

/** Names that stand for shared memory somewhere in the file: given a view, or another such name. */
function sharedNames(text: string): Set<string> {
  const shared = new Set<string>();
  for (const line of text.split('\n')) {
    // A parameter: a field is shared if a view is given to it.
    for (const match of line.matchAll(VIEW_TYPE)) if (line.slice(0, match.index).includes('(')) shared.add(match[1]);
  }
  const assignments = [...text.matchAll(/(?:(?:const|let) |this\.)(#?\w+)(?:: \w+)? = ([^;]*);/g)];
  for (const match of text.matchAll(/const \{ ([^}]*) \} = /g)) {
    for (const name of match[1].split(', ')) if (VIEW.test(`.${name}`)) shared.add(name);
  }
  for (let size = -1; size !== shared.size; ) {
    size = shared.size;
    for (const [, name, value] of assignments) if (isView(value, shared)) shared.add(name);
  }
  return shared;
}

function isView(value: string, shared: ReadonlySet<string>): boolean {
  if (/^new \w+\(|\[/.test(value)) return false;
  if (VIEW.test(value) || VIEW_FUNCTION.test(value)) return true;
  return [...value.matchAll(/(?:^|[?:] )(?:this\.)?(#?\w+)(?=$| [?:])/g)].some((match) => shared.has(match[1]));
}

/** Whether an offset comes after a `// RACE:` in its own block or one around it. */
function raceCoverage({ text, races }: Code): (offset: number) => boolean {
  const covered = new Uint8Array(text.length);
  const blocks = [false];
  for (let i = 0; i < text.length; i++) {
    if (races.has(i)) blocks[blocks.length - 1] = true;
    if (text[i] === '{') blocks.push(false);
    else if (text[i] === '}') blocks.pop();
    covered[i] = blocks.includes(true) ? 1 : 0;
  }
  return (offset) => covered[offset] === 1;
}
