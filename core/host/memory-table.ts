import type { MemoryRegion } from '../memory/region.ts';
import type { SegmentList } from '../memory/segments.ts';
import type { Context } from './context.ts';
import { revokeResource } from './import.ts';

/**
 * A region of guest memory comes or goes. One that goes takes the buffers in it along: the VFIO device revokes its
 * dma-bufs (reset, memory disabled: virtio-gpu §3), imports of RAM end the same way; a new ATTACH_BACKING, once the
 * region is back, makes them usable again.
 */
export function changeRegion(context: Context, regionId: number, present: boolean): void {
  const { space, regions, vfioDevices } = context.options;
  const region = regions.find((candidate) => candidate.id === regionId);
  if (region === undefined) return;
  const there = (space.regions[regionId] ?? null) !== null;
  if (there === present) return;
  const owner = vfioDevices.find((device) => device.name === region.device);
  if (present) {
    space.add(region);
    context.noteFile(region);
    owner?.restore();
    return;
  }
  // The sink's last reads come first: afterwards these bytes are nobody's.
  owner?.revoke();
  for (const resource of context.resources.all()) {
    const pages = resource.backing ?? (resource.kind === 'blob' ? (resource.view?.pages ?? resource.pixels) : null);
    if (pages !== null && touches(pages, region)) revokeResource(context, resource);
  }
  space.remove(regionId);
}

/** Brings the address space in line with the driver-visible table: bit n of `mask` is region id n. */
export function applyPresentMask(context: Context, mask: number): void {
  for (const region of context.options.regions) {
    if (region.id < 32) changeRegion(context, region.id, ((mask >>> region.id) & 1) !== 0);
  }
}

/** Only the list's own segments: one that was used before names the regions of then past its count. */
function touches(pages: SegmentList, region: MemoryRegion): boolean {
  for (let i = 0; i < pages.count; i++) if (pages.region[i] === region) return true;
  return false;
}
