import type { AddressSpace } from '../../memory/address-space.ts';
import { type RingAtomics, ringAtomics } from '../atomics.ts';
import type { Chain } from '../chain.ts';
import { MAX_CHAIN } from '../chain.ts';
import { CompletionOrder } from '../in-order.ts';
import type { DeviceQueue, QueueConfig } from '../queue.ts';
import { type RingRule, ringError } from '../rules.ts';
import { findSplitAreas } from './areas.ts';
import {
  AVAIL_FLAGS,
  AVAIL_IDX,
  AVAIL_NO_INTERRUPT,
  AVAIL_RING,
  availEventIndex,
  DESCRIPTOR_BYTES,
  KNOWN_FLAGS,
  MAX_QUEUE_SIZE,
  NEXT,
  needEvent,
  TWO_32,
  USED_FLAGS,
  USED_IDX,
  USED_NO_NOTIFY,
  USED_RING,
  usedBytes,
  usedEventIndex,
  WORDS,
  WRITE,
} from './layout.ts';

/** The longest chain in bytes (virtio 1.3 § 2.7.5). */
const MAX_CHAIN_BYTES = TWO_32;

/** In the last word of a descriptor: what no chain of one direct buffer has, what no buffer has, what nothing has. */
const NOT_ALONE = 0xffff & ~WRITE;
const ODD_FLAGS = 0xffff & ~(NEXT | WRITE);
const UNKNOWN_FLAGS = 0xffff & ~KNOWN_FLAGS;

/**
 * Doubles that change with a descriptor are kept out of arguments and fields, so that none is boxed: first and end
 * address of the used ring, and of the region found last.
 */
const USED_FIRST = 0;
const USED_END = 1;
const HIT_FIRST = 2;
const HIT_END = 3;

/**
 * The device's side of a split virtqueue. The driver is hostile: every value it wrote is copied to private memory
 * once and only the copy is checked and used; indices of the device's own are never read back from shared memory.
 *
 * The rules that `pop` may name in a RingError: avail-ahead, avail-backwards, head-range, head-in-flight, next-range,
 * loop, outside-memory, address-overflow, indirect-not-negotiated, indirect-nested, indirect-next, indirect-length,
 * chain-too-long, readable-after-writable, chain-bytes, empty-chain, unknown-flags, used-ring-overlap. After one the
 * queue is dead: `pop` finds nothing and `publish` asks for nothing, until the device is reset and the queue rebuilt.
 */
export class SplitDevice implements DeviceQueue {
  readonly size: number;
  /** Chains taken and not returned yet. */
  inFlight = 0;
  /** A RingError was thrown. */
  broken = false;
  readonly #space: AddressSpace;
  readonly #mask: number;
  readonly #indirect: boolean;
  readonly #eventIdx: boolean;
  readonly #order: CompletionOrder | null;
  readonly #descriptors: Uint32Array;
  readonly #descriptorsAt: number;
  readonly #availAtomics: RingAtomics;
  readonly #availU16: Uint16Array;
  readonly #avail: number;
  readonly #usedAtomics: RingAtomics;
  readonly #used: number;
  readonly #usedU32: Uint32Array;
  readonly #usedRing: number;
  readonly #usedEvent: number;
  readonly #availEvent: number;
  /** 1 for each head that was taken and not returned. */
  readonly #taken: Uint8Array;
  /** A descriptor on its way to `#find`: addr lo, addr hi, len. */
  readonly #copy = new Uint32Array(3);
  readonly #f64 = new Float64Array(4);
  /** The present regions, copied when the address space changes: a call of `translate` would box its address. */
  #regionFirst = new Float64Array(0);
  #regionEnd = new Float64Array(0);
  #regionId = new Int32Array(0);
  #regionsGeneration = -1;
  /** The region found last, tried first. */
  #hitId = -1;
  /** The indirect table entered last, from word `#tableAt` on. */
  #table: Uint32Array;
  #tableAt = 0;
  /** Copy of a table whose address is no multiple of 4; made when the first such table comes. */
  #ownTable: Uint32Array = new Uint32Array(0);
  /** Next available entry to take; the driver's index as last read. Free-running u16. */
  #lastAvail = 0;
  #availSeen = 0;
  /** Next used entry to write; the index as last published. Free-running u16. */
  #usedNext = 0;
  #usedPublished = 0;

  /** @throws RingError when the queue cannot be activated, see `findSplitAreas` */
  constructor(space: AddressSpace, config: QueueConfig, maxSize: number = MAX_QUEUE_SIZE) {
    const areas = findSplitAreas(space, config, maxSize);
    const { size } = config;
    this.size = size;
    this.#space = space;
    this.#mask = size - 1;
    this.#indirect = config.indirect;
    this.#eventIdx = config.eventIdx;
    this.#order = config.inOrder === true ? new CompletionOrder(size) : null;
    this.#descriptors = areas.descriptors.u32;
    this.#descriptorsAt = areas.descriptorsAt / 4;
    this.#table = this.#descriptors;
    this.#availAtomics = ringAtomics(areas.avail);
    this.#availU16 = areas.avail.u16;
    this.#avail = areas.availAt / 2;
    this.#usedAtomics = ringAtomics(areas.used);
    this.#used = areas.usedAt / 2;
    this.#usedU32 = areas.used.u32;
    this.#usedRing = areas.usedAt / 4 + USED_RING;
    this.#usedEvent = this.#avail + usedEventIndex(size);
    this.#availEvent = this.#used + availEventIndex(size);
    this.#taken = new Uint8Array(size);
    this.#f64[USED_FIRST] = config.deviceAddress;
    this.#f64[USED_END] = config.deviceAddress + usedBytes(size);
  }

  pop(chain: Chain): boolean {
    if (this.broken) return false;
    const at = this.#lastAvail;
    if (at === this.#availSeen && !this.#lookForMore()) return false;
    // RACE: the driver wrote the entry before its store16 of idx, which #lookForMore loaded. Read once.
    const head = this.#availU16[this.#avail + AVAIL_RING + (at & this.#mask)];
    if (head >= this.size) this.#break('head-range', head);
    if (this.#taken[head] !== 0) this.#break('head-in-flight', head);
    this.#take(chain, head);
    this.#taken[head] = 1;
    this.inFlight++;
    this.#lastAvail = (at + 1) & 0xffff;
    if (this.#order !== null) this.#order.take(chain);
    return true;
  }

  push(head: number, written: number): void {
    if (!(head >= 0 && head < this.size) || this.#taken[head] === 0) throw new RangeError(`head ${head} is not in flight`);
    if (this.#order !== null) this.#order.finish(head, written);
    else this.#use(head, written, 1);
    this.inFlight--;
  }

  publish(): boolean {
    if (this.#order !== null && !this.broken) this.#useInOrder(this.#order);
    const old = this.#usedPublished;
    const next = this.#usedNext;
    if (next === old || this.broken) return false;
    this.#usedPublished = next;
    this.#usedAtomics.store16(2 * (this.#used + USED_IDX), next);
    // The store and the loads below are sequentially consistent: the full barrier of virtio 1.3 § 2.7.8.2.
    if (this.#eventIdx) return needEvent(this.#availAtomics.load16(2 * this.#usedEvent), next, old);
    return (this.#availAtomics.load16(2 * (this.#avail + AVAIL_FLAGS)) & AVAIL_NO_INTERRUPT) === 0;
  }

  enableKicks(): boolean {
    if (this.broken) return false;
    if (this.#eventIdx) this.#usedAtomics.store16(2 * this.#availEvent, this.#lastAvail);
    else this.#usedAtomics.store16(2 * (this.#used + USED_FLAGS), 0);
    return this.#lastAvail !== this.#availSeen || this.#availAtomics.load16(2 * (this.#avail + AVAIL_IDX)) !== this.#lastAvail;
  }

  /** With EVENT_IDX there is nothing to write: the event index falls behind by itself. */
  disableKicks(): void {
    if (!this.#eventIdx) this.#usedAtomics.store16(2 * (this.#used + USED_FLAGS), USED_NO_NOTIFY);
  }

  /** Writes one used element that stands for `count` chains, `head` the last of them. */
  #use(head: number, written: number, count: number): void {
    this.#taken[head] = 0;
    // RACE: the driver reads the element only after it loads the idx that `publish` stores with store16.
    const element = this.#usedRing + (this.#usedNext & this.#mask) * 2;
    this.#usedU32[element] = head;
    this.#usedU32[element + 1] = written;
    this.#usedNext = (this.#usedNext + count) & 0xffff;
  }

  /** Uses all leading finished chains: one element for a run of them, the last one's (virtio 1.3 § 2.7.9). */
  #useInOrder(order: CompletionOrder): void {
    let count = 0;
    for (let head = order.first(); head >= 0; ) {
      count++;
      this.#taken[head] = 0;
      order.drop();
      const next = order.first();
      if (next < 0 || order.complete[head] === 0) {
        this.#use(head, order.written[head], count);
        count = 0;
      }
      head = next;
    }
  }

  #lookForMore(): boolean {
    const seen = this.#availAtomics.load16(2 * (this.#avail + AVAIL_IDX));
    if (seen === this.#lastAvail) return false;
    const count = (seen - this.#lastAvail) & 0xffff;
    if (count > this.size) {
      this.#break(count < 0x8000 ? 'avail-ahead' : 'avail-backwards', seen);
    }
    this.#availSeen = seen;
    return true;
  }

  /**
   * Takes the chain at `head`. Each descriptor is read once, into locals: they are the snapshot, and all that is
   * checked and used. The locals hold doubles too, so no call comes between that takes or returns one.
   */
  #take(chain: Chain, head: number): void {
    if (this.#regionsGeneration !== this.#space.generation) this.#copyRegions();
    const f64 = this.#f64;
    const usedFirst = f64[USED_FIRST];
    const usedEnd = f64[USED_END];
    let first = f64[HIT_FIRST];
    let end = f64[HIT_END];
    let id = this.#hitId;
    let words = this.#descriptors;
    let base = this.#descriptorsAt;
    // RACE: the driver wrote descriptors before its store16 of avail idx; a hostile one may still be writing.
    let at = base + head * WORDS;
    let last = words[at + 3];
    let length = words[at + 2];
    let hi = words[at + 1];
    let lo = words[at];
    chain.head = head;
    // One buffer in the region found last: nothing to loop over, and nothing to sum.
    if ((last & NOT_ALONE) === 0 && length !== 0) {
      const address = hi * TWO_32 + lo;
      const stop = address + length;
      if (address >= first && stop <= end && (address >= usedEnd || stop <= usedFirst)) {
        chain.region[0] = id;
        chain.offset[0] = address - first;
        chain.length[0] = length;
        chain.indirect = false;
        chain.count = 1;
        if ((last & WRITE) === 0) {
          chain.readableCount = 1;
          chain.readableBytes = length;
          chain.writableBytes = 0;
        } else {
          chain.readableCount = 0;
          chain.readableBytes = 0;
          chain.writableBytes = length;
        }
        return;
      }
    }
    let entries = this.size;
    let indirect = false;
    let visited = 1;
    let count = 0;
    let readableCount = 0;
    let readableBytes = 0;
    let total = 0;
    for (;;) {
      let next = 0;
      if ((last & ODD_FLAGS) !== 0) {
        if ((last & UNKNOWN_FLAGS) !== 0) this.#break('unknown-flags', last & 0xffff);
        if (indirect) this.#break('indirect-nested', head);
        indirect = true;
        this.#lookUp(lo, hi, length);
        entries = this.#enterTable(last);
        words = this.#table;
        base = this.#tableAt;
        id = this.#hitId;
        first = f64[HIT_FIRST];
        end = f64[HIT_END];
        visited = 0;
      } else {
        if (length !== 0) {
          if (count === MAX_CHAIN) this.#break('chain-too-long', head);
          const address = hi * TWO_32 + lo;
          const stop = address + length;
          if (!(address >= first && stop <= end)) {
            this.#lookUp(lo, hi, length);
            this.#find();
            id = this.#hitId;
            first = f64[HIT_FIRST];
            end = f64[HIT_END];
          }
          if (address < usedEnd && stop > usedFirst) this.#break('used-ring-overlap', head);
          chain.region[count] = id;
          chain.offset[count] = address - first;
          chain.length[count] = length;
          total += length;
          if ((last & WRITE) === 0) {
            if (readableCount !== count) this.#break('readable-after-writable', head);
            readableCount++;
            readableBytes += length;
          }
          count++;
        }
        if ((last & NEXT) === 0) break;
        next = last >>> 16;
        if (next >= entries) this.#break('next-range', next);
      }
      // A chain cannot visit more descriptors than its table has without passing one twice.
      if (++visited > entries) this.#break('loop', head);
      // RACE: as above.
      at = base + next * WORDS;
      last = words[at + 3];
      length = words[at + 2];
      hi = words[at + 1];
      lo = words[at];
    }
    if (count === 0) this.#break('empty-chain', head);
    if (total > MAX_CHAIN_BYTES) this.#break('chain-bytes', head);
    chain.indirect = indirect;
    chain.count = count;
    chain.readableCount = readableCount;
    chain.readableBytes = readableBytes;
    chain.writableBytes = total - readableBytes;
  }

  /** What `#find` and `#enterTable` are to look at. Slots: words past 2^31 would be boxed on their way. */
  #lookUp(lo: number, hi: number, length: number): void {
    const copy = this.#copy;
    copy[0] = lo;
    copy[1] = hi;
    copy[2] = length;
  }

  /**
   * Goes to the indirect table that `#copy` names: `#table` from word `#tableAt`. Its WRITE flag is ignored (virtio 1.3
   * § 2.7.5.3.2). Returns its entries.
   */
  #enterTable(flags: number): number {
    const copy = this.#copy;
    if (!this.#indirect) this.#break('indirect-not-negotiated', 0);
    if ((flags & NEXT) !== 0) this.#break('indirect-next', 0);
    const bytes = copy[2];
    if (bytes === 0 || bytes % DESCRIPTOR_BYTES !== 0 || bytes > MAX_CHAIN * DESCRIPTOR_BYTES) this.#break('indirect-length', bytes);
    this.#find();
    const region = this.#space.regions[this.#hitId];
    if (region === null) return 0;
    const at = copy[1] * TWO_32 + copy[0] - this.#f64[HIT_FIRST];
    const aligned = at % 4 === 0;
    if (!aligned) this.#snapshotTable(region.u8, at, bytes);
    this.#table = aligned ? region.u32 : this.#ownTable;
    this.#tableAt = aligned ? at / 4 : 0;
    return bytes / DESCRIPTOR_BYTES;
  }

  /** An indirect table has no alignment (virtio 1.3 § 2.7 asks it of the descriptor table only); views have. */
  #snapshotTable(bytes: Uint8Array, at: number, length: number): void {
    if (this.#ownTable.length === 0) this.#ownTable = new Uint32Array(MAX_CHAIN * WORDS);
    // RACE: as in #take; each byte is read once.
    for (let i = 0, from = at; i < length / 4; i++, from += 4) {
      this.#ownTable[i] = bytes[from] | (bytes[from + 1] << 8) | (bytes[from + 2] << 16) | (bytes[from + 3] << 24);
    }
  }

  /** Finds the region of the range in `#copy`: its id goes to `#hitId`, its bounds to `#f64`. */
  #find(): void {
    const copy = this.#copy;
    const address = copy[1] * TWO_32 + copy[0];
    const end = address + copy[2];
    // Also true of every address from 2^53 on, which is not exact.
    if (end > Number.MAX_SAFE_INTEGER) this.#break('address-overflow', address);
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
    this.#break('outside-memory', address);
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

  #break(rule: RingRule, value: number): never {
    this.broken = true;
    throw ringError(rule, value);
  }
}
