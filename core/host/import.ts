import type { Attachment, DmaBuf } from '../dmabuf/dma-buf.ts';
import type { Failure } from '../dmabuf/errno.ts';
import { createUdmabufList } from '../dmabuf/udmabuf.ts';
import type { VfioDevice } from '../dmabuf/vfio.ts';
import { Counter } from '../measure/counters.ts';
import { SegmentList } from '../memory/segments.ts';
import { Response } from '../protocol/constants.ts';
import type { Context } from './context.ts';
import { entrySegments } from './entries.ts';
import { allocateImage, freeImage, wholeRegion } from './image.ts';
import { DANGLING, NO_BUFFER, type Resource } from './resources.ts';

/** Below this a single entry is used as it is, without a udmabuf (QEMU: virtio_gpu_init_udmabuf). */
const DIRECT_BYTES = 4096;
const MIB = 1024 * 1024;
/** Reasons kept; later ones are only counted. */
const MAX_REASONS = 64;

/**
 * Makes a blob's entries, resolved before, readable for the display: as a udmabuf over guest RAM, else as a VFIO
 * dma-buf of one device's region, else by the policy: a copy, or the profile's failure (virtio-gpu §3).
 * @returns OK_NODATA, OUT_OF_MEMORY (the copy is past the budget), or UNSPEC; on an error the resource is unchanged
 */
export function importBlob(context: Context, resource: Resource, count: number): number {
  if (!context.resources.chargeSegments(resource, count)) return Response.ERR_OUT_OF_MEMORY;
  const before = context.options.clock.slot;
  context.now();
  const start = context.nowNs;
  const code = build(context, resource, count);
  context.options.clock.read();
  const spent = before[0] - start;
  context.transferNs += spent;
  const counters = context.options.counters;
  counters.add(Counter.importNs, spent);
  counters.max(Counter.importMaxNs, spent);
  if (code !== Response.OK_NODATA) context.resources.chargeSegments(resource, 0);
  return code;
}

function build(context: Context, resource: Resource, count: number): number {
  const counters = context.options.counters;
  if (count === 1 && context.entryTotal < DIRECT_BYTES) {
    resource.buffer = { state: 'imported', dmabuf: null, attachment: null };
    setPixels(resource, entrySegments(context, count));
    counters.add(Counter.imports, 1);
    counters.add(Counter.segmentsImported, 1);
    return Response.OK_NODATA;
  }
  const reason = tryImport(context, resource, count);
  if (reason === null) {
    counters.add(Counter.imports, 1);
    counters.add(Counter.segmentsImported, count);
    return Response.OK_NODATA;
  }
  if (context.options.policy === 'copy') return copyInstead(context, resource, count, reason);
  if (!context.qemu) return Response.ERR_UNSPEC;
  // qemu-10.2 only warns; SET_SCANOUT_BLOB is what fails later.
  resource.attached = true;
  resource.backing = entrySegments(context, count);
  resource.buffer = NO_BUFFER;
  return Response.OK_NODATA;
}

/** @returns null when the resource is imported, else why it can't be */
function tryImport(context: Context, resource: Resource, count: number): string | null {
  let reason = '';
  if (context.entriesHaveFds) {
    const limits = context.options.udmabuf;
    const made = createUdmabufList(limits, context.memfds, context.entryRegion, context.entryOffset, context.entryLength, count);
    const refused = made.ok ? imported(context, resource, made.value, null) : made;
    if (refused === null) return null;
    if (count > limits.listLimit) reason = `udmabuf list_limit ${limits.listLimit} < ${count} entries`;
    else if (context.entryTotal > limits.sizeLimitMb * MIB) {
      reason = `udmabuf size_limit_mb ${limits.sizeLimitMb} < ${Math.ceil(context.entryTotal / MIB)} MiB`;
    } else reason = `udmabuf ${refused.errno}: ${refused.why}`;
    // Other errors are final: a VFIO device would not do better.
    if (refused.errno !== 'EINVAL' && refused.errno !== 'EBADFD') return reason;
  }
  const region = context.options.space.regions[context.entryRegion[0]];
  const owner = region === null || region === undefined ? null : ownerOf(context, region.id);
  if (owner === null) return reason === '' ? "the first entry lies in no memfd and in no VFIO device's region" : reason;
  if (!context.entriesInOneRegion) return `entries lie in more than one region, the first in ${owner.name}`;
  const bar = region?.bar ?? -1;
  const made = owner.featureDmaBufList(bar, 0, 0, context.entryOffset, context.entryLength, count);
  if (!made.ok) return `vfio ${owner.name} ${made.errno}: ${made.why}`;
  const attached = made.value.attach({ name: 'host display', allowPeer2peer: true, moveNotify: () => revokeResource(context, resource) });
  if (!attached.ok) {
    made.value.put();
    return `vfio ${owner.name} ${attached.errno}: ${attached.why}`;
  }
  const refused = imported(context, resource, made.value, attached.value);
  return refused === null ? null : `vfio ${owner.name} ${refused.errno}: ${refused.why}`;
}

/** @returns null; or why its pages cannot be shown, and the dma-buf is dropped */
function imported(context: Context, resource: Resource, dmabuf: DmaBuf, attachment: Attachment | null): Failure | null {
  const { pages } = dmabuf;
  const region = pages.count > 1 ? (context.options.sideBySide?.map(pages) ?? null) : null;
  if (region !== null && 'errno' in region) {
    if (attachment !== null) dmabuf.detach(attachment);
    dmabuf.put();
    return region;
  }
  resource.buffer = { state: 'imported', dmabuf, attachment };
  resource.view = region === null ? null : { region, pages };
  setPixels(resource, region === null ? pages : wholeRegion(region, pages.length));
  return null;
}

/** Of a buffer that no sink reads any more, or whose memory goes: what is mapped side by side would outlive it. */
function dropView(context: Context, resource: Resource): void {
  if (resource.view !== null) context.options.sideBySide?.unmap(resource.view.region);
  resource.view = null;
}

function setPixels(resource: Resource, pixels: SegmentList | null): void {
  resource.attached = true;
  resource.images.length = 0;
  resource.pixels = pixels;
}

function ownerOf(context: Context, regionId: number): VfioDevice | null {
  const region = context.options.space.regions[regionId];
  if (region === null || region === undefined || region.kind !== 'device') return null;
  for (const device of context.options.vfioDevices) {
    if (device.name === region.device) return device;
  }
  return null;
}

function copyInstead(context: Context, resource: Resource, count: number, reason: string): number {
  const image = allocateImage(context, resource, resource.size);
  if (image === null) return Response.ERR_OUT_OF_MEMORY;
  resource.backing = entrySegments(context, count);
  resource.buffer = { state: 'copied', image };
  setPixels(resource, wholeRegion(image, resource.size));
  context.options.counters.add(Counter.importFallbacks, 1);
  if (context.fallbacks.length < MAX_REASONS) context.fallbacks.push({ resourceId: resource.id, reason });
  return Response.OK_NODATA;
}

/** Gives up the buffer of a blob that no sink reads any more. The resource is then detached. */
export function dropBuffer(context: Context, resource: Resource): void {
  const buffer = resource.buffer;
  dropView(context, resource);
  if ((buffer.state === 'imported' || buffer.state === 'revoked') && buffer.dmabuf !== null) {
    if (buffer.attachment !== null) buffer.dmabuf.detach(buffer.attachment);
    buffer.dmabuf.put();
  } else if (buffer.state === 'copied') {
    freeImage(context, resource, buffer.image);
  }
  resource.buffer = NO_BUFFER;
  resource.attached = false;
  resource.pixels = null;
  resource.backing = null;
  resource.images.length = 0;
  context.resources.chargeSegments(resource, 0);
}

/**
 * qemu-10.2's DETACH (virtio-gpu §3): the dma-buf is closed, the blob pointer and the scanouts' images stay.
 * The pages are remembered apart, because a closed dma-buf's list may be given to another one.
 */
export function dropBufferAsQemu(context: Context, resource: Resource): void {
  const buffer = resource.buffer;
  if (buffer.state === 'imported') {
    const pixels = resource.view?.pages ?? resource.pixels;
    if (buffer.dmabuf !== null && pixels !== null) {
      resource.pixels = clone(pixels);
      dropView(context, resource);
      resource.images.length = 0;
      if (buffer.attachment !== null) buffer.dmabuf.detach(buffer.attachment);
      buffer.dmabuf.put();
    }
    resource.buffer = DANGLING;
    context.scanouts.showAll(resource);
  }
  resource.attached = false;
  resource.backing = null;
}

/**
 * The memory under a resource is going away: the sink stops reading it, and it can't be shown again before a new
 * ATTACH_BACKING. The dma-buf itself is dropped by that ATTACH, by DETACH or by UNREF.
 */
export function revokeResource(context: Context, resource: Resource): void {
  resource.backing = null;
  // A 2D image is the host's own: only the pages that TRANSFER reads are gone.
  if (resource.kind === '2d') return;
  const buffer = resource.buffer;
  if (buffer.state === 'revoked') return;
  context.options.sink.stop(resource.id);
  dropView(context, resource);
  if (buffer.state === 'copied') freeImage(context, resource, buffer.image);
  resource.buffer = buffer.state === 'imported' ? { ...buffer, state: 'revoked' } : { state: 'revoked', dmabuf: null, attachment: null };
  resource.pixels = null;
  resource.images.length = 0;
}

function clone(list: SegmentList): SegmentList {
  const copy = new SegmentList(Math.max(1, list.count));
  for (let i = 0; i < list.count; i++) copy.append(list.region[i], list.offset[i], list.bytes[i]);
  return copy;
}
