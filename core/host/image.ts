import type { MemoryRegion } from '../memory/region.ts';
import { SegmentList } from '../memory/segments.ts';
import type { Context } from './context.ts';
import type { Resource } from './resources.ts';

/**
 * Host memory for a resource's 2D image or copy, charged to the budget.
 * @returns null past the budget, or when there is no memory; nothing is held then
 */
export function allocateImage(context: Context, resource: Resource, bytes: number): MemoryRegion | null {
  if (!context.resources.charge(resource, bytes)) return null;
  // No memory is of 0 bytes: qemu-10.2 takes blobs of that size.
  const image = context.options.allocateImage(Math.max(bytes, 1));
  // It is zeroed: of a large one that takes long enough for the poll's slice.
  context.now();
  if (image === null) context.resources.discharge(resource, bytes);
  return image;
}

export function freeImage(context: Context, resource: Resource, image: MemoryRegion): void {
  context.options.freeImage(image);
  context.resources.discharge(resource, resource.size);
}

/** An image as a list of its one segment. */
export function wholeRegion(image: MemoryRegion, bytes: number): SegmentList {
  const list = new SegmentList(1);
  list.append(image, 0, bytes);
  return list;
}
