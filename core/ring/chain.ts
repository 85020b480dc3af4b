import type { AddressSpace } from '../memory/address-space.ts';
import type { MemoryRegion } from '../memory/region.ts';

/** At most this many descriptors in one chain (QEMU's VIRTQUEUE_MAX_SIZE, the kernel's UIO_MAXIOV). */
export const MAX_CHAIN = 1024;

/**
 * A descriptor chain as it was when it was taken: the descriptors were copied out of shared memory once and
 * checked; only this copy is looked at from then on. Reused: no allocation a chain.
 */
export class Chain {
  /** What `DeviceQueue.push` wants back. */
  head = 0;
  indirect = false;
  /** Readable segments come first: [0, readableCount); writable ones follow: [readableCount, count). */
  count = 0;
  readableCount = 0;
  readableBytes = 0;
  writableBytes = 0;
  /** Region index in `space`, byte offset there (a region has at most 4 GiB) and bytes of each segment: checked when the chain was taken. */
  readonly region = new Int32Array(MAX_CHAIN);
  readonly offset = new Uint32Array(MAX_CHAIN);
  readonly length = new Uint32Array(MAX_CHAIN);

  /**
   * Makes one buffer the whole chain.
   * @param offset where it is in its region, a u32, here as int32: so no double is passed
   * @param length bytes, 0 < length < 2^31
   * @param writable the same, or 0 for a buffer that the device only reads
   */
  setOne(head: number, region: number, offset: number, length: number, writable: number): void {
    this.head = head;
    this.indirect = false;
    this.count = 1;
    this.region[0] = region;
    this.offset[0] = offset >>> 0;
    this.length[0] = length;
    this.readableCount = writable === 0 ? 1 : 0;
    this.readableBytes = length - writable;
    this.writableBytes = writable;
  }

  clear(): void {
    this.head = 0;
    this.indirect = false;
    this.count = 0;
    this.readableCount = 0;
    this.readableBytes = 0;
    this.writableBytes = 0;
  }
}

/** From this length on, one `set` of a subarray beats a loop over bytes (and may allocate the subarray). */
const BULK = 512;

/**
 * Copies the readable bytes [from, from + length) of a chain into `into` at byte `at`.
 * A segment whose region went away after the chain was taken ends the copy.
 * @returns how many bytes were there (fewer than asked at the chain's end)
 * @throws RangeError when `into` has no room for `length` bytes at `at`
 */
export function readChain(space: AddressSpace, chain: Chain, from: number, into: Uint8Array, at: number, length: number): number {
  if (!(at >= 0 && length >= 0 && at + length <= into.length)) throw new RangeError('readChain: the target is too small');
  let skip = from;
  let done = 0;
  for (let i = 0; i < chain.readableCount && done < length; i++) {
    const there = chain.length[i];
    if (skip >= there) {
      skip -= there;
      continue;
    }
    const start = chain.offset[i] + skip;
    const bytes = Math.min(there - skip, length - done);
    skip = 0;
    const region = regionOf(space, chain.region[i], start + bytes);
    if (region === null) break;
    // RACE: the driver wrote these bytes before its Atomics.store of the available index that `pop` loaded.
    copyBytes(into, at + done, region.u8, start, bytes);
    done += bytes;
  }
  return done;
}

/**
 * Copies `length` bytes of `from` (at `at`) to the start of the chain's writable part, as many as fit.
 * @returns bytes written
 * @throws RangeError when `from` does not hold `length` bytes at `at`
 */
export function writeChain(space: AddressSpace, chain: Chain, from: Uint8Array, at: number, length: number): number {
  if (!(at >= 0 && length >= 0 && at + length <= from.length)) throw new RangeError('writeChain: the source is too small');
  let done = 0;
  for (let i = chain.readableCount; i < chain.count && done < length; i++) {
    const start = chain.offset[i];
    const bytes = Math.min(chain.length[i], length - done);
    const region = regionOf(space, chain.region[i], start + bytes);
    if (region === null) break;
    // RACE: the driver reads these bytes only after it loads the used index that `publish` stores with Atomics.store.
    copyBytes(region.u8, start, from, at + done, bytes);
    done += bytes;
  }
  return done;
}

/** The region with this id, unless it went away or came back smaller since the bounds were checked. */
function regionOf(space: AddressSpace, id: number, end: number): MemoryRegion | null {
  const region = id < space.regions.length ? space.regions[id] : null;
  return region !== null && region !== undefined && end <= region.size ? region : null;
}

function copyBytes(to: Uint8Array, toAt: number, from: Uint8Array, fromAt: number, bytes: number): void {
  if (bytes >= BULK) {
    to.set(from.subarray(fromAt, fromAt + bytes), toAt);
    return;
  }
  for (let i = 0; i < bytes; i++) to[toAt + i] = from[fromAt + i];
}
