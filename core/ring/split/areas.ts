import type { AddressSpace } from '../../memory/address-space.ts';
import type { MemoryRegion } from '../../memory/region.ts';
import { RingError } from '../queue.ts';
import type { QueueConfig } from '../queue.ts';
import {
  AVAIL_ALIGN, DESCRIPTOR_ALIGN, MAX_QUEUE_SIZE, USED_ALIGN, availBytes, descriptorBytes, isQueueSize, usedBytes,
} from './layout.ts';

/** Where a split queue's three areas lie: the region of each and its byte offset there. */
export interface SplitAreas {
  readonly descriptors: MemoryRegion;
  readonly descriptorsAt: number;
  readonly avail: MemoryRegion;
  readonly availAt: number;
  readonly used: MemoryRegion;
  readonly usedAt: number;
}

/**
 * Finds and checks a queue's areas once, when it is activated.
 * @param maxSize the most the device offers for this queue
 * @throws RingError `queue-size`, `ring-address`, `ring-misaligned`, `ring-outside-memory` or `ring-overlap`
 */
export function findSplitAreas(space: AddressSpace, config: QueueConfig, maxSize: number): SplitAreas {
  const { size } = config;
  if (!isQueueSize(size, Math.min(maxSize, MAX_QUEUE_SIZE))) {
    throw new RingError('queue-size', `queue size ${size} is not a power of two from 1 to ${Math.min(maxSize, MAX_QUEUE_SIZE)}`);
  }
  const areas = [
    { name: 'descriptor table', address: config.descriptorAddress, bytes: descriptorBytes(size), align: DESCRIPTOR_ALIGN },
    { name: 'available ring', address: config.driverAddress, bytes: availBytes(size), align: AVAIL_ALIGN },
    { name: 'used ring', address: config.deviceAddress, bytes: usedBytes(size), align: USED_ALIGN },
  ];
  const found: { region: MemoryRegion; offset: number }[] = [];
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
  return {
    descriptors: found[0].region,
    descriptorsAt: found[0].offset,
    avail: found[1].region,
    availAt: found[1].offset,
    used: found[2].region,
    usedAt: found[2].offset,
  };
}
