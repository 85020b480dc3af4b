import { CopyStage } from '../memory/ledger.ts';
import { formatBytesPerPixel, Response } from '../protocol/constants.ts';
import { AttachBacking, Create2d, Resource as ResourceWords, Size, Transfer } from '../protocol/layout.ts';
import { type Context, STALL } from './context.ts';
import { entrySegments, resolveEntries } from './entries.ts';
import { allocateImage, freeImage, wholeRegion } from './image.ts';
import { dropBuffer, dropBufferAsQemu, importBlob } from './import.ts';
import { Resource } from './resources.ts';

const TWO_32 = 4294967296;

/** RESOURCE_CREATE_2D (hostile-guest 40–45). */
export function create2d(context: Context): number {
  const body = context.body;
  const id = body[Create2d.resource];
  const width = body[Create2d.width];
  const height = body[Create2d.height];
  const bpp = formatBytesPerPixel(body[Create2d.format]);
  if (id === 0 || context.resources.find(id) !== null) return Response.ERR_INVALID_RESOURCE_ID;
  if (bpp === 0 || width === 0 || height === 0) return Response.ERR_INVALID_PARAMETER;
  if (context.resources.full) return Response.ERR_OUT_OF_MEMORY;
  // At most 2^66: past any budget, so where a double is not exact does not matter.
  const bytes = width * height * bpp;
  const resource = new Resource(id, '2d', width, height, body[Create2d.format], bytes);
  const image = allocateImage(context, resource, bytes);
  if (image === null) return Response.ERR_OUT_OF_MEMORY;
  resource.image = image;
  resource.pixels = wholeRegion(image, bytes);
  context.resources.add(resource);
  return Response.OK_NODATA;
}

/** RESOURCE_UNREF: scanouts that show it are disabled; what the sink holds is freed at its release (hostile-guest 51–53). */
export function unref(context: Context): number {
  const resource = context.resources.find(context.body[ResourceWords.resource]);
  if (resource === null) return Response.ERR_INVALID_RESOURCE_ID;
  context.scanouts.disableAll(resource);
  context.resources.remove(resource);
  if (resource.held === 0) destroy(context, resource);
  return Response.OK_NODATA;
}

/** Frees what a resource holds. It is in no table, on no scanout and not held. */
export function destroy(context: Context, resource: Resource): void {
  // A sink may still look at the last frame that it was shown; one that was never shown may have the id of one that still is.
  if (resource.wasShown && context.options.sink.holds(resource.id)) context.options.sink.stop(resource.id);
  if (resource.kind === 'blob') dropBuffer(context, resource);
  if (resource.image !== null) {
    freeImage(context, resource, resource.image);
    resource.image = null;
  }
  resource.pixels = null;
  resource.backing = null;
  resource.images.length = 0;
  context.resources.chargeSegments(resource, 0);
}

/** RESOURCE_ATTACH_BACKING (hostile-guest 46–49). A blob's buffer is rebuilt, but not by qemu-10.2 (virtio-gpu §3). */
export function attachBacking(context: Context): number {
  const body = context.body;
  const resource = context.resources.find(body[AttachBacking.resource]);
  if (resource === null) return Response.ERR_INVALID_RESOURCE_ID;
  const revoked = resource.kind === '2d' ? resource.backing === null : resource.buffer.state === 'revoked';
  if (resource.attached && !revoked) return Response.ERR_UNSPEC;
  const count = body[AttachBacking.nrEntries];
  if (!resolveEntries(context, Size.attachBacking, count)) return Response.ERR_UNSPEC;
  if (resource.kind === 'blob' && !context.qemu) return attachBlob(context, resource, count);
  if (!context.resources.chargeSegments(resource, count)) return Response.ERR_OUT_OF_MEMORY;
  resource.backing = entrySegments(context, count);
  resource.attached = true;
  return Response.OK_NODATA;
}

function attachBlob(context: Context, resource: Resource, count: number): number {
  if (context.entryTotal < resource.size) return Response.ERR_INVALID_PARAMETER;
  if (resource.held > 0) return STALL;
  if (resource.attached) dropBuffer(context, resource);
  const code = importBlob(context, resource, count);
  if (code === Response.OK_NODATA) context.scanouts.showAll(resource);
  return code;
}

/**
 * RESOURCE_DETACH_BACKING: the sink stops reading a blob, then the answer leaves; its scanouts stay bound. Waits for
 * no later command: the guest holds a lock meanwhile (virtio-gpu §2, move_notify).
 */
export function detachBacking(context: Context): number {
  const resource = context.resources.find(context.body[ResourceWords.resource]);
  if (resource === null) return Response.ERR_INVALID_RESOURCE_ID;
  if (!resource.attached) return Response.ERR_UNSPEC;
  if (resource.kind === '2d') {
    resource.backing = null;
    resource.attached = false;
    context.resources.chargeSegments(resource, 0);
    return Response.OK_NODATA;
  }
  if (context.qemu) {
    // After a failed udmabuf there is no blob pointer: virtio_gpu_find_check_resource answers UNSPEC.
    if (resource.buffer.state === 'none') return Response.ERR_UNSPEC;
    dropBufferAsQemu(context, resource);
    return Response.OK_NODATA;
  }
  if (resource.held > 0) {
    context.options.sink.stop(resource.id);
    return STALL;
  }
  context.options.sink.stop(resource.id);
  dropBuffer(context, resource);
  return Response.OK_NODATA;
}

/**
 * TRANSFER_TO_HOST_2D: guest pages → host image. Row r of the rectangle comes from byte `offset` + r · stride of the
 * backing, the stride being that of the image (QEMU's rule); one run when x = 0 and the full width is asked for.
 */
export function transferToHost2d(context: Context): number {
  const body = context.body;
  const resource = context.resources.find(body[Transfer.resource]);
  if (resource === null) return Response.ERR_INVALID_RESOURCE_ID;
  if (!resource.attached) return Response.ERR_UNSPEC;
  if (resource.kind === 'blob')
    return resource.buffer.state === 'none' || resource.buffer.state === 'revoked' ? Response.ERR_UNSPEC : Response.OK_NODATA;
  const backing = resource.backing;
  const image = resource.pixels;
  if (backing === null || image === null) return Response.ERR_UNSPEC;
  const x = body[Transfer.x];
  const y = body[Transfer.y];
  const width = body[Transfer.width];
  const height = body[Transfer.height];
  if (x + width > resource.width || y + height > resource.height) return Response.ERR_INVALID_PARAMETER;
  const from = body[Transfer.offsetHi] * TWO_32 + body[Transfer.offsetLo];
  const stride = resource.width * 4;
  const rowBytes = width * 4;
  let rows = height;
  if (rows === 0 || rowBytes === 0) return Response.OK_NODATA;
  if (from + (rows - 1) * stride + rowBytes > backing.length) {
    if (!context.qemu) return Response.ERR_INVALID_PARAMETER;
    // iov_to_buf copies what there is; whole rows are near enough.
    rows = Math.floor((backing.length - from - rowBytes) / stride) + 1;
    if (!(rows > 0)) return Response.OK_NODATA;
  }
  // The sink still reads the image: as QEMU under gl_block, the queue waits.
  if (resource.held > 0) return STALL;
  context.now();
  const start = context.nowNs;
  context.options.copier.copyRect(image, y * stride + x * 4, stride, backing, from, stride, rowBytes, rows, CopyStage.transfer);
  context.now();
  context.transferNs += context.nowNs - start;
  return Response.OK_NODATA;
}
