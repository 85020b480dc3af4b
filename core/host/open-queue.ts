import type { AddressSpace } from '../memory/address-space.ts';
import { Feature } from '../protocol/constants.ts';
import { PackedDevice } from '../ring/packed/device.ts';
import type { DeviceQueue, QueueConfig } from '../ring/queue.ts';
import type { DeviceRegisters } from '../ring/registers.ts';
import { SplitDevice } from '../ring/split/device.ts';

/**
 * The device's side of a queue as the driver set it up, in the layout that was negotiated.
 * @param lo feature bits 0–31, @param hi bits 32–63: those checked at FEATURES_OK, not what the registers say now
 * @throws RingError when that is impossible
 */
export function openQueue(space: AddressSpace, registers: DeviceRegisters, queue: number, lo: number, hi: number): DeviceQueue {
  const config: QueueConfig = {
    size: registers.queueSize(queue),
    descriptorAddress: registers.queueDescriptorAddress(queue),
    driverAddress: registers.queueDriverAddress(queue),
    deviceAddress: registers.queueDeviceAddress(queue),
    indirect: ((lo >>> Feature.INDIRECT_DESC) & 1) !== 0,
    eventIdx: ((lo >>> Feature.EVENT_IDX) & 1) !== 0,
    inOrder: ((hi >>> (Feature.IN_ORDER - 32)) & 1) !== 0,
  };
  const packed = ((hi >>> (Feature.RING_PACKED - 32)) & 1) !== 0;
  return packed ? new PackedDevice(space, config) : new SplitDevice(space, config);
}
