import type { Attachment, DmaBuf } from '../dmabuf/dma-buf.ts';
import type { Fence } from '../dmabuf/fence.ts';
import type { Reservation } from '../dmabuf/reservation.ts';
import type { SgTable } from '../dmabuf/sg-table.ts';
import { Counter, type Counters } from '../measure/counters.ts';
import type { SegmentList } from '../memory/segments.ts';

/** 0 is "none" and 1 is the console's on a Linux guest (virtgpu_object.c). */
const FIRST_ID = 2;

/**
 * Resource ids are never reused, not by a driver that takes another one's place either: how many were taken is kept in the
 * guest's counters, which outlive its drivers and its threads.
 */
export class ResourceIds {
  readonly #counters: Counters;

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  /** @throws RangeError after 2^32 − 2 of them */
  take(): number {
    const id = FIRST_ID + this.#counters.get(Counter.resourceIds);
    if (id > 0xffffffff) throw new RangeError('resource ids are used up');
    this.#counters.add(Counter.resourceIds, 1);
    return id;
  }
}

/** A buffer of the driver's own in guest RAM (DRM dumb buffer). With the blob feature it is a guest blob. */
export interface DumbBuffer {
  readonly kind: 'dumb';
  readonly id: number;
  readonly width: number;
  readonly height: number;
  readonly stride: number;
  readonly blob: boolean;
  readonly pages: SegmentList;
}

/** Another device's buffer, imported by PRIME as a guest blob (virtgpu_prime.c). */
export interface ImportedBuffer {
  readonly kind: 'imported';
  readonly id: number;
  /**
   * The dma-buf's own, set before anything else is done with the object: a flush fence added here is what the exporter
   * waits for before it moves the buffer, and the exporter's fences are what a commit waits for.
   */
  readonly resv: Reservation;
  /** null once freed. */
  dmabuf: DmaBuf | null;
  attachment: Attachment | null;
  /** The mapping whose addresses the host holds; null while detached. */
  sg: SgTable | null;
  /** RESOURCE_CREATE_BLOB was sent. */
  created: boolean;
  /** The host has a backing that matches `sg`. */
  attached: boolean;
  /** Times it was detached by move_notify. */
  moves: number;
}

export type GuestResource = DumbBuffer | ImportedBuffer;

/** What a plane shows (drm_framebuffer with its virtio-gpu plane state). */
export interface Framebuffer {
  readonly resource: GuestResource;
  readonly width: number;
  readonly height: number;
  readonly stride: number;
  /** VIRTIO_GPU_FORMAT_*. */
  readonly format: number;
  /** The flush fence of its commit in progress; null between commits (prepare_fb allocates, cleanup_fb drops). */
  fence: Fence | null;
  /** A flush fence whose 50 ms ran out: the host may still read the buffer until it is signalled. */
  overdue: Fence | null;
  /** Set by a prepare_fb that had to attach the backing anew. */
  reattached: boolean;
}
