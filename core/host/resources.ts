import type { Attachment, DmaBuf } from '../dmabuf/dma-buf.ts';
import type { MemoryRegion } from '../memory/region.ts';
import type { SegmentList } from '../memory/segments.ts';
import type { ScanoutImage } from '../sink/sink.ts';

/** Where the host finds a blob's pixels. */
export type BlobBuffer =
  /** Nowhere: detached, or the import failed. */
  | { readonly state: 'none' }
  /** In the guest's pages, as a dma-buf (`dmabuf` null: a single entry below one page, used as it is). */
  | { readonly state: 'imported'; readonly dmabuf: DmaBuf | null; readonly attachment: Attachment | null }
  /** In a copy of the host's that every FLUSH refreshes from the guest's pages. */
  | { readonly state: 'copied'; readonly image: MemoryRegion }
  /** qemu-10.2 after DETACH: a pointer to a dma-buf that is closed. */
  | { readonly state: 'dangling' }
  /** The memory was taken away (VFIO revocation, a region unplugged); the dma-buf is dropped with the backing. */
  | { readonly state: 'revoked'; readonly dmabuf: DmaBuf | null; readonly attachment: Attachment | null };

export const NO_BUFFER: BlobBuffer = Object.freeze({ state: 'none' });
export const DANGLING: BlobBuffer = Object.freeze({ state: 'dangling' });

/** At most this many resources at a time. */
export const MAX_RESOURCES = 16384;
/** Backing segments that all resources together may hold, about 128 MiB of the host's own bookkeeping. */
export const MAX_SEGMENTS = 4 * 1024 * 1024;

/** A virtio-gpu resource (QEMU: struct virtio_gpu_simple_resource). */
export class Resource {
  readonly id: number;
  readonly kind: '2d' | 'blob';
  /** 2D: px. Blobs have no shape of their own: 0. */
  readonly width: number;
  readonly height: number;
  readonly format: number;
  /** Bytes of the 2D image, or the blob. */
  readonly size: number;
  /** The 2D image in the host's memory. */
  image: MemoryRegion | null = null;
  /** What a scanout reads: the 2D image, a blob's pages or the host's copy of them; null while there is none. */
  pixels: SegmentList | null = null;
  /** An import's pages mapped side by side, which `pixels` then is, and the pages themselves; null: `pixels` are the pages. */
  view: { readonly region: MemoryRegion; readonly pages: SegmentList } | null = null;
  /** ATTACH_BACKING (or CREATE_BLOB) has given it pages. */
  attached = false;
  /** The guest's pages, where the host itself reads them (TRANSFER, the copying fallback). */
  backing: SegmentList | null = null;
  buffer: BlobBuffer = NO_BUFFER;
  /** Flushes that the sink holds. */
  held = 0;
  /** A sink was given it: it may still look at it when nothing of it is held any more. */
  wasShown = false;
  /** UNREF came while the sink held it: freed at the last release. */
  doomed = false;
  /** Bytes charged to the budget. */
  charged = 0;
  /** Segments charged to the budget. */
  segments = 0;
  /** Images that scanouts have shown of it, so that flipping between framebuffers allocates nothing. */
  readonly images: ScanoutImage[] = [];

  constructor(id: number, kind: '2d' | 'blob', width: number, height: number, format: number, size: number) {
    this.id = id;
    this.kind = kind;
    this.width = width;
    this.height = height;
    this.format = format;
    this.size = size;
  }
}

/** The resources by id, and the budgets that bound what a guest can make the host hold. */
export class ResourceTable {
  readonly #byId = new Map<number, Resource>();
  readonly #doomed: Resource[] = [];
  readonly #maxBytes: number;
  #bytes = 0;
  #segments = 0;

  /** @param maxBytes host memory that all images and copies may take */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get count(): number {
    return this.#byId.size;
  }

  /** Bytes of host memory held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Backing segments held. */
  get segments(): number {
    return this.#segments;
  }

  get full(): boolean {
    return this.#byId.size + this.#doomed.length >= MAX_RESOURCES;
  }

  find(id: number): Resource | null {
    return this.#byId.get(id) ?? null;
  }

  add(resource: Resource): void {
    this.#byId.set(resource.id, resource);
  }

  /** Takes it out of the table; one that the sink holds stays on the list of the doomed until `forget`. */
  remove(resource: Resource): void {
    this.#byId.delete(resource.id);
    if (resource.held > 0) {
      resource.doomed = true;
      this.#doomed.push(resource);
    }
  }

  forget(resource: Resource): void {
    const at = this.#doomed.indexOf(resource);
    if (at >= 0) this.#doomed.splice(at, 1);
  }

  /** All resources, the doomed last. Allocates: not for the frame path. */
  all(): Resource[] {
    return [...this.#byId.values(), ...this.#doomed];
  }

  clear(): void {
    this.#byId.clear();
    this.#doomed.length = 0;
  }

  /** Charges host memory to a resource. @returns false, nothing charged, past the budget */
  charge(resource: Resource, bytes: number): boolean {
    if (this.#bytes + bytes > this.#maxBytes) return false;
    this.#bytes += bytes;
    resource.charged += bytes;
    return true;
  }

  discharge(resource: Resource, bytes: number): void {
    this.#bytes -= bytes;
    resource.charged -= bytes;
  }

  /** Charges backing segments to a resource, in place of those charged before. @returns false, unchanged, past the bound */
  chargeSegments(resource: Resource, count: number): boolean {
    if (this.#segments - resource.segments + count > MAX_SEGMENTS) return false;
    this.#segments += count - resource.segments;
    resource.segments = count;
    return true;
  }
}
