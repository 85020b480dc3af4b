import type { AddressSpace } from '../../memory/address-space.ts';
import { ringAtomics } from '../atomics.ts';
import type { RingRecord } from '../ring-record.ts';
import {
  DESCRIPTOR_BYTES,
  FLAGS_WORD,
  LENGTH_WORD,
  STATE_AVAILABLE,
  STATE_MASK,
  STATE_SHIFT,
  STATE_USED,
  USED,
  WORDS,
  WRITE,
} from './layout.ts';

/**
 * Where a packed queue goes on whose device was killed, by what that one noted. A chain that it was just using has been carried out:
 * if the driver can't see that yet, it is made visible here.
 * @param given the base that the front end gives
 * @returns QueueConfig's base; null: nothing is known of this queue, another host has served it since, or another driver set it up
 */
export function packedGoesOn(
  space: AddressSpace,
  record: RingRecord,
  descriptorAddress: number,
  size: number,
  given: number,
): number | null {
  if (!record.isOf(descriptorAddress, size, given)) return null;
  if (!space.translate(descriptorAddress, DESCRIPTOR_BYTES * size)) return null;
  const region = space.hitRegion;
  const from = space.hitOffset / 4;
  const slot = record.used & 0x7fff;
  if (region === null || slot >= size || !wasUsed(region.i32, from, size, record)) return null;
  const { inUse } = record;
  if (inUse !== null) {
    const at = from + slot * WORDS + FLAGS_WORD;
    const available = record.used >>> 15 === 1 ? STATE_AVAILABLE : STATE_AVAILABLE ^ STATE_MASK;
    const atomics = ringAtomics(region);
    // Else the driver has seen it, and may have filled the slot once more.
    if (((atomics.load32(4 * at) >>> STATE_SHIFT) & STATE_MASK) === available) {
      // RACE: the driver reads it after it loads the flags, which are stored below.
      region.i32[at - FLAGS_WORD + LENGTH_WORD] = inUse.written;
      atomics.store32(4 * at, usedWord(record.used, inUse.head, inUse.written > 0));
    }
    record.endUse();
  }
  return ((record.used << 16) | record.used) >>> 0;
}

/** The last word of a used descriptor: its id and flags. */
function usedWord(position: number, head: number, isWritten: boolean): number {
  const state = position >>> 15 === 1 ? STATE_USED : STATE_USED ^ STATE_MASK;
  return head | ((isWritten ? WRITE : 0) << 16) | (state << STATE_SHIFT);
}

/**
 * Whether the ring is the one that was noted, not blank or another driver's: it holds what was used last, or anything used at all (a
 * driver itself sets USED in its second lap only). Of a first chain, and of a full ring after an even number of laps, there is no
 * trace. Then a queue goes on where it began, rightly; but a chain that was just being used comes again.
 */
function wasUsed(words: Int32Array, from: number, size: number, { last }: RingRecord): boolean {
  // RACE: what is looked for was stored by the device before this one, which has ended; the driver may fill slots meanwhile, with store32.
  if (last !== null) {
    const word = usedWord(last.position, last.head, last.isWritten);
    if (word !== 0 && words[from + ((last.position & 0x7fff) % size) * WORDS + FLAGS_WORD] === word) return true;
  }
  // RACE: likewise.
  for (let slot = 0; slot < size; slot++) if (((words[from + slot * WORDS + FLAGS_WORD] >>> 16) & USED) !== 0) return true;
  return false;
}
