import type { AddressSpace } from '../memory/address-space.ts';
import type { MemoryRegion } from '../memory/region.ts';
import { RingError } from './queue.ts';

/** A part of a queue in guest memory, as the driver set it up. */
export interface Area {
  readonly name: string;
  /** Guest-physical. */
  readonly address: number;
  readonly bytes: number;
  readonly align: number;
}

/** Where an area lies: its region and byte offset there. */
export interface FoundArea {
  readonly region: MemoryRegion;
  readonly offset: number;
}

/**
 * Finds and checks a queue's areas once, when it is activated.
 * @returns them in the order given
 * @throws RingError `ring-address`, `ring-misaligned`, `ring-outside-memory` or `ring-overlap`
 */
export function findAreas(space: AddressSpace, areas: readonly Area[]): FoundArea[] {
  const found: FoundArea[] = [];
  for (const { name, address, bytes, align } of areas) {
    if (!Number.isSafeInteger(address) || address < 0 || !Number.isSafeInteger(address + bytes)) {
      throw new RingError('ring-address', `${name}: ${address} is not an address below 2^53`);
    }
    if (address % align !== 0) throw new RingError('ring-misaligned', `${name} at ${address} is not aligned to ${align}`);
    if (!space.translate(address, bytes) || space.hitRegion === null) {
      throw new RingError('ring-outside-memory', `${name}: ${bytes} bytes at ${address} are not in memory`);
    }
    found.push({ region: space.hitRegion, offset: space.hitOffset });
  }
  for (let i = 0; i < areas.length; i++) {
    for (let j = i + 1; j < areas.length; j++) {
      const a = areas[i];
      const b = areas[j];
      if (a.address < b.address + b.bytes && b.address < a.address + a.bytes) {
        throw new RingError('ring-overlap', `${a.name} and ${b.name} overlap`);
      }
    }
  }
  return found;
}
