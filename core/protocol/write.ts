/**
 * Writers of requests: each stores one whole structure, padding included, in a Uint32Array from word `at` on and returns
 * its size in bytes. They allocate nothing, throw nothing and check nothing; a short array silently loses the rest, so
 * the caller sizes its slot by `Size`. Values are u32, u64 come as two words. Layout: virtio-gpu §1.
 */
import { Command, Flag } from './constants.ts';
import {
  AttachBacking,
  Create2d,
  CreateBlob,
  Flush,
  GetCapset,
  GetCapsetInfo,
  GetEdid,
  Header,
  MapBlob,
  MemEntry,
  Resource,
  SetScanout,
  SetScanoutBlob,
  Size,
  Transfer,
  UpdateCursor,
} from './layout.ts';

/** A header without fence, context or ring index. */
export function writeHeader(w: Uint32Array, at: number, type: number): void {
  w[at + Header.type] = type;
  w[at + Header.flags] = 0;
  w[at + Header.fenceLo] = 0;
  w[at + Header.fenceHi] = 0;
  w[at + Header.ctxId] = 0;
  w[at + Header.ringIdx] = 0;
}

/** Makes the request at `at` a fenced one: sets FLAG_FENCE (other flags stay) and the id, an opaque pair of words. */
export function setFence(w: Uint32Array, at: number, lo: number, hi: number): void {
  w[at + Header.flags] |= Flag.FENCE;
  w[at + Header.fenceLo] = lo;
  w[at + Header.fenceHi] = hi;
}

/** A command that is its header only: GET_DISPLAY_INFO. */
export function writeSimple(w: Uint32Array, at: number, type: number): number {
  writeHeader(w, at, type);
  return Size.header;
}

/** RESOURCE_CREATE_2D; width and height in px. */
export function writeCreate2d(w: Uint32Array, at: number, id: number, format: number, width: number, height: number): number {
  writeHeader(w, at, Command.RESOURCE_CREATE_2D);
  w[at + Create2d.resource] = id;
  w[at + Create2d.format] = format;
  w[at + Create2d.width] = width;
  w[at + Create2d.height] = height;
  return Size.create2d;
}

/** A command of one resource id: RESOURCE_UNREF, RESOURCE_DETACH_BACKING, RESOURCE_ASSIGN_UUID, RESOURCE_UNMAP_BLOB. */
export function writeResource(w: Uint32Array, at: number, type: number, id: number): number {
  writeHeader(w, at, type);
  w[at + Resource.resource] = id;
  w[at + Resource.padding] = 0;
  return Size.resource;
}

/** RESOURCE_ASSIGN_UUID. */
export function writeAssignUuid(w: Uint32Array, at: number, id: number): number {
  return writeResource(w, at, Command.RESOURCE_ASSIGN_UUID, id);
}

/** RESOURCE_UNMAP_BLOB. */
export function writeUnmapBlob(w: Uint32Array, at: number, id: number): number {
  return writeResource(w, at, Command.RESOURCE_UNMAP_BLOB, id);
}

/** RESOURCE_MAP_BLOB; the offset is in bytes in the host-visible region. */
export function writeMapBlob(w: Uint32Array, at: number, id: number, offsetLo: number, offsetHi: number): number {
  writeHeader(w, at, Command.RESOURCE_MAP_BLOB);
  w[at + MapBlob.resource] = id;
  w[at + MapBlob.padding] = 0;
  w[at + MapBlob.offsetLo] = offsetLo;
  w[at + MapBlob.offsetHi] = offsetHi;
  return Size.mapBlob;
}

/** SET_SCANOUT; the rectangle in px of the resource. Resource 0 disables the scanout. */
export function writeSetScanout(
  w: Uint32Array,
  at: number,
  x: number,
  y: number,
  width: number,
  height: number,
  scanout: number,
  resource: number,
): number {
  writeHeader(w, at, Command.SET_SCANOUT);
  w[at + SetScanout.x] = x;
  w[at + SetScanout.y] = y;
  w[at + SetScanout.width] = width;
  w[at + SetScanout.height] = height;
  w[at + SetScanout.scanout] = scanout;
  w[at + SetScanout.resource] = resource;
  return Size.setScanout;
}

/** SET_SCANOUT_BLOB with one plane; `stride` and `offset` in bytes, the others of the four planes are zero. */
export function writeSetScanoutBlob(
  w: Uint32Array,
  at: number,
  x: number,
  y: number,
  width: number,
  height: number,
  scanout: number,
  resource: number,
  fbWidth: number,
  fbHeight: number,
  format: number,
  stride: number,
  offset: number,
): number {
  writeHeader(w, at, Command.SET_SCANOUT_BLOB);
  w[at + SetScanoutBlob.x] = x;
  w[at + SetScanoutBlob.y] = y;
  w[at + SetScanoutBlob.width] = width;
  w[at + SetScanoutBlob.height] = height;
  w[at + SetScanoutBlob.scanout] = scanout;
  w[at + SetScanoutBlob.resource] = resource;
  w[at + SetScanoutBlob.fbWidth] = fbWidth;
  w[at + SetScanoutBlob.fbHeight] = fbHeight;
  w[at + SetScanoutBlob.format] = format;
  w[at + SetScanoutBlob.padding] = 0;
  w[at + SetScanoutBlob.strides] = stride;
  w[at + SetScanoutBlob.strides + 1] = 0;
  w[at + SetScanoutBlob.strides + 2] = 0;
  w[at + SetScanoutBlob.strides + 3] = 0;
  w[at + SetScanoutBlob.offsets] = offset;
  w[at + SetScanoutBlob.offsets + 1] = 0;
  w[at + SetScanoutBlob.offsets + 2] = 0;
  w[at + SetScanoutBlob.offsets + 3] = 0;
  return Size.setScanoutBlob;
}

/** RESOURCE_FLUSH; the rectangle in px of the resource. */
export function writeFlush(w: Uint32Array, at: number, x: number, y: number, width: number, height: number, resource: number): number {
  writeHeader(w, at, Command.RESOURCE_FLUSH);
  w[at + Flush.x] = x;
  w[at + Flush.y] = y;
  w[at + Flush.width] = width;
  w[at + Flush.height] = height;
  w[at + Flush.resource] = resource;
  w[at + Flush.padding] = 0;
  return Size.flush;
}

/** TRANSFER_TO_HOST_2D; the offset is in bytes in the backing, of the rectangle's first pixel. */
export function writeTransfer(
  w: Uint32Array,
  at: number,
  x: number,
  y: number,
  width: number,
  height: number,
  offsetLo: number,
  offsetHi: number,
  resource: number,
): number {
  writeHeader(w, at, Command.TRANSFER_TO_HOST_2D);
  w[at + Transfer.x] = x;
  w[at + Transfer.y] = y;
  w[at + Transfer.width] = width;
  w[at + Transfer.height] = height;
  w[at + Transfer.offsetLo] = offsetLo;
  w[at + Transfer.offsetHi] = offsetHi;
  w[at + Transfer.resource] = resource;
  w[at + Transfer.padding] = 0;
  return Size.transfer;
}

/** RESOURCE_ATTACH_BACKING without its entries, which `writeMemEntry` writes (Linux puts them into descriptors of their own). */
export function writeAttachBacking(w: Uint32Array, at: number, id: number, nrEntries: number): number {
  writeHeader(w, at, Command.RESOURCE_ATTACH_BACKING);
  w[at + AttachBacking.resource] = id;
  w[at + AttachBacking.nrEntries] = nrEntries;
  return Size.attachBacking;
}

/** RESOURCE_CREATE_BLOB without its entries; size in bytes, blob id opaque. */
export function writeCreateBlob(
  w: Uint32Array,
  at: number,
  id: number,
  blobMem: number,
  blobFlags: number,
  nrEntries: number,
  blobIdLo: number,
  blobIdHi: number,
  sizeLo: number,
  sizeHi: number,
): number {
  writeHeader(w, at, Command.RESOURCE_CREATE_BLOB);
  w[at + CreateBlob.resource] = id;
  w[at + CreateBlob.blobMem] = blobMem;
  w[at + CreateBlob.blobFlags] = blobFlags;
  w[at + CreateBlob.nrEntries] = nrEntries;
  w[at + CreateBlob.blobIdLo] = blobIdLo;
  w[at + CreateBlob.blobIdHi] = blobIdHi;
  w[at + CreateBlob.sizeLo] = sizeLo;
  w[at + CreateBlob.sizeHi] = sizeHi;
  return Size.createBlob;
}

/** One memory entry of a backing: guest-physical address and length in bytes. */
export function writeMemEntry(w: Uint32Array, at: number, addrLo: number, addrHi: number, length: number): number {
  w[at + MemEntry.addrLo] = addrLo;
  w[at + MemEntry.addrHi] = addrHi;
  w[at + MemEntry.length] = length;
  w[at + MemEntry.padding] = 0;
  return Size.memEntry;
}

/** GET_EDID. */
export function writeGetEdid(w: Uint32Array, at: number, scanout: number): number {
  writeHeader(w, at, Command.GET_EDID);
  w[at + GetEdid.scanout] = scanout;
  w[at + GetEdid.padding] = 0;
  return Size.getEdid;
}

/** GET_CAPSET_INFO. */
export function writeGetCapsetInfo(w: Uint32Array, at: number, index: number): number {
  writeHeader(w, at, Command.GET_CAPSET_INFO);
  w[at + GetCapsetInfo.index] = index;
  w[at + GetCapsetInfo.padding] = 0;
  return Size.getCapsetInfo;
}

/** GET_CAPSET. */
export function writeGetCapset(w: Uint32Array, at: number, id: number, version: number): number {
  writeHeader(w, at, Command.GET_CAPSET);
  w[at + GetCapset.id] = id;
  w[at + GetCapset.version] = version;
  return Size.getCapset;
}

/** UPDATE_CURSOR or MOVE_CURSOR (`type`); x and y in px of the scanout, may wrap below zero as Linux sends them. */
export function writeUpdateCursor(
  w: Uint32Array,
  at: number,
  type: number,
  scanout: number,
  x: number,
  y: number,
  resource: number,
  hotX: number,
  hotY: number,
): number {
  writeHeader(w, at, type);
  w[at + UpdateCursor.scanout] = scanout;
  w[at + UpdateCursor.x] = x;
  w[at + UpdateCursor.y] = y;
  w[at + UpdateCursor.posPadding] = 0;
  w[at + UpdateCursor.resource] = resource;
  w[at + UpdateCursor.hotX] = hotX;
  w[at + UpdateCursor.hotY] = hotY;
  w[at + UpdateCursor.padding] = 0;
  return Size.updateCursor;
}
