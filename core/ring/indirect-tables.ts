import type { AddressSpace } from '../memory/address-space.ts';
import type { BufferList } from './buffer-list.ts';
import { MAX_CHAIN } from './chain.ts';

const DESCRIPTOR_BYTES = 16;
const DESCRIPTOR_ALIGN = 16;
const TWO_32 = 4294967296;

/** Guest memory for a driver's indirect tables: one a ring slot, and a long one that one chain at a time may have. */
export class IndirectTables {
  /** Descriptors that a slot's table holds; 0: there are no tables. */
  declare readonly descriptors: number;
  /** Descriptors that the long table holds; 0: there is none. */
  longDescriptors = 0;
  /** The slot whose chain has the long table, or −1. */
  longUser = -1;
  declare private readonly space: AddressSpace;
  /** The slots' tables one after the other, from word `at` on; and the long one. */
  declare private readonly words: Int32Array;
  declare private readonly at: number;
  private longWords: Int32Array = new Int32Array(0);
  private longAt = 0;
  /** Guest-physical addresses: [0] of the slots' tables, [1] of the long one. A double in a slot is not boxed. */
  private readonly address = new Float64Array(2);

  /**
   * @param size slots
   * @param tables where they are, 16-byte aligned, and how many descriptors each has; null: there are none
   * @throws RangeError when they are not in memory
   */
  constructor(space: AddressSpace, size: number, tables: { address: number; descriptors: number } | null) {
    this.space = space;
    if (tables === null || tables.descriptors === 0) return;
    this.descriptors = tables.descriptors;
    this.words = this.find(tables.address, size * tables.descriptors);
    this.at = space.hitOffset / 4;
    this.address[0] = tables.address;
  }

  /** Sets the long table. @throws RangeError while it is in use, or when it is not in memory */
  setLong(address: number, descriptors: number): void {
    if (this.longUser >= 0) throw new RangeError('the long table is in flight');
    this.longWords = this.find(address, descriptors);
    this.longAt = this.space.hitOffset / 4;
    this.longDescriptors = Math.min(descriptors, MAX_CHAIN);
    this.address[1] = address;
  }

  /** Whether a chain of `count` buffers needs the long table, and could have it. */
  needsLong(count: number): boolean {
    return count > this.descriptors && count <= this.longDescriptors;
  }

  /**
   * Writes a chain's table, and the address and length of its descriptor to `words` at `at`.
   * @param linked each descriptor but the last has NEXT and its successor's index (split); else only WRITE (packed)
   */
  write(slot: number, buffers: BufferList, linked: boolean, words: Int32Array, at: number): void {
    const { count } = buffers;
    const long = count > this.descriptors;
    if (long) this.longUser = slot;
    const table = long ? this.longWords : this.words;
    const tableAt = long ? this.longAt : this.at + slot * this.descriptors * 4;
    const from = buffers.words;
    // RACE: the device reads a table only after it loads, in order, what the driver publishes the chain with.
    for (let i = 0; i < count; i++) {
      const source = i << 2;
      const target = tableAt + source;
      table[target] = from[source];
      table[target + 1] = from[source + 1];
      table[target + 2] = from[source + 2];
      const flags = from[source + 3];
      table[target + 3] = linked ? flags | (i + 1 < count ? ((i + 1) << 16) | 1 : 0) : flags << 16;
    }
    const address = long ? this.address[1] : this.address[0] + slot * this.descriptors * DESCRIPTOR_BYTES;
    words[at] = address | 0;
    words[at + 1] = (address / TWO_32) | 0;
    words[at + 2] = count * DESCRIPTOR_BYTES;
  }

  private find(address: number, descriptors: number): Int32Array {
    const bytes = descriptors * DESCRIPTOR_BYTES;
    if (!(descriptors > 0) || address % DESCRIPTOR_ALIGN !== 0 || !this.space.translate(address, bytes) || this.space.hitRegion === null) {
      throw new RangeError(`indirect tables: ${bytes} bytes at ${address} are not aligned guest memory`);
    }
    return this.space.hitRegion.i32;
  }
}
