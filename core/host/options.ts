import type { Failure } from '../dmabuf/errno.ts';
import type { Memfd, UdmabufLimits } from '../dmabuf/udmabuf.ts';
import type { VfioDevice } from '../dmabuf/vfio.ts';
import type { Clock } from '../measure/clock.ts';
import type { Counters } from '../measure/counters.ts';
import type { FrameLog } from '../measure/frame-log.ts';
import type { AddressSpace } from '../memory/address-space.ts';
import type { Copier } from '../memory/copier.ts';
import type { MemoryRegion } from '../memory/region.ts';
import type { SegmentList } from '../memory/segments.ts';
import type { Chain } from '../ring/chain.ts';
import type { Doorbell } from '../ring/doorbell.ts';
import type { DeviceRegisters } from '../ring/registers.ts';
import type { RingRecord } from '../ring/ring-record.ts';
import type { Sink } from '../sink/sink.ts';

/** Scattered pages of guest memory mapped side by side: what a udmabuf's vmap gives. */
export interface SideBySide {
  /**
   * The pages in one region with an id of 1000 or more, without a copy.
   * @returns null: not these, or no more now, and they are read piece by piece; a failure: the import is refused
   */
  map(pages: SegmentList): MemoryRegion | Failure | null;
  /** Ends it; nobody may read it any more. */
  unmap(view: MemoryRegion): void;
}

export interface HostOptions {
  /** The regions that are present. */
  space: AddressSpace;
  /** All regions of the session, present or not. */
  regions: readonly MemoryRegion[];
  registers: DeviceRegisters;
  /** `ring()` is the interrupt. */
  guestDoorbell: Doorbell;
  clock: Clock;
  counters: Counters;
  frameLog: FrameLog | null;
  copier: Copier;
  sink: Sink;
  /** `series`: the posted patches; `qemu-10.2`: what that version does, its bugs included (virtio-gpu §3). */
  profile: 'series' | 'qemu-10.2';
  /** When an import is impossible: keep a copy of the blob, or fail as the profile does. */
  policy: 'copy' | 'error';
  udmabuf: UdmabufLimits;
  /** Most memory entries of one command (QEMU: 16384). */
  maxEntries: number;
  /** Bytes of 2D images and copies in all (QEMU: 256 MiB). */
  maxHostmem: number;
  /** The heads; their number is num_scanouts. */
  displays: { width: number; height: number; refreshHz: number }[];
  offeredFeatures: { lo: number; hi: number };
  /** Memory of the host's own of at least `bytes` bytes, all zero, in a region with an id of 1000 or more; null: none left. */
  allocateImage(bytes: number): MemoryRegion | null;
  freeImage(region: MemoryRegion): void;
  vfioDevices: VfioDevice[];
  /** The file behind a RAM region; null: it has none. */
  memfdOf(region: MemoryRegion): Memfd | null;
  /** Shows an import's scattered pages as one range, where the system can map them side by side; absent: it cannot. */
  sideBySide?: SideBySide;
  /** Called with each chain taken from queue 0 (control) or 1 (cursor), before it is served; a recorder's. */
  observeChain?: (queue: number, chain: Chain) => void;
  /** Where another process can go on with the queues when this one is killed. */
  keptRings?: {
    /** By queue. */
    readonly records: readonly RingRecord[];
    /** The base that the front end has. */
    readonly given: (queue: number) => number;
    /** Told of each chain before it is used. */
    readonly returned: (queue: number, head: number) => void;
  };
  /** Negative control: a FLUSH is answered before the sink has read the frame. */
  fencesOff?: boolean;
}
