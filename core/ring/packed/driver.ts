import type { AddressSpace } from '../../memory/address-space.ts';
import { type RingAtomics, ringAtomics, storeThenLoad } from '../atomics.ts';
import { BufferList } from '../buffer-list.ts';
import { IndirectTables } from '../indirect-tables.ts';
import { type DriverQueue, type QueueConfig, RingError } from '../queue.ts';
import { findPackedAreas } from './areas.ts';
import * as layout from './layout.ts';
import { wantsEvent } from './layout.ts';

// Taken over: an imported binding is looked up at every use, a constant of the module is compiled in.
const {
  EVENT_DESC,
  EVENT_DISABLE,
  EVENT_ENABLE,
  FLAGS_WORD,
  INDIRECT,
  MAX_QUEUE_SIZE,
  NEXT,
  STATE_AVAILABLE,
  STATE_MASK,
  STATE_SHIFT,
  STATE_USED,
  WORDS,
} = layout;

/** Tokens are 0 … 2^31 − 1: an int32 that is no mark. */
const MOST_TOKEN = 0x7fffffff;

/** Words of an id's private state. */
const STATE_WORDS = 4;
const TOKEN = 0;
const TAKEN = 1;
const WRITABLE = 2;
const FOLLOWING = 3;

/** Slots looked at ahead of the one to reap. */
const LOOK_AHEAD = 16;

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
  declare readonly size: number;
  free: number = 0;
  usedToken = 0;
  usedLength = 0;
  /** Chains of at least so many buffers go into an indirect table, if INDIRECT was negotiated. Infinity: none do. */
  indirectFrom = 2;
  declare private readonly indirect: boolean;
  declare private readonly eventIdx: boolean;
  declare private readonly inOrder: boolean;
  /** Buffers of a chain that is placed without a loop; −1: none is. */
  declare private readonly alone: number;
  /** The descriptor ring, from word `ringAt`. */
  declare private readonly words: Int32Array;
  declare private readonly ringAtomics: RingAtomics;
  declare private readonly ringAt: number;
  declare private readonly driverEventAtomics: RingAtomics;
  declare private readonly driverEventAt: number;
  /** Stores flags in the ring, then loads the device's event structure. */
  declare private readonly publishFlags: RingAtomics['storeThenLoad32'];
  declare private readonly deviceEventAt: number;
  private readonly buffers = new BufferList();
  declare private readonly tables: IndirectTables;

  /**
   * By id, four words in one array, which the compiler then looks up once: the caller's token, or −1 while the id is not
   * in flight; ring slots taken; bytes of the writable part (IN_ORDER); and the next free id.
   */
  declare private readonly state: Int32Array;
  private freeId = 0;

  /** Next slot to fill, its wrap counter and the state of a descriptor made available there. */
  private next = 0;
  private wrap = 1;
  private available: number = STATE_AVAILABLE;
  /** The first head since `publish`: its slot and its last word. −1: there is none. */
  private held = -1;
  private heldWord = 0;
  /** Slots from `lastUsed` on that were found used. */
  private seen = 0;
  /** Next slot to find used, its wrap counter and the state it then has. */
  private lastUsed = 0;
  private usedWrap = 1;
  private used: number = STATE_USED;
  /** IN_ORDER: the id that ends the batch being given out, −1: none is. */
  private batchEnd = -1;
  private batchLength = 0;
  /** The driver's event structure says DISABLE. */
  private interruptsOff = false;

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
    this.indirect = config.indirect;
    this.eventIdx = config.eventIdx;
    this.inOrder = config.inOrder === true;
    this.alone = config.indirect || this.inOrder ? -1 : 1;
    this.words = ring.region.i32;
    this.ringAtomics = ringAtomics(ring.region);
    this.ringAt = ring.offset / 4;
    this.driverEventAtomics = ringAtomics(driverEvent.region);
    this.driverEventAt = driverEvent.offset / 4;
    this.publishFlags = storeThenLoad(ring.region, deviceEvent.region);
    this.deviceEventAt = deviceEvent.offset / 4;
    this.words.fill(0, this.ringAt, this.ringAt + size * WORDS);
    this.driverEventAtomics.store32(4 * this.driverEventAt, EVENT_ENABLE);
    ringAtomics(deviceEvent.region).store32(4 * this.deviceEventAt, EVENT_ENABLE);

    this.state = new Int32Array(size * STATE_WORDS);
    for (let id = 0; id < size; id++) {
      this.state[id * STATE_WORDS + TOKEN] = -1;
      this.state[id * STATE_WORDS + TAKEN] = 1;
      this.state[id * STATE_WORDS + FOLLOWING] = id + 1;
    }
    this.tables = new IndirectTables(space, size, config.indirect ? tables : null);
  }

  /** Guest memory for one chain at a time that is too long for its id's table (at most `descriptors` buffers). */
  longTable(address: number, descriptors: number): void {
    this.tables.setLong(address, descriptors);
  }

  begin(): void {
    this.buffers.clear();
  }

  readable(address: number, length: number): void {
    this.buffers.readable(address, length);
  }

  writable(address: number, length: number): void {
    this.buffers.writable(address, length);
  }

  submit(token: number): boolean {
    const { free } = this;
    const buffers = this.buffers;
    if (buffers.count !== this.alone || free === 0 || (token & MOST_TOKEN) !== token) return this.submitChain(token);
    // One direct buffer, without what chains of more need.
    const id = this.freeId;
    const from = buffers.words;
    const words = this.words;
    const state = this.state;
    const next = this.next;
    const at = this.ringAt + (next << 2);
    const word = id | (from[3] << 16) | (this.available << STATE_SHIFT);
    // RACE: as in placeDirect.
    words[at] = from[0];
    words[at + 1] = from[1];
    words[at + 2] = from[2];
    if (this.held < 0) {
      this.held = next;
      this.heldWord = word;
    } else {
      words[at + 3] = word;
    }
    const own = id << 2;
    state[own] = token;
    this.freeId = state[own + FOLLOWING];
    this.free = free - 1;
    this.next = next + 1;
    if (next + 1 === this.size) this.wrapAround();
    return true;
  }

  publish(): boolean {
    const held = this.held;
    if (held < 0) return false;
    // The store and the load are sequentially consistent: the full barrier between them of virtio 1.3 § 2.8.21.3.1.
    const event = this.publishFlags(4 * (this.ringAt + held * WORDS + FLAGS_WORD), this.heldWord, 4 * this.deviceEventAt);
    this.held = -1;
    // All of the ring, where it is not a part: at least one slot was filled.
    const filled = this.next > held ? this.next - held : this.next - held + this.size;
    return wantsEvent(event, this.next, this.wrap, filled, this.size, this.eventIdx);
  }

  popUsed(): boolean {
    if (this.seen === 0 && this.lookForMore() === 0) return false;
    if (this.alone < 0) return this.popAny();
    const at = this.lastUsed;
    const words = this.words;
    const state = this.state;
    const from = this.ringAt + (at << 2);
    // RACE: the device wrote the descriptor before its store32 of a batch's first flags, which `scan` loaded.
    const id = words[from + 3] & 0xffff;
    const length = words[from + 2];
    const own = id << 2;
    if (id >= this.size || state[own] < 0) throw this.notUsable(id);
    const token = state[own];
    this.usedToken = token;
    this.usedLength = length >>> 0;
    state[own] = -1;
    state[own + FOLLOWING] = this.freeId;
    this.freeId = id;
    if (state[own + TAKEN] === 1 && at + 1 < this.size) {
      this.free++;
      this.seen--;
      this.lastUsed = at + 1;
    } else {
      this.passSlots(at, state[own + TAKEN]);
      // As `submit` takes it for granted.
      state[own + TAKEN] = 1;
    }
    return true;
  }

  /** Looks for used slots from the next one to the end of the ring. @returns how many there are */
  private lookForMore(): number {
    if (this.batchEnd >= 0) return 1;
    const at = this.lastUsed;
    const left = this.size - at;
    const seen = this.ringAtomics.scan(4 * (this.ringAt + at * WORDS + FLAGS_WORD), left < LOOK_AHEAD ? left : LOOK_AHEAD, this.used);
    this.seen = seen;
    return seen;
  }

  /** As `popUsed`, where INDIRECT or IN_ORDER was negotiated. */
  private popAny(): boolean {
    const at = this.lastUsed;
    const state = this.state;
    if (this.batchEnd < 0) {
      const from = this.ringAt + (at << 2);
      // RACE: as in `popUsed`.
      const id = this.words[from + 3] & 0xffff;
      const length = this.words[from + 2] >>> 0;
      if (id >= this.size || state[id << 2] < 0) throw this.notUsable(id);
      if (!this.inOrder) {
        this.finish(id, length);
        state[(id << 2) + FOLLOWING] = this.freeId;
        this.freeId = id;
        return true;
      }
      this.batchEnd = id;
      this.batchLength = length;
    }
    // The oldest chain in flight starts at the slot to be used next, which is its id.
    if (at === this.batchEnd) {
      this.batchEnd = -1;
      this.finish(at, this.batchLength);
    } else {
      // It got no used descriptor of its own: it was used completely (virtio 1.3 § 2.8.9).
      this.finish(at, state[(at << 2) + WRITABLE] >>> 0);
    }
    return true;
  }

  enableInterrupts(): boolean {
    const event = this.eventIdx ? EVENT_DESC | (this.usedWrap << 15) | this.lastUsed : EVENT_ENABLE;
    this.driverEventAtomics.store32(4 * this.driverEventAt, event);
    this.interruptsOff = false;
    if (this.seen > 0 || this.batchEnd >= 0) return true;
    const word = this.ringAtomics.load32(4 * (this.ringAt + this.lastUsed * WORDS + FLAGS_WORD));
    return ((word >>> STATE_SHIFT) & STATE_MASK) === this.used;
  }

  disableInterrupts(): void {
    if (this.interruptsOff) return;
    // With EVENT_IDX too: an event that is passed comes round again after two laps.
    this.driverEventAtomics.store32(4 * this.driverEventAt, EVENT_DISABLE);
    this.interruptsOff = true;
  }

  /** Out of line, as `usedError`. */
  private notUsable(id: number): RingError {
    return usedError(id >= this.size ? 'used-range' : 'used-not-in-flight', id);
  }

  private submitChain(token: number): boolean {
    const buffers = this.buffers;
    const { count } = buffers;
    if (count === 0) throw new RangeError('a chain needs a buffer');
    if ((token & MOST_TOKEN) !== token) throw new RangeError(`${token} is no token (0 … 2^31 − 1)`);
    const tables = this.tables;
    const long = tables.needsLong(count);
    const tabled = this.indirect && count >= this.indirectFrom && (long || count <= tables.descriptors);
    const taken = tabled ? 1 : count;
    if (taken > this.size) throw new RangeError(`a chain of ${count} buffers never fits a ring of ${this.size}`);
    if (taken > this.free || (tabled && long && tables.longUser >= 0)) return false;
    const id = this.inOrder ? this.next : this.freeId;
    const own = id << 2;
    if (!this.inOrder) this.freeId = this.state[own + FOLLOWING];
    if (tabled) {
      tables.write(id, buffers, false, this.words, this.ringAt + (this.next << 2));
      this.fill(id, INDIRECT);
    } else {
      this.placeDirect(id, count);
    }
    this.state[own + TOKEN] = token;
    this.state[own + TAKEN] = taken;
    if (this.inOrder) this.state[own + WRITABLE] = buffers.writableBytes();
    this.free -= taken;
    return true;
  }

  private placeDirect(id: number, count: number): void {
    const from = this.buffers.words;
    const words = this.words;
    // RACE: the device reads the slots only after it loads the flags of the batch's first head, which `publish` stores
    // with store32.
    for (let i = 0; i < count; i++) {
      const at = this.ringAt + (this.next << 2);
      const source = i << 2;
      words[at] = from[source];
      words[at + 1] = from[source + 1];
      words[at + 2] = from[source + 2];
      this.fill(id, from[source + 3] | (i + 1 < count ? NEXT : 0));
    }
  }

  /** Writes the last word of the next slot, unless it is the batch's first, and goes to the slot after it. */
  private fill(id: number, flags: number): void {
    const next = this.next;
    const word = id | (flags << 16) | (this.available << STATE_SHIFT);
    if (this.held < 0) {
      this.held = next;
      this.heldWord = word;
    } else {
      // RACE: as in placeDirect.
      this.words[this.ringAt + (next << 2) + FLAGS_WORD] = word;
    }
    if (++this.next === this.size) this.wrapAround();
  }

  /** `next` passed the last slot. */
  private wrapAround(): void {
    this.next = 0;
    this.wrap ^= 1;
    this.available ^= STATE_MASK;
  }

  /** Gives out one used chain and takes its slots back. */
  private finish(id: number, length: number): void {
    const state = this.state;
    const own = id << 2;
    this.usedToken = state[own];
    this.usedLength = length;
    state[own] = -1;
    if (id === this.tables.longUser) this.tables.longUser = -1;
    this.passSlots(this.lastUsed, state[own + TAKEN]);
  }

  /** Goes on from slot `at` by the `taken` ones of a used chain. */
  private passSlots(at: number, taken: number): void {
    this.free += taken;
    const seen = this.seen;
    this.seen = seen > taken ? seen - taken : 0;
    const next = at + taken;
    if (next >= this.size) {
      this.lastUsed = next - this.size;
      this.usedWrap ^= 1;
      this.used ^= STATE_MASK;
    } else {
      this.lastUsed = next;
    }
  }
}

const USED_MEANINGS = {
  'used-range': 'a used id is not below the queue size:',
  'used-not-in-flight': 'a used id is not in flight:',
} as const;

/** Out of line: a message made at its check makes a hot function too large to be inlined. */
function usedError(rule: keyof typeof USED_MEANINGS, value: number): RingError {
  return new RingError(rule, `${USED_MEANINGS[rule]} ${value}`);
}
