/** Guest memory of the ring benchmarks, and the two sides of a ring in it. The numbers are those of ring-common.h. */
import { AddressSpace } from '../../core/memory/address-space.ts';
import { createSharedMemory, MemoryRegion } from '../../core/memory/region.ts';
import { PackedDevice } from '../../core/ring/packed/device.ts';
import { PackedDriver } from '../../core/ring/packed/driver.ts';
import { placePackedQueue } from '../../core/ring/packed/layout.ts';
import type { DeviceQueue, DriverQueue, QueueConfig } from '../../core/ring/queue.ts';
import { SplitDevice } from '../../core/ring/split/device.ts';
import { SplitDriver } from '../../core/ring/split/driver.ts';
import { placeSplitQueue } from '../../core/ring/split/layout.ts';
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

function configOf({ layout, indirect }: RingWork): QueueConfig {
  const place = layout === 'split' ? placeSplitQueue : placePackedQueue;
  const { descriptorAddress, driverAddress, deviceAddress } = place(QUEUE_AT, RING_SIZE);
  return { size: RING_SIZE, descriptorAddress, driverAddress, deviceAddress, indirect, eventIdx: true };
}
