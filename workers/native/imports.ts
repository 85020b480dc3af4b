import { closeSync, openSync } from 'node:fs';
import type { SideBySide } from '../../core/host/options.ts';
import type { ImportBy, MachineOptions } from '../../core/machine/options.ts';
import type { MachinePlan } from '../../core/machine/plan.ts';
import type { MemoryRegion } from '../../core/memory/region.ts';
import { Libc } from './libc.ts';
import type { BackingFile } from './mapping.ts';
import { MappedSideBySide } from './side-by-side.ts';
import { UdmabufSideBySide } from './udmabuf.ts';
import { UDMABUF_DEVICE, udmabufAccess } from './udmabuf-device.ts';
import { ViewMemory } from './view-memory.ts';

/** How the scattered pages of an import become one range; `list`: they do not, and are read piece by piece. */
export type ImportWay = Exclude<ImportBy, 'auto'>;

/** What `importBy` comes to on this machine: `auto` is the first of them that can be. */
export function importsHere(by: ImportBy): ImportWay {
  if (by !== 'auto') return by;
  if (typeof Libc.load() === 'string') return 'list';
  return udmabufAccess() === 'usable' ? 'udmabuf' : 'remap';
}

/**
 * The same for a machine of threads. There `auto` remaps for an encoder alone, which wants one range to read every pixel from:
 * the calls for 8100 pages take about as long as a guest waits for a frame.
 */
export function importsOf({ memory, importBy, sink }: Pick<MachineOptions, 'memory' | 'importBy' | 'sink'>): ImportWay {
  if (memory === 'shared') return 'list';
  const way = importsHere(importBy);
  return importBy === 'auto' && way === 'remap' && sink !== 'encode' ? 'list' : way;
}

/** Why imports cannot come about so on this machine and what to do; null: they can. */
export function whyNoImports(by: ImportBy): string | null {
  if (by !== 'udmabuf') return null;
  const access = udmabufAccess();
  if (access === 'usable') return null;
  const what = access === 'absent' ? 'is absent: load the module udmabuf' : 'may not be read and written: become a member of its group';
  return `${UDMABUF_DEVICE} ${what}, or name remap or list`;
}

/** How the imports of one host become one range. */
export interface Imports {
  /** Absent: they do not. */
  readonly sideBySide?: SideBySide;
  /** Ends what views are left. Nobody may read them any more. */
  close(): void;
}

/** Of this thread: views that have ended leave their address space to those of the next host. */
const MEMORIES = new WeakMap<Libc, ViewMemory>();
const BY_LIST: SideBySide = { map: () => null, unmap() {} };

/**
 * @param refused what becomes of an import that udmabuf refuses: it is remapped, read by its list, or refused
 * @param fileOf the file behind a region's bytes; needed by udmabuf alone
 * @throws Error where `whyNoImports` says why
 */
export function openImports(
  libc: Libc,
  way: ImportWay,
  refused: 'remap' | 'list' | 'refuse',
  fileOf: (region: MemoryRegion) => BackingFile | null,
): Imports {
  if (way === 'list') return { close() {} };
  const memories = MEMORIES.get(libc) ?? new ViewMemory(libc);
  MEMORIES.set(libc, memories);
  const remap = new MappedSideBySide(libc, undefined, memories);
  if (way === 'remap') return { sideBySide: remap, close: () => remap.close() };
  const why = whyNoImports(way);
  if (why !== null) throw new Error(why);
  const device = openSync(UDMABUF_DEVICE, 'r+');
  const otherwise = refused === 'refuse' ? {} : { otherwise: refused === 'remap' ? remap : BY_LIST };
  const udmabuf = new UdmabufSideBySide(libc, device, fileOf, { memories, ...otherwise });
  return {
    sideBySide: udmabuf,
    close() {
      udmabuf.close();
      remap.close();
      closeSync(device);
    },
  };
}

/** The same for a plan whose regions are these files, in their order. @throws Error as it does */
export function openImportsOf({ regions, options }: MachinePlan, files: readonly number[]): Imports {
  const libc = Libc.load();
  if (typeof libc === 'string') throw new Error(libc);
  const byId = new Map(regions.map(({ id }, i) => [id, { fd: files[i], offset: 0 }]));
  const otherwise = options.sink === 'encode' ? 'remap' : 'list';
  return openImports(libc, importsOf(options), options.importBy === 'auto' ? otherwise : 'refuse', ({ id }) => byId.get(id) ?? null);
}
