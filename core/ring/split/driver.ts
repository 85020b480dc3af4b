import type { AddressSpace } from '../../memory/address-space.ts';
import { type RingAtomics, ringAtomics } from '../atomics.ts';
import { MAX_CHAIN } from '../chain.ts';
import type { DriverQueue, QueueConfig } from '../queue.ts';
import { RingError } from '../queue.ts';
import { findSplitAreas } from './areas.ts';
import {
  AVAIL_FLAGS,
  AVAIL_IDX,
  AVAIL_NO_INTERRUPT,
  AVAIL_RING,
  availEventIndex,
  DESCRIPTOR_ALIGN,
  DESCRIPTOR_BYTES,
  INDIRECT,
  MAX_QUEUE_SIZE,
  NEXT,
  needEvent,
  TWO_32,
  USED_FLAGS,
  USED_IDX,
  USED_NO_NOTIFY,
  USED_RING,
  usedEventIndex,
  WORDS,
  WRITE,
} from './layout.ts';

/** No descriptor: ends the free list. */
const NONE = 0xffff;

/** Descriptors a slot's indirect table needs for the largest ordinary command: 66 pages of entries, request, response. */
export const TABLE_DESCRIPTORS = 68;

/**
 * The driver's side of a split virtqueue (compare Linux drivers/virtio/virtio_ring.c). Free descriptors and chains in
 * flight are kept in private memory; a descriptor is used again only after its chain came back in the used ring.
 *
 * Misuse (too many buffers, a readable one after a writable one, a bad length) throws RangeError; a device that
 * breaks the used ring is a RingError: `used-ahead`, `used-range`, `used-not-in-flight`.
 */
export class SplitDriver implements DriverQueue {
  readonly size: number;
  free: number;
  usedToken = 0;
  usedLength = 0;
  /** Chains of at least so many buffers go into an indirect table, if INDIRECT was negotiated. Infinity: none do. */
  indirectFrom = 2;
  readonly #mask: number;
  readonly #indirect: boolean;
  readonly #eventIdx: boolean;
  readonly #inOrder: boolean;
  readonly #descriptors: Uint32Array;
  readonly #descriptorsAt: number;
  readonly #availAtomics: RingAtomics;
  readonly #availU16: Uint16Array;
  readonly #avail: number;
  readonly #usedAtomics: RingAtomics;
  readonly #usedU16: Uint16Array;
  readonly #used: number;
  readonly #usedU32: Uint32Array;
  readonly #usedRing: number;
  readonly #usedEvent: number;
  readonly #availEvent: number;

  readonly #space: AddressSpace;
  /** One indirect table for each ring slot, at tables + head · tableDescriptors · 16. */
  readonly #tableWords: Uint32Array;
  readonly #tableAt: number;
  readonly #tableDescriptors: number;
  /** The one long table; its user's head, or −1 while it is free. */
  #longWords: Uint32Array = new Uint32Array(0);
  #longAt = 0;
  #longDescriptors = 0;
  #longHead = -1;
  /** Guest-physical addresses of the tables: [0] slots, [1] long. A double in a slot is not boxed. */
  readonly #tableAddress = new Float64Array(2);

  /** Buffers of the chain being built. */
  #count = 0;
  #readableCount = 0;
  readonly #lo = new Uint32Array(MAX_CHAIN);
  readonly #hi = new Uint32Array(MAX_CHAIN);
  readonly #length = new Uint32Array(MAX_CHAIN);

  /** By head: the caller's token, or −1 while the head is not in flight; ring descriptors taken; the last of them. */
  readonly #token: Int32Array;
  readonly #taken: Uint16Array;
  readonly #tail: Uint16Array;
  /** By descriptor: the next one of its chain or of the free list. */
  readonly #next: Uint16Array;
  #freeHead = 0;

  #availNext = 0;
  #availPublished = 0;
  #lastUsed = 0;
  #usedSeen = 0;
  /** IN_ORDER: bytes of each head's writable part; the oldest head in flight; the head that ends the batch begun, or −1. */
  readonly #writable: Uint32Array;
  #oldest = 0;
  #batchEnd = -1;
  #batchLength = 0;

  /**
   * Writes zeros over the queue's areas first, so make it before the device's side.
   * @param tables 16-byte aligned guest memory for `config.size` indirect tables of `descriptors` descriptors each;
   *   looked at only if `config.indirect`
   * @throws RingError as `findSplitAreas`; RangeError when the tables are not in memory
   */
  constructor(space: AddressSpace, config: QueueConfig, tables: { address: number; descriptors: number }) {
    const areas = findSplitAreas(space, config, MAX_QUEUE_SIZE);
    const { size } = config;
    this.size = size;
    this.free = size;
    this.#space = space;
    this.#mask = size - 1;
    this.#indirect = config.indirect;
    this.#eventIdx = config.eventIdx;
    this.#inOrder = config.inOrder === true;
    this.#descriptors = areas.descriptors.u32;
    this.#descriptorsAt = areas.descriptorsAt / 4;
    this.#availAtomics = ringAtomics(areas.avail);
    this.#availU16 = areas.avail.u16;
    this.#avail = areas.availAt / 2;
    this.#usedAtomics = ringAtomics(areas.used);
    this.#usedU16 = areas.used.u16;
    this.#used = areas.usedAt / 2;
    this.#usedU32 = areas.used.u32;
    this.#usedRing = areas.usedAt / 4 + USED_RING;
    this.#usedEvent = this.#avail + usedEventIndex(size);
    this.#availEvent = this.#used + availEventIndex(size);
    this.#descriptors.fill(0, this.#descriptorsAt, this.#descriptorsAt + size * WORDS);
    this.#availU16.fill(0, this.#avail, this.#usedEvent + 1);
    this.#usedU16.fill(0, this.#used, this.#availEvent + 1);

    this.#token = new Int32Array(size).fill(-1);
    this.#taken = new Uint16Array(size);
    this.#tail = new Uint16Array(size);
    this.#next = new Uint16Array(size);
    // With IN_ORDER descriptors are taken and come back in ring order (virtio 1.3 § 2.7.9): the list is a circle.
    for (let i = 0; i < size; i++) this.#next[i] = i + 1 < size ? i + 1 : this.#inOrder ? 0 : NONE;
    this.#writable = new Uint32Array(this.#inOrder ? size : 0);

    this.#tableWords = this.#descriptors;
    this.#tableAt = 0;
    this.#tableDescriptors = config.indirect ? tables.descriptors : 0;
    if (this.#tableDescriptors > 0) {
      this.#tableWords = this.#findTable(tables.address, size * tables.descriptors);
      this.#tableAt = space.hitOffset / 4;
      this.#tableAddress[0] = tables.address;
    }
  }

  /** Guest memory for one chain at a time that is too long for its slot's table (at most `descriptors` buffers). */
  longTable(address: number, descriptors: number): void {
    if (this.#longHead >= 0) throw new RangeError('the long table is in flight');
    this.#longWords = this.#findTable(address, descriptors);
    this.#longAt = this.#space.hitOffset / 4;
    this.#longDescriptors = Math.min(descriptors, MAX_CHAIN);
    this.#tableAddress[1] = address;
  }

  begin(): void {
    this.#count = 0;
    this.#readableCount = 0;
  }

  readable(address: number, length: number): void {
    if (this.#readableCount !== this.#count) throw new RangeError('a readable buffer after a writable one');
    this.#add(address, length);
    this.#readableCount = this.#count;
  }

  writable(address: number, length: number): void {
    this.#add(address, length);
  }

  submit(token: number): boolean {
    const count = this.#count;
    if (count === 0) throw new RangeError('a chain needs a buffer');
    if (!(token >= 0 && token < 0x80000000)) throw new RangeError(`${token} is no token (0 … 2^31 − 1)`);
    const head = this.#freeHead;
    if (count === 1 && !this.#indirect && this.free > 0) this.#placeOne(head);
    else if (!this.#place(head)) return false;
    this.#token[head] = token;
    if (this.#inOrder) this.#countWritable(head);
    // RACE: the device reads the entry only after it loads the idx that `publish` stores with store16.
    this.#availU16[this.#avail + AVAIL_RING + (this.#availNext & this.#mask)] = head;
    this.#availNext = (this.#availNext + 1) & 0xffff;
    return true;
  }

  publish(): boolean {
    const old = this.#availPublished;
    const next = this.#availNext;
    if (next === old) return false;
    this.#availPublished = next;
    this.#availAtomics.store16(2 * (this.#avail + AVAIL_IDX), next);
    // The store and the loads below are sequentially consistent: the full barrier of virtio 1.3 § 2.7.13.4.1.
    if (this.#eventIdx) return needEvent(this.#usedAtomics.load16(2 * this.#availEvent), next, old);
    return (this.#usedAtomics.load16(2 * (this.#used + USED_FLAGS)) & USED_NO_NOTIFY) === 0;
  }

  popUsed(): boolean {
    const at = this.#lastUsed;
    if (at === this.#usedSeen) {
      const seen = this.#usedAtomics.load16(2 * (this.#used + USED_IDX));
      if (seen === at) return false;
      if (((seen - at) & 0xffff) > this.size) throw new RingError('used-ahead', `used index went from ${at} to ${seen}`);
      this.#usedSeen = seen;
    }
    if (this.#batchEnd >= 0) return this.#popBatch(at);
    // RACE: the device wrote the element before its store16 of idx, which was loaded above.
    const element = this.#usedRing + (at & this.#mask) * 2;
    const head = this.#usedU32[element];
    if (head >= this.size) throw new RingError('used-range', `used id ${head} in a queue of ${this.size}`);
    const token = this.#token[head];
    if (token < 0) throw new RingError('used-not-in-flight', `used id ${head} is not in flight`);
    if (this.#inOrder) {
      this.#batchEnd = head;
      this.#batchLength = this.#usedU32[element + 1];
      return this.#popBatch(at);
    }
    this.usedToken = token;
    this.usedLength = this.#usedU32[element + 1];
    this.#lastUsed = (at + 1) & 0xffff;
    this.#recycle(head);
    return true;
  }

  /** IN_ORDER: gives out the oldest chain of the batch begun, which its one element ends (virtio 1.3 § 2.7.9). */
  #popBatch(at: number): boolean {
    const head = this.#oldest;
    this.#lastUsed = (at + 1) & 0xffff;
    this.usedToken = this.#token[head];
    if (head === this.#batchEnd) {
      this.usedLength = this.#batchLength;
      this.#batchEnd = -1;
    } else {
      if (this.#lastUsed === this.#usedSeen) throw new RingError('used-order', `used id ${this.#batchEnd} is further than the used index`);
      // Without an element of its own it was used completely.
      this.usedLength = this.#writable[head];
    }
    this.#token[head] = -1;
    this.#oldest = (head + this.#taken[head]) & this.#mask;
    this.free += this.#taken[head];
    if (head === this.#longHead) this.#longHead = -1;
    return true;
  }

  enableInterrupts(): boolean {
    if (this.#eventIdx) this.#availAtomics.store16(2 * this.#usedEvent, this.#lastUsed);
    else this.#availAtomics.store16(2 * (this.#avail + AVAIL_FLAGS), 0);
    return this.#lastUsed !== this.#usedSeen || this.#usedAtomics.load16(2 * (this.#used + USED_IDX)) !== this.#lastUsed;
  }

  /** With EVENT_IDX there is nothing to write: the event index falls behind by itself. */
  disableInterrupts(): void {
    if (!this.#eventIdx) this.#availAtomics.store16(2 * (this.#avail + AVAIL_FLAGS), AVAIL_NO_INTERRUPT);
  }

  #add(address: number, length: number): void {
    const at = this.#count;
    if (at === MAX_CHAIN) throw new RangeError(`a chain has at most ${MAX_CHAIN} buffers`);
    if (!(length > 0 && length < TWO_32)) throw new RangeError(`a buffer of ${length} bytes`);
    const hi = Math.floor(address / TWO_32);
    this.#hi[at] = hi;
    this.#lo[at] = address - hi * TWO_32;
    this.#length[at] = length;
    this.#count = at + 1;
  }

  #flags(i: number): number {
    return i < this.#readableCount ? 0 : WRITE;
  }

  /** A chain of one direct buffer, without what chains of more need. */
  #placeOne(head: number): void {
    const words = this.#descriptors;
    const at = this.#descriptorsAt + head * WORDS;
    // RACE: as in #placeDirect.
    words[at] = this.#lo[0];
    words[at + 1] = this.#hi[0];
    words[at + 2] = this.#length[0];
    words[at + 3] = this.#flags(0);
    this.#freeHead = this.#next[head];
    this.#tail[head] = head;
    this.#taken[head] = 1;
    this.free--;
  }

  /** Places the chain in its slot's table, in the long one or in the ring. Returns false without room. */
  #place(head: number): boolean {
    const count = this.#count;
    const tabled = this.#indirect && count >= this.indirectFrom;
    const slot = tabled && count <= this.#tableDescriptors;
    const long = tabled && !slot && count <= this.#longDescriptors;
    const taken = slot || long ? 1 : count;
    if (taken > this.size) throw new RangeError(`a chain of ${count} buffers never fits a ring of ${this.size}`);
    if (taken > this.free || (long && this.#longHead >= 0)) return false;
    if (slot) {
      this.#placeTable(head, this.#tableWords, this.#tableAt + head * this.#tableDescriptors * WORDS, 0);
    } else if (long) {
      this.#longHead = head;
      this.#placeTable(head, this.#longWords, this.#longAt, 1);
    } else {
      this.#placeDirect(head);
    }
    return true;
  }

  #placeDirect(head: number): void {
    const words = this.#descriptors;
    const count = this.#count;
    let index = head;
    let last = head;
    // RACE: the device reads descriptors only after it loads the idx that `publish` stores with store16.
    for (let i = 0; i < count; i++) {
      const at = this.#descriptorsAt + index * WORDS;
      const more = i + 1 < count;
      last = index;
      index = this.#next[index];
      words[at] = this.#lo[i];
      words[at + 1] = this.#hi[i];
      words[at + 2] = this.#length[i];
      words[at + 3] = this.#flags(i) | (more ? NEXT | (index << 16) : 0);
    }
    this.#freeHead = index;
    this.#tail[head] = last;
    this.#taken[head] = count;
    this.free -= count;
  }

  #placeTable(head: number, words: Uint32Array, tableAt: number, which: number): void {
    const count = this.#count;
    // RACE: as in #placeDirect.
    for (let i = 0; i < count; i++) {
      const at = tableAt + i * WORDS;
      words[at] = this.#lo[i];
      words[at + 1] = this.#hi[i];
      words[at + 2] = this.#length[i];
      words[at + 3] = this.#flags(i) | (i + 1 < count ? NEXT | ((i + 1) << 16) : 0);
    }
    const address = this.#tableAddress[which] + (which === 0 ? head * this.#tableDescriptors * DESCRIPTOR_BYTES : 0);
    const hi = Math.floor(address / TWO_32);
    const at = this.#descriptorsAt + head * WORDS;
    this.#descriptors[at] = address - hi * TWO_32;
    this.#descriptors[at + 1] = hi;
    this.#descriptors[at + 2] = count * DESCRIPTOR_BYTES;
    this.#descriptors[at + 3] = INDIRECT;
    this.#freeHead = this.#next[head];
    this.#tail[head] = head;
    this.#taken[head] = 1;
    this.free--;
  }

  #recycle(head: number): void {
    this.#token[head] = -1;
    this.#next[this.#tail[head]] = this.#freeHead;
    this.#freeHead = head;
    this.free += this.#taken[head];
    if (head === this.#longHead) this.#longHead = -1;
  }

  #countWritable(head: number): void {
    let bytes = 0;
    for (let i = this.#readableCount; i < this.#count; i++) bytes += this.#length[i];
    this.#writable[head] = Math.min(bytes, TWO_32 - 1);
  }

  #findTable(address: number, descriptors: number): Uint32Array {
    const bytes = descriptors * DESCRIPTOR_BYTES;
    if (
      !(descriptors > 0) ||
      address % DESCRIPTOR_ALIGN !== 0 ||
      !this.#space.translate(address, bytes) ||
      this.#space.hitRegion === null
    ) {
      throw new RangeError(`indirect tables: ${bytes} bytes at ${address} are not aligned guest memory`);
    }
    return this.#space.hitRegion.u32;
  }
}
