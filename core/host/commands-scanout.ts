import { Counter } from '../measure/counters.ts';
import { FrameColumn } from '../measure/frame-log.ts';
import { CopyStage } from '../memory/ledger.ts';
import { formatBytesPerPixel, Response } from '../protocol/constants.ts';
import { Flush, SetScanout, SetScanoutBlob } from '../protocol/layout.ts';
import { type Context, STALL } from './context.ts';
import type { Resource } from './resources.ts';
import type { Scanout } from './scanouts.ts';

/** A scanout's smallest side, px (QEMU: virtio_gpu_do_set_scanout). */
const MIN_SIDE = 16;
/**
 * Its longest, px; twice the largest mode of a guest (virtio-gpu §1). A blob of one page entered many times is as large
 * as a guest likes, and whatever reads a scanout's pixels would read all of it.
 */
const MAX_SIDE = 16384;

/** SET_SCANOUT (hostile-guest 63–65); resource 0 disables. */
export function setScanout(context: Context): number {
  const body = context.body;
  const head = body[SetScanout.scanout];
  if (head >= context.scanouts.heads.length) return Response.ERR_INVALID_SCANOUT_ID;
  const scanout = context.scanouts.heads[head];
  const id = body[SetScanout.resource];
  if (id === 0) return disable(context, scanout);
  const resource = context.resources.find(id);
  if (resource === null) return Response.ERR_INVALID_RESOURCE_ID;
  if (!resource.attached) return Response.ERR_UNSPEC;
  // A blob has no shape: it is shown by SET_SCANOUT_BLOB.
  if (resource.kind === 'blob') return Response.ERR_UNSPEC;
  return bind(
    context,
    scanout,
    resource,
    body[SetScanout.x],
    body[SetScanout.y],
    body[SetScanout.width],
    body[SetScanout.height],
    resource.width,
    resource.height,
    resource.width * 4,
    0,
    resource.format,
  );
}

/** SET_SCANOUT_BLOB (hostile-guest 63–66). Only packed formats, so the first plane's stride and offset count. */
export function setScanoutBlob(context: Context): number {
  const body = context.body;
  const head = body[SetScanoutBlob.scanout];
  if (head >= context.scanouts.heads.length) return Response.ERR_INVALID_SCANOUT_ID;
  const scanout = context.scanouts.heads[head];
  const id = body[SetScanoutBlob.resource];
  if (id === 0) return disable(context, scanout);
  const resource = context.resources.find(id);
  if (resource === null) return Response.ERR_INVALID_RESOURCE_ID;
  if (resource.kind !== 'blob') return Response.ERR_INVALID_PARAMETER;
  // qemu-10.2's dangling pointer counts as a blob, though the pages are gone.
  if (resource.pixels === null || (!resource.attached && resource.buffer.state !== 'dangling')) return Response.ERR_UNSPEC;
  const width = body[SetScanoutBlob.fbWidth];
  const height = body[SetScanoutBlob.fbHeight];
  const format = body[SetScanoutBlob.format];
  const stride = body[SetScanoutBlob.strides];
  const offset = body[SetScanoutBlob.offsets];
  const bpp = formatBytesPerPixel(format);
  if (bpp === 0 || width === 0 || height === 0) return Response.ERR_INVALID_PARAMETER;
  // At most 2^64: compared with a size below 2^53, so where a double is not exact does not matter.
  const end = offset + (height - 1) * stride + width * bpp;
  if (end > resource.size) return Response.ERR_INVALID_PARAMETER;
  if (stride < width * bpp && !context.qemu) return Response.ERR_INVALID_PARAMETER;
  return bind(
    context,
    scanout,
    resource,
    body[SetScanoutBlob.x],
    body[SetScanoutBlob.y],
    body[SetScanoutBlob.width],
    body[SetScanoutBlob.height],
    width,
    height,
    stride,
    offset,
    format,
  );
}

function disable(context: Context, scanout: Scanout): number {
  context.scanouts.disable(scanout);
  return Response.OK_NODATA;
}

function bind(
  context: Context,
  scanout: Scanout,
  resource: Resource,
  x: number,
  y: number,
  width: number,
  height: number,
  fbWidth: number,
  fbHeight: number,
  stride: number,
  offset: number,
  format: number,
): number {
  if (width < MIN_SIDE || height < MIN_SIDE || width > MAX_SIDE || height > MAX_SIDE) return Response.ERR_INVALID_PARAMETER;
  if (x + width > fbWidth || y + height > fbHeight) return Response.ERR_INVALID_PARAMETER;
  scanout.resource = resource;
  scanout.x = x;
  scanout.y = y;
  scanout.width = width;
  scanout.height = height;
  scanout.stride = stride;
  scanout.offset = offset + y * stride + x * 4;
  scanout.format = format;
  context.scanouts.show(scanout);
  return Response.OK_NODATA;
}

/**
 * RESOURCE_FLUSH: every scanout that shows a part of the rectangle presents its image; the answer leaves at the sink's
 * last read of the last of them, never at a later frame (hostile-guest 67, 68).
 */
export function flush(context: Context): number {
  const body = context.body;
  const resource = context.resources.find(body[Flush.resource]);
  if (resource === null) return Response.ERR_INVALID_RESOURCE_ID;
  const x = body[Flush.x];
  const y = body[Flush.y];
  const width = body[Flush.width];
  const height = body[Flush.height];
  if (resource.kind === '2d' && (x + width > resource.width || y + height > resource.height)) return Response.ERR_INVALID_PARAMETER;
  const heads = context.scanouts.heads;
  let shown = 0;
  for (let i = 0; i < heads.length; i++) {
    if (heads[i].resource !== resource || !heads[i].intersects(x, y, width, height)) continue;
    shown++;
    if (!context.flushes.hasRoom(i, heads[i].sequence)) return STALL;
  }
  // The sink still reads the copy: it may not change yet.
  if (resource.buffer.state === 'copied' && resource.held > 0) return STALL;
  context.options.counters.add(Counter.flushes, 1);
  if (resource.kind === 'blob' && shown === 0)
    return resource.attached || context.qemu ? Response.ERR_INVALID_PARAMETER : Response.ERR_UNSPEC;
  if (resource.pixels === null) {
    // The guest counts this frame, so it has its number here too.
    for (let i = 0; i < heads.length; i++) {
      if (heads[i].resource === resource && heads[i].intersects(x, y, width, height))
        heads[i].sequence = (heads[i].sequence + 1) & 0x7fffffff;
    }
    endFrame(context);
    return Response.ERR_UNSPEC;
  }
  if (resource.buffer.state === 'copied') refresh(context, resource, x, y, width, height);
  if (shown === 0) return Response.OK_NODATA;
  context.now();
  // Looked up in the memory itself, not in what the resource is said to be: the witness beside the ledger.
  const region = (resource.view === null ? resource.pixels : resource.view.pages).region[0];
  if (context.options.space.regions[region.id] === region) context.options.counters.add(Counter.framesImported, shown);
  // The host's own copies are no device's.
  if (region.kind === 'device') context.options.counters.add(Counter.framesImportedFromDevice, shown);
  const slot = context.flushes.open(resource);
  for (let i = 0; i < heads.length; i++) {
    const head = heads[i];
    if (head.resource !== resource || !head.intersects(x, y, width, height)) continue;
    const frame = head.sequence;
    head.sequence = (frame + 1) & 0x7fffffff;
    context.flushes.addFrame(slot, i, frame);
    resource.held++;
    resource.wasShown = true;
    logFlush(context, i, frame);
    context.options.sink.present(i, frame, context.nowSlot);
  }
  context.flushSlot = slot;
  endFrame(context);
  return Response.OK_NODATA;
}

/** What follows belongs to the next frame. */
function endFrame(context: Context): void {
  context.pickupNs = -1;
  context.transferNs = 0;
}

/** The copying fallback: the rows of each scanout, from the guest's pages into the host's copy. */
function refresh(context: Context, resource: Resource, x: number, y: number, width: number, height: number): void {
  const copy = resource.pixels;
  const backing = resource.backing;
  if (copy === null || backing === null) return;
  context.now();
  const start = context.nowNs;
  const heads = context.scanouts.heads;
  for (let i = 0; i < heads.length; i++) {
    const head = heads[i];
    if (head.resource !== resource || !head.intersects(x, y, width, height)) continue;
    // qemu-10.2 does not hold the blob's size against its entries.
    const end = head.offset + (head.height - 1) * head.stride + head.width * 4;
    if (end > copy.length || end > backing.length) continue;
    context.options.copier.copyRect(
      copy,
      head.offset,
      head.stride,
      backing,
      head.offset,
      head.stride,
      head.width * 4,
      head.height,
      CopyStage.fallback,
    );
  }
  context.now();
  context.transferNs += context.nowNs - start;
}

function logFlush(context: Context, head: number, frame: number): void {
  const log = context.options.frameLog;
  if (log === null || head >= log.heads) return;
  const row = log.row(head, frame);
  log.cells[row + FrameColumn.pickup] = context.pickupNs < 0 ? context.nowNs : context.pickupNs;
  log.cells[row + FrameColumn.transferNs] = context.transferNs;
  log.cells[row + FrameColumn.flush] = context.nowNs;
  context.touch(row);
}
