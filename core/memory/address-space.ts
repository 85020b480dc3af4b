import type { MemoryRegion } from './region.ts';

/**
 * Guest-physical address space: regions (RAM below and above the hole, device BARs) that may come and go
 * while the device runs. Regions never overlap; they may touch, but no range is ever found across two of them.
 */
export class AddressSpace {
  /** By region id; null where a region is absent. */
  readonly regions: (MemoryRegion | null)[] = [];
  /** Counts changes of the table. */
  generation = 0;
  /** Result of the last successful `translate`. */
  hitRegion: MemoryRegion | null = null;
  /** Offset of the address inside `hitRegion`, in bytes. */
  hitOffset = 0;
  /** The present regions by ascending base, and their bases, for the bisection. */
  #sorted: MemoryRegion[] = [];
  #bases = new Float64Array(0);

  /**
   * Makes a region present.
   * @throws RangeError when its id is taken or no non-negative integer, or when it overlaps a present region
   */
  add(region: MemoryRegion): void {
    if (!Number.isSafeInteger(region.id) || region.id < 0) {
      throw new RangeError(`region ${region.name}: id ${region.id} is not a non-negative integer`);
    }
    if (this.regions[region.id]) throw new RangeError(`region ${region.name}: id ${region.id} is taken`);
    for (const other of this.#sorted) {
      if (region.gpa < other.gpa + other.size && other.gpa < region.gpa + region.size) {
        throw new RangeError(`region ${region.name} overlaps region ${other.name}`);
      }
    }
    while (this.regions.length <= region.id) this.regions.push(null);
    this.regions[region.id] = region;
    this.#rebuild();
  }

  /** Makes a region absent. @returns the region, or null when there was none of that id */
  remove(id: number): MemoryRegion | null {
    const region = this.regions[id] ?? null;
    if (region === null) return null;
    this.regions[id] = null;
    if (this.hitRegion === region) {
      this.hitRegion = null;
      this.hitOffset = 0;
    }
    this.#rebuild();
    return region;
  }

  /**
   * Looks where [address, address + length) lies. Any number may be asked for: what is no integer in
   * 0 … 2^53 − 1 lies nowhere. A length of 0 is found where its address is.
   * @returns false unless the whole range lies in one present region; otherwise `hitRegion` and `hitOffset` hold it
   */
  translate(address: number, length: number): boolean {
    if (!Number.isSafeInteger(address) || !Number.isSafeInteger(length) || length < 0) return false;
    const bases = this.#bases;
    let low = 0;
    let high = bases.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (bases[middle] <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return false;
    const region = this.#sorted[low - 1];
    // Adding 0 turns -0, an address like any 0, into 0.
    const offset = address - region.gpa + 0;
    // Compared by what is left, not by address + length, which may pass 2^53.
    if (offset >= region.size || length > region.size - offset) return false;
    this.hitRegion = region;
    this.hitOffset = offset;
    return true;
  }

  #rebuild(): void {
    this.#sorted = this.regions.filter((region) => region !== null).sort((a, b) => a.gpa - b.gpa);
    this.#bases = Float64Array.from(this.#sorted, (region) => region.gpa);
    this.generation++;
  }
}
