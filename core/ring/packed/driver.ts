import type { AddressSpace } from '../../memory/address-space.ts';
import { type RingAtomics, ringAtomics } from '../atomics.ts';
import { BufferList } from '../buffer-list.ts';
import { MAX_CHAIN } from '../chain.ts';
import { type DriverQueue, type QueueConfig, RingError } from '../queue.ts';
import { findPackedAreas } from './areas.ts';
import {
  DESCRIPTOR_ALIGN,
  DESCRIPTOR_BYTES,
  EVENT_DESC,
  EVENT_DISABLE,
  EVENT_ENABLE,
  FLAGS_WORD,
  INDIRECT,
  LENGTH_WORD,
  MAX_QUEUE_SIZE,
  NEXT,
  STATE_AVAILABLE,
  STATE_MASK,
  STATE_SHIFT,
  STATE_USED,
  TWO_32,
  WORDS,
  WRITE,
  wantsEvent,
} from './layout.ts';

/**
 * The driver's side of a packed virtqueue (compare Linux drivers/virtio/virtio_ring.c). Ids and chains in flight are kept
 * in private memory; an id is used again only after its chain came back.
 *
 * The flags of a batch's first head are written last, by `publish`: a device takes descriptors in ring order, so until
 * then it sees none of the batch. With IN_ORDER a chain's id is its first slot.
 *
 * Misuse throws RangeError; a device that breaks the ring is a RingError: `used-range`, `used-not-in-flight`.
 */
export class PackedDriver implements DriverQueue {
  readonly size: number;
  free: number;
  usedToken = 0;
  usedLength = 0;
  /** Chains of at least so many buffers go into an indirect table, if INDIRECT was negotiated. Infinity: none do. */
  indirectFrom = 2;
  readonly #indirect: boolean;
  readonly #eventIdx: boolean;
  readonly #inOrder: boolean;
  /** The descriptor ring: signed for whole words of id and flags, from word `#ringAt`. */
  readonly #i32: Int32Array;
  readonly #ringAtomics: RingAtomics;
  readonly #u32: Uint32Array;
  readonly #ringAt: number;
  readonly #driverEventAtomics: RingAtomics;
  readonly #driverEventAt: number;
  readonly #deviceEventAtomics: RingAtomics;
  readonly #deviceEventAt: number;

  readonly #space: AddressSpace;
  readonly #buffers = new BufferList();
  /** One indirect table for each id, from word `#tableAt` on. */
  readonly #tableWords: Uint32Array;
  readonly #tableAt: number;
  readonly #tableDescriptors: number;
  /** The one long table; its user's id, or −1 while it is free. */
  #longWords: Uint32Array = new Uint32Array(0);
  #longAt = 0;
  #longDescriptors = 0;
  #longId = -1;
  /** Guest-physical addresses of the tables: [0] ids, [1] long. A double in a slot is not boxed. */
  readonly #tableAddress = new Float64Array(2);

  /** By id: the caller's token, or −1 while the id is not in flight; ring slots taken; bytes of the writable part. */
  readonly #token: Int32Array;
  readonly #taken: Uint16Array;
  readonly #writable: Uint32Array;
  readonly #freeIds: Uint16Array;
  #freeIdCount: number;

  /** Next slot to fill, its wrap counter and the state of a descriptor made available there. */
  #next = 0;
  #wrap = 1;
  #available: number = STATE_AVAILABLE;
  /** The first head since `publish`: where its last word goes and what it is. −1: there is none. */
  #heldAt = -1;
  #heldWord = 0;
  /** Ring slots filled since `publish`. */
  #filled = 0;
  /** Next slot to find used, its wrap counter and the state it then has. */
  #lastUsed = 0;
  #usedWrap = 1;
  #used: number = STATE_USED;
  /** IN_ORDER: the id that ends the batch being given out, −1: none is. */
  #batchEnd = -1;
  #batchLength = 0;
  /** The driver's event structure says DISABLE. */
  #interruptsOff = false;

  /**
   * Writes zeros over the queue's areas first, so make it before the device's side.
   * @param tables 16-byte aligned guest memory for `config.size` indirect tables of `descriptors` descriptors each;
   *   looked at only if `config.indirect`
   * @throws RingError as `findPackedAreas`; RangeError when the tables are not in memory
   */
  constructor(space: AddressSpace, config: QueueConfig, tables: { address: number; descriptors: number }) {
    const { ring, driverEvent, deviceEvent } = findPackedAreas(space, config, MAX_QUEUE_SIZE);
    const { size } = config;
    this.size = size;
    this.free = size;
    this.#space = space;
    this.#indirect = config.indirect;
    this.#eventIdx = config.eventIdx;
    this.#inOrder = config.inOrder === true;
    this.#i32 = ring.region.i32;
    this.#ringAtomics = ringAtomics(ring.region);
    this.#u32 = ring.region.u32;
    this.#ringAt = ring.offset / 4;
    this.#driverEventAtomics = ringAtomics(driverEvent.region);
    this.#driverEventAt = driverEvent.offset / 4;
    this.#deviceEventAtomics = ringAtomics(deviceEvent.region);
    this.#deviceEventAt = deviceEvent.offset / 4;
    this.#i32.fill(0, this.#ringAt, this.#ringAt + size * WORDS);
    this.#driverEventAtomics.store32(4 * this.#driverEventAt, EVENT_ENABLE);
    this.#deviceEventAtomics.store32(4 * this.#deviceEventAt, EVENT_ENABLE);

    this.#token = new Int32Array(size).fill(-1);
    this.#taken = new Uint16Array(size);
    this.#writable = new Uint32Array(size);
    this.#freeIds = Uint16Array.from({ length: size }, (_, i) => size - 1 - i);
    this.#freeIdCount = size;

    this.#tableWords = this.#u32;
    this.#tableAt = 0;
    this.#tableDescriptors = config.indirect ? tables.descriptors : 0;
    if (this.#tableDescriptors > 0) {
      this.#tableWords = this.#findTable(tables.address, size * tables.descriptors);
      this.#tableAt = space.hitOffset / 4;
      this.#tableAddress[0] = tables.address;
    }
  }

  /** Guest memory for one chain at a time that is too long for its id's table (at most `descriptors` buffers). */
  longTable(address: number, descriptors: number): void {
    if (this.#longId >= 0) throw new RangeError('the long table is in flight');
    this.#longWords = this.#findTable(address, descriptors);
    this.#longAt = this.#space.hitOffset / 4;
    this.#longDescriptors = Math.min(descriptors, MAX_CHAIN);
    this.#tableAddress[1] = address;
  }

  begin(): void {
    this.#buffers.clear();
  }

  readable(address: number, length: number): void {
    this.#buffers.readable(address, length);
  }

  writable(address: number, length: number): void {
    this.#buffers.writable(address, length);
  }

  submit(token: number): boolean {
    const { count } = this.#buffers;
    if (count === 0) throw new RangeError('a chain needs a buffer');
    if (!(token >= 0 && token < 0x80000000)) throw new RangeError(`${token} is no token (0 … 2^31 − 1)`);
    const tabled = this.#indirect && count >= this.indirectFrom;
    const slot = tabled && count <= this.#tableDescriptors;
    const long = tabled && !slot && count <= this.#longDescriptors;
    const taken = slot || long ? 1 : count;
    if (taken > this.size) throw new RangeError(`a chain of ${count} buffers never fits a ring of ${this.size}`);
    if (taken > this.free || (long && this.#longId >= 0)) return false;
    const id = this.#inOrder ? this.#next : this.#freeIds[--this.#freeIdCount];
    if (long) this.#longId = id;
    if (slot) this.#placeTable(id, this.#tableWords, this.#tableAt + id * this.#tableDescriptors * WORDS, 0);
    else if (long) this.#placeTable(id, this.#longWords, this.#longAt, 1);
    else this.#placeDirect(id);
    this.#token[id] = token;
    this.#taken[id] = taken;
    this.free -= taken;
    this.#filled += taken;
    if (this.#inOrder) this.#countWritable(id);
    return true;
  }

  publish(): boolean {
    if (this.#heldAt < 0) return false;
    const filled = this.#filled;
    this.#ringAtomics.store32(4 * this.#heldAt, this.#heldWord);
    this.#heldAt = -1;
    this.#filled = 0;
    // The store and the load are sequentially consistent: the full barrier between them of virtio 1.3 § 2.8.21.3.1.
    const event = this.#deviceEventAtomics.load32(4 * this.#deviceEventAt);
    return wantsEvent(event, this.#next, this.#wrap, filled, this.size, this.#eventIdx);
  }

  popUsed(): boolean {
    const id = this.#lastUsed;
    if (this.#batchEnd < 0) {
      const from = this.#ringAt + id * WORDS;
      const word = this.#ringAtomics.load32(4 * (from + FLAGS_WORD));
      if (((word >>> STATE_SHIFT) & STATE_MASK) !== this.#used) return false;
      // RACE: the device wrote the length before its store32 of the flags that were loaded above.
      const length = this.#u32[from + LENGTH_WORD];
      const end = word & 0xffff;
      if (end >= this.size) throw new RingError('used-range', `used id ${end} in a queue of ${this.size}`);
      if (this.#token[end] < 0) throw new RingError('used-not-in-flight', `used id ${end} is not in flight`);
      if (!this.#inOrder) {
        this.#finish(end, length);
        return true;
      }
      this.#batchEnd = end;
      this.#batchLength = length;
    }
    // The oldest chain in flight starts at the slot to be used next, which is its id.
    if (id === this.#batchEnd) {
      this.#batchEnd = -1;
      this.#finish(id, this.#batchLength);
    } else {
      // It got no used descriptor of its own: it was used completely (virtio 1.3 § 2.8.9).
      this.#finish(id, this.#writable[id]);
    }
    return true;
  }

  enableInterrupts(): boolean {
    const event = this.#eventIdx ? EVENT_DESC | (this.#usedWrap << 15) | this.#lastUsed : EVENT_ENABLE;
    this.#driverEventAtomics.store32(4 * this.#driverEventAt, event);
    this.#interruptsOff = false;
    if (this.#batchEnd >= 0) return true;
    const word = this.#ringAtomics.load32(4 * (this.#ringAt + this.#lastUsed * WORDS + FLAGS_WORD));
    return ((word >>> STATE_SHIFT) & STATE_MASK) === this.#used;
  }

  disableInterrupts(): void {
    if (this.#interruptsOff) return;
    // With EVENT_IDX too: an event that is passed comes round again after two laps.
    this.#driverEventAtomics.store32(4 * this.#driverEventAt, EVENT_DISABLE);
    this.#interruptsOff = true;
  }

  #placeDirect(id: number): void {
    const { count, readableCount, lo, hi, length } = this.#buffers;
    const words = this.#u32;
    // RACE: the device reads the slots only after it loads the flags of the batch's first head, which `publish` stores
    // with store32.
    for (let i = 0; i < count; i++) {
      const from = this.#ringAt + this.#next * WORDS;
      words[from] = lo[i];
      words[from + 1] = hi[i];
      words[from + LENGTH_WORD] = length[i];
      this.#fill(id, (i < readableCount ? 0 : WRITE) | (i + 1 < count ? NEXT : 0));
    }
  }

  #placeTable(id: number, table: Uint32Array, tableAt: number, which: number): void {
    const { count, readableCount, lo, hi, length } = this.#buffers;
    // RACE: as in #placeDirect.
    for (let i = 0; i < count; i++) {
      const at = tableAt + i * WORDS;
      table[at] = lo[i];
      table[at + 1] = hi[i];
      table[at + LENGTH_WORD] = length[i];
      table[at + FLAGS_WORD] = i < readableCount ? 0 : WRITE << 16;
    }
    const address = this.#tableAddress[which] + (which === 0 ? id * this.#tableDescriptors * DESCRIPTOR_BYTES : 0);
    const high = Math.floor(address / TWO_32);
    const from = this.#ringAt + this.#next * WORDS;
    this.#u32[from] = address - high * TWO_32;
    this.#u32[from + 1] = high;
    this.#u32[from + LENGTH_WORD] = count * DESCRIPTOR_BYTES;
    this.#fill(id, INDIRECT);
  }

  /** Writes the last word of the next slot, unless it is the batch's first, and goes to the slot after it. */
  #fill(id: number, flags: number): void {
    const at = this.#ringAt + this.#next * WORDS + FLAGS_WORD;
    const word = id | (flags << 16) | (this.#available << STATE_SHIFT);
    if (this.#heldAt < 0) {
      this.#heldAt = at;
      this.#heldWord = word;
    } else {
      // RACE: as in #placeDirect.
      this.#i32[at] = word;
    }
    if (++this.#next === this.size) {
      this.#next = 0;
      this.#wrap ^= 1;
      this.#available ^= STATE_MASK;
    }
  }

  /** Gives out one used chain and takes its id and slots back. */
  #finish(id: number, length: number): void {
    this.usedToken = this.#token[id];
    this.usedLength = length;
    this.#token[id] = -1;
    if (!this.#inOrder) this.#freeIds[this.#freeIdCount++] = id;
    if (id === this.#longId) this.#longId = -1;
    const taken = this.#taken[id];
    this.free += taken;
    let next = this.#lastUsed + taken;
    if (next >= this.size) {
      next -= this.size;
      this.#usedWrap ^= 1;
      this.#used ^= STATE_MASK;
    }
    this.#lastUsed = next;
  }

  #countWritable(id: number): void {
    const { count, readableCount, length } = this.#buffers;
    let bytes = 0;
    for (let i = readableCount; i < count; i++) bytes += length[i];
    this.#writable[id] = Math.min(bytes, TWO_32 - 1);
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
