/** Responses as objects, for tests and messages, decoded from a chain's writable bytes and encoded back (virtio-gpu §1). */

import type { DecodeError, HeaderFields, Plan, Scalars } from './codec.ts';
import { copyOf, decodeByPlan, encodeByPlan, planOf, readHeader, readRest, u32, viewOf, writeHeaderFields, writeRest } from './codec.ts';
import type { ResponseName } from './constants.ts';
import { MAX_SCANOUTS, Response } from './constants.ts';
import { CapsetInfo, DisplayInfo, DisplayOne, EDID_MAX_BYTES, EdidResponse, MapInfo, ResourceUuid, Size } from './layout.ts';

export { readEdid, writeCapsetInfo, writeEdid, writeMapInfo, writeResourceUuid, writeResponseHeader } from './write-response.ts';

/** `virtio_gpu_display_one` as it is on the wire. */
export interface WireHead {
  x: number;
  y: number;
  width: number;
  height: number;
  enabled: number;
  flags: number;
}

type EmptyName = 'OK_NODATA' | Extract<ResponseName, `ERR_${string}`>;

/** A response that is its header only. */
type Empty = { [N in EmptyName]: HeaderFields & { name: N } }[EmptyName];

export type ResponseMessage =
  | Empty
  | (HeaderFields & { name: 'OK_DISPLAY_INFO'; heads: WireHead[] })
  | (HeaderFields & { name: 'OK_CAPSET_INFO' } & Scalars<typeof CapsetInfo>)
  /** All bytes after the header. */
  | (HeaderFields & { name: 'OK_CAPSET'; data: Uint8Array })
  /** `size`: how many of the 1024 bytes are EDID. */
  | (HeaderFields & { name: 'OK_EDID'; size: number; edid: Uint8Array })
  | (HeaderFields & { name: 'OK_RESOURCE_UUID'; uuid: Uint8Array })
  | (HeaderFields & { name: 'OK_MAP_INFO' } & Scalars<typeof MapInfo>);

const UUID_BYTES = 16;
const nameByType = new Map<number, ResponseName>();
for (const name of Object.keys(Response) as ResponseName[]) nameByType.set(Response[name], name);

/** Responses without arrays; the others are coded by hand below. */
function planFor(name: ResponseName): Plan | null {
  const type = Response[name];
  switch (name) {
    case 'OK_CAPSET_INFO':
      return planOf({ type, bytes: Size.respCapsetInfo, layout: CapsetInfo });
    case 'OK_MAP_INFO':
      return planOf({ type, bytes: Size.respMapInfo, layout: MapInfo });
    case 'OK_DISPLAY_INFO':
    case 'OK_CAPSET':
    case 'OK_EDID':
    case 'OK_RESOURCE_UUID':
      return null;
    default:
      return planOf({ type, bytes: Size.header, layout: {} });
  }
}

/**
 * Decodes the bytes that the device wrote. Never throws: too few bytes, an unknown type, or an EDID longer than its room come
 * back as `{ error }`.
 */
export function decodeResponse(bytes: Uint8Array): ResponseMessage | DecodeError {
  if (bytes.length < Size.header) return { error: `a response has at least ${Size.header} bytes, not ${bytes.length}` };
  const view = viewOf(bytes);
  const type = view.getUint32(0, true);
  const name = nameByType.get(type);
  if (name === undefined) return { error: `unknown response type 0x${type.toString(16)}` };
  const plan = planFor(name);
  // The plan is made of the same layout objects that the type is.
  if (plan !== null) return decodeByPlan(plan, name, bytes) as unknown as ResponseMessage | DecodeError;
  const header = readHeader(view);
  switch (name) {
    case 'OK_DISPLAY_INFO': {
      if (bytes.length < Size.respDisplayInfo) return short(name, Size.respDisplayInfo, bytes);
      const heads: WireHead[] = [];
      for (let i = 0; i < MAX_SCANOUTS; i++) heads.push(readHead(view, 4 * (DisplayInfo.heads + i * DisplayInfo.stride)));
      readRest(header, bytes, view, [], Size.respDisplayInfo);
      return { name, ...header, heads };
    }
    case 'OK_EDID': {
      if (bytes.length < Size.respEdid) return short(name, Size.respEdid, bytes);
      const size = view.getUint32(4 * EdidResponse.size, true);
      if (size > EDID_MAX_BYTES) return { error: `OK_EDID says ${size} bytes of EDID, there is room for ${EDID_MAX_BYTES}` };
      readRest(header, bytes, view, [EdidResponse.padding], Size.respEdid);
      return { name, ...header, size, edid: copyOf(bytes, 4 * EdidResponse.edid, Size.respEdid) };
    }
    case 'OK_RESOURCE_UUID': {
      if (bytes.length < Size.respResourceUuid) return short(name, Size.respResourceUuid, bytes);
      readRest(header, bytes, view, [], Size.respResourceUuid);
      return { name, ...header, uuid: copyOf(bytes, 4 * ResourceUuid.uuid, Size.respResourceUuid) };
    }
    case 'OK_CAPSET':
      readRest(header, bytes, view, [], bytes.length);
      return { name, ...header, data: copyOf(bytes, Size.header, bytes.length) };
    default:
      return { error: `${name} has no decoder` };
  }
}

/**
 * The bytes of a response; `encodeResponse(decodeResponse(b))` is `b`.
 * @throws RangeError when a field is not a u32, or heads, EDID or UUID have not their number of elements.
 */
export function encodeResponse(response: ResponseMessage): Uint8Array {
  const plan = planFor(response.name);
  if (plan !== null) return encodeByPlan(plan, response as unknown as HeaderFields & Readonly<Record<string, unknown>>);
  switch (response.name) {
    case 'OK_DISPLAY_INFO': {
      const count = response.heads.length;
      if (count !== MAX_SCANOUTS) throw new RangeError(`OK_DISPLAY_INFO has ${MAX_SCANOUTS} heads, not ${count}`);
      return fixed(response, Size.respDisplayInfo, [], (view) => {
        for (let i = 0; i < MAX_SCANOUTS; i++) writeHead(view, 4 * (DisplayInfo.heads + i * DisplayInfo.stride), response.heads[i]);
      });
    }
    case 'OK_EDID':
      exactly('edid', response.edid, EDID_MAX_BYTES);
      return fixed(response, Size.respEdid, [EdidResponse.padding], (view, bytes) => {
        view.setUint32(4 * EdidResponse.size, u32(response.size, 'size'), true);
        bytes.set(response.edid, 4 * EdidResponse.edid);
      });
    case 'OK_RESOURCE_UUID':
      exactly('uuid', response.uuid, UUID_BYTES);
      return fixed(response, Size.respResourceUuid, [], (_view, bytes) => bytes.set(response.uuid, 4 * ResourceUuid.uuid));
    case 'OK_CAPSET':
      return fixed(response, Size.header + response.data.length, [], (_view, bytes) => bytes.set(response.data, Size.header));
    default:
      throw new TypeError(`no virtio-gpu response is named ${String(response.name)}`);
  }
}

function fixed(
  response: HeaderFields & { name: ResponseName },
  size: number,
  pads: readonly number[],
  body: (view: DataView, bytes: Uint8Array) => void,
): Uint8Array {
  const bytes = new Uint8Array(size + (response.trailing?.length ?? 0));
  const view = viewOf(bytes);
  writeHeaderFields(view, Response[response.name], response);
  body(view, bytes);
  writeRest(bytes, view, response, pads, size);
  return bytes;
}

function short(name: ResponseName, size: number, bytes: Uint8Array): DecodeError {
  return { error: `${name} has ${size} bytes, only ${bytes.length} are there` };
}

function exactly(field: string, data: Uint8Array, bytes: number): void {
  if (data.length !== bytes) throw new RangeError(`${field} must have ${bytes} bytes, not ${data.length}`);
}

function readHead(view: DataView, at: number): WireHead {
  return {
    x: view.getUint32(at + 4 * DisplayOne.x, true),
    y: view.getUint32(at + 4 * DisplayOne.y, true),
    width: view.getUint32(at + 4 * DisplayOne.width, true),
    height: view.getUint32(at + 4 * DisplayOne.height, true),
    enabled: view.getUint32(at + 4 * DisplayOne.enabled, true),
    flags: view.getUint32(at + 4 * DisplayOne.flags, true),
  };
}

function writeHead(view: DataView, at: number, head: WireHead): void {
  view.setUint32(at + 4 * DisplayOne.x, u32(head.x, 'x'), true);
  view.setUint32(at + 4 * DisplayOne.y, u32(head.y, 'y'), true);
  view.setUint32(at + 4 * DisplayOne.width, u32(head.width, 'width'), true);
  view.setUint32(at + 4 * DisplayOne.height, u32(head.height, 'height'), true);
  view.setUint32(at + 4 * DisplayOne.enabled, u32(head.enabled, 'enabled'), true);
  view.setUint32(at + 4 * DisplayOne.flags, u32(head.flags, 'flags'), true);
}
