import { closeSync, openSync } from 'node:fs';
import type { SideBySide } from '../../core/host/options.ts';
import type { ImportBy } from '../../core/machine/options.ts';
import type { MemoryRegion } from '../../core/memory/region.ts';
import { Libc } from './libc.ts';
import type { BackingFile } from './mapping.ts';
import { MappedSideBySide } from './side-by-side.ts';
import { UdmabufSideBySide } from './udmabuf.ts';
import { UDMABUF_DEVICE, udmabufAccess } from './udmabuf-device.ts';
import { ViewMemory } from './view-memory.ts';

/** What `importBy` comes to on this machine: `auto` is the first of them that can be. */
export function importsHere(by: ImportBy): Exclude<ImportBy, 'auto'> {
  if (by !== 'auto') return by;
  if (typeof Libc.load() === 'string') return 'list';
  return udmabufAccess() === 'usable' ? 'udmabuf' : 'remap';
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
  /** Absent: they do not, and are read piece by piece. */
  readonly sideBySide?: SideBySide;
  /** Ends what views are left. Nobody may read them any more. */
  close(): void;
}

/** Of this thread: views that have ended leave their address space to those of the next host. */
const MEMORIES = new WeakMap<Libc, ViewMemory>();

/** @param fileOf the file behind a region's bytes; needed by udmabuf alone @throws Error where `whyNoImports` says why */
export function openImports(libc: Libc, by: ImportBy, fileOf: (region: MemoryRegion) => BackingFile | null): Imports {
  const chosen = importsHere(by);
  if (chosen === 'list') return { close() {} };
  const memories = MEMORIES.get(libc) ?? new ViewMemory(libc);
  MEMORIES.set(libc, memories);
  const remap = new MappedSideBySide(libc, undefined, memories);
  if (chosen === 'remap') return { sideBySide: remap, close: () => remap.close() };
  const why = whyNoImports(chosen);
  if (why !== null) throw new Error(why);
  const device = openSync(UDMABUF_DEVICE, 'r+');
  const udmabuf = new UdmabufSideBySide(libc, device, fileOf, by === 'auto' ? { memories, otherwise: remap } : { memories });
  return {
    sideBySide: udmabuf,
    close() {
      udmabuf.close();
      remap.close();
      closeSync(device);
    },
  };
}
