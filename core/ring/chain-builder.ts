import type { AddressSpace } from '../memory/address-space.ts';
import type { Chain } from './chain.ts';
import * as chains from './chain.ts';
import type { RingRule } from './rules.ts';
import { Window } from './window.ts';

// Taken over: an imported binding is looked up at every use, a constant of the module is compiled in.
const { MAX_CHAIN } = chains;
const DESCRIPTOR_BYTES = 16;
const TWO_32 = 4294967296;
/** The longest chain in bytes (virtio 1.3 § 2.7.5). */
const MAX_CHAIN_BYTES = TWO_32;

/**
 * What a device does with a chain's descriptors, whatever the ring's layout: it checks each buffer and writes it into a
 * Chain, and it finds indirect tables. It is given words that were read once and are never read again. Words are int32.
 * No allocation but the first time a table lies at an odd address.
 */
export class ChainBuilder {
  declare readonly window: Window;
  /** The indirect table entered last: its words, from `tableAt` on. */
  table: Int32Array = new Int32Array(0);
  tableAt = 0;
  /** Why `enterTable` returned 0. */
  rule: RingRule = 'indirect-length';
  declare private readonly space: AddressSpace;
  declare private readonly indirect: boolean;
  /** Copy of a table whose address is no multiple of 4. */
  private ownTable: Int32Array = new Int32Array(0);

  /** @param forbidden what the device writes: `[first, end)` pairs of guest-physical addresses */
  constructor(space: AddressSpace, indirect: boolean, forbidden: readonly number[]) {
    this.space = space;
    this.indirect = indirect;
    this.window = new Window(space, forbidden);
  }

  /** Adds a buffer, whose length is not 0. @returns the rule it breaks, or null */
  add(chain: Chain, lo: number, hi: number, length: number, writable: boolean): RingRule | null {
    const { window } = this;
    const { count } = chain;
    if (count === MAX_CHAIN) return 'chain-too-long';
    const rel = (lo - window.lo) | 0;
    if (hi === window.hi && length > 0 && rel >>> 0 <= window.bytes - length) {
      chain.offset[count] = (window.offset + rel) >>> 0;
    } else {
      const rule = window.find(lo, hi, length);
      if (rule !== null) return rule;
      chain.offset[count] = window.found[0];
    }
    const bytes = length >>> 0;
    chain.region[count] = window.region;
    chain.length[count] = bytes;
    chain.count = count + 1;
    if (writable) {
      chain.writableBytes += bytes;
    } else {
      if (chain.readableCount !== count) return 'readable-after-writable';
      chain.readableCount = count + 1;
      chain.readableBytes += bytes;
    }
    return chain.readableBytes + chain.writableBytes > MAX_CHAIN_BYTES ? 'chain-bytes' : null;
  }

  /**
   * Goes to an indirect table: `table` from word `tableAt`.
   * @param linked NEXT leads to or from it
   * @returns its entries; 0: it breaks `rule`
   */
  enterTable(chain: Chain, lo: number, hi: number, bytes: number, linked: boolean): number {
    if (!this.indirect) return this.refuse('indirect-not-negotiated');
    if (linked) return this.refuse('indirect-next');
    if (bytes <= 0 || (bytes & (DESCRIPTOR_BYTES - 1)) !== 0 || bytes > MAX_CHAIN * DESCRIPTOR_BYTES) return this.refuse('indirect-length');
    const { window } = this;
    const rel = (lo - window.lo) | 0;
    let at = (window.offset + rel) >>> 0;
    let id = window.region;
    if (hi !== window.hi || rel >>> 0 > window.bytes - bytes) {
      const rule = window.findTable(lo, hi, bytes);
      if (rule !== null) return this.refuse(rule);
      at = window.found[0];
      id = window.tableRegion;
    }
    const region = this.space.regions[id];
    if (region === null) return this.refuse('outside-memory');
    chain.indirect = true;
    const aligned = (at & 3) === 0;
    if (!aligned) this.copyTable(region.u8, at, bytes);
    this.table = aligned ? region.i32 : this.ownTable;
    this.tableAt = aligned ? at / 4 : 0;
    return bytes / DESCRIPTOR_BYTES;
  }

  private refuse(rule: RingRule): number {
    this.rule = rule;
    return 0;
  }

  /** An indirect table has no alignment (virtio 1.3 § 2.7 asks it of the descriptor table only); views have. */
  private copyTable(bytes: Uint8Array, at: number, length: number): void {
    if (this.ownTable.length === 0) this.ownTable = new Int32Array(MAX_CHAIN * (DESCRIPTOR_BYTES / 4));
    // RACE: a hostile driver may still be writing; each byte is read once.
    for (let i = 0, from = at; i < length / 4; i++, from += 4) {
      this.ownTable[i] = bytes[from] | (bytes[from + 1] << 8) | (bytes[from + 2] << 16) | (bytes[from + 3] << 24);
    }
  }
}
