import type { MemoryRegion } from './region.ts';

/**
 * Guest-physical address space: regions (RAM below and above the hole, device BARs) that may come and go
 * while the device runs.
 */
export class AddressSpace {
  /** By region id; null where a region is absent. */
  readonly regions: (MemoryRegion | null)[] = [];
  /** Counts changes of the table. */
  generation = 0;
  /** Result of the last successful `translate`. */
  hitRegion: MemoryRegion | null = null;
  hitOffset = 0;

  add(_region: MemoryRegion): void {
    throw new Error('to be written');
  }

  remove(_id: number): MemoryRegion | null {
    throw new Error('to be written');
  }

  /**
   * Looks where [address, address + length) lies. Any number may be asked for.
   * @returns false unless the whole range lies in one present region; otherwise `hitRegion` and `hitOffset` hold it
   */
  translate(_address: number, _length: number): boolean {
    throw new Error('to be written');
  }
}
