import type { AddressSpace } from '../memory/address-space.ts';
import { type Chain, MAX_CHAIN } from './chain.ts';
import { RingError } from './queue.ts';
import { DESCRIPTOR_BYTES, TWO_32 } from './split/layout.ts';

/** The longest chain in bytes (virtio 1.3 § 2.7.5, § 2.8.5). */
const MAX_CHAIN_BYTES = TWO_32;
const HIT_FIRST = 0;
const CHAIN_BYTES = 1;

/**
 * Turns snapshots of descriptors into the segments of a chain: bounds, directions and sums are checked here. The rules
 * it may name in a RingError: outside-memory, address-overflow, indirect-not-negotiated, indirect-next, indirect-length,
 * readable-after-writable, chain-bytes, used-ring-overlap.
 *
 * Its user bounds the buffers of a chain by MAX_CHAIN. Addresses and sums are kept in slots: none is boxed.
 */
export class ChainBuilder {
  /** The one descriptor being looked at: addr lo, addr hi, len, and the layout's own last word. */
  readonly copy = new Uint32Array(4);
  readonly #space: AddressSpace;
  readonly #indirect: boolean;
  /** First and end address of each range that no buffer may touch. */
  readonly #forbidden: Float64Array;
  readonly #f64 = new Float64Array(2);
  /** The present regions, copied when the address space changes. */
  #regionFirst = new Float64Array(0);
  #regionEnd = new Float64Array(0);
  #regionId = new Int32Array(0);
  #regionsGeneration = -1;
  /** The region found last: its place in the copy, tried first, and its id. */
  #hit = 0;
  #hitId = -1;
  /** The indirect table entered last. */
  #tableU32: Uint32Array = this.copy;
  #tableU8: Uint8Array = new Uint8Array(0);
  readonly #tableAt = new Float64Array(1);

  /** @param forbidden what the device writes: `[first, end)` pairs of guest-physical addresses */
  constructor(space: AddressSpace, indirect: boolean, forbidden: readonly number[]) {
    this.#space = space;
    this.#indirect = indirect;
    this.#forbidden = Float64Array.from(forbidden);
  }

  start(chain: Chain): void {
    chain.clear();
    this.#f64[CHAIN_BYTES] = 0;
  }

  /** Adds the buffer in `copy`, whose length is not 0. */
  add(chain: Chain, writable: boolean): void {
    const { copy } = this;
    const f64 = this.#f64;
    const { count } = chain;
    const length = copy[2];
    if (!writable && chain.readableCount !== count)
      throw new RingError('readable-after-writable', 'a readable buffer after a writable one');
    f64[CHAIN_BYTES] += length;
    if (f64[CHAIN_BYTES] > MAX_CHAIN_BYTES) throw new RingError('chain-bytes', 'a chain longer than 2^32 bytes');
    this.#find();
    const address = copy[1] * TWO_32 + copy[0];
    const forbidden = this.#forbidden;
    for (let i = 0; i < forbidden.length; i += 2) {
      if (address < forbidden[i + 1] && address + length > forbidden[i]) {
        throw new RingError('used-ring-overlap', 'a buffer overlaps what the device writes of the ring');
      }
    }
    chain.region[count] = this.#hitId;
    chain.offset[count] = address - f64[HIT_FIRST];
    chain.length[count] = length;
    chain.count = count + 1;
    if (writable) {
      chain.writableBytes += length;
    } else {
      chain.readableCount = count + 1;
      chain.readableBytes += length;
    }
  }

  /** Goes to the indirect table that `copy` names. @param linked NEXT leads to or from it @returns its entries */
  enterTable(chain: Chain, linked: boolean): number {
    const { copy } = this;
    if (!this.#indirect) throw new RingError('indirect-not-negotiated', 'INDIRECT was not negotiated');
    if (linked) throw new RingError('indirect-next', 'INDIRECT and NEXT together');
    const bytes = copy[2];
    if (bytes === 0 || bytes % DESCRIPTOR_BYTES !== 0 || bytes > MAX_CHAIN * DESCRIPTOR_BYTES) {
      throw new RingError('indirect-length', `an indirect table of ${bytes} bytes`);
    }
    this.#find();
    const region = this.#space.regions[this.#hitId];
    if (region === null || region === undefined) return 0;
    chain.indirect = true;
    this.#tableU32 = region.u32;
    this.#tableU8 = region.u8;
    this.#tableAt[0] = copy[1] * TWO_32 + copy[0] - this.#f64[HIT_FIRST];
    return bytes / DESCRIPTOR_BYTES;
  }

  /** Copies entry `index` of the table to `copy`: the only look at its shared bytes. */
  fetchEntry(index: number): void {
    const { copy } = this;
    const at = this.#tableAt[0] + index * DESCRIPTOR_BYTES;
    // RACE: the driver wrote the table before its Atomics.store of the head's flags; a hostile one may still be writing.
    if (at % 4 === 0) {
      const words = this.#tableU32;
      const word = at / 4;
      copy[0] = words[word];
      copy[1] = words[word + 1];
      copy[2] = words[word + 2];
      copy[3] = words[word + 3];
    } else {
      // An indirect table has no alignment.
      const bytes = this.#tableU8;
      for (let i = 0; i < 4; i++) {
        const b = at + i * 4;
        copy[i] = bytes[b] | (bytes[b + 1] << 8) | (bytes[b + 2] << 16) | (bytes[b + 3] << 24);
      }
    }
  }

  /** Finds the region of the range in `copy`: its id goes to `#hitId`, its first address to HIT_FIRST. */
  #find(): void {
    const { copy } = this;
    const address = copy[1] * TWO_32 + copy[0];
    const end = address + copy[2];
    // Also true of every address from 2^53 on, which is not exact.
    if (end > Number.MAX_SAFE_INTEGER) throw new RingError('address-overflow', 'a buffer reaches past 2^53 − 1');
    if (this.#regionsGeneration !== this.#space.generation) this.#copyRegions();
    const first = this.#regionFirst;
    const ends = this.#regionEnd;
    const count = first.length;
    let at = this.#hit;
    for (let tried = 0; tried < count; tried++) {
      if (address >= first[at] && end <= ends[at]) {
        this.#hit = at;
        this.#hitId = this.#regionId[at];
        this.#f64[HIT_FIRST] = first[at];
        return;
      }
      if (++at === count) at = 0;
    }
    throw new RingError('outside-memory', `${copy[2]} bytes at ${address} are not in memory`);
  }

  #copyRegions(): void {
    const present = this.#space.regions.filter((region) => region !== null);
    this.#regionFirst = Float64Array.from(present, (region) => region.gpa);
    this.#regionEnd = Float64Array.from(present, (region) => region.gpa + region.size);
    this.#regionId = Int32Array.from(present, (region) => region.id);
    this.#hit = 0;
    this.#regionsGeneration = this.#space.generation;
  }
}
