import { Command, Feature, Flag, Response } from '../protocol/constants.ts';
import { Header, Size } from '../protocol/layout.ts';
import { readChain } from '../ring/chain.ts';
import { attachBacking, create2d, detachBacking, transferToHost2d, unref } from './commands-2d.ts';
import { createBlob } from './commands-blob.ts';
import { assignUuid, getDisplayInfo, getEdid } from './commands-info.ts';
import { flush, setScanout, setScanoutBlob } from './commands-scanout.ts';
import type { Context } from './context.ts';

/** Highest ring_idx (virtio 1.3 § 5.7.6.7: 64 timelines a context). */
const MAX_RING_IDX = 63;

/**
 * Takes the fixed part of the request in `context.chain` out of shared memory. Called once a request.
 * @returns false if there is not even a header
 */
export function readRequest(context: Context): boolean {
  const chain = context.chain;
  const bytes = Math.min(chain.readableBytes, Size.setScanoutBlob);
  const body = context.body;
  for (let i = 0; i < body.length; i++) body[i] = 0;
  if (bytes < Size.header) return false;
  return readChain(context.options.space, chain, 0, context.bodyBytes, 0, bytes) === bytes;
}

/**
 * Carries out the request in `context.body`, whose framing it checks before any side effect (hostile-guest 28–39).
 * @returns the response's type; its body and length are in `context`. STALL: to be called again after a release
 */
export function execute(context: Context): number {
  const body = context.body;
  const type = body[Header.type];
  context.responseBytes = Size.header;
  context.flushSlot = -1;
  if ((body[Header.flags] & Flag.INFO_RING_IDX) !== 0) {
    if (!context.has(Feature.CONTEXT_INIT) || (body[Header.ringIdx] & 0xff) > MAX_RING_IDX) return Response.ERR_INVALID_PARAMETER;
  }
  const needed = requestBytes(type);
  if (needed === 0) return Response.ERR_UNSPEC;
  if (context.chain.readableBytes < needed) {
    // qemu-10.2 logs it, leaves the command unfinished and so answers OK_NODATA (VIRTIO_GPU_FILL_CMD).
    return context.qemu ? Response.OK_NODATA : Response.ERR_UNSPEC;
  }
  if (context.chain.writableBytes < responseBytes(type)) return Response.ERR_UNSPEC;
  switch (type) {
    case Command.RESOURCE_FLUSH:
      return flush(context);
    case Command.TRANSFER_TO_HOST_2D:
      return transferToHost2d(context);
    case Command.SET_SCANOUT_BLOB:
      return context.blob ? setScanoutBlob(context) : Response.ERR_INVALID_PARAMETER;
    case Command.SET_SCANOUT:
      return setScanout(context);
    case Command.RESOURCE_CREATE_BLOB:
      return context.blob ? createBlob(context) : Response.ERR_INVALID_PARAMETER;
    case Command.RESOURCE_CREATE_2D:
      return create2d(context);
    case Command.RESOURCE_UNREF:
      return unref(context);
    case Command.RESOURCE_ATTACH_BACKING:
      return attachBacking(context);
    case Command.RESOURCE_DETACH_BACKING:
      return detachBacking(context);
    case Command.GET_DISPLAY_INFO:
      return getDisplayInfo(context);
    case Command.GET_EDID:
      return getEdid(context);
    case Command.RESOURCE_ASSIGN_UUID:
      return assignUuid(context);
    default:
      // Capsets and mapped blobs belong to features that are never offered.
      return Response.ERR_UNSPEC;
  }
}

/** Bytes of a command's fixed part, 0 for what is no command of the control queue. */
function requestBytes(type: number): number {
  switch (type) {
    case Command.GET_DISPLAY_INFO:
      return Size.getDisplayInfo;
    case Command.RESOURCE_CREATE_2D:
      return Size.create2d;
    case Command.RESOURCE_UNREF:
    case Command.RESOURCE_DETACH_BACKING:
    case Command.RESOURCE_ASSIGN_UUID:
    case Command.RESOURCE_UNMAP_BLOB:
    case Command.GET_CAPSET_INFO:
    case Command.GET_CAPSET:
    case Command.GET_EDID:
      return Size.resource;
    case Command.SET_SCANOUT:
      return Size.setScanout;
    case Command.RESOURCE_FLUSH:
      return Size.flush;
    case Command.TRANSFER_TO_HOST_2D:
      return Size.transfer;
    case Command.RESOURCE_ATTACH_BACKING:
      return Size.attachBacking;
    case Command.RESOURCE_CREATE_BLOB:
      return Size.createBlob;
    case Command.SET_SCANOUT_BLOB:
      return Size.setScanoutBlob;
    case Command.RESOURCE_MAP_BLOB:
      return Size.mapBlob;
    default:
      return 0;
  }
}

/** Room that a command's OK response takes. */
function responseBytes(type: number): number {
  switch (type) {
    case Command.GET_DISPLAY_INFO:
      return Size.respDisplayInfo;
    case Command.GET_EDID:
      return Size.respEdid;
    case Command.RESOURCE_ASSIGN_UUID:
      return Size.respResourceUuid;
    default:
      return Size.respNodata;
  }
}
