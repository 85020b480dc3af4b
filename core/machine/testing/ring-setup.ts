import { AddressSpace } from '../../memory/address-space.ts';
import { createSharedMemory, MemoryRegion } from '../../memory/region.ts';
import { placePackedQueue } from '../../ring/packed/layout.ts';
import type { QueueConfig } from '../../ring/queue.ts';
import { DESCRIPTOR_BYTES, placeSplitQueue } from '../../ring/split/layout.ts';
import type { Ring } from '../options.ts';

/** 4 GiB: guest RAM goes on above the hole. */
export const HIGH_RAM = 0x1_0000_0000;
/** Bytes of each of the two regions. */
export const RAM_BYTES = 8 << 20;

/** A queue in guest RAM above 4 GiB, with buffers both there and below 4 GiB. */
export interface RingSetup {
  readonly space: AddressSpace;
  readonly low: MemoryRegion;
  readonly high: MemoryRegion;
  readonly config: QueueConfig;
  readonly tables: { address: number; descriptors: number };
  /** First free address above the queue and its tables; memory follows up to `end`. */
  readonly buffers: number;
  readonly end: number;
}

export interface RingSetupOptions {
  size: number;
  indirect?: boolean;
  eventIdx?: boolean;
  inOrder?: boolean;
  /** Default: split. */
  ring?: Ring;
  /** Descriptors of each slot's indirect table. */
  tableDescriptors?: number;
}

/** Memory of two regions and a queue in it. Reusable memory may be given to save its allocation. */
export function setUpRing(options: RingSetupOptions, memories?: readonly [WebAssembly.Memory, WebAssembly.Memory]): RingSetup {
  const [lowMemory, highMemory] = memories ?? [createSharedMemory(RAM_BYTES), createSharedMemory(RAM_BYTES)];
  const plan = { kind: 'ram', size: RAM_BYTES, device: null, bar: null } as const;
  const low = new MemoryRegion({ ...plan, id: 0, name: 'low', gpa: 0, memory: lowMemory });
  const high = new MemoryRegion({ ...plan, id: 1, name: 'high', gpa: HIGH_RAM, memory: highMemory });
  const space = new AddressSpace();
  space.add(low);
  space.add(high);
  const placed = (options.ring === 'packed' ? placePackedQueue : placeSplitQueue)(HIGH_RAM, options.size);
  const descriptors = options.tableDescriptors ?? 8;
  const tables = { address: placed.end, descriptors };
  return {
    space,
    low,
    high,
    config: {
      size: options.size,
      descriptorAddress: placed.descriptorAddress,
      driverAddress: placed.driverAddress,
      deviceAddress: placed.deviceAddress,
      indirect: options.indirect ?? false,
      eventIdx: options.eventIdx ?? false,
      inOrder: options.inOrder ?? false,
    },
    tables,
    buffers: placed.end + options.size * descriptors * DESCRIPTOR_BYTES,
    end: HIGH_RAM + RAM_BYTES,
  };
}
