import { readFileSync } from 'node:fs';
import type { SideBySide } from '../../core/host/options.ts';
import { PAGE_SIZE } from '../../core/memory/address.ts';
import type { MemoryRegion } from '../../core/memory/region.ts';
import type { SegmentList } from '../../core/memory/segments.ts';
import { type Libc, NativeError } from './libc.ts';
import { ViewMemory } from './view-memory.ts';

/** Of the maps that a process may have, the part that views take at most. */
const SHARE_OF_MAPS = 0.5;
const USUAL_MAX_MAPS = 65530;

/** vm.max_map_count. */
export function maxMaps(): number {
  try {
    return Number(readFileSync('/proc/sys/vm/max_map_count', 'utf8'));
  } catch {
    return USUAL_MAX_MAPS;
  }
}

/**
 * Maps the pages of a scattered import side by side (mremap with an old size of 0: the same pages of the same file once more),
 * so that readers see one range, without a copy. The regions must be mapped files. A view costs a map for each segment.
 */
export class MappedSideBySide implements SideBySide {
  readonly #libc: Libc;
  readonly #mostMaps: number;
  readonly #memories: ViewMemory;
  readonly #maps = new Map<MemoryRegion, number>();
  #mapsUsed = 0;

  constructor(libc: Libc, mostMaps: number = Math.floor(maxMaps() * SHARE_OF_MAPS), memories: ViewMemory = new ViewMemory(libc)) {
    this.#libc = libc;
    this.#mostMaps = mostMaps;
    this.#memories = memories;
  }

  /** Views there are. */
  get count(): number {
    return this.#maps.size;
  }

  map(pages: SegmentList): MemoryRegion | null {
    const { count } = pages;
    if (this.#mapsUsed + count > this.#mostMaps) return null;
    for (let i = 0; i < count; i++) if (pages.offset[i] % PAGE_SIZE !== 0 || pages.bytes[i] % PAGE_SIZE !== 0) return null;
    const size = pages.length;
    const memory = this.#memories.take(size);
    if (memory === null) return null;
    const at = this.#memories.addressOf(memory);
    try {
      for (let i = 0; i < count; i++) {
        const from = this.#memories.addressOf(pages.region[i].memory) + BigInt(pages.offset[i]);
        this.#libc.mapAgain(from, pages.bytes[i], at + BigInt(pages.start[i]));
      }
    } catch (error) {
      // No more maps, or a region that is no mapped file.
      this.#memories.end(memory, size);
      if (error instanceof NativeError) return null;
      throw error;
    }
    const view = this.#memories.region(memory, size);
    this.#maps.set(view, count);
    this.#mapsUsed += count;
    return view;
  }

  unmap(view: MemoryRegion): void {
    const maps = this.#maps.get(view);
    if (maps === undefined) return;
    this.#maps.delete(view);
    this.#mapsUsed -= maps;
    this.#memories.end(view.memory, view.size);
  }

  /** Ends what views are left. Nobody may read them any more. */
  close(): void {
    for (const view of [...this.#maps.keys()]) this.unmap(view);
  }
}
