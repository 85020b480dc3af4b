import { createSharedMemory, MemoryRegion } from '../../core/memory/region.ts';

export const PAGE = 4096;
/** Pages of a 4K frame of 4 bytes a pixel. */
export const FRAME_PAGES = 8100;
/** Pieces that a 4K frame lies in: whole; as the buffers of recorded guests did; every page for itself. */
export const SEGMENT_COUNTS = [1, 403, 2024, 8100] as const;

export function ramRegion(pages: number, id = 0, gpa = 0): MemoryRegion {
  const size = pages * PAGE;
  return new MemoryRegion({ id, name: `ram ${id}`, kind: 'ram', gpa, size, device: null, bar: null, memory: createSharedMemory(size) });
}

/** Page numbers of a 4K frame that lies in `segments` runs of nearly equal length, none directly after another. */
export function frameRuns(segments: number): { region: MemoryRegion; pages: Int32Array } {
  const pages = new Int32Array(FRAME_PAGES);
  for (let page = 0; page < FRAME_PAGES; page++) pages[page] = page + Math.floor((page * segments) / FRAME_PAGES);
  return { region: ramRegion(FRAME_PAGES + segments), pages };
}
