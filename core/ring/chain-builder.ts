import type { AddressSpace } from '../memory/address-space.ts';
import { type Chain, MAX_CHAIN } from './chain.ts';
import { type RingRule, ringError } from './rules.ts';
import { DESCRIPTOR_BYTES, TWO_32 } from './split/layout.ts';

/** The longest chain in bytes (virtio 1.3 § 2.7.5, § 2.8.5). */
const MAX_CHAIN_BYTES = TWO_32;
const HIT_FIRST = 0;
const HIT_END = 1;
const CHAIN_BYTES = 2;

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
  readonly #f64 = new Float64Array(3);
  /** The present regions, copied when the address space changes. */
  #regionFirst = new Float64Array(0);
  #regionEnd = new Float64Array(0);
  #regionId = new Int32Array(0);
  #regionsGeneration = -1;
  /** The region found last, tried first; its bounds are in `#f64`. */
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
    if (this.#regionsGeneration !== this.#space.generation) this.#copyRegions();
    chain.clear();
    this.#f64[CHAIN_BYTES] = 0;
  }

  /**
   * Makes the buffer in `copy` the whole chain, if it lies in the region found last and breaks no rule. What it returns
   * false for is left to `start` and `add`.
   */
  only(chain: Chain, writable: boolean): boolean {
    const { copy } = this;
    const f64 = this.#f64;
    const length = copy[2];
    const address = copy[1] * TWO_32 + copy[0];
    const stop = address + length;
    if (length === 0 || this.#regionsGeneration !== this.#space.generation) return false;
    if (!(address >= f64[HIT_FIRST] && stop <= f64[HIT_END])) return false;
    const forbidden = this.#forbidden;
    for (let i = 0; i < forbidden.length; i += 2) if (address < forbidden[i + 1] && stop > forbidden[i]) return false;
    chain.region[0] = this.#hitId;
    chain.offset[0] = address - f64[HIT_FIRST];
    chain.length[0] = length;
    chain.indirect = false;
    chain.count = 1;
    if (writable) {
      chain.readableCount = 0;
      chain.readableBytes = 0;
      chain.writableBytes = length;
    } else {
      chain.readableCount = 1;
      chain.readableBytes = length;
      chain.writableBytes = 0;
    }
    return true;
  }

  /** Adds the buffer in `copy`, whose length is not 0. */
  add(chain: Chain, writable: boolean): void {
    const { copy } = this;
    const f64 = this.#f64;
    const { count } = chain;
    const length = copy[2];
    const address = copy[1] * TWO_32 + copy[0];
    const stop = address + length;
    if (!writable && chain.readableCount !== count) fail('readable-after-writable', count);
    const bytes = f64[CHAIN_BYTES] + length;
    f64[CHAIN_BYTES] = bytes;
    if (bytes > MAX_CHAIN_BYTES) fail('chain-bytes', count);
    if (!(address >= f64[HIT_FIRST] && stop <= f64[HIT_END])) this.#find();
    const forbidden = this.#forbidden;
    for (let i = 0; i < forbidden.length; i += 2) {
      if (address < forbidden[i + 1] && stop > forbidden[i]) fail('used-ring-overlap', count);
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
    if (!this.#indirect) fail('indirect-not-negotiated', 0);
    if (linked) fail('indirect-next', 0);
    const bytes = copy[2];
    if (bytes === 0 || bytes % DESCRIPTOR_BYTES !== 0 || bytes > MAX_CHAIN * DESCRIPTOR_BYTES) {
      fail('indirect-length', bytes);
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
    if (end > Number.MAX_SAFE_INTEGER) fail('address-overflow', address);
    const first = this.#regionFirst;
    const ends = this.#regionEnd;
    for (let at = 0; at < first.length; at++) {
      if (address >= first[at] && end <= ends[at]) {
        this.#hitId = this.#regionId[at];
        this.#f64[HIT_FIRST] = first[at];
        this.#f64[HIT_END] = ends[at];
        return;
      }
    }
    fail('outside-memory', address);
  }

  #copyRegions(): void {
    const present = this.#space.regions.filter((region) => region !== null);
    this.#regionFirst = Float64Array.from(present, (region) => region.gpa);
    this.#regionEnd = Float64Array.from(present, (region) => region.gpa + region.size);
    this.#regionId = Int32Array.from(present, (region) => region.id);
    // No region was found last: nothing lies in [0, 0).
    this.#f64[HIT_FIRST] = 0;
    this.#f64[HIT_END] = 0;
    this.#regionsGeneration = this.#space.generation;
  }
}

function fail(rule: RingRule, value: number): never {
  throw ringError(rule, value);
}
