/**
 * What decoding requests and responses share: the header, and structures described by their layout. Not for the hot path;
 * the device reads words by `layout.ts`, the driver writes them by `write.ts`.
 */
import { Header, MEM_ENTRY_BYTES, MemEntry, Size } from './layout.ts';

/** Why bytes are not the structure that they should be. */
export interface DecodeError {
  error: string;
}

/** What every request and response carries; the fence id is an opaque pair of u32. */
export interface HeaderFields {
  flags: number;
  fenceLo: number;
  fenceHi: number;
  ctxId: number;
  /** u8 */
  ringIdx: number;
  /**
   * The padding as it was, present only when some of it is not zero: first the three bytes after `ringIdx` as one u24, then
   * each padding word of the body in order.
   */
  pads?: number[];
  /** Bytes past the structure's end, present only when there are some. The device ignores them (hostile-guest 30). */
  trailing?: Uint8Array;
}

/** One `virtio_gpu_mem_entry`; the address is guest-physical, the length in bytes. */
export interface MemoryEntry {
  addrLo: number;
  addrHi: number;
  length: number;
  /** Present only when not zero. */
  padding?: number;
}

/** Layout keys that are not one plain u32 field. */
export type SpecialField = 'padding' | 'posPadding' | 'nrEntries' | 'entries' | 'strides' | 'offsets';

/** The plain u32 fields of a layout. */
export type Scalars<L> = { [K in Exclude<keyof L, SpecialField>]: number };

/** A structure: wire type, bytes of the fixed part, and the layout of its body. */
export interface Structure {
  readonly type: number;
  readonly bytes: number;
  readonly layout: Readonly<Record<string, number>>;
}

/** A structure's fields sorted by how they are stored, made once. */
export interface Plan extends Structure {
  readonly scalars: readonly (readonly [field: string, word: number])[];
  readonly pads: readonly number[];
  readonly quads: readonly (readonly [field: string, word: number])[];
  /** Word of the number of memory entries that follow the fixed part, or -1. */
  readonly nrEntries: number;
}

export function planOf(structure: Structure): Plan {
  const scalars: [string, number][] = [];
  const quads: [string, number][] = [];
  const pads: number[] = [];
  let nrEntries = -1;
  for (const [field, word] of Object.entries(structure.layout)) {
    if (field === 'padding' || field === 'posPadding') pads.push(word);
    else if (field === 'strides' || field === 'offsets') quads.push([field, word]);
    else if (field === 'nrEntries') nrEntries = word;
    else if (field !== 'entries') scalars.push([field, word]);
  }
  return { ...structure, scalars, quads, pads, nrEntries };
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A copy of `[from, to)` in memory of its own (`slice` of a Node Buffer would be a view). */
export function copyOf(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(bytes.subarray(from, to));
}

/** The header's fields without padding; `view` has at least 24 bytes. */
export function readHeader(view: DataView): HeaderFields {
  return {
    flags: view.getUint32(4 * Header.flags, true),
    fenceLo: view.getUint32(4 * Header.fenceLo, true),
    fenceHi: view.getUint32(4 * Header.fenceHi, true),
    ctxId: view.getUint32(4 * Header.ctxId, true),
    ringIdx: view.getUint8(4 * Header.ringIdx),
  };
}

/** Adds `pads` and `trailing` to `into` when there is something to add. */
export function readRest(into: HeaderFields, bytes: Uint8Array, view: DataView, pads: readonly number[], end: number): void {
  const found = [view.getUint32(4 * Header.ringIdx, true) >>> 8];
  for (const word of pads) found.push(view.getUint32(4 * word, true));
  if (found.some((pad) => pad !== 0)) into.pads = found;
  if (bytes.length > end) into.trailing = copyOf(bytes, end, bytes.length);
}

/**
 * Decodes a structure by its plan into `name` and fields, or says why it can't. Bounds are checked before anything is
 * allocated for the entries.
 */
export function decodeByPlan(plan: Plan, name: string, bytes: Uint8Array): (HeaderFields & Record<string, unknown>) | DecodeError {
  if (bytes.length < plan.bytes) return { error: `${name} has ${plan.bytes} bytes, only ${bytes.length} are there` };
  const view = viewOf(bytes);
  const fields: HeaderFields & Record<string, unknown> = { name, ...readHeader(view) };
  for (const [field, word] of plan.scalars) fields[field] = view.getUint32(4 * word, true);
  for (const [field, word] of plan.quads) fields[field] = [0, 4, 8, 12].map((offset) => view.getUint32(4 * word + offset, true));
  let end = plan.bytes;
  if (plan.nrEntries >= 0) {
    const count = view.getUint32(4 * plan.nrEntries, true);
    const missing = count * MEM_ENTRY_BYTES - (bytes.length - plan.bytes);
    if (missing > 0) return { error: `${name} claims ${count} memory entries, ${missing} bytes of them are missing` };
    const entries: MemoryEntry[] = [];
    for (let i = 0; i < count; i++, end += MEM_ENTRY_BYTES) entries.push(readEntry(view, end));
    fields['entries'] = entries;
  }
  readRest(fields, bytes, view, plan.pads, end);
  return fields;
}

/** The bytes of `fields` by the plan. @throws RangeError for a field that is missing or not a u32. */
export function encodeByPlan(plan: Plan, fields: HeaderFields & Readonly<Record<string, unknown>>): Uint8Array {
  const entries = plan.nrEntries >= 0 ? (fields['entries'] as readonly MemoryEntry[]) : [];
  const end = plan.bytes + entries.length * MEM_ENTRY_BYTES;
  const bytes = new Uint8Array(end + (fields.trailing?.length ?? 0));
  const view = viewOf(bytes);
  writeHeaderFields(view, plan.type, fields);
  for (const [field, word] of plan.scalars) view.setUint32(4 * word, u32(fields[field], field), true);
  for (const [field, word] of plan.quads) {
    const values = fields[field] as readonly number[];
    for (let i = 0; i < 4; i++) view.setUint32(4 * (word + i), u32(values[i], field), true);
  }
  if (plan.nrEntries >= 0) view.setUint32(4 * plan.nrEntries, entries.length, true);
  for (let i = 0; i < entries.length; i++) writeEntry(view, plan.bytes + i * MEM_ENTRY_BYTES, entries[i]);
  writeRest(bytes, view, fields, plan.pads, end);
  return bytes;
}

export function writeHeaderFields(view: DataView, type: number, fields: HeaderFields): void {
  if (view.byteLength < Size.header) throw new RangeError('no room for a header');
  view.setUint32(4 * Header.type, type, true);
  view.setUint32(4 * Header.flags, u32(fields.flags, 'flags'), true);
  view.setUint32(4 * Header.fenceLo, u32(fields.fenceLo, 'fenceLo'), true);
  view.setUint32(4 * Header.fenceHi, u32(fields.fenceHi, 'fenceHi'), true);
  view.setUint32(4 * Header.ctxId, u32(fields.ctxId, 'ctxId'), true);
  if (u32(fields.ringIdx, 'ringIdx') > 0xff) throw new RangeError(`ringIdx must be a u8, not ${fields.ringIdx}`);
  view.setUint32(4 * Header.ringIdx, fields.ringIdx, true);
}

/** Writes padding and trailing bytes after the fields. */
export function writeRest(bytes: Uint8Array, view: DataView, fields: HeaderFields, pads: readonly number[], end: number): void {
  if (fields.pads !== undefined) {
    const headerPad = u32(fields.pads[0], 'pads');
    if (headerPad > 0xffffff) throw new RangeError(`the header's padding must be a u24, not ${headerPad}`);
    view.setUint32(4 * Header.ringIdx, ((headerPad << 8) | fields.ringIdx) >>> 0, true);
    for (let i = 0; i < pads.length; i++) view.setUint32(4 * pads[i], u32(fields.pads[1 + i], 'pads'), true);
  }
  if (fields.trailing !== undefined) bytes.set(fields.trailing, end);
}

function readEntry(view: DataView, at: number): MemoryEntry {
  const entry: MemoryEntry = {
    addrLo: view.getUint32(at + 4 * MemEntry.addrLo, true),
    addrHi: view.getUint32(at + 4 * MemEntry.addrHi, true),
    length: view.getUint32(at + 4 * MemEntry.length, true),
  };
  const padding = view.getUint32(at + 4 * MemEntry.padding, true);
  if (padding !== 0) entry.padding = padding;
  return entry;
}

function writeEntry(view: DataView, at: number, entry: MemoryEntry): void {
  view.setUint32(at + 4 * MemEntry.addrLo, u32(entry.addrLo, 'addrLo'), true);
  view.setUint32(at + 4 * MemEntry.addrHi, u32(entry.addrHi, 'addrHi'), true);
  view.setUint32(at + 4 * MemEntry.length, u32(entry.length, 'length'), true);
  view.setUint32(at + 4 * MemEntry.padding, u32(entry.padding ?? 0, 'padding'), true);
}

/** `value` if it is a u32. @throws RangeError otherwise: a DataView would wrap it silently. */
export function u32(value: unknown, field: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new RangeError(`${field} must be a u32, not ${String(value)}`);
  }
  return value;
}
