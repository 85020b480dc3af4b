/**
 * Writers and readers of responses in a Uint32Array that the caller owns; nothing is allocated unless said. The body
 * writers leave the header alone, so `writeResponseHeader` may come before or after, and return the whole response's
 * bytes. Padding and unused bytes are zeroed (hostile-guest 39). Layout: virtio-gpu §1.
 */
import { CapsetInfo, EDID_MAX_BYTES, EdidResponse, Header, MapInfo, ResourceUuid, Size } from './layout.ts';

/** Writes a response's header and returns its bytes, 24. `ringIdx` is a u8, the three bytes after it become zero. */
export function writeResponseHeader(
  w: Uint32Array,
  at: number,
  type: number,
  flags: number,
  fenceLo: number,
  fenceHi: number,
  ctxId: number,
  ringIdx: number,
): number {
  w[at + Header.type] = type;
  w[at + Header.flags] = flags;
  w[at + Header.fenceLo] = fenceLo;
  w[at + Header.fenceHi] = fenceHi;
  w[at + Header.ctxId] = ctxId;
  w[at + Header.ringIdx] = ringIdx & 0xff;
  return Size.header;
}

/** Body of OK_EDID: the length and 1024 bytes, zero past the EDID; an EDID longer than that is cut off. */
export function writeEdid(w: Uint32Array, at: number, edid: Uint8Array): number {
  const size = edid.length < EDID_MAX_BYTES ? edid.length : EDID_MAX_BYTES;
  w[at + EdidResponse.size] = size;
  w[at + EdidResponse.padding] = 0;
  for (let i = 0; i < EDID_MAX_BYTES; i += 4) {
    let word = 0;
    for (let b = 0; b < 4 && i + b < size; b++) word |= edid[i + b] << (8 * b);
    w[at + EdidResponse.edid + (i >> 2)] = word;
  }
  return Size.respEdid;
}

/** A copy of the EDID in the OK_EDID that begins at word `at`: as many bytes as it says, at most 1024. Allocates. */
export function readEdid(w: Uint32Array, at: number): Uint8Array {
  const size = Math.min(w[at + EdidResponse.size] ?? 0, EDID_MAX_BYTES);
  const edid = new Uint8Array(size);
  for (let i = 0; i < size; i++) edid[i] = (w[at + EdidResponse.edid + (i >> 2)] ?? 0) >>> (8 * (i & 3));
  return edid;
}

/** Body of OK_CAPSET_INFO; sizes in bytes. */
export function writeCapsetInfo(w: Uint32Array, at: number, id: number, maxVersion: number, maxSize: number): number {
  w[at + CapsetInfo.id] = id;
  w[at + CapsetInfo.maxVersion] = maxVersion;
  w[at + CapsetInfo.maxSize] = maxSize;
  w[at + CapsetInfo.padding] = 0;
  return Size.respCapsetInfo;
}

/** Body of OK_RESOURCE_UUID: sixteen bytes as four little-endian words. */
export function writeResourceUuid(w: Uint32Array, at: number, word0: number, word1: number, word2: number, word3: number): number {
  w[at + ResourceUuid.uuid] = word0;
  w[at + ResourceUuid.uuid + 1] = word1;
  w[at + ResourceUuid.uuid + 2] = word2;
  w[at + ResourceUuid.uuid + 3] = word3;
  return Size.respResourceUuid;
}

/** Body of OK_MAP_INFO; see `MapCache`. */
export function writeMapInfo(w: Uint32Array, at: number, mapInfo: number): number {
  w[at + MapInfo.mapInfo] = mapInfo;
  w[at + MapInfo.padding] = 0;
  return Size.respMapInfo;
}
