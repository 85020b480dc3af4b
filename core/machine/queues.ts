import type { QueueFactory, RingFeatures } from '../guest/driver.ts';
import { pageAlign } from '../memory/address.ts';
import type { PageAllocator } from '../memory/allocator.ts';
import { PackedDriver } from '../ring/packed/driver.ts';
import type { QueueConfig } from '../ring/queue.ts';
import { SplitDriver } from '../ring/split/driver.ts';

/** Descriptors of an INDIRECT table: a request, a response and one a page of mem_entries (256 entries a page). */
const TABLE_DESCRIPTORS = 256;

/** A virtqueue of the layout that was negotiated, in guest memory: areas and INDIRECT tables in pages of their own. */
export const openDriverQueue: QueueFactory = (space, allocator, size, features) =>
  features.packed ? openPackedDriver(space, allocator, size, features) : openSplitDriver(space, allocator, size, features);

export const openSplitDriver: QueueFactory = (space, allocator, size, features) => {
  const { config, tables } = place(allocator, size, features, [16 * size, 6 + 2 * size, 6 + 8 * size]);
  return { queue: new SplitDriver(space, config, tables), config };
};

export const openPackedDriver: QueueFactory = (space, allocator, size, features) => {
  const { config, tables } = place(allocator, size, features, [16 * size, 4, 4]);
  return { queue: new PackedDriver(space, config, tables), config };
};

/** Takes memory for the descriptor, driver and device area of the given bytes, and for the tables. @throws RangeError without room */
function place(
  allocator: PageAllocator,
  size: number,
  features: RingFeatures,
  bytes: readonly [number, number, number],
): { config: QueueConfig; tables: { address: number; descriptors: number } } {
  const at = (needed: number): number => {
    const list = allocator.alloc(pageAlign(needed), 'contiguous');
    if (list === null) throw new RangeError(`guest RAM has no room for a ring of ${size}`);
    return list.region[0].gpa + list.offset[0];
  };
  const { indirect, eventIdx, inOrder } = features;
  const [descriptorAddress, driverAddress, deviceAddress] = bytes.map(at);
  const config = { size, descriptorAddress, driverAddress, deviceAddress, indirect, eventIdx, inOrder };
  const descriptors = indirect ? TABLE_DESCRIPTORS : 0;
  return { config, tables: { address: indirect ? at(size * descriptors * 16) : 0, descriptors } };
}
