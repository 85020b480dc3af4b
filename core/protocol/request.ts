/**
 * Requests as objects, for traces, tests and messages: every command of virtio-gpu §1, decoded from the readable bytes of a
 * chain and encoded back to the same bytes. Field names are those of `layout.ts`.
 */

import type { DecodeError, HeaderFields, MemoryEntry, Plan, Scalars } from './codec.ts';
import { decodeByPlan, encodeByPlan, planOf, viewOf } from './codec.ts';
import type { CommandName } from './constants.ts';
import { Command } from './constants.ts';
import {
  AttachBacking,
  Create2d,
  CreateBlob,
  Flush,
  GetCapset,
  GetCapsetInfo,
  GetEdid,
  MapBlob,
  Resource,
  SetScanout,
  SetScanoutBlob,
  Size,
  Transfer,
  UpdateCursor,
} from './layout.ts';

export type { DecodeError, HeaderFields, MemoryEntry } from './codec.ts';

/** A command: its name, the header's fields, the plain fields of its layout. */
type Plain<N extends CommandName, L> = HeaderFields & { name: N } & Scalars<L>;
/** A command followed by memory entries; `nr_entries` is their number. */
type Backed<N extends CommandName, L> = Plain<N, L> & { entries: MemoryEntry[] };

export type Request =
  | Plain<'GET_DISPLAY_INFO', object>
  | Plain<'RESOURCE_CREATE_2D', typeof Create2d>
  | Plain<'RESOURCE_UNREF', typeof Resource>
  | Plain<'SET_SCANOUT', typeof SetScanout>
  | Plain<'RESOURCE_FLUSH', typeof Flush>
  | Plain<'TRANSFER_TO_HOST_2D', typeof Transfer>
  | Backed<'RESOURCE_ATTACH_BACKING', typeof AttachBacking>
  | Plain<'RESOURCE_DETACH_BACKING', typeof Resource>
  | Plain<'GET_CAPSET_INFO', typeof GetCapsetInfo>
  | Plain<'GET_CAPSET', typeof GetCapset>
  | Plain<'GET_EDID', typeof GetEdid>
  | Plain<'RESOURCE_ASSIGN_UUID', typeof Resource>
  | Backed<'RESOURCE_CREATE_BLOB', typeof CreateBlob>
  /** `strides` and `offsets`: four each, bytes. */
  | (Plain<'SET_SCANOUT_BLOB', typeof SetScanoutBlob> & { strides: number[]; offsets: number[] })
  | Plain<'RESOURCE_MAP_BLOB', typeof MapBlob>
  | Plain<'RESOURCE_UNMAP_BLOB', typeof Resource>
  | Plain<'UPDATE_CURSOR', typeof UpdateCursor>
  | Plain<'MOVE_CURSOR', typeof UpdateCursor>;

/** The request of one command. */
export type RequestOf<N extends CommandName> = Extract<Request, { name: N }>;

const bodies: { readonly [N in CommandName]: { bytes: number; layout: Readonly<Record<string, number>> } } = {
  GET_DISPLAY_INFO: { bytes: Size.getDisplayInfo, layout: {} },
  RESOURCE_CREATE_2D: { bytes: Size.create2d, layout: Create2d },
  RESOURCE_UNREF: { bytes: Size.unref, layout: Resource },
  SET_SCANOUT: { bytes: Size.setScanout, layout: SetScanout },
  RESOURCE_FLUSH: { bytes: Size.flush, layout: Flush },
  TRANSFER_TO_HOST_2D: { bytes: Size.transfer, layout: Transfer },
  RESOURCE_ATTACH_BACKING: { bytes: Size.attachBacking, layout: AttachBacking },
  RESOURCE_DETACH_BACKING: { bytes: Size.detachBacking, layout: Resource },
  GET_CAPSET_INFO: { bytes: Size.getCapsetInfo, layout: GetCapsetInfo },
  GET_CAPSET: { bytes: Size.getCapset, layout: GetCapset },
  GET_EDID: { bytes: Size.getEdid, layout: GetEdid },
  RESOURCE_ASSIGN_UUID: { bytes: Size.assignUuid, layout: Resource },
  RESOURCE_CREATE_BLOB: { bytes: Size.createBlob, layout: CreateBlob },
  SET_SCANOUT_BLOB: { bytes: Size.setScanoutBlob, layout: SetScanoutBlob },
  RESOURCE_MAP_BLOB: { bytes: Size.mapBlob, layout: MapBlob },
  RESOURCE_UNMAP_BLOB: { bytes: Size.unmapBlob, layout: Resource },
  UPDATE_CURSOR: { bytes: Size.updateCursor, layout: UpdateCursor },
  MOVE_CURSOR: { bytes: Size.updateCursor, layout: UpdateCursor },
};

const planByType = new Map<number, { name: CommandName; plan: Plan }>();
const planByName = new Map<CommandName, Plan>();
for (const name of Object.keys(bodies) as CommandName[]) {
  const plan = planOf({ type: Command[name], ...bodies[name] });
  planByType.set(plan.type, { name, plan });
  planByName.set(name, plan);
}

/** Bytes of a command's fixed part, without memory entries. */
export function requestBytes(name: CommandName): number {
  return bodies[name].bytes;
}

/**
 * Decodes the readable bytes of one chain. Never throws: bytes that are too few, an unknown type, or fewer memory entries than
 * claimed come back as `{ error }`. Values are taken as they are; whether the device accepts them is the device's business.
 */
export function decodeRequest(bytes: Uint8Array): Request | DecodeError {
  if (bytes.length < Size.header) return { error: `a request has at least ${Size.header} bytes, not ${bytes.length}` };
  const type = viewOf(bytes).getUint32(0, true);
  const known = planByType.get(type);
  if (known === undefined) return { error: `unknown request type 0x${type.toString(16)}` };
  // The plan is made of the same layout objects that the type is.
  return decodeByPlan(known.plan, known.name, bytes) as unknown as Request | DecodeError;
}

/**
 * The bytes of a request; `encodeRequest(decodeRequest(b))` is `b`.
 * @throws RangeError when a field is not a u32 (`ringIdx`: u8), TypeError for a name that is no command.
 */
export function encodeRequest(request: Request): Uint8Array {
  const plan = planByName.get(request.name);
  if (plan === undefined) throw new TypeError(`no virtio-gpu command is named ${String(request.name)}`);
  return encodeByPlan(plan, request as unknown as HeaderFields & Readonly<Record<string, unknown>>);
}
