import type { ScanoutImage, Sink } from '../sink/sink.ts';
import type { Resource } from './resources.ts';

/** Geometries of one resource kept ready; a guest that uses more makes the host allocate. */
const IMAGES = 16;

/** What one head shows (QEMU: struct virtio_gpu_scanout). */
export class Scanout {
  readonly id: number;
  resource: Resource | null = null;
  /** The rectangle shown, px, in the resource (2D) or framebuffer (blob). */
  x = 0;
  y = 0;
  width = 0;
  height = 0;
  /** Bytes: where the rectangle's first pixel lies, and from row to row. */
  offset = 0;
  stride = 0;
  format = 0;
  /** FLUSH commands of this head so far: the number of the next frame. */
  sequence = 0;

  constructor(id: number) {
    this.id = id;
  }

  /** Whether it shows a part of the rectangle. Sums stay below 2^33: exact. */
  intersects(x: number, y: number, width: number, height: number): boolean {
    return x < this.x + this.width && this.x < x + width && y < this.y + this.height && this.y < y + height;
  }
}

export class Scanouts {
  readonly heads: Scanout[] = [];
  readonly #sink: Sink;

  constructor(count: number, sink: Sink) {
    for (let i = 0; i < count; i++) this.heads.push(new Scanout(i));
    this.#sink = sink;
  }

  disable(head: Scanout): void {
    if (head.resource === null) return;
    head.resource = null;
    this.#sink.setScanout(head.id, null);
  }

  /** Disables every head that shows the resource. */
  disableAll(resource: Resource): void {
    for (let i = 0; i < this.heads.length; i++) {
      if (this.heads[i].resource === resource) this.disable(this.heads[i]);
    }
  }

  /** Hands the head's image to the sink; nothing while the resource has no pixels. */
  show(head: Scanout): void {
    const resource = head.resource;
    if (resource === null || resource.pixels === null) return;
    this.#sink.setScanout(head.id, imageOf(head, resource));
  }

  /** Shows the resource again on every head bound to it, after its buffer was rebuilt. */
  showAll(resource: Resource): void {
    for (let i = 0; i < this.heads.length; i++) {
      if (this.heads[i].resource === resource) this.show(this.heads[i]);
    }
  }

  reset(): void {
    for (const head of this.heads) {
      this.disable(head);
      head.sequence = 0;
    }
  }
}

/** The image of what the head shows: the same object for the same geometry, as long as the buffer is the same. */
function imageOf(head: Scanout, resource: Resource): ScanoutImage {
  const images = resource.images;
  for (let i = 0; i < images.length; i++) {
    const image = images[i];
    if (
      image.offset === head.offset &&
      image.width === head.width &&
      image.height === head.height &&
      image.stride === head.stride &&
      image.format === head.format
    ) {
      return image;
    }
  }
  const pixels = resource.pixels;
  if (pixels === null) throw new Error(`resource ${resource.id} has no pixels`);
  const image: ScanoutImage = {
    width: head.width,
    height: head.height,
    stride: head.stride,
    offset: head.offset,
    format: head.format,
    segments: pixels,
    imported: resource.buffer.state === 'imported' || resource.buffer.state === 'dangling',
    resourceId: resource.id,
  };
  if (images.length === IMAGES) images.shift();
  images.push(image);
  return image;
}
