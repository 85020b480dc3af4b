import type { AddressSpace } from '../memory/address-space.ts';
import { Feature } from '../protocol/constants.ts';
import type { DeviceQueue } from '../ring/queue.ts';
import type { DeviceRegisters } from '../ring/registers.ts';
import { SplitDevice } from '../ring/split/device.ts';

/** The device's side of a queue as the driver set it up. @throws RingError when that is impossible */
export function openQueue(space: AddressSpace, registers: DeviceRegisters, queue: number): DeviceQueue {
  const features = registers.driverFeaturesLo;
  return new SplitDevice(space, {
    size: registers.queueSize(queue),
    descriptorAddress: registers.queueDescriptorAddress(queue),
    driverAddress: registers.queueDriverAddress(queue),
    deviceAddress: registers.queueDeviceAddress(queue),
    indirect: ((features >>> Feature.INDIRECT_DESC) & 1) !== 0,
    eventIdx: ((features >>> Feature.EVENT_IDX) & 1) !== 0,
  });
}
