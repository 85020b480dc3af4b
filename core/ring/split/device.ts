import type { AddressSpace } from '../../memory/address-space.ts';
import type { MemoryRegion } from '../../memory/region.ts';
import type { Chain } from '../chain.ts';
import { MAX_CHAIN } from '../chain.ts';
import { CompletionOrder } from '../in-order.ts';
import type { DeviceQueue, QueueConfig } from '../queue.ts';
import { RingError } from '../queue.ts';
import { findSplitAreas } from './areas.ts';
import {
  ADDRESS_HI_LIMIT,
  AVAIL_FLAGS,
  AVAIL_IDX,
  AVAIL_NO_INTERRUPT,
  AVAIL_RING,
  availEventIndex,
  DESCRIPTOR_BYTES,
  INDIRECT,
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
  WRITE,
} from './layout.ts';

/** The longest chain in bytes (virtio 1.3 § 2.7.5). */
const MAX_CHAIN_BYTES = TWO_32;

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
  readonly #descriptors: MemoryRegion;
  readonly #descriptorsAt: number;
  readonly #availU16: Uint16Array;
  readonly #avail: number;
  readonly #usedU16: Uint16Array;
  readonly #used: number;
  readonly #usedU32: Uint32Array;
  readonly #usedRing: number;
  readonly #usedEvent: number;
  readonly #availEvent: number;
  /** 1 for each head that was taken and not returned. */
  readonly #taken: Uint8Array;
  /** The one descriptor being looked at: addr lo, addr hi, len, flags | next << 16. */
  readonly #copy = new Uint32Array(4);
  /**
   * Doubles that change with a descriptor, kept out of arguments and fields so that none is boxed: used ring's first
   * and end address; first address of the region found; bytes of the chain so far.
   */
  readonly #f64 = new Float64Array(4);
  /** The present regions, copied when the address space changes: a call of `translate` would box its address. */
  #regionFirst = new Float64Array(0);
  #regionEnd = new Float64Array(0);
  #regionId = new Int32Array(0);
  #regionsGeneration = -1;
  /** The region found last: its place in the copy, tried first, and its id. */
  #hit = 0;
  #hitId = -1;
  #table: MemoryRegion | null = null;
  #tableAt = 0;
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
    this.#descriptors = areas.descriptors;
    this.#descriptorsAt = areas.descriptorsAt;
    this.#availU16 = areas.avail.u16;
    this.#avail = areas.availAt / 2;
    this.#usedU16 = areas.used.u16;
    this.#used = areas.usedAt / 2;
    this.#usedU32 = areas.used.u32;
    this.#usedRing = areas.usedAt / 4 + USED_RING;
    this.#usedEvent = this.#avail + usedEventIndex(size);
    this.#availEvent = this.#used + availEventIndex(size);
    this.#taken = new Uint8Array(size);
    this.#f64[0] = config.deviceAddress;
    this.#f64[1] = config.deviceAddress + usedBytes(size);
  }

  pop(chain: Chain): boolean {
    if (this.broken) return false;
    const at = this.#lastAvail;
    if (at === this.#availSeen && !this.#lookForMore()) return false;
    // RACE: the driver wrote the entry before its Atomics.store of idx, which #lookForMore loaded. Read once.
    const head = this.#availU16[this.#avail + AVAIL_RING + (at & this.#mask)];
    if (head >= this.size) this.#break('head-range', `head ${head} in a queue of ${this.size}`);
    if (this.#taken[head] !== 0) this.#break('head-in-flight', `head ${head} is in flight already`);
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
    Atomics.store(this.#usedU16, this.#used + USED_IDX, next);
    // The store and the loads below are sequentially consistent: the full barrier of virtio 1.3 § 2.7.8.2.
    if (this.#eventIdx) return needEvent(Atomics.load(this.#availU16, this.#usedEvent), next, old);
    return (Atomics.load(this.#availU16, this.#avail + AVAIL_FLAGS) & AVAIL_NO_INTERRUPT) === 0;
  }

  enableKicks(): boolean {
    if (this.broken) return false;
    if (this.#eventIdx) Atomics.store(this.#usedU16, this.#availEvent, this.#lastAvail);
    else Atomics.store(this.#usedU16, this.#used + USED_FLAGS, 0);
    return this.#lastAvail !== this.#availSeen || Atomics.load(this.#availU16, this.#avail + AVAIL_IDX) !== this.#lastAvail;
  }

  /** With EVENT_IDX there is nothing to write: the event index falls behind by itself. */
  disableKicks(): void {
    if (!this.#eventIdx) Atomics.store(this.#usedU16, this.#used + USED_FLAGS, USED_NO_NOTIFY);
  }

  /** Writes one used element that stands for `count` chains, `head` the last of them. */
  #use(head: number, written: number, count: number): void {
    this.#taken[head] = 0;
    // RACE: the driver reads the element only after it loads the idx that `publish` stores with Atomics.store.
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
    const seen = Atomics.load(this.#availU16, this.#avail + AVAIL_IDX);
    if (seen === this.#lastAvail) return false;
    const count = (seen - this.#lastAvail) & 0xffff;
    if (count > this.size) {
      const rule = count < 0x8000 ? 'avail-ahead' : 'avail-backwards';
      this.#break(rule, `available index went from ${this.#lastAvail} to ${seen} in a queue of ${this.size}`);
    }
    this.#availSeen = seen;
    return true;
  }

  #take(chain: Chain, head: number): void {
    chain.clear();
    chain.head = head;
    this.#f64[3] = 0;
    this.#table = this.#descriptors;
    this.#tableAt = this.#descriptorsAt;
    const copy = this.#copy;
    let entries = this.size;
    let visited = 0;
    let next = head;
    for (;;) {
      // A chain cannot visit more descriptors than its table has without passing one twice.
      if (++visited > entries) this.#break('loop', `chain ${head} loops`);
      this.#fetch(next);
      const flags = copy[3] & 0xffff;
      if ((flags & ~KNOWN_FLAGS) !== 0) this.#break('unknown-flags', `descriptor flags ${flags}`);
      if ((flags & INDIRECT) !== 0) {
        entries = this.#enterTable(chain, flags);
        visited = 0;
        next = 0;
        continue;
      }
      if (copy[2] !== 0) this.#addSegment(chain, (flags & WRITE) !== 0);
      if ((flags & NEXT) === 0) break;
      next = copy[3] >>> 16;
      if (next >= entries) this.#break('next-range', `next ${next} in a table of ${entries}`);
    }
    if (chain.count === 0) this.#break('empty-chain', `chain ${head} has no bytes`);
  }

  /** Goes to the indirect table that `#copy` names. Its WRITE flag is ignored (virtio 1.3 § 2.7.5.3.2). Returns its entries. */
  #enterTable(chain: Chain, flags: number): number {
    const copy = this.#copy;
    if (!this.#indirect) this.#break('indirect-not-negotiated', 'INDIRECT was not negotiated');
    if (chain.indirect) this.#break('indirect-nested', 'an indirect table names another');
    if ((flags & NEXT) !== 0) this.#break('indirect-next', 'INDIRECT and NEXT in one descriptor');
    const bytes = copy[2];
    if (bytes === 0 || bytes % DESCRIPTOR_BYTES !== 0 || bytes > MAX_CHAIN * DESCRIPTOR_BYTES) {
      this.#break('indirect-length', `an indirect table of ${bytes} bytes`);
    }
    this.#find();
    chain.indirect = true;
    this.#table = this.#space.regions[this.#hitId];
    this.#tableAt = copy[1] * TWO_32 + copy[0] - this.#f64[2];
    return bytes / DESCRIPTOR_BYTES;
  }

  /** Copies descriptor `index` of the current table to `#copy`: the only look at its shared bytes. */
  #fetch(index: number): void {
    const table = this.#table;
    if (table === null) return;
    const copy = this.#copy;
    const at = this.#tableAt + index * DESCRIPTOR_BYTES;
    // RACE: the driver wrote descriptors before its Atomics.store of avail idx; a hostile one may still be writing.
    if ((at & 3) === 0) {
      const words = table.u32;
      const word = at >>> 2; // A region is at most 4 GiB.
      copy[0] = words[word];
      copy[1] = words[word + 1];
      copy[2] = words[word + 2];
      copy[3] = words[word + 3];
    } else {
      // An indirect table has no alignment (virtio 1.3 § 2.7 asks it of the descriptor table only).
      const bytes = table.u8;
      for (let i = 0; i < 4; i++) {
        const b = at + i * 4;
        copy[i] = bytes[b] | (bytes[b + 1] << 8) | (bytes[b + 2] << 16) | (bytes[b + 3] << 24);
      }
    }
  }

  #addSegment(chain: Chain, writable: boolean): void {
    const copy = this.#copy;
    const f64 = this.#f64;
    const count = chain.count;
    const length = copy[2];
    if (count === MAX_CHAIN) this.#break('chain-too-long', `chain ${chain.head} has more than ${MAX_CHAIN} buffers`);
    if (!writable && chain.readableCount !== count) this.#break('readable-after-writable', 'a readable buffer after a writable one');
    f64[3] += length;
    if (f64[3] > MAX_CHAIN_BYTES) this.#break('chain-bytes', `chain ${chain.head} is longer than 2^32 bytes`);
    this.#find();
    const address = copy[1] * TWO_32 + copy[0];
    if (address < f64[1] && address + length > f64[0]) this.#break('used-ring-overlap', 'a buffer overlaps the used ring');
    chain.region[count] = this.#hitId;
    chain.offset[count] = address - f64[2];
    chain.length[count] = length;
    chain.count = count + 1;
    if (writable) {
      chain.writableBytes += length;
    } else {
      chain.readableCount = count + 1;
      chain.readableBytes += length;
    }
  }

  /** Finds the region of the range in `#copy`: its id goes to `#hitId`, its first address to `#f64[2]`. */
  #find(): void {
    const copy = this.#copy;
    if (copy[1] >= ADDRESS_HI_LIMIT) this.#break('address-overflow', 'an address past 2^53 − 1');
    const address = copy[1] * TWO_32 + copy[0];
    const end = address + copy[2];
    if (end > Number.MAX_SAFE_INTEGER) this.#break('address-overflow', 'a buffer reaches past 2^53 − 1');
    if (this.#regionsGeneration !== this.#space.generation) this.#copyRegions();
    const first = this.#regionFirst;
    const ends = this.#regionEnd;
    const count = first.length;
    let at = this.#hit;
    for (let tried = 0; tried < count; tried++) {
      if (address >= first[at] && end <= ends[at]) {
        this.#hit = at;
        this.#hitId = this.#regionId[at];
        this.#f64[2] = first[at];
        return;
      }
      if (++at === count) at = 0;
    }
    this.#break('outside-memory', `${copy[2]} bytes at ${address} are not in memory`);
  }

  #copyRegions(): void {
    const present = this.#space.regions.filter((region) => region !== null);
    this.#regionFirst = Float64Array.from(present, (region) => region.gpa);
    this.#regionEnd = Float64Array.from(present, (region) => region.gpa + region.size);
    this.#regionId = Int32Array.from(present, (region) => region.id);
    this.#hit = 0;
    this.#regionsGeneration = this.#space.generation;
  }

  #break(rule: string, message: string): void {
    this.broken = true;
    throw new RingError(rule, message);
  }
}
