/**
 * Where every field of a virtio-gpu structure lies, as an index in u32 words from the structure's start, and every
 * structure's size in bytes (virtio 1.3 § 5.7.6, `include/uapi/linux/virtio_gpu.h`). All structures are multiples of
 * four bytes with every field aligned to four, so a Uint32Array reads them on a little-endian machine; a u64 is a pair
 * of words `…Lo`, `…Hi`.
 */

/** `virtio_gpu_ctrl_hdr`. `ringIdx` is a word of which only the low byte is the index; the others are padding. */
export const Header = { type: 0, flags: 1, fenceLo: 2, fenceHi: 3, ctxId: 4, ringIdx: 5 } as const;

/** `virtio_gpu_resource_create_2d`. */
export const Create2d = { resource: 6, format: 7, width: 8, height: 9 } as const;

/** `virtio_gpu_resource_unref`, `…_detach_backing`, `…_assign_uuid`, `…_unmap_blob`. */
export const Resource = { resource: 6, padding: 7 } as const;

/** `virtio_gpu_cmd_get_edid`. */
export const GetEdid = { scanout: 6, padding: 7 } as const;

/** `virtio_gpu_set_scanout`. */
export const SetScanout = { x: 6, y: 7, width: 8, height: 9, scanout: 10, resource: 11 } as const;

/** `virtio_gpu_resource_flush`. */
export const Flush = { x: 6, y: 7, width: 8, height: 9, resource: 10, padding: 11 } as const;

/** `virtio_gpu_transfer_to_host_2d`. */
export const Transfer = { x: 6, y: 7, width: 8, height: 9, offsetLo: 10, offsetHi: 11, resource: 12, padding: 13 } as const;

/** `virtio_gpu_resource_attach_backing`; `nrEntries` memory entries follow at word `entries`. */
export const AttachBacking = { resource: 6, nrEntries: 7, entries: 8 } as const;

/** `virtio_gpu_mem_entry`, from its own start. */
export const MemEntry = { addrLo: 0, addrHi: 1, length: 2, padding: 3 } as const;

/** `virtio_gpu_resource_create_blob`; `nrEntries` memory entries follow at word `entries`. */
export const CreateBlob = {
  resource: 6,
  blobMem: 7,
  blobFlags: 8,
  nrEntries: 9,
  blobIdLo: 10,
  blobIdHi: 11,
  sizeLo: 12,
  sizeHi: 13,
  entries: 14,
} as const;

/** `virtio_gpu_set_scanout_blob`; `strides` and `offsets` are four words each, of which a packed format uses the first. */
export const SetScanoutBlob = {
  x: 6,
  y: 7,
  width: 8,
  height: 9,
  scanout: 10,
  resource: 11,
  fbWidth: 12,
  fbHeight: 13,
  format: 14,
  padding: 15,
  strides: 16,
  offsets: 20,
} as const;

/** `virtio_gpu_resource_map_blob`. */
export const MapBlob = { resource: 6, padding: 7, offsetLo: 8, offsetHi: 9 } as const;

/** `virtio_gpu_get_capset_info`. */
export const GetCapsetInfo = { index: 6, padding: 7 } as const;

/** `virtio_gpu_get_capset`. */
export const GetCapset = { id: 6, version: 7 } as const;

/** `virtio_gpu_update_cursor`, for UPDATE_CURSOR and MOVE_CURSOR. */
export const UpdateCursor = { scanout: 6, x: 7, y: 8, posPadding: 9, resource: 10, hotX: 11, hotY: 12, padding: 13 } as const;

/** `virtio_gpu_resp_display_info`: 16 × `virtio_gpu_display_one` of `stride` words from word `heads`. */
export const DisplayInfo = { heads: 6, stride: 6 } as const;

/** `virtio_gpu_display_one`, from its own start. */
export const DisplayOne = { x: 0, y: 1, width: 2, height: 3, enabled: 4, flags: 5 } as const;

/** `virtio_gpu_resp_edid`; the EDID's bytes begin at word `edid`. */
export const EdidResponse = { size: 6, padding: 7, edid: 8 } as const;

/** `virtio_gpu_resp_capset_info`. */
export const CapsetInfo = { id: 6, maxVersion: 7, maxSize: 8, padding: 9 } as const;

/** `virtio_gpu_resp_resource_uuid`: 16 bytes from word `uuid`. */
export const ResourceUuid = { uuid: 6 } as const;

/** `virtio_gpu_resp_map_info`. */
export const MapInfo = { mapInfo: 6, padding: 7 } as const;

/** Bytes of each structure; `attachBacking` and `createBlob` without their memory entries. */
export const Size = {
  header: 24,
  getDisplayInfo: 24,
  create2d: 40,
  resource: 32,
  unref: 32,
  detachBacking: 32,
  assignUuid: 32,
  unmapBlob: 32,
  getEdid: 32,
  getCapsetInfo: 32,
  getCapset: 32,
  setScanout: 48,
  flush: 48,
  transfer: 56,
  attachBacking: 32,
  memEntry: 16,
  createBlob: 56,
  setScanoutBlob: 96,
  mapBlob: 40,
  updateCursor: 56,
  respNodata: 24,
  respDisplayInfo: 408,
  respEdid: 1056,
  respCapsetInfo: 40,
  respResourceUuid: 40,
  respMapInfo: 32,
} as const;

/** Bytes of one `virtio_gpu_mem_entry`. */
export const MEM_ENTRY_BYTES = 16;
/** Words of one `virtio_gpu_mem_entry`. */
export const MEM_ENTRY_WORDS = 4;
/** Bytes of the largest fixed request part: SET_SCANOUT_BLOB. Memory entries and capset data come on top. */
export const MAX_COMMAND_BYTES = 96;
/** Room for the EDID in a response, bytes. */
export const EDID_MAX_BYTES = 1024;
