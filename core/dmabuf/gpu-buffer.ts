import type { PageLayout } from '../memory/allocator.ts';
import type { SegmentList } from '../memory/segments.ts';
import { DmaBuf, type DmaBufOps } from './dma-buf.ts';
import { UseAfterFreeError } from './errors.ts';
import { Reservation } from './reservation.ts';

export type Placement = 'vram' | 'system';

/** What a buffer needs of its GPU. */
export interface BufferOwner {
  readonly ops: DmaBufOps;
  /** No handle and no dma-buf is left. */
  freeBuffer(buffer: GpuBuffer): void;
}

/** A GPU buffer object (GEM object): one handle, dropped by `destroy`, and at most one dma-buf hold it. */
export class GpuBuffer {
  /** Bytes, whole pages. */
  readonly size: number;
  readonly layout: PageLayout;
  readonly resv = new Reservation();
  /** Changed by the GPU when it moves the buffer. */
  placement: Placement;
  /** Where the bytes are now. */
  pages: SegmentList;
  /** Counts moves. */
  generation = 0;
  /** The GPU's use count when this buffer was last used. */
  lastUse = 0;
  readonly #owner: BufferOwner;
  #handle = true;
  #dmabuf: DmaBuf | null = null;

  /** Only for PassthroughGpu. */
  constructor(owner: BufferOwner, size: number, layout: PageLayout, placement: Placement, pages: SegmentList) {
    this.#owner = owner;
    this.size = size;
    this.layout = layout;
    this.placement = placement;
    this.pages = pages;
  }

  /** The dma-buf that exports it, while there is one. */
  get dmabuf(): DmaBuf | null {
    return this.#dmabuf;
  }

  get pinned(): boolean {
    return this.#dmabuf !== null && this.#dmabuf.pins > 0;
  }

  get mapped(): boolean {
    return this.#dmabuf !== null && this.#dmabuf.mappings > 0;
  }

  /** Whether every attached importer reaches VRAM. */
  get peer2peer(): boolean {
    if (this.#dmabuf === null) return true;
    const attachments = this.#dmabuf.attachments;
    for (let i = 0; i < attachments.length; i++) {
      if (!attachments[i].importer.allowPeer2peer) return false;
    }
    return true;
  }

  /**
   * Its dma-buf with a reference for the caller: the same one as long as one lives (drm_gem_prime_handle_to_dmabuf).
   * @throws UseAfterFreeError after `destroy`
   */
  export(): DmaBuf {
    if (!this.#handle) throw new UseAfterFreeError('a destroyed GPU buffer is exported');
    if (this.#dmabuf !== null) return this.#dmabuf.get();
    this.#dmabuf = new DmaBuf(this.#owner.ops, this.size, this.pages, this.resv, this);
    return this.#dmabuf;
  }

  /** Drops the handle. The memory stays while a dma-buf lives. @throws UseAfterFreeError the second time */
  destroy(): void {
    if (!this.#handle) throw new UseAfterFreeError('a GPU buffer is destroyed twice');
    this.resv.assertNotHeld('destroying a GPU buffer');
    this.#handle = false;
    if (this.#dmabuf === null) this.#owner.freeBuffer(this);
  }

  /** Only for PassthroughGpu: the buffer lies elsewhere now. */
  moved(placement: Placement, pages: SegmentList): void {
    this.placement = placement;
    this.pages = pages;
    this.generation++;
    if (this.#dmabuf !== null) this.#dmabuf.pages = pages;
  }

  /** Only for PassthroughGpu: the dma-buf was released. */
  exportReleased(): void {
    this.#dmabuf = null;
    if (!this.#handle) this.#owner.freeBuffer(this);
  }
}
