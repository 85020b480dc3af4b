import type { AddressSpace } from '../memory/address-space.ts';
import { Feature } from '../protocol/constants.ts';
import { type DeviceRegisters, Status } from '../ring/registers.ts';
import { SplitDriver } from '../ring/split/driver.ts';
import type { QueuePlace } from './replay-plan.ts';

/**
 * Starts a device as a driver does (virtio 1.3, 3.1.1), with the features that a recorded guest agreed on.
 * @param setStatus writes the device's status and lets the device answer it
 * @returns the driver's side of each queue
 */
export function startRecorded(
  registers: DeviceRegisters,
  space: AddressSpace,
  places: readonly QueuePlace[],
  { lo, hi }: { readonly lo: number; readonly hi: number },
  setStatus: (status: number) => void,
): SplitDriver[] {
  setStatus(0);
  setStatus(Status.ACKNOWLEDGE | Status.DRIVER);
  registers.setDriverFeatures(lo, hi);
  setStatus(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK);
  const indirect = (lo & (1 << Feature.INDIRECT_DESC)) !== 0;
  const eventIdx = (lo & (1 << Feature.EVENT_IDX)) !== 0;
  const queues = places.map(({ tables, ...place }, queue) => {
    registers.setQueueSize(queue, place.size);
    registers.setQueueAddresses(queue, place.descriptorAddress, place.driverAddress, place.deviceAddress);
    registers.setQueueReady(queue, true);
    return new SplitDriver(space, { ...place, indirect, eventIdx }, tables);
  });
  setStatus(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK | Status.DRIVER_OK);
  return queues;
}
