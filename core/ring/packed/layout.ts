/**
 * The packed virtqueue in memory (virtio 1.3 § 2.8; Linux include/uapi/linux/virtio_ring.h). All little-endian.
 *
 * descriptor, 16 B: addr u64 @0, len u32 @8, id u16 @12, flags u16 @14; one ring of them, written by both sides
 * driver event suppression (about interrupts), 4 B: desc u16 @0 (bit 15: wrap counter), flags u16 @2
 * device event suppression (about kicks): likewise
 *
 * Descriptors and event structures are looked at as words, so that id and flags, and offset and flags, change together.
 */
export { DESCRIPTOR_ALIGN, DESCRIPTOR_BYTES, INDIRECT, MAX_QUEUE_SIZE, NEXT, TWO_32, WRITE } from '../split/layout.ts';

import { DESCRIPTOR_BYTES, INDIRECT, MAX_QUEUE_SIZE, NEXT, WRITE } from '../split/layout.ts';

export const EVENT_BYTES = 4;
export const EVENT_ALIGN = 4;

/** Descriptor flags beside NEXT, WRITE and INDIRECT, which are those of the split ring. */
export const AVAIL = 1 << 7;
export const USED = 1 << 15;
export const KNOWN_FLAGS = NEXT | WRITE | INDIRECT | AVAIL | USED;

/** u32 words of a descriptor, and those of them that hold its length and its id (low half) and flags (high half). */
export const WORDS = DESCRIPTOR_BYTES / 4;
export const LENGTH_WORD = 2;
export const FLAGS_WORD = 3;

/** A descriptor's state is its AVAIL and USED flags: `(word >>> STATE_SHIFT) & STATE_MASK` of its last word. */
export const STATE_SHIFT = 23;
export const STATE_MASK = 0x101;
/** The state of an available descriptor under a wrap counter of 1; XOR STATE_MASK under 0. */
export const STATE_AVAILABLE = 0x001;
/** The state of a used descriptor under a wrap counter of 1; XOR STATE_MASK under 0. */
export const STATE_USED = 0x101;

/** Flags of an event structure, in the high half of its word. */
export const EVENT_ENABLE = 0;
export const EVENT_DISABLE = 1 << 16;
/** At the descriptor named by the low half only; needs EVENT_IDX. */
export const EVENT_DESC = 2 << 16;
const EVENT_FLAGS = 3 << 16;

/**
 * Whether the peer's event structure asks to be told of `added` ring slots, the last of them just before slot `next`.
 * Reserved flags and a DESC that was not negotiated count as ENABLE: the peer gets what it does not need.
 * @param event the structure's word
 * @param next first slot not used up, 0 ≤ next < size
 * @param wrap the wrap counter at `next`
 */
export function wantsEvent(event: number, next: number, wrap: number, added: number, size: number, eventIdx: boolean): boolean {
  const flags = event & EVENT_FLAGS;
  if (flags === EVENT_DISABLE) return false;
  if (flags !== EVENT_DESC || !eventIdx) return true;
  const offset = event & 0x7fff;
  // An event of the other lap lies before the slots of this one (Linux virtqueue_kick_prepare_packed).
  const at = ((event >>> 15) & 1) === wrap ? offset : offset - size;
  return ((next - at - 1) & 0xffff) < added;
}

/** 1 … max; unlike the split ring's any number (virtio 1.3 § 2.8.10.1). */
export function isPackedSize(size: number, max: number): boolean {
  return Number.isInteger(size) && size >= 1 && size <= Math.min(max, MAX_QUEUE_SIZE);
}

/** Where a queue's areas go when laid out one after the other, each on cache lines of its own. */
export interface PackedPlacement {
  readonly descriptorAddress: number;
  readonly driverAddress: number;
  readonly deviceAddress: number;
  /** First address after the queue. */
  readonly end: number;
}

/** Two cache lines: neighbouring lines are prefetched in pairs. */
const AREA_ALIGN = 128;

/** Lays a queue of `size` out from `base`, which is a multiple of 128. */
export function placePackedQueue(base: number, size: number): PackedPlacement {
  const driverAddress = Math.ceil((base + DESCRIPTOR_BYTES * size) / AREA_ALIGN) * AREA_ALIGN;
  return { descriptorAddress: base, driverAddress, deviceAddress: driverAddress + AREA_ALIGN, end: driverAddress + 2 * AREA_ALIGN };
}
