import type { AddressSpace } from '../../memory/address-space.ts';
import { type RingAtomics, ringAtomics } from '../atomics.ts';
import { BufferList } from '../buffer-list.ts';
import { IndirectTables } from '../indirect-tables.ts';
import type { DriverQueue, QueueConfig } from '../queue.ts';
import { RingError } from '../queue.ts';
import { findSplitAreas } from './areas.ts';
import * as layout from './layout.ts';
import { availEventIndex, needEvent, usedEventIndex } from './layout.ts';

// Taken over: an imported binding is looked up at every use, a constant of the module is compiled in.
const {
  AVAIL_FLAGS,
  AVAIL_IDX,
  AVAIL_NO_INTERRUPT,
  AVAIL_RING,
  INDIRECT,
  MAX_QUEUE_SIZE,
  NEXT,
  USED_FLAGS,
  USED_IDX,
  USED_NO_NOTIFY,
  USED_RING,
  WORDS,
} = layout;

/** Tokens are 0 … 2^31 − 1: an int32 that is no mark. */
const MOST_TOKEN = 0x7fffffff;

/** Words of a descriptor's private state. */
const STATE_WORDS = 4;
const TOKEN = 0;
const TAKEN = 1;
const TAIL = 2;
const FOLLOWING = 3;

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
  declare readonly size: number;
  free: number = 0;
  usedToken = 0;
  usedLength = 0;
  /** Chains of at least so many buffers go into an indirect table, if INDIRECT was negotiated. Infinity: none do. */
  indirectFrom = 2;
  declare private readonly mask: number;
  declare private readonly indirect: boolean;
  declare private readonly eventIdx: boolean;
  declare private readonly inOrder: boolean;
  /** Buffers of a chain that is placed without a loop; −1: none is. */
  declare private readonly alone: number;
  declare private readonly descriptors: Int32Array;
  declare private readonly descriptorsAt: number;
  declare private readonly availAtomics: RingAtomics;
  declare private readonly availU16: Uint16Array;
  declare private readonly avail: number;
  declare private readonly availRing: number;
  declare private readonly usedAtomics: RingAtomics;
  declare private readonly usedU16: Uint16Array;
  declare private readonly used: number;
  declare private readonly usedI32: Int32Array;
  declare private readonly usedRing: number;
  declare private readonly usedEvent: number;
  declare private readonly availEvent: number;

  /** The chain being built. */
  private readonly buffers = new BufferList();
  declare private readonly tables: IndirectTables;

  /**
   * By descriptor, four words in one array, which the compiler then looks up once: the caller's token while it is the
   * head of a chain in flight, or −1; ring descriptors of that chain; the last of them; and the next one of its chain or
   * of the free list.
   */
  declare private readonly state: Int32Array;
  private freeHead = 0;

  private availNext = 0;
  private availPublished = 0;
  private lastUsed = 0;
  private usedSeen = 0;
  /** IN_ORDER: bytes of each head's writable part; the oldest head in flight; the head that ends the batch begun, or −1. */
  declare private readonly writableOf: Uint32Array;
  private oldest = 0;
  private batchEnd = -1;
  private batchLength = 0;

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
    this.mask = size - 1;
    this.indirect = config.indirect;
    this.eventIdx = config.eventIdx;
    this.inOrder = config.inOrder === true;
    this.alone = config.indirect || this.inOrder ? -1 : 1;
    this.descriptors = areas.descriptors.i32;
    this.descriptorsAt = areas.descriptorsAt / 4;
    this.availAtomics = ringAtomics(areas.avail);
    this.availU16 = areas.avail.u16;
    this.avail = areas.availAt / 2;
    this.availRing = this.avail + AVAIL_RING;
    this.usedAtomics = ringAtomics(areas.used);
    this.usedU16 = areas.used.u16;
    this.used = areas.usedAt / 2;
    this.usedI32 = areas.used.i32;
    this.usedRing = areas.usedAt / 4 + USED_RING;
    this.usedEvent = this.avail + usedEventIndex(size);
    this.availEvent = this.used + availEventIndex(size);
    this.descriptors.fill(0, this.descriptorsAt, this.descriptorsAt + size * WORDS);
    this.availU16.fill(0, this.avail, this.usedEvent + 1);
    this.usedU16.fill(0, this.used, this.availEvent + 1);

    this.state = new Int32Array(size * STATE_WORDS);
    for (let i = 0; i < size; i++) {
      this.state[i * STATE_WORDS + TOKEN] = -1;
      this.state[i * STATE_WORDS + TAKEN] = 1;
      // With IN_ORDER descriptors are taken and come back in ring order (virtio 1.3 § 2.7.9): the list is a circle.
      this.state[i * STATE_WORDS + FOLLOWING] = i + 1 < size ? i + 1 : this.inOrder ? 0 : NONE;
    }
    this.writableOf = new Uint32Array(this.inOrder ? size : 0);

    this.tables = new IndirectTables(space, size, config.indirect ? tables : null);
  }

  /** Guest memory for one chain at a time that is too long for its slot's table (at most `descriptors` buffers). */
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
    const head = this.freeHead;
    const from = buffers.words;
    const words = this.descriptors;
    const state = this.state;
    const at = this.descriptorsAt + (head << 2);
    // RACE: as in placeDirect.
    words[at] = from[0];
    words[at + 1] = from[1];
    words[at + 2] = from[2];
    words[at + 3] = from[3];
    const own = head << 2;
    state[own] = token;
    this.freeHead = state[own + FOLLOWING];
    this.free = free - 1;
    const next = this.availNext;
    // RACE: the device reads the entry only after it loads the idx that `publish` stores with store16.
    this.availU16[this.availRing + (next & this.mask)] = head;
    this.availNext = (next + 1) & 0xffff;
    return true;
  }

  publish(): boolean {
    const old = this.availPublished;
    const next = this.availNext;
    if (next === old) return false;
    this.availPublished = next;
    this.availAtomics.store16(2 * (this.avail + AVAIL_IDX), next);
    // The store and the loads below are sequentially consistent: the full barrier of virtio 1.3 § 2.7.13.4.1.
    if (this.eventIdx) return needEvent(this.usedAtomics.load16(2 * this.availEvent), next, old);
    return (this.usedAtomics.load16(2 * (this.used + USED_FLAGS)) & USED_NO_NOTIFY) === 0;
  }

  popUsed(): boolean {
    const at = this.lastUsed;
    if (at === this.usedSeen && this.lookForMore() === 0) return false;
    if (this.alone < 0) return this.popAny(at);
    // RACE: the device wrote the element before its store16 of idx, which was loaded above.
    const element = this.usedRing + ((at & this.mask) << 1);
    const used = this.usedI32;
    const head = used[element];
    const length = used[element + 1];
    const state = this.state;
    const own = head << 2;
    if (head >>> 0 >= this.size || state[own] < 0) throw this.notUsable(head);
    const token = state[own];
    this.usedToken = token;
    this.usedLength = length >>> 0;
    this.lastUsed = (at + 1) & 0xffff;
    state[own] = -1;
    if (state[own + TAKEN] === 1) {
      state[own + FOLLOWING] = this.freeHead;
      this.free++;
    } else {
      this.freeChain(own);
    }
    this.freeHead = head;
    return true;
  }

  /** Puts a direct chain of several descriptors before the free ones. `own`: where its head's state is. */
  private freeChain(own: number): void {
    const state = this.state;
    state[state[own + TAIL] + FOLLOWING] = this.freeHead;
    this.free += state[own + TAKEN];
    // As `submit` takes it for granted.
    state[own + TAKEN] = 1;
  }

  /** Loads the device's index. @returns used buffers not popped yet */
  private lookForMore(): number {
    const seen = this.usedAtomics.load16(2 * (this.used + USED_IDX));
    const count = (seen - this.lastUsed) & 0xffff;
    if (count > this.size) throw usedError('used-ahead', seen);
    this.usedSeen = seen;
    return count;
  }

  /** As `popUsed`, where INDIRECT or IN_ORDER was negotiated. */
  private popAny(at: number): boolean {
    if (this.batchEnd >= 0) return this.popBatch(at);
    // RACE: as in `popUsed`.
    const element = this.usedRing + ((at & this.mask) << 1);
    const head = this.usedI32[element];
    const length = this.usedI32[element + 1] >>> 0;
    const state = this.state;
    const own = head << 2;
    if (head >>> 0 >= this.size || state[own] < 0) throw this.notUsable(head);
    if (this.inOrder) {
      this.batchEnd = head;
      this.batchLength = length;
      return this.popBatch(at);
    }
    this.usedToken = state[own];
    this.usedLength = length;
    this.lastUsed = (at + 1) & 0xffff;
    state[own] = -1;
    state[state[own + TAIL] + FOLLOWING] = this.freeHead;
    this.freeHead = head;
    this.free += state[own + TAKEN];
    if (head === this.tables.longUser) this.tables.longUser = -1;
    return true;
  }

  /** IN_ORDER: gives out the oldest chain of the batch begun, which its one element ends (virtio 1.3 § 2.7.9). */
  private popBatch(at: number): boolean {
    const head = this.oldest;
    this.lastUsed = (at + 1) & 0xffff;
    const state = this.state;
    const own = head << 2;
    this.usedToken = state[own];
    if (head === this.batchEnd) {
      this.usedLength = this.batchLength;
      this.batchEnd = -1;
    } else {
      if (this.lastUsed === this.usedSeen) throw usedError('used-order', this.batchEnd);
      // Without an element of its own it was used completely.
      this.usedLength = this.writableOf[head];
    }
    state[own] = -1;
    this.oldest = (head + state[own + TAKEN]) & this.mask;
    this.free += state[own + TAKEN];
    if (head === this.tables.longUser) this.tables.longUser = -1;
    return true;
  }

  enableInterrupts(): boolean {
    if (this.eventIdx) this.availAtomics.store16(2 * this.usedEvent, this.lastUsed);
    else this.availAtomics.store16(2 * (this.avail + AVAIL_FLAGS), 0);
    return this.lastUsed !== this.usedSeen || this.usedAtomics.load16(2 * (this.used + USED_IDX)) !== this.lastUsed;
  }

  /** With EVENT_IDX there is nothing to write: the event index falls behind by itself. */
  disableInterrupts(): void {
    if (!this.eventIdx) this.availAtomics.store16(2 * (this.avail + AVAIL_FLAGS), AVAIL_NO_INTERRUPT);
  }

  /** Out of line, as `usedError`. */
  private notUsable(head: number): RingError {
    return usedError(head >>> 0 >= this.size ? 'used-range' : 'used-not-in-flight', head);
  }

  private submitChain(token: number): boolean {
    const { count } = this.buffers;
    if (count === 0) throw new RangeError('a chain needs a buffer');
    if ((token & MOST_TOKEN) !== token) throw new RangeError(`${token} is no token (0 … 2^31 − 1)`);
    const head = this.freeHead;
    if (!this.place(head, count)) return false;
    this.state[head * STATE_WORDS + TOKEN] = token;
    if (this.inOrder) this.writableOf[head] = this.buffers.writableBytes();
    // RACE: as in `submit`.
    this.availU16[this.availRing + (this.availNext & this.mask)] = head;
    this.availNext = (this.availNext + 1) & 0xffff;
    return true;
  }

  /** Places the chain in a table or in the ring. Returns false without room. */
  private place(head: number, count: number): boolean {
    const tables = this.tables;
    const long = tables.needsLong(count);
    const tabled = this.indirect && count >= this.indirectFrom && (long || count <= tables.descriptors);
    const taken = tabled ? 1 : count;
    if (taken > this.size) throw new RangeError(`a chain of ${count} buffers never fits a ring of ${this.size}`);
    if (taken > this.free || (tabled && long && tables.longUser >= 0)) return false;
    if (tabled) this.placeTable(head);
    else this.placeDirect(head, count);
    this.state[head * STATE_WORDS + TAKEN] = taken;
    this.free -= taken;
    return true;
  }

  private placeDirect(head: number, count: number): void {
    const words = this.descriptors;
    const from = this.buffers.words;
    const state = this.state;
    const end = count << 2;
    let index = head;
    let last = head;
    // RACE: the device reads descriptors only after it loads the idx that `publish` stores with store16.
    for (let source = 0; source < end; source += 4) {
      const at = this.descriptorsAt + (index << 2);
      last = index;
      index = state[(index << 2) + FOLLOWING];
      words[at] = from[source];
      words[at + 1] = from[source + 1];
      words[at + 2] = from[source + 2];
      words[at + 3] = from[source + 3] | (source + 4 < end ? NEXT | (index << 16) : 0);
    }
    state[(head << 2) + TAIL] = last << 2;
    this.freeHead = index;
  }

  private placeTable(head: number): void {
    const state = this.state;
    const at = this.descriptorsAt + (head << 2);
    this.tables.write(head, this.buffers, true, this.descriptors, at);
    // RACE: as in placeDirect.
    this.descriptors[at + 3] = INDIRECT;
    state[(head << 2) + TAIL] = head << 2;
    this.freeHead = state[(head << 2) + FOLLOWING];
  }
}

const USED_MEANINGS = {
  'used-ahead': 'the used index went further ahead than the ring has buffers, to',
  'used-range': 'a used id is not below the queue size:',
  'used-not-in-flight': 'a used id is not in flight:',
  'used-order': 'the used index ends before the used id',
} as const;

/** Out of line: a message made at its check makes a hot function too large to be inlined. */
function usedError(rule: keyof typeof USED_MEANINGS, value: number): RingError {
  return new RingError(rule, `${USED_MEANINGS[rule]} ${value}`);
}
