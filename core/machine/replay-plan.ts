import { PAGE_SIZE, pageAlign } from '../memory/address.ts';
import { Feature } from '../protocol/constants.ts';
import { MAX_CHAIN } from '../ring/chain.ts';
import { placeSplitQueue } from '../ring/split/layout.ts';
import { type ChainRecord, type FeaturesRecord, type Trace, TraceError, type TraceRegion } from '../trace/trace.ts';

/** Bits 0–31 and 32–63 that the replaying host offers: all that it implements, so that it can agree to what a guest recorded. */
export const OFFERED_FEATURES = {
  lo:
    (1 << Feature.EDID) |
    (1 << Feature.RESOURCE_UUID) |
    (1 << Feature.RESOURCE_BLOB) |
    (1 << Feature.INDIRECT_DESC) |
    (1 << Feature.EVENT_IDX),
  hi: 1 << (Feature.VERSION_1 - 32),
} as const;

/** VHOST_USER_F_PROTOCOL_FEATURES: between a front end and its back end, no feature of the device. */
const VHOST_USER_PROTOCOL_FEATURES = 30;
/** Where the replay's own rings and buffers lie: past the 52 bits of a physical address on x86 and Arm. */
export const RING_BASE = 2 ** 52;
/** What a WebAssembly memory holds at most. */
const MAX_REGION_BYTES = 4 * 2 ** 30;
/** Ids below are the guest's memory; the host's own images have ids from 1000 on. */
const MAX_REGIONS = 512;
/** More than any command takes: 16384 memory entries are 256 KiB. */
const MAX_CHAIN_BYTES = 64 * 2 ** 20;
/** Buffers start on cache lines. */
const BUFFER_ALIGN = 64;
const DESCRIPTOR_BYTES = 16;
/** Queue sizes of QEMU's device; a longer direct chain makes its queue larger. */
const QUEUE_SIZES = [64, 16];

/** A region that the trace names, once, however often it leaves and returns. */
export interface ReplayRegion extends TraceRegion {
  /** Id in the machine's memory table, from 1 on. */
  readonly id: number;
  /** The first line that names it. */
  readonly line: number;
}

/** What a trace needs of a machine. */
export interface ReplayPlan {
  readonly regions: readonly ReplayRegion[];
  /** Ids of the regions present at the first features record, where the device comes up. */
  readonly initial: readonly number[];
  /** By queue: its size, and the descriptors of its longest indirect chain (at least 1). */
  readonly queueSize: readonly number[];
  readonly tableDescriptors: readonly number[];
  /** Bytes for the buffers of the largest chain. */
  readonly bufferBytes: number;
}

/** Where a queue lies in the player's own memory. Addresses are guest-physical. */
export interface QueuePlace {
  readonly size: number;
  readonly descriptorAddress: number;
  readonly driverAddress: number;
  readonly deviceAddress: number;
  readonly tables: { readonly address: number; readonly descriptors: number };
}

/** Places queues and their indirect tables from RING_BASE on. @returns also the first address behind them */
export function placeQueues({ queueSize, tableDescriptors }: Pick<ReplayPlan, 'queueSize' | 'tableDescriptors'>): {
  queues: QueuePlace[];
  end: number;
} {
  const queues: QueuePlace[] = [];
  let next = RING_BASE;
  for (let queue = 0; queue < queueSize.length; queue++) {
    const size = queueSize[queue];
    const descriptors = tableDescriptors[queue];
    const { end, ...areas } = placeSplitQueue(next, size);
    queues.push({ size, ...areas, tables: { address: end, descriptors } });
    next = RING_BASE + pageAlign(end - RING_BASE + size * descriptors * DESCRIPTOR_BYTES);
  }
  return { queues, end: next };
}

/** The line of a record: the header has the first, each record one. */
export const lineOf = (record: number): number => record + 2;

/** Room that a buffer takes. */
export const bufferRoom = (length: number): number => Math.ceil(length / BUFFER_ALIGN) * BUFFER_ALIGN;

export const regionKey = (region: TraceRegion): string => `${region.kind} ${region.size}@${region.gpa}`;

/** The features of the device that the guest agreed to. */
export function deviceFeatures(record: FeaturesRecord): { lo: number; hi: number } {
  return { lo: (record.lo & ~(1 << VHOST_USER_PROTOCOL_FEATURES)) >>> 0, hi: record.hi };
}

/**
 * Checks that a trace can be played, before anything is.
 * @throws TraceError at the first line that no machine here could play
 */
export function planReplay(trace: Trace): ReplayPlan {
  const regions = new Map<string, ReplayRegion>();
  let present: number[] = [];
  let initial: readonly number[] | null = null;
  let features: { lo: number; hi: number } | null = null;
  const queueSize = [...QUEUE_SIZES];
  const tableDescriptors = [1, 1];
  let bufferBytes = PAGE_SIZE;
  for (let i = 0; i < trace.records.length; i++) {
    const record = trace.records[i];
    const line = lineOf(i);
    if (record.kind === 'features') {
      features = deviceFeatures(record);
      checkFeatures(features, line);
      initial ??= present;
    } else if (record.kind === 'regions') {
      present = record.regions.map((region) => placeRegion(regions, region, line));
    } else {
      if (features === null) {
        throw new TraceError(line, 'a chain before the features were negotiated', 'give the trace from its beginning');
      }
      const count = checkChain(record, (features.lo & (1 << Feature.INDIRECT_DESC)) !== 0, line);
      bufferBytes = Math.max(bufferBytes, chainBytes(record));
      const queue = record.queue;
      if (record.indirect) tableDescriptors[queue] = Math.max(tableDescriptors[queue], count);
      while (!record.indirect && queueSize[queue] < count) queueSize[queue] *= 2;
    }
  }
  return { regions: [...regions.values()], initial: initial ?? [], queueSize, tableDescriptors, bufferBytes: pageAlign(bufferBytes) };
}

function checkFeatures(features: { lo: number; hi: number }, line: number): void {
  const missing: string[] = [];
  for (let bit = 0; bit < 64; bit++) {
    const asked = ((bit < 32 ? features.lo : features.hi) >>> (bit & 31)) & 1;
    const offered = ((bit < 32 ? OFFERED_FEATURES.lo : OFFERED_FEATURES.hi) >>> (bit & 31)) & 1;
    if (asked !== 0 && offered === 0) missing.push(featureName(bit));
  }
  if (missing.length === 0) return;
  throw new TraceError(line, `the guest uses features that this host does not have: ${missing.join(', ')}`, 'record it without them');
}

function featureName(bit: number): string {
  const known = Object.entries(Feature).find(([, value]) => value === bit);
  return known === undefined ? `bit ${bit}` : `${known[0]} (bit ${bit})`;
}

/** @returns the region's id */
function placeRegion(regions: Map<string, ReplayRegion>, region: TraceRegion, line: number): number {
  const key = regionKey(region);
  const known = regions.get(key);
  if (known !== undefined) return known.id;
  const name = `the region at 0x${region.gpa.toString(16)}`;
  if (region.gpa % PAGE_SIZE !== 0 || region.size % PAGE_SIZE !== 0) {
    throw new TraceError(line, `${name} is not made of whole pages of ${PAGE_SIZE} bytes`, 'correct "gpa" and "size"');
  }
  if (region.size > MAX_REGION_BYTES) {
    throw new TraceError(
      line,
      `${name} has ${region.size} bytes, more than the 4 GiB that a region holds here`,
      'record a guest with less memory',
    );
  }
  if (region.gpa + region.size > RING_BASE) throw new TraceError(line, `${name} ends past 2^52`, 'correct "gpa" and "size"');
  if (regions.size === MAX_REGIONS) {
    throw new TraceError(line, `more than ${MAX_REGIONS} different regions in one trace`, 'replay a shorter part of it');
  }
  const placed: ReplayRegion = { ...region, id: regions.size + 1, line };
  regions.set(key, placed);
  return placed.id;
}

/** @returns the chain's descriptors */
function checkChain(chain: ChainRecord, indirectNegotiated: boolean, line: number): number {
  const count = chain.readable.length + chain.writable.length;
  if (count === 0) throw new TraceError(line, 'a chain without descriptors', 'delete the line');
  if (count > MAX_CHAIN) throw new TraceError(line, `a chain of ${count} descriptors; a queue takes ${MAX_CHAIN}`, 'delete the line');
  if (chain.readable.includes(0) || chain.writable.includes(0)) {
    throw new TraceError(line, 'a descriptor of length 0, which the specification forbids', 'delete the line');
  }
  if (chainBytes(chain) > MAX_CHAIN_BYTES) {
    throw new TraceError(line, `a chain with more than ${MAX_CHAIN_BYTES / 2 ** 20} MiB of buffers`, 'correct "ro" and "wo"');
  }
  if (chain.indirect && !indirectNegotiated) {
    throw new TraceError(line, 'an indirect chain, but INDIRECT_DESC was not negotiated', 'correct "indirect" or the features');
  }
  return count;
}

function chainBytes(chain: ChainRecord): number {
  let bytes = 0;
  for (const length of chain.readable) bytes += bufferRoom(length);
  for (const length of chain.writable) bytes += bufferRoom(length);
  return bytes;
}
