import { readFileSync } from 'node:fs';
import type { SideBySide } from '../../core/host/options.ts';
import { PAGE_SIZE } from '../../core/memory/address.ts';
import { createSharedMemory, MemoryRegion } from '../../core/memory/region.ts';
import type { SegmentList } from '../../core/memory/segments.ts';
import { type Libc, NativeError } from './libc.ts';

/** Ids of the views: above those of the host's other memory. */
const FIRST_ID = 1_000_000;
/** Memory of views that have ended is kept for the next of its size, up to so much. */
const KEPT_BYTES = 512 * 1024 * 1024;
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
  readonly #addresses = new WeakMap<WebAssembly.Memory, bigint>();
  readonly #free = new Map<number, WebAssembly.Memory[]>();
  #freeBytes = 0;
  readonly #maps = new Map<MemoryRegion, number>();
  #mapsUsed = 0;
  #nextId = FIRST_ID;

  constructor(libc: Libc, mostMaps: number = Math.floor(maxMaps() * SHARE_OF_MAPS)) {
    this.#libc = libc;
    this.#mostMaps = mostMaps;
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
    const memory = this.#take(size);
    if (memory === null) return null;
    const at = this.#address(memory);
    try {
      for (let i = 0; i < count; i++) {
        const from = this.#address(pages.region[i].memory) + BigInt(pages.offset[i]);
        this.#libc.mapAgain(from, pages.bytes[i], at + BigInt(pages.start[i]));
      }
    } catch (error) {
      // No more maps, or a region that is no mapped file.
      this.#end(memory, size);
      if (error instanceof NativeError) return null;
      throw error;
    }
    const id = this.#nextId++;
    const view = new MemoryRegion({ id, name: `side-by-side-${id}`, kind: 'ram', gpa: 0, size, device: null, bar: null, memory });
    this.#maps.set(view, count);
    this.#mapsUsed += count;
    return view;
  }

  unmap(view: MemoryRegion): void {
    const maps = this.#maps.get(view);
    if (maps === undefined) return;
    this.#maps.delete(view);
    this.#mapsUsed -= maps;
    this.#end(view.memory, view.size);
  }

  #take(size: number): WebAssembly.Memory | null {
    const kept = this.#free.get(size)?.pop();
    if (kept !== undefined) {
      this.#freeBytes -= size;
      return kept;
    }
    try {
      return createSharedMemory(size);
    } catch {
      return null;
    }
  }

  #end(memory: WebAssembly.Memory, size: number): void {
    this.#libc.mapZeros(this.#address(memory), size);
    if (this.#freeBytes + size > KEPT_BYTES) return;
    this.#freeBytes += size;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [memory]);
    else free.push(memory);
  }

  #address(memory: WebAssembly.Memory): bigint {
    let address = this.#addresses.get(memory);
    if (address === undefined) {
      address = this.#libc.addressOf(new Uint8Array(memory.buffer));
      this.#addresses.set(memory, address);
    }
    return address;
  }
}
