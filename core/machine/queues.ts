import type { QueueFactory } from '../guest/driver.ts';
import { pageAlign } from '../memory/address.ts';
import type { QueueConfig } from '../ring/queue.ts';
import { SplitDriver } from '../ring/split/driver.ts';

/** Descriptors of an INDIRECT table: a request, a response and one a page of mem_entries (256 entries a page). */
const TABLE_DESCRIPTORS = 256;

/** A split virtqueue in guest memory: rings and INDIRECT tables in pages of their own. */
export const openSplitDriver: QueueFactory = (space, allocator, size, features) => {
  const descriptors = allocator.alloc(pageAlign(16 * size), 'contiguous');
  const driverArea = allocator.alloc(pageAlign(6 + 2 * size), 'contiguous');
  const deviceArea = allocator.alloc(pageAlign(6 + 8 * size), 'contiguous');
  const tables = features.indirect ? allocator.alloc(pageAlign(size * TABLE_DESCRIPTORS * 16), 'contiguous') : null;
  if (descriptors === null || driverArea === null || deviceArea === null || (features.indirect && tables === null)) {
    throw new RangeError(`guest RAM has no room for a ring of ${size}`);
  }
  const at = (list: typeof descriptors): number => list.region[0].gpa + list.offset[0];
  const config: QueueConfig = {
    size,
    descriptorAddress: at(descriptors),
    driverAddress: at(driverArea),
    deviceAddress: at(deviceArea),
    indirect: features.indirect,
    eventIdx: features.eventIdx,
  };
  const queue = new SplitDriver(space, config, {
    address: tables === null ? 0 : at(tables),
    descriptors: tables === null ? 0 : TABLE_DESCRIPTORS,
  });
  return { queue, config };
};
