/**
 * The split virtqueue in memory (virtio 1.3 § 2.7; Linux include/uapi/linux/virtio_ring.h). All little-endian.
 *
 * descriptor, 16 B: addr u64 @0, len u32 @8, flags u16 @12, next u16 @14
 * available ring: flags u16 @0, idx u16 @2, ring[size] u16 @4, used_event u16 @4 + 2·size
 * used ring: flags u16 @0, idx u16 @2, ring[size] {id u32, len u32} @4, avail_event u16 @4 + 8·size
 */

export const DESCRIPTOR_BYTES = 16;
export const DESCRIPTOR_ALIGN = 16;
/** u32 words of a descriptor. */
export const WORDS = DESCRIPTOR_BYTES / 4;
export const AVAIL_ALIGN = 2;
export const USED_ALIGN = 4;

/** Descriptor flags. */
export const NEXT = 1;
export const WRITE = 2;
export const INDIRECT = 4;
export const KNOWN_FLAGS = NEXT | WRITE | INDIRECT;

/** Driver's flag in the available ring: do not interrupt (without EVENT_IDX). */
export const AVAIL_NO_INTERRUPT = 1;
/** Device's flag in the used ring: do not kick (without EVENT_IDX). */
export const USED_NO_NOTIFY = 1;

/** The largest queue served here, also the longest chain. The specification allows 32768. */
export const MAX_QUEUE_SIZE = 1024;

/** Bytes of each area, with the event field whether or not EVENT_IDX is negotiated. */
export const descriptorBytes = (size: number): number => DESCRIPTOR_BYTES * size;
export const availBytes = (size: number): number => 6 + 2 * size;
export const usedBytes = (size: number): number => 6 + 8 * size;

/** u16 indices relative to the area's start. */
export const AVAIL_FLAGS = 0;
export const AVAIL_IDX = 1;
export const AVAIL_RING = 2;
export const usedEventIndex = (size: number): number => 2 + size;
export const USED_FLAGS = 0;
export const USED_IDX = 1;
export const availEventIndex = (size: number): number => 2 + 4 * size;
/** u32 index of the used ring's first element, relative to the area's start. */
export const USED_RING = 1;

/** Addresses at or past 2^53 are refused: the upper word must stay below this. */
export const ADDRESS_HI_LIMIT = 0x200000;
export const TWO_32 = 4294967296;

/**
 * Whether moving an index from `old` to `next` passed the point the peer asked to be told of
 * (virtio 1.3 § 2.7.7.2, vring_need_event). All three are u16 and wrap.
 */
export function needEvent(event: number, next: number, old: number): boolean {
  return ((next - event - 1) & 0xffff) < ((next - old) & 0xffff);
}

/** A power of two within [1, max]. */
export function isQueueSize(size: number, max: number): boolean {
  return Number.isInteger(size) && size >= 1 && size <= max && (size & (size - 1)) === 0;
}

/** Where a queue's areas go when laid out one after the other, each on cache lines of its own. */
export interface SplitPlacement {
  readonly descriptorAddress: number;
  readonly driverAddress: number;
  readonly deviceAddress: number;
  /** First address after the queue. */
  readonly end: number;
}

/** Two cache lines: neighbouring lines are prefetched in pairs. */
const AREA_ALIGN = 128;

/** Lays a queue of `size` out from `base`, which is a multiple of 128. */
export function placeSplitQueue(base: number, size: number): SplitPlacement {
  const after = (address: number, bytes: number): number => Math.ceil((address + bytes) / AREA_ALIGN) * AREA_ALIGN;
  const driverAddress = after(base, descriptorBytes(size));
  const deviceAddress = after(driverAddress, availBytes(size));
  return { descriptorAddress: base, driverAddress, deviceAddress, end: after(deviceAddress, usedBytes(size)) };
}
