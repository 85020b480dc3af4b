/**
 * The numbers of the virtio-gpu wire protocol: virtio 1.3 § 5.7, `include/uapi/linux/virtio_gpu.h`.
 * All of them are little-endian u32 on the wire unless said otherwise.
 */

/** `virtio_gpu_ctrl_type`: what a request asks for. */
export const Command = {
  GET_DISPLAY_INFO: 0x100,
  RESOURCE_CREATE_2D: 0x101,
  RESOURCE_UNREF: 0x102,
  SET_SCANOUT: 0x103,
  RESOURCE_FLUSH: 0x104,
  TRANSFER_TO_HOST_2D: 0x105,
  RESOURCE_ATTACH_BACKING: 0x106,
  RESOURCE_DETACH_BACKING: 0x107,
  GET_CAPSET_INFO: 0x108,
  GET_CAPSET: 0x109,
  GET_EDID: 0x10a,
  RESOURCE_ASSIGN_UUID: 0x10b,
  RESOURCE_CREATE_BLOB: 0x10c,
  SET_SCANOUT_BLOB: 0x10d,
  RESOURCE_MAP_BLOB: 0x208,
  RESOURCE_UNMAP_BLOB: 0x209,
  UPDATE_CURSOR: 0x300,
  MOVE_CURSOR: 0x301,
} as const;
export type CommandName = keyof typeof Command;

/** `virtio_gpu_ctrl_type`: what a response says. From 0x1200 on: errors. */
export const Response = {
  OK_NODATA: 0x1100,
  OK_DISPLAY_INFO: 0x1101,
  OK_CAPSET_INFO: 0x1102,
  OK_CAPSET: 0x1103,
  OK_EDID: 0x1104,
  OK_RESOURCE_UUID: 0x1105,
  OK_MAP_INFO: 0x1106,
  ERR_UNSPEC: 0x1200,
  ERR_OUT_OF_MEMORY: 0x1201,
  ERR_INVALID_SCANOUT_ID: 0x1202,
  ERR_INVALID_RESOURCE_ID: 0x1203,
  ERR_INVALID_CONTEXT_ID: 0x1204,
  ERR_INVALID_PARAMETER: 0x1205,
} as const;
export type ResponseName = keyof typeof Response;

/** `virtio_gpu_ctrl_hdr.flags`, a bit mask. */
export const Flag = { FENCE: 1, INFO_RING_IDX: 2 } as const;

/** `virtio_gpu_resource_create_blob.blob_mem`: where a blob's bytes live. */
export const BlobMem = { GUEST: 1, HOST3D: 2, HOST3D_GUEST: 3 } as const;

/** `virtio_gpu_resource_create_blob.blob_flags`, a bit mask. */
export const BlobFlag = { MAPPABLE: 1, SHAREABLE: 2, CROSS_DEVICE: 4 } as const;

/** `virtio_gpu_resource_map_blob`'s answer, `map_info & MASK`: how the guest should cache the mapping. */
export const MapCache = { MASK: 0x0f, NONE: 0, CACHED: 1, UNCACHED: 2, WC: 3 } as const;

/** `virtio_gpu_formats`, named by the order of bytes in memory; Linux's XRGB8888 is B8G8R8X8. */
export const Format = {
  B8G8R8A8: 1,
  B8G8R8X8: 2,
  A8R8G8B8: 3,
  X8R8G8B8: 4,
  R8G8B8A8: 67,
  X8B8G8R8: 68,
  A8B8G8R8: 121,
  R8G8B8X8: 134,
} as const;
export type FormatName = keyof typeof Format;

/** Feature *bit numbers*: 0–23 are the gpu's own (virtio 1.3 § 5.7.3), from 28 on the transport's and the ring's (§ 6). */
export const Feature = {
  VIRGL: 0,
  EDID: 1,
  RESOURCE_UUID: 2,
  RESOURCE_BLOB: 3,
  CONTEXT_INIT: 4,
  BLOB_ALIGNMENT: 5,
  INDIRECT_DESC: 28,
  EVENT_IDX: 29,
  VERSION_1: 32,
  ACCESS_PLATFORM: 33,
  RING_PACKED: 34,
  IN_ORDER: 35,
} as const;

/** Bits of `events_read` and `events_clear` in the configuration space. */
export const ConfigEvent = { DISPLAY: 1 } as const;

/** `VIRTIO_GPU_MAX_SCANOUTS`. */
export const MAX_SCANOUTS = 16;

/** Width and height of a cursor's resource, px (the only size that Linux sends and QEMU takes). */
export const CURSOR_SIZE = 64;

const commandNames: ReadonlyMap<number, string> = new Map(Object.entries(Command).map(([name, code]) => [code, name]));
const responseNames: ReadonlyMap<number, string> = new Map(Object.entries(Response).map(([name, code]) => [code, name]));

/** The command's name; for an unknown type `unknown 0x…`. For messages, not for the hot path. */
export function commandName(type: number): string {
  return commandNames.get(type) ?? `unknown 0x${type.toString(16)}`;
}

/** The response's name; for an unknown type `unknown 0x…`. For messages, not for the hot path. */
export function responseName(type: number): string {
  return responseNames.get(type) ?? `unknown 0x${type.toString(16)}`;
}

/** Bytes a pixel of `format`, 0 when the protocol has no such format. All eight formats are 32-bit. */
export function formatBytesPerPixel(format: number): number {
  switch (format) {
    case Format.B8G8R8A8:
    case Format.B8G8R8X8:
    case Format.A8R8G8B8:
    case Format.X8R8G8B8:
    case Format.R8G8B8A8:
    case Format.X8B8G8R8:
    case Format.A8B8G8R8:
    case Format.R8G8B8X8:
      return 4;
    default:
      return 0;
  }
}
