/**
 * Runs in a guest whose kernel has /dev/udmabuf: what the program makes of it, against the list of segments and against the
 * model of it. Says what it saw, a line each, for udmabuf.test.ts to judge.
 */
import { closeSync, constants, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { doctor } from '../../../benchmarks/doctor.ts';
import { Random } from '../../../core/memory/random.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import { Libc, Seal } from '../../../workers/native/libc.ts';
import { type BackingFile, FileMappings } from '../../../workers/native/mapping.ts';
import { UdmabufSideBySide } from '../../../workers/native/udmabuf.ts';

const [imports, cycles] = process.argv.slice(2).map(Number);
const SEED = 1;
const PAGE = 4096;
const RAM_PAGES = 512;
const MOST_PAGES = 64;
const MIB = 1024 * 1024;
/** open(2): a file without a name. */
const O_TMPFILE = 0o20200000;
const PARAMETERS = '/sys/module/udmabuf/parameters';

const loaded = Libc.load();
if (typeof loaded === 'string') throw new Error(loaded);
const libc = loaded;
const say = (line: string): void => console.log(line);
const memory = createSharedMemory(128 * MIB);

for (const line of (await doctor(false)).split('\n')) say(`DOCTOR ${line}`);

const udmabuf = openSync('/dev/udmabuf', 'r+');
const mappings = new FileMappings(libc);
mappings.keepFiles();
const ramFd = libc.memfd('ram', RAM_PAGES * PAGE);
const ram = new MemoryRegion({
  ...{ id: 0, name: 'ram', kind: 'ram', gpa: 0, size: RAM_PAGES * PAGE, device: null, bar: null },
  memory: mappings.map(ramFd, 0, RAM_PAGES * PAGE),
});
libc.close(ramFd);
const random = new Random(SEED);
for (let i = 0; i < ram.u32.length; i++) ram.u32[i] = random.next();
const views = new UdmabufSideBySide(libc, udmabuf, (region) => mappings.fileOf(region.memory));

/** 2 to MOST_PAGES pages, in no order, some more than once. */
function scattered(): SegmentList {
  const pages = new SegmentList();
  const count = 2 + (random.next() % (MOST_PAGES - 1));
  for (let i = 0; i < count; i++) pages.append(ram, (random.next() % RAM_PAGES) * PAGE, PAGE);
  return pages;
}

function open(pages: SegmentList): MemoryRegion {
  const view = views.map(pages);
  if (view === null || 'errno' in view) throw new Error(`refused: ${view?.errno} ${view?.why}`);
  return view;
}

/** Whether a view has the bytes of the segments, one after the other. */
function isEqual(view: MemoryRegion, pages: SegmentList): boolean {
  for (let i = 0; i < pages.count; i++) {
    const seen = Buffer.from(view.buffer, pages.start[i], pages.bytes[i]);
    if (seen.compare(Buffer.from(pages.region[i].buffer, pages.offset[i], pages.bytes[i])) !== 0) return false;
  }
  return view.size === pages.length;
}

let equal = 0;
let bytes = 0;
for (let i = 0; i < imports; i++) {
  const pages = scattered();
  const view = open(pages);
  // Also what is written after the import.
  ram.u32[(pages.offset[0] + (i % PAGE) - (i % 4)) / 4] = random.next();
  if (isEqual(view, pages)) equal++;
  bytes += view.size;
  views.unmap(view);
}
say(`IMPORTS ${equal} of ${imports} equal, ${bytes} bytes, seed ${SEED}`);

const held = (): string => {
  const dmabufs = readFileSync('/proc/self/maps', 'utf8').match(/\/dmabuf:/g);
  return `${readdirSync('/proc/self/fd').length} files, ${dmabufs?.length ?? 0} dma-bufs mapped`;
};
const maps = (): number => readFileSync('/proc/self/maps', 'utf8').split('\n').length;
const holds = open(scattered());
say(`ONE ${held()}`);
views.unmap(holds);
const before = { held: held(), maps: maps() };
for (let i = 0; i < cycles; i++) views.unmap(open(scattered()));
say(`FLAT ${cycles} imports and closes; before ${before.held}; after ${held()}; ${maps() - before.maps} maps more`);

/** What the kernel answers to these pieces of a file, in words. */
function answer(
  file: BackingFile,
  pieces: readonly (readonly [offset: number, bytes: number])[],
  { size = 128 * MIB, device = udmabuf } = {},
): string {
  const region = new MemoryRegion({ id: 1, name: 'asked', kind: 'ram', gpa: 0, size, device: null, bar: null, memory });
  const pages = new SegmentList();
  for (const [offset, length] of pieces) pages.append(region, offset, length);
  const asked = new UdmabufSideBySide(libc, device, () => file, { mostViews: Number.POSITIVE_INFINITY });
  const view = asked.map(pages);
  if (view === null) return 'no file';
  if ('errno' in view) return `${view.errno}: ${view.why}`;
  asked.unmap(view);
  return 'taken';
}
const SMALL = 8 * PAGE;
const small = { fd: libc.memfd('small', SMALL), offset: 0 };
const large = { fd: libc.memfd('large', 128 * MIB), offset: 0 };
const two = [
  [0, PAGE],
  [4 * PAGE, PAGE],
] as const;
const pagesApart = (count: number) => Array.from({ length: count }, (_, i) => [(i % 2) * 2 * PAGE, PAGE] as const);
const rule = (name: string, text: string): void => say(`RULE ${name}: ${text}`);

rule('two pages', answer(small, two));
rule('1024 items', answer(small, pagesApart(1024)));
rule('1025 items', answer(small, pagesApart(1025)));
const piecesOfMib = (count: number) => Array.from({ length: count }, (_, i) => [(i % 2) * 2 * MIB, MIB] as const);
rule('64 MiB', answer(large, piecesOfMib(64)));
rule('65 MiB', answer(large, piecesOfMib(65)));
rule('offset inside a page', answer(small, [[512, PAGE]]));
rule('size of a part of a page', answer(small, [[0, 512]]));
rule('no item', answer(small, []));
rule('an empty item', answer(small, [two[0], [2 * PAGE, 0]]));
rule('past the end', answer(small, [[SMALL - PAGE, 2 * PAGE]], { size: SMALL * 2 }));
rule('behind the end', answer(small, [[SMALL, PAGE]], { size: SMALL * 2 }));
const plain = openSync('/dev/shm', O_TMPFILE | constants.O_RDWR, 0o600);
writeFileSync(plain, Buffer.alloc(SMALL));
rule('not sealed against shrinking', answer({ fd: plain, offset: 0 }, two));
for (const [name, seal] of [
  ['sealed against writing', Seal.WRITE],
  ['sealed against writing from now on', Seal.FUTURE_WRITE],
] as const) {
  const fd = libc.memfd('sealed', SMALL);
  libc.seal(fd, seal);
  rule(name, answer({ fd, offset: 0 }, two));
  libc.close(fd);
}
const proc = openSync('/proc/version', 'r');
rule('no memory file', answer({ fd: proc, offset: 0 }, two));
rule('no file', answer({ fd: -1, offset: 0 }, two));
const taken: number[] = [];
try {
  for (;;) taken.push(libc.eventfd());
} catch {
  // As many as there may be.
}
const full = answer(small, two);
for (const fd of taken) libc.close(fd);
rule('no descriptor left', full);
const none = openSync('/dev/null', 'r+');
rule('another device', answer(small, two, { device: none }));
// Root may change the driver's parameters at any time.
writeFileSync(`${PARAMETERS}/list_limit`, '8192');
rule('1025 items, list_limit 8192', answer(small, pagesApart(1025)));
rule('8193 items, list_limit 8192', answer(small, pagesApart(8193)));
writeFileSync(`${PARAMETERS}/list_limit`, '1024');
for (const fd of [plain, proc, none]) closeSync(fd);
say(`AFTER ${held()}`);
