/** Guest memory of the ring benchmarks, and the two sides of a ring in it. The numbers are those of ring-common.h. */
import { AddressSpace } from '../../core/memory/address-space.ts';
import { createSharedMemory, MemoryRegion } from '../../core/memory/region.ts';
import { PackedDevice } from '../../core/ring/packed/device.ts';
import { PackedDriver } from '../../core/ring/packed/driver.ts';
import { EVENT_BYTES, placePackedQueue } from '../../core/ring/packed/layout.ts';
import type { DeviceQueue, DriverQueue, QueueConfig } from '../../core/ring/queue.ts';
import { SplitDevice } from '../../core/ring/split/device.ts';
import { SplitDriver } from '../../core/ring/split/driver.ts';
import { availBytes, descriptorBytes, placeSplitQueue, USED_ALIGN } from '../../core/ring/split/layout.ts';
import { RING_SIZE, type RingWork, TABLE_DESCRIPTORS } from './ring-work.ts';

const RAM_BYTES = 1 << 20;
const QUEUE_AT = 0x10000;
const TABLES_AT = 0x20000;
/** Guest-physical address of the first buffer. */
export const BUFFERS_AT = 0x80000;

export function ringMemory(): WebAssembly.Memory {
  return createSharedMemory(RAM_BYTES);
}

export function openRingDriver(memory: WebAssembly.Memory, work: RingWork): DriverQueue {
  const tables = { address: TABLES_AT, descriptors: TABLE_DESCRIPTORS };
  const driver = new (work.layout === 'split' ? SplitDriver : PackedDriver)(spaceOf(memory), configOf(work), tables);
  // Chains of one buffer too go into a table where that is what is measured.
  driver.indirectFrom = 1;
  return driver;
}

export function openRingDevice(memory: WebAssembly.Memory, work: RingWork): DeviceQueue {
  return new (work.layout === 'split' ? SplitDevice : PackedDevice)(spaceOf(memory), configOf(work));
}

function spaceOf(memory: WebAssembly.Memory): AddressSpace {
  const space = new AddressSpace();
  space.add(new MemoryRegion({ id: 0, name: 'ram', kind: 'ram', gpa: 0, size: RAM_BYTES, device: null, bar: null, memory }));
  return space;
}

function configOf(work: RingWork): QueueConfig {
  return { size: RING_SIZE, ...placementOf(work), indirect: work.indirect, eventIdx: true };
}

function placementOf({ layout, unpadded }: RingWork): Pick<QueueConfig, 'descriptorAddress' | 'driverAddress' | 'deviceAddress'> {
  const driverAddress = QUEUE_AT + descriptorBytes(RING_SIZE);
  if (unpadded === true) {
    const deviceAddress = layout === 'split' ? alignUp(driverAddress + availBytes(RING_SIZE), USED_ALIGN) : driverAddress + EVENT_BYTES;
    return { descriptorAddress: QUEUE_AT, driverAddress, deviceAddress };
  }
  const placement = (layout === 'split' ? placeSplitQueue : placePackedQueue)(QUEUE_AT, RING_SIZE);
  return { descriptorAddress: QUEUE_AT, driverAddress: placement.driverAddress, deviceAddress: placement.deviceAddress };
}

function alignUp(address: number, align: number): number {
  return Math.ceil(address / align) * align;
}
