import type { AddressSpace } from '../../memory/address-space.ts';
import { type RingAtomics, ringAtomics } from '../atomics.ts';
import type { Chain } from '../chain.ts';
import { ChainBuilder } from '../chain-builder.ts';
import { CompletionOrder } from '../in-order.ts';
import type { DeviceQueue, QueueConfig } from '../queue.ts';
import { type RingRule, ringError } from '../rules.ts';
import { findPackedAreas } from './areas.ts';
import {
  AVAIL,
  DESCRIPTOR_BYTES,
  EVENT_BYTES,
  EVENT_DESC,
  EVENT_DISABLE,
  EVENT_ENABLE,
  FLAGS_WORD,
  INDIRECT,
  KNOWN_FLAGS,
  LENGTH_WORD,
  MAX_QUEUE_SIZE,
  NEXT,
  STATE_AVAILABLE,
  STATE_MASK,
  STATE_SHIFT,
  STATE_USED,
  USED,
  WORDS,
  WRITE,
  wantsEvent,
} from './layout.ts';

/** In the last word of a descriptor: what no chain of one direct buffer has. */
const NOT_ALONE = (0xffff ^ (WRITE | AVAIL | USED)) << 16;

/**
 * The device's side of a packed virtqueue. The driver is hostile: every descriptor is copied to private memory once and
 * only the copy is checked and used; positions, wrap counters and lengths of chains are the device's own.
 *
 * `Chain.head` is the buffer id. The rules that `pop` may name in a RingError are those of the split ring where they
 * are the same: head-range and head-in-flight (the id), loop, avail-ahead (more available than the ring has free),
 * indirect-nested, unknown-flags, empty-chain, and those of `ChainBuilder`. The packed ring's own is wrong-wrap. What
 * the specification has a device ignore in an indirect table (NEXT, AVAIL, USED, the id) is ignored. After a RingError
 * the queue is dead: `pop` finds nothing and `publish` asks for nothing, until the device is reset and the queue rebuilt.
 */
export class PackedDevice implements DeviceQueue {
  readonly size: number;
  /** Chains taken and not returned yet. */
  inFlight = 0;
  /** A RingError was thrown. */
  broken = false;
  readonly #eventIdx: boolean;
  readonly #builder: ChainBuilder;
  readonly #order: CompletionOrder | null;
  /** The descriptor ring: signed for whole words of id and flags, from word `#ringAt`. */
  readonly #i32: Int32Array;
  readonly #ringAtomics: RingAtomics;
  readonly #u32: Uint32Array;
  readonly #ringAt: number;
  readonly #driverEventAtomics: RingAtomics;
  readonly #driverEventAt: number;
  readonly #deviceEventAtomics: RingAtomics;
  readonly #deviceEventAt: number;
  /** By id: ring slots of the chain in flight; 0: none is. */
  readonly #slots: Uint16Array;
  /** By slot, 1: last written by the device, or never. Such a slot cannot hold a descriptor of the lap before. */
  readonly #own: Uint8Array;
  /** Ring slots of all chains that are not in the used ring yet. */
  #slotsTaken = 0;
  /** Next slot to take, and the state of a descriptor that is available there. */
  #next = 0;
  #available: number = STATE_AVAILABLE;
  /** Next slot to write a used descriptor to, its wrap counter and the state it gets. */
  #usedNext = 0;
  #usedWrap = 1;
  #usedState: number = STATE_USED;
  /** The first used descriptor since `publish`: where its last word goes and what it is. −1: there is none. */
  #heldAt = -1;
  #heldWord = 0;
  /** Ring slots used since `publish`. */
  #usedSlots = 0;
  /** The device's event structure says DISABLE. */
  #kicksOff = false;

  /** @throws RingError when the queue cannot be activated, see `findPackedAreas` */
  constructor(space: AddressSpace, config: QueueConfig, maxSize: number = MAX_QUEUE_SIZE) {
    const { ring, driverEvent, deviceEvent } = findPackedAreas(space, config, maxSize);
    const { size } = config;
    this.size = size;
    this.#eventIdx = config.eventIdx;
    this.#builder = new ChainBuilder(space, config.indirect, [
      config.descriptorAddress,
      config.descriptorAddress + DESCRIPTOR_BYTES * size,
      config.deviceAddress,
      config.deviceAddress + EVENT_BYTES,
    ]);
    this.#order = config.inOrder === true ? new CompletionOrder(size) : null;
    this.#i32 = ring.region.i32;
    this.#ringAtomics = ringAtomics(ring.region);
    this.#u32 = ring.region.u32;
    this.#ringAt = ring.offset / 4;
    this.#driverEventAtomics = ringAtomics(driverEvent.region);
    this.#driverEventAt = driverEvent.offset / 4;
    this.#deviceEventAtomics = ringAtomics(deviceEvent.region);
    this.#deviceEventAt = deviceEvent.offset / 4;
    this.#slots = new Uint16Array(size);
    this.#own = new Uint8Array(size).fill(1);
  }

  pop(chain: Chain): boolean {
    if (this.broken) return false;
    const word = this.#ringAtomics.load32(4 * (this.#ringAt + this.#next * WORDS + FLAGS_WORD));
    const state = (word >>> STATE_SHIFT) & STATE_MASK;
    if (state !== this.#available) {
      this.#checkUnavailable(state);
      return false;
    }
    if (this.#slotsTaken === this.size) this.#break('avail-ahead', this.#next);
    let slots = 0;
    try {
      slots = this.#take(chain, word);
    } catch (error) {
      this.broken = true;
      throw error;
    }
    const { head } = chain;
    this.#slots[head] = slots;
    this.#slotsTaken += slots;
    this.inFlight++;
    let next = this.#next;
    for (let i = 0; i < slots; i++) {
      this.#own[next] = 0;
      if (++next === this.size) {
        next = 0;
        this.#available ^= STATE_MASK;
      }
    }
    this.#next = next;
    if (this.#order !== null) this.#order.take(chain);
    return true;
  }

  push(head: number, written: number): void {
    const slots = head >= 0 && head < this.size ? this.#slots[head] : 0;
    if (slots === 0) throw new RangeError(`id ${head} is not in flight`);
    if (this.#order === null) this.#use(head, written, slots);
    else this.#order.finish(head, written);
    if (this.#order === null) this.#slots[head] = 0;
    this.inFlight--;
  }

  publish(): boolean {
    if (this.broken) return false;
    if (this.#order !== null) this.#useInOrder(this.#order);
    if (this.#heldAt < 0) return false;
    const slots = this.#usedSlots;
    this.#ringAtomics.store32(4 * this.#heldAt, this.#heldWord);
    this.#heldAt = -1;
    this.#usedSlots = 0;
    // The store and the load are sequentially consistent: the full barrier between them of virtio 1.3 § 2.8.22.
    const event = this.#driverEventAtomics.load32(4 * this.#driverEventAt);
    return wantsEvent(event, this.#usedNext, this.#usedWrap, slots, this.size, this.#eventIdx);
  }

  enableKicks(): boolean {
    if (this.broken) return false;
    const wrap = this.#available === STATE_AVAILABLE ? 1 : 0;
    const event = this.#eventIdx ? EVENT_DESC | (wrap << 15) | this.#next : EVENT_ENABLE;
    this.#deviceEventAtomics.store32(4 * this.#deviceEventAt, event);
    this.#kicksOff = false;
    const word = this.#ringAtomics.load32(4 * (this.#ringAt + this.#next * WORDS + FLAGS_WORD));
    return ((word >>> STATE_SHIFT) & STATE_MASK) === this.#available;
  }

  disableKicks(): void {
    if (this.#kicksOff) return;
    // With EVENT_IDX too: an event that is passed comes round again after two laps.
    this.#deviceEventAtomics.store32(4 * this.#deviceEventAt, EVENT_DISABLE);
    this.#kicksOff = true;
  }

  /**
   * Looks at the state of the next slot, which is not available. Legitimate are: used in the lap before (or blank), and
   * what the driver wrote there in the lap before, where the device has not written since.
   */
  #checkUnavailable(state: number): void {
    const available = this.#available;
    const usedBefore = available === STATE_AVAILABLE ? STATE_USED ^ STATE_MASK : STATE_USED;
    if (state === usedBefore) return;
    if (state === (available ^ STATE_MASK) && this.#own[this.#next] === 0) return;
    this.#break('wrong-wrap', this.#next);
  }

  /** Takes the chain that starts at `#next` with last word `first`. @returns its ring slots */
  #take(chain: Chain, first: number): number {
    const builder = this.#builder;
    const { copy } = builder;
    const { size } = this;
    let at = this.#next;
    let available = this.#available;
    let word = first;
    let slots = 1;
    // RACE: written before the driver's store32 of the head's flags, which `pop` loaded. Each word is read once.
    let from = this.#ringAt + at * WORDS;
    copy[0] = this.#u32[from];
    copy[1] = this.#u32[from + 1];
    copy[2] = this.#u32[from + LENGTH_WORD];
    if ((word & NOT_ALONE) === 0 && builder.only(chain, (word & (WRITE << 16)) !== 0)) return this.#identify(chain, word, 1);
    builder.start(chain);
    for (;;) {
      const flags = word >>> 16;
      if ((flags & ~KNOWN_FLAGS) !== 0) throw ringError('unknown-flags', flags);
      if ((flags & INDIRECT) !== 0) {
        this.#takeTable(chain, slots > 1 || (flags & NEXT) !== 0);
        break;
      }
      if (copy[2] !== 0) builder.add(chain, (flags & WRITE) !== 0);
      if ((flags & NEXT) === 0) break;
      if (slots === size) throw ringError('loop', slots);
      if (slots + this.#slotsTaken === size) throw ringError('avail-ahead', slots);
      slots++;
      if (++at === size) {
        at = 0;
        available ^= STATE_MASK;
      }
      from = this.#ringAt + at * WORDS;
      // RACE: as above; a hostile driver may write it any time.
      word = this.#i32[from + FLAGS_WORD];
      if (((word >>> STATE_SHIFT) & STATE_MASK) !== available) throw ringError('wrong-wrap', at);
      copy[0] = this.#u32[from];
      copy[1] = this.#u32[from + 1];
      copy[2] = this.#u32[from + LENGTH_WORD];
    }
    return this.#identify(chain, word, slots);
  }

  /** Gives the chain its id. @returns `slots` */
  #identify(chain: Chain, word: number, slots: number): number {
    const { size } = this;
    // The id is the last descriptor's (virtio 1.3 § 2.8.6).
    const id = word & 0xffff;
    if (id >= size) throw ringError('head-range', id);
    if (this.#slots[id] !== 0) throw ringError('head-in-flight', id);
    if (chain.count === 0) throw ringError('empty-chain', id);
    chain.head = id;
    return slots;
  }

  /** Adds the buffers of the indirect table in the builder's copy. Its own WRITE flag is ignored (virtio 1.3 § 2.8.7). */
  #takeTable(chain: Chain, linked: boolean): void {
    const builder = this.#builder;
    const entries = builder.enterTable(chain, linked);
    for (let i = 0; i < entries; i++) {
      builder.fetchEntry(i);
      const flags = builder.copy[3] >>> 16;
      if ((flags & INDIRECT) !== 0) throw ringError('indirect-nested', i);
      if ((flags & ~KNOWN_FLAGS) !== 0) throw ringError('unknown-flags', flags);
      if (builder.copy[2] !== 0) builder.add(chain, (flags & WRITE) !== 0);
    }
  }

  /** Uses all leading finished chains: one used descriptor for a run of them, the last one's (virtio 1.3 § 2.8.9). */
  #useInOrder(order: CompletionOrder): void {
    let slots = 0;
    for (let head = order.first(); head >= 0; ) {
      slots += this.#slots[head];
      this.#slots[head] = 0;
      order.drop();
      const next = order.first();
      if (next < 0 || order.complete[head] === 0) {
        this.#use(head, order.written[head], slots);
        slots = 0;
      }
      head = next;
    }
  }

  /** Writes one used descriptor for `slots` ring slots; the batch's first becomes visible with `publish`. */
  #use(id: number, written: number, slots: number): void {
    const at = this.#usedNext;
    const from = this.#ringAt + at * WORDS;
    const word = id | (written > 0 ? WRITE << 16 : 0) | (this.#usedState << STATE_SHIFT);
    // RACE: the driver reads the slot only after it loads the flags of the batch's first one, which `publish` stores
    // with store32.
    this.#u32[from + LENGTH_WORD] = written;
    if (this.#heldAt < 0) {
      this.#heldAt = from + FLAGS_WORD;
      this.#heldWord = word;
    } else {
      this.#i32[from + FLAGS_WORD] = word;
    }
    this.#own[at] = 1;
    this.#usedSlots += slots;
    this.#slotsTaken -= slots;
    let next = at + slots;
    if (next >= this.size) {
      next -= this.size;
      this.#usedWrap ^= 1;
      this.#usedState ^= STATE_MASK;
    }
    this.#usedNext = next;
  }

  #break(rule: RingRule, value: number): never {
    this.broken = true;
    throw ringError(rule, value);
  }
}
