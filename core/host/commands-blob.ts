import { BlobFlag, BlobMem, Response } from '../protocol/constants.ts';
import { CreateBlob, Size } from '../protocol/layout.ts';
import type { Context } from './context.ts';
import { resolveEntries } from './entries.ts';
import { importBlob } from './import.ts';
import { Resource } from './resources.ts';

const TWO_32 = 4294967296;
const PAGE = 4096;

/**
 * RESOURCE_CREATE_BLOB, checked in QEMU's order (virtio-gpu §3; hostile-guest 40, 41, 46–48, 59, 60), then imported.
 * The id of the blob is the guest's own business.
 */
export function createBlob(context: Context): number {
  const body = context.body;
  const id = body[CreateBlob.resource];
  const memory = body[CreateBlob.blobMem];
  if (id === 0) return Response.ERR_INVALID_RESOURCE_ID;
  if (context.qemu) {
    if (memory !== BlobMem.GUEST && body[CreateBlob.blobFlags] !== BlobFlag.SHAREABLE) return Response.ERR_INVALID_PARAMETER;
  } else if (memory !== BlobMem.GUEST) {
    // HOST3D needs VIRGL, which is never offered.
    return Response.ERR_INVALID_PARAMETER;
  }
  if (context.resources.find(id) !== null) return Response.ERR_INVALID_RESOURCE_ID;
  if (context.resources.full) return Response.ERR_OUT_OF_MEMORY;
  const count = body[CreateBlob.nrEntries];
  const size = body[CreateBlob.sizeHi] * TWO_32 + body[CreateBlob.sizeLo];
  // Past the sum of its entries, which is 0.
  if (count === 0 && !context.qemu) return Response.ERR_INVALID_PARAMETER;
  if (!resolveEntries(context, Size.createBlob, count)) return Response.ERR_UNSPEC;
  if (!context.qemu) {
    const direct = count === 1 && context.entryTotal < PAGE;
    if (size === 0 || size > context.entryTotal || (size % PAGE !== 0 && !direct)) return Response.ERR_INVALID_PARAMETER;
  }
  const resource = new Resource(id, 'blob', 0, 0, 0, size);
  const code = importBlob(context, resource, count);
  if (code === Response.OK_NODATA) context.resources.add(resource);
  return code;
}
