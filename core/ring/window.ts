import type { AddressSpace } from '../memory/address-space.ts';
import type { RingRule } from './rules.ts';

const TWO_32 = 4294967296;
/** The longest window: offsets in it are positive int32. */
const MOST = 0x7fffffff;
/** Where a longer region's window starts before the address that was looked up. */
const BEFORE = 0x40000000;

/**
 * Where buffers may lie, and the part of guest memory in which the last one was found: a range of one region, within
 * one upper word of addresses, that holds nothing the device writes of the ring. A buffer lies in it if
 *
 *     hi === window.hi && length > 0 && rel >>> 0 <= window.bytes - length, where rel = (lo - window.lo) | 0
 *
 * and then is at byte `(window.offset + rel) >>> 0` of region `window.region`. All words are int32, so that neither this
 * test nor its result needs a double. What it refuses is asked of `find`. No allocation but when regions change.
 */
export class Window {
  /** Upper and lower word of the window's first address. */
  hi = 0;
  lo = 0;
  /** Its length; −1: there is none. */
  bytes = -1;
  /** The offset of its first byte in its region, as the int32 of a u32. */
  offset = 0;
  /** Its region's id. */
  region = -1;
  /** [0]: after `find`, the buffer's offset in the region. A double in a slot is not boxed. */
  readonly found = new Float64Array(1);
  /** The regions' generation that the window stands for. */
  generation = -1;
  declare private readonly space: AddressSpace;
  /** First and end address of each range that no buffer may touch. */
  declare private readonly forbidden: Float64Array;
  /** The present regions: a call of `translate` would box its address. */
  private first = new Float64Array(0);
  private end = new Float64Array(0);
  private id = new Int32Array(0);

  /** @param forbidden what the device writes: `[first, end)` pairs of guest-physical addresses */
  constructor(space: AddressSpace, forbidden: readonly number[]) {
    this.space = space;
    this.forbidden = Float64Array.from(forbidden);
  }

  /** Looks at the address space anew; to be called when its generation is not `generation`. */
  refresh(): void {
    const present = this.space.regions.filter((region) => region !== null);
    this.first = Float64Array.from(present, (region) => region.gpa);
    this.end = Float64Array.from(present, (region) => region.gpa + region.size);
    this.id = Int32Array.from(present, (region) => region.id);
    this.bytes = -1;
    this.generation = this.space.generation;
  }

  /**
   * Finds a buffer of `length` bytes (u32 as int32, not 0): `region` and `found[0]` say where, and the window goes there.
   * @param lo lower word of its address, and `hi` the upper one, both as int32
   * @returns the rule it breaks, or null
   */
  find(lo: number, hi: number, length: number): RingRule | null {
    const address = (hi >>> 0) * TWO_32 + (lo >>> 0);
    const stop = address + (length >>> 0);
    // Also true of every address from 2^53 on, which is not exact.
    if (stop > Number.MAX_SAFE_INTEGER) return 'address-overflow';
    const at = this.regionOf(address, stop);
    if (at < 0) return 'outside-memory';
    const regionFirst = this.first[at];
    let first = Math.max(regionFirst, (hi >>> 0) * TWO_32, address - BEFORE);
    let end = Math.min(this.end[at], ((hi >>> 0) + 1) * TWO_32);
    const forbidden = this.forbidden;
    for (let i = 0; i < forbidden.length; i += 2) {
      if (address < forbidden[i + 1] && stop > forbidden[i]) return 'used-ring-overlap';
      if (forbidden[i] >= stop) end = Math.min(end, forbidden[i]);
      else first = Math.max(first, Math.min(forbidden[i + 1], address));
    }
    this.region = this.id[at];
    this.found[0] = address - regionFirst;
    this.hi = hi;
    this.lo = first | 0;
    this.bytes = Math.min(end - first, MOST);
    this.offset = (first - regionFirst) | 0;
    return null;
  }

  /** As `find`, for memory that is read only: an indirect table, which may lie where no buffer may. */
  findTable(lo: number, hi: number, length: number): RingRule | null {
    const address = (hi >>> 0) * TWO_32 + (lo >>> 0);
    const stop = address + (length >>> 0);
    if (stop > Number.MAX_SAFE_INTEGER) return 'address-overflow';
    const at = this.regionOf(address, stop);
    if (at < 0) return 'outside-memory';
    this.tableRegion = this.id[at];
    this.found[0] = address - this.first[at];
    return null;
  }

  /** The region of the table that `findTable` found. */
  tableRegion = -1;

  private regionOf(address: number, stop: number): number {
    const first = this.first;
    const end = this.end;
    for (let at = 0; at < first.length; at++) if (address >= first[at] && stop <= end[at]) return at;
    return -1;
  }
}
