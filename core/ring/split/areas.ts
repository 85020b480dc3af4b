import type { AddressSpace } from '../../memory/address-space.ts';
import type { MemoryRegion } from '../../memory/region.ts';
import { findAreas } from '../areas.ts';
import type { QueueConfig } from '../queue.ts';
import { RingError } from '../queue.ts';
import {
  AVAIL_ALIGN,
  availBytes,
  DESCRIPTOR_ALIGN,
  descriptorBytes,
  isQueueSize,
  MAX_QUEUE_SIZE,
  USED_ALIGN,
  usedBytes,
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
  const found = findAreas(space, [
    { name: 'descriptor table', address: config.descriptorAddress, bytes: descriptorBytes(size), align: DESCRIPTOR_ALIGN },
    { name: 'available ring', address: config.driverAddress, bytes: availBytes(size), align: AVAIL_ALIGN },
    { name: 'used ring', address: config.deviceAddress, bytes: usedBytes(size), align: USED_ALIGN },
  ]);
  return {
    descriptors: found[0].region,
    descriptorsAt: found[0].offset,
    avail: found[1].region,
    availAt: found[1].offset,
    used: found[2].region,
    usedAt: found[2].offset,
  };
}
