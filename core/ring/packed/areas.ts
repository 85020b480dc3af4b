import type { AddressSpace } from '../../memory/address-space.ts';
import { type FoundArea, findAreas } from '../areas.ts';
import { type QueueConfig, RingError } from '../queue.ts';
import { DESCRIPTOR_ALIGN, DESCRIPTOR_BYTES, EVENT_ALIGN, EVENT_BYTES, isPackedSize, MAX_QUEUE_SIZE } from './layout.ts';

/** Where a packed queue's three areas lie. */
export interface PackedAreas {
  readonly ring: FoundArea;
  readonly driverEvent: FoundArea;
  readonly deviceEvent: FoundArea;
}

/**
 * Finds and checks a queue's areas once, when it is activated.
 * @param maxSize the most the device offers for this queue
 * @throws RingError `queue-size`, and those of `findAreas`
 */
export function findPackedAreas(space: AddressSpace, config: QueueConfig, maxSize: number): PackedAreas {
  const { size } = config;
  if (!isPackedSize(size, maxSize)) {
    throw new RingError('queue-size', `queue size ${size} is not a number from 1 to ${Math.min(maxSize, MAX_QUEUE_SIZE)}`);
  }
  const [ring, driverEvent, deviceEvent] = findAreas(space, [
    { name: 'descriptor ring', address: config.descriptorAddress, bytes: DESCRIPTOR_BYTES * size, align: DESCRIPTOR_ALIGN },
    { name: 'driver event suppression', address: config.driverAddress, bytes: EVENT_BYTES, align: EVENT_ALIGN },
    { name: 'device event suppression', address: config.deviceAddress, bytes: EVENT_BYTES, align: EVENT_ALIGN },
  ]);
  return { ring, driverEvent, deviceEvent };
}
