import type { RegionPlan } from '../../core/memory/region.ts';
import { type Libc, MAP_SHARED } from './libc.ts';

/** Regions whose bytes are those of sealed files in memory: the same for typed arrays here and for another process. */
export class MemfdMemory {
  readonly #libc: Libc;
  readonly #regions: readonly RegionPlan[];
  readonly #fds: number[] = [];

  /** What the regions held is lost. @throws NativeError: ENOMEM and what else memfd_create(2) and mmap(2) answer */
  constructor(libc: Libc, regions: readonly RegionPlan[]) {
    this.#libc = libc;
    this.#regions = regions;
    try {
      for (const { name, size, memory } of regions) {
        const fd = libc.memfd(`scanout-${name}`, size);
        this.#fds.push(fd);
        libc.mmapFixed(addressOf(libc, memory), size, MAP_SHARED, fd, 0);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** One a region, in their order. Closed by `close`. */
  get fds(): readonly number[] {
    return this.#fds;
  }

  /** Puts private zero pages in the files' place and closes them. Nobody may use the regions' bytes any more. */
  close(): void {
    this.#fds.splice(0).forEach((fd, i) => {
      const { size, memory } = this.#regions[i];
      this.#libc.mapZeros(addressOf(this.#libc, memory), size);
      this.#libc.close(fd);
    });
  }
}

const addressOf = (libc: Libc, memory: WebAssembly.Memory): bigint => libc.addressOf(new Uint8Array(memory.buffer));
