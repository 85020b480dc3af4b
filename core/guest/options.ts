import type { Fence } from '../dmabuf/fence.ts';
import type { Clock } from '../measure/clock.ts';
import type { Counters } from '../measure/counters.ts';
import type { AddressSpace } from '../memory/address-space.ts';
import type { PageAllocator } from '../memory/allocator.ts';
import type { Doorbell } from '../ring/doorbell.ts';
import type { DriverQueue, QueueConfig } from '../ring/queue.ts';
import type { DeviceRegisters } from '../ring/registers.ts';

/** What was negotiated for the rings. */
export interface RingFeatures {
  readonly indirect: boolean;
  readonly eventIdx: boolean;
  readonly packed: boolean;
  readonly inOrder: boolean;
}

/** Places a queue in guest memory and gives its driver side; what the layout (split, packed) needs is its matter. */
export type QueueFactory = (
  space: AddressSpace,
  allocator: PageAllocator,
  size: number,
  features: RingFeatures,
) => {
  queue: DriverQueue;
  config: QueueConfig;
};

export interface GuestOptions {
  readonly space: AddressSpace;
  readonly registers: DeviceRegisters;
  /** Ringing it is a kick. */
  readonly hostDoorbell: Doorbell;
  /** Ringing it is a kick of the cursor queue, where the queues have doorbells of their own. */
  readonly cursorDoorbell?: Doorbell;
  /** The guest's own: slept on while it waits. */
  readonly guestDoorbell: Doorbell;
  readonly clock: Clock;
  /** The guest's, of all its lives: resource ids go on from those of the drivers before this one. */
  readonly counters: Counters;
  /** Guest RAM for rings, commands and entries. */
  readonly memory: PageAllocator;
  /** Guest RAM for dumb buffers. */
  readonly pixels: PageAllocator;
  readonly openQueue: QueueFactory;
  /** Feature bits the driver may accept; what the device does not offer is left out. */
  readonly wantedFeatures: { readonly lo: number; readonly hi: number };
  readonly controlQueueSize?: number;
  readonly cursorQueueSize?: number;
  /** Gives flush fences; null stands for a failed allocation. Replaced by tests only. */
  readonly allocateFence?: () => Fence | null;
}
