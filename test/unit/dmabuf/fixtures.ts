import type { DmaBufOps, Importer } from '../../../core/dmabuf/dma-buf.ts';
import type { Errno, Result } from '../../../core/dmabuf/errno.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';

export const PAGE = 4096;

export function ram(pages: number, gpa = 0, id = 0): MemoryRegion {
  const size = pages * PAGE;
  return new MemoryRegion({ id, name: `ram${id}`, kind: 'ram', gpa, size, device: null, bar: null, memory: createSharedMemory(size) });
}

export function bar(pages: number, gpa = 2 ** 36, id = 1, device = 'gpu0', index = 2): MemoryRegion {
  const size = pages * PAGE;
  return new MemoryRegion({ id, name: `${device} BAR`, kind: 'device', gpa, size, device, bar: index, memory: createSharedMemory(size) });
}

export function segments(region: MemoryRegion, ...pages: number[]): SegmentList {
  const list = new SegmentList();
  for (const page of pages) list.append(region, page * PAGE, PAGE);
  return list;
}

/** An exporter that notes what is asked of it. */
export function recordingOps(log: string[], refuse: Partial<Record<'attach' | 'pin' | 'map', Errno>> = {}): DmaBufOps {
  const answer = (what: 'attach' | 'pin'): Result<void> => {
    log.push(what);
    const errno = refuse[what];
    return errno === undefined ? { ok: true, value: undefined } : { ok: false, errno, why: 'refused' };
  };
  return {
    name: 'test',
    attach: () => answer('attach'),
    detach: () => void log.push('detach'),
    pin: () => answer('pin'),
    unpin: () => void log.push('unpin'),
    map: (attachment) => {
      log.push('map');
      return refuse.map === undefined ? attachment.mapPages() : { ok: false, errno: refuse.map, why: 'refused' };
    },
    unmap: () => void log.push('unmap'),
    release: () => void log.push('release'),
  };
}

export function dynamicImporter(moveNotify: NonNullable<Importer['moveNotify']> = () => {}, name = 'virtio-gpu'): Importer {
  return { name, allowPeer2peer: true, moveNotify };
}

export const staticImporter: Importer = { name: 'static', allowPeer2peer: false, moveNotify: null };

export function must<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`${result.errno}: ${result.why}`);
  return result.value;
}

export const errnoOf = (result: Result<unknown>): Errno | 'ok' => (result.ok ? 'ok' : result.errno);
