import { createSharedMemory, MemoryRegion } from '../../core/memory/region.ts';
import type { Libc } from './libc.ts';

/** Ids of the views: above those of the host's other memory. */
const FIRST_ID = 1_000_000;
/** Memory of views that have ended is kept for the next of its size, up to so much. */
const KEPT_BYTES = 512 * 1024 * 1024;

/** Shared memory that other memory is laid over, so that it is seen once more. A view that ends leaves private zero pages. */
export class ViewMemory {
  readonly #libc: Pick<Libc, 'addressOf' | 'mapZeros'>;
  readonly #addresses = new WeakMap<WebAssembly.Memory, bigint>();
  readonly #free = new Map<number, WebAssembly.Memory[]>();
  #freeBytes = 0;
  #nextId = FIRST_ID;

  constructor(libc: Pick<Libc, 'addressOf' | 'mapZeros'>) {
    this.#libc = libc;
  }

  /** @param size bytes, whole pages @returns null: there is no address space */
  take(size: number): WebAssembly.Memory | null {
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

  /** Puts private zero pages in the place of what was laid over it. Nobody may read it any more. */
  end(memory: WebAssembly.Memory, size: number): void {
    this.#libc.mapZeros(this.addressOf(memory), size);
    if (this.#freeBytes + size > KEPT_BYTES) return;
    this.#freeBytes += size;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [memory]);
    else free.push(memory);
  }

  addressOf(memory: WebAssembly.Memory): bigint {
    let address = this.#addresses.get(memory);
    if (address === undefined) {
      address = this.#libc.addressOf(new Uint8Array(memory.buffer));
      this.#addresses.set(memory, address);
    }
    return address;
  }

  /** What was laid over it, as a region of its own. */
  region(memory: WebAssembly.Memory, size: number): MemoryRegion {
    const id = this.#nextId++;
    return new MemoryRegion({ id, name: `side-by-side-${id}`, kind: 'ram', gpa: 0, size, device: null, bar: null, memory });
  }
}
