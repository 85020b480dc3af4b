import type { AddressSpace } from '../memory/address-space.ts';
import { Feature } from '../protocol/constants.ts';
import { KeptQueue } from '../ring/kept-queue.ts';
import { PackedDevice } from '../ring/packed/device.ts';
import type { DeviceQueue, QueueConfig } from '../ring/queue.ts';
import type { DeviceRegisters } from '../ring/registers.ts';
import { SplitDevice } from '../ring/split/device.ts';
import type { HostOptions } from './options.ts';

/**
 * What the driver has set up for a queue, read once.
 * @param lo feature bits 0–31, @param hi bits 32–63: those checked at FEATURES_OK, not what the registers say now
 * @param base where the queue goes on, see QueueConfig
 */
export function queueConfig(
  registers: DeviceRegisters,
  queue: number,
  lo: number,
  hi: number,
  base?: number,
): QueueConfig & { readonly packed: boolean } {
  return {
    ...(base === undefined ? {} : { base }),
    size: registers.queueSize(queue),
    descriptorAddress: registers.queueDescriptorAddress(queue),
    driverAddress: registers.queueDriverAddress(queue),
    deviceAddress: registers.queueDeviceAddress(queue),
    indirect: ((lo >>> Feature.INDIRECT_DESC) & 1) !== 0,
    eventIdx: ((lo >>> Feature.EVENT_IDX) & 1) !== 0,
    inOrder: ((hi >>> (Feature.IN_ORDER - 32)) & 1) !== 0,
    packed: ((hi >>> (Feature.RING_PACKED - 32)) & 1) !== 0,
  };
}

/**
 * The device's side of a queue, in the layout that was negotiated.
 * @param regions the ids of the regions that the queue lies in are added
 * @throws RingError when that is impossible
 */
export function openQueue(space: AddressSpace, config: ReturnType<typeof queueConfig>, regions: Set<number>): DeviceQueue {
  const queue = config.packed ? new PackedDevice(space, config) : new SplitDevice(space, config);
  for (const address of [config.descriptorAddress, config.driverAddress, config.deviceAddress]) {
    if (space.translate(address, 1) && space.hitRegion !== null) regions.add(space.hitRegion.id);
  }
  return queue;
}

/** A queue that another process can go on with, where the options say so. */
export function keepQueue(
  opened: DeviceQueue,
  { packed, descriptorAddress }: ReturnType<typeof queueConfig>,
  queue: number,
  kept: HostOptions['keptRings'],
): DeviceQueue {
  if (kept === undefined) return opened;
  const record = kept.records[queue];
  if (packed) record.begin(descriptorAddress, opened.size, opened.base >>> 16, kept.given(queue));
  else record.beginSplit(opened.base);
  return new KeptQueue(opened, record, (head) => kept.returned(queue, head));
}
