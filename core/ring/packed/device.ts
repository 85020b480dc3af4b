import type { AddressSpace } from '../../memory/address-space.ts';
import { type RingAtomics, ringAtomics, storeThenLoad } from '../atomics.ts';
import type { Chain } from '../chain.ts';
import { ChainBuilder } from '../chain-builder.ts';
import { CompletionOrder } from '../in-order.ts';
import type { DeviceQueue, QueueConfig, RingError } from '../queue.ts';
import { notInFlight, type RingRule, ringError } from '../rules.ts';
import { findPackedAreas } from './areas.ts';
import * as layout from './layout.ts';
import { wantsEvent } from './layout.ts';

// Taken over: an imported binding is looked up at every use, a constant of the module is compiled in.
const {
  DESCRIPTOR_BYTES,
  EVENT_BYTES,
  EVENT_DESC,
  EVENT_DISABLE,
  EVENT_ENABLE,
  FLAGS_WORD,
  INDIRECT,
  KNOWN_FLAGS,
  MAX_QUEUE_SIZE,
  NEXT,
  STATE_AVAILABLE,
  STATE_MASK,
  STATE_SHIFT,
  STATE_USED,
  WORDS,
  WRITE,
} = layout;

/** Of one direct buffer its state's flags alone are set, and WRITE. */
const STATE_ALONE = (0xffff ^ WRITE) << 16;
const STATE_BITS = STATE_MASK << STATE_SHIFT;
const USED_BITS = STATE_USED << STATE_SHIFT;
const WRITE_BIT = WRITE << 16;
const UNKNOWN_FLAGS = 0xffff & ~KNOWN_FLAGS;

/** Slots looked at ahead of the one to take: a batch, and not so many that a driver is disturbed while it fills them. */
const LOOK_AHEAD = 16;

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
  declare readonly size: number;
  /** A RingError was thrown. */
  broken = false;
  declare private readonly space: AddressSpace;
  declare private readonly eventIdx: boolean;
  declare private readonly builder: ChainBuilder;
  declare private readonly order: CompletionOrder | null;
  /** The descriptor ring, from word `ringAt`. */
  declare private readonly words: Int32Array;
  declare private readonly ringAtomics: RingAtomics;
  declare private readonly ringAt: number;
  /** Stores flags in the ring, then loads the driver's event structure. */
  declare private readonly publishFlags: RingAtomics['storeThenLoad32'];
  declare private readonly driverEventAt: number;
  declare private readonly deviceEventAtomics: RingAtomics;
  declare private readonly deviceEventAt: number;
  /** By id: ring slots of the chain in flight; 0: none is. */
  declare private readonly slots: Int32Array;
  /** By slot, 1: passed over when slots were last used: it holds what the driver wrote in the lap before. And, 1: there may be any. */
  declare private readonly passed: Uint8Array;
  private anyPassed = 0;
  /** Ring slots of all chains that are not in the used ring yet, and with IN_ORDER how many chains were returned and wait. */
  private inHand = 0;
  private waiting = 0;
  /** Next slot to take, and the state of a descriptor that is available there; slots from there on found available. */
  private next = 0;
  private available: number = STATE_AVAILABLE;
  private seen = 0;
  /** Next slot to write a used descriptor to, its wrap counter and the state it gets, in its place in the last word. */
  private usedNext = 0;
  private usedWrap = 1;
  private usedBits: number = USED_BITS;
  /** The first used descriptor since `publish`: its slot and its last word. −1: there is none. */
  private held = -1;
  private heldWord = 0;
  /** The device's event structure says DISABLE. */
  private kicksOff = false;

  /** @throws RingError when the queue cannot be activated, see `findPackedAreas` */
  constructor(space: AddressSpace, config: QueueConfig, maxSize: number = MAX_QUEUE_SIZE) {
    const { ring, driverEvent, deviceEvent } = findPackedAreas(space, config, maxSize);
    const { size } = config;
    this.size = size;
    this.space = space;
    this.eventIdx = config.eventIdx;
    this.builder = new ChainBuilder(space, config.indirect, [
      config.descriptorAddress,
      config.descriptorAddress + DESCRIPTOR_BYTES * size,
      config.deviceAddress,
      config.deviceAddress + EVENT_BYTES,
    ]);
    this.order = config.inOrder === true ? new CompletionOrder(size) : null;
    this.words = ring.region.i32;
    this.ringAtomics = ringAtomics(ring.region);
    this.ringAt = ring.offset / 4;
    this.publishFlags = storeThenLoad(ring.region, driverEvent.region);
    this.driverEventAt = driverEvent.offset / 4;
    this.deviceEventAtomics = ringAtomics(deviceEvent.region);
    this.deviceEventAt = deviceEvent.offset / 4;
    this.slots = new Int32Array(size);
    this.passed = new Uint8Array(size);
    if (config.base !== undefined) this.goOnFrom(config.base);
  }

  get base(): number {
    const wrap = this.available === STATE_AVAILABLE ? 0x8000 : 0;
    return ((this.usedWrap << 31) | (this.usedNext << 16) | wrap | this.next) >>> 0;
  }

  /** Nothing is in flight: both positions are the same. Which slots were passed over is not told. */
  private goOnFrom(base: number): void {
    const next = base & 0x7fff;
    if (next >= this.size || base >>> 16 !== (base & 0xffff)) throw ringError('base-range', base);
    this.next = next;
    this.usedNext = next;
    this.passed.fill(1);
    this.anyPassed = 1;
    if ((base & 0x8000) === 0) {
      this.available ^= STATE_MASK;
      this.usedWrap = 0;
      this.usedBits ^= STATE_BITS;
    }
  }

  pop(chain: Chain): boolean {
    if (this.seen === 0 && !this.lookForMore()) return false;
    const next = this.next;
    const { size, slots, words } = this;
    const { window } = this.builder;
    if (window.generation !== this.space.generation) window.refresh();
    const from = this.ringAt + (next << 2);
    // RACE: written before the driver's store32 of a head's flags, which `scan` loaded. A hostile driver may still be
    // writing: each word is read once.
    const last = words[from + 3];
    const length = words[from + 2];
    const hi = words[from + 1];
    const rel = (words[from] - window.lo) | 0;
    const id = last & 0xffff;
    // One buffer in the window: nothing to loop over, and nothing to sum.
    if (
      ((last ^ (this.available << STATE_SHIFT)) & STATE_ALONE) === 0 &&
      hi === window.hi &&
      length > 0 &&
      rel >>> 0 <= window.bytes - length &&
      this.inHand < size &&
      // Past the array nothing is 0.
      slots[id] === 0
    ) {
      chain.setOne(id, window.region, window.offset + rel, length, (last & WRITE_BIT) === 0 ? 0 : length);
      slots[id] = 1;
      this.inHand++;
      this.seen--;
      this.next = next + 1;
      if (next + 1 === size) this.wrapAround();
    } else {
      // Anew: nothing of what was read above is used.
      this.take(chain);
    }
    if (this.order !== null) this.order.take(chain);
    return true;
  }

  push(head: number, written: number): void {
    const slots = this.slots;
    const taken = head >= 0 && head < this.size ? slots[head] : 0;
    if (taken !== 1 || this.anyPassed !== 0 || this.order !== null) {
      this.pushAny(head, written, taken);
      return;
    }
    // One slot, and none that was passed over.
    slots[head] = 0;
    this.inHand--;
    const at = this.usedNext;
    this.writeUsed(at, head, written);
    this.usedNext = at + 1;
    if (at + 1 === this.size) this.wrapUsed();
  }

  private wrapAround(): void {
    this.next = 0;
    this.available ^= STATE_MASK;
  }

  /** `usedNext` passed the last slot, or as many more as a chain had there. */
  private wrapUsed(): void {
    this.usedNext -= this.size;
    this.usedWrap ^= 1;
    this.usedBits ^= STATE_BITS;
  }

  /** As `push`, of any number of slots; 0: `head` is not in flight. */
  private pushAny(head: number, written: number, taken: number): void {
    if (taken === 0) throw notInFlight(head);
    if (this.order !== null) {
      this.order.finish(head, written);
      this.waiting++;
      return;
    }
    this.slots[head] = 0;
    this.inHand -= taken;
    this.use(head, written, taken);
  }

  get inFlight(): number {
    return this.slots.reduce((chains, slots) => (slots > 0 ? chains + 1 : chains), 0) - this.waiting;
  }

  publish(): boolean {
    if (this.broken) return false;
    if (this.order !== null) this.useInOrder(this.order);
    const held = this.held;
    if (held < 0) return false;
    // All of the ring, where it is not a part: at least one slot was used.
    const slots = this.usedNext > held ? this.usedNext - held : this.usedNext - held + this.size;
    // The store and the load are sequentially consistent: the full barrier between them of virtio 1.3 § 2.8.22.
    const event = this.publishFlags(4 * (this.ringAt + held * WORDS + FLAGS_WORD), this.heldWord, 4 * this.driverEventAt);
    this.held = -1;
    return wantsEvent(event, this.usedNext, this.usedWrap, slots, this.size, this.eventIdx);
  }

  enableKicks(): boolean {
    if (this.broken) return false;
    const wrap = this.available === STATE_AVAILABLE ? 1 : 0;
    const event = this.eventIdx ? EVENT_DESC | (wrap << 15) | this.next : EVENT_ENABLE;
    this.deviceEventAtomics.store32(4 * this.deviceEventAt, event);
    this.kicksOff = false;
    const word = this.ringAtomics.load32(4 * (this.ringAt + this.next * WORDS + FLAGS_WORD));
    return ((word >>> STATE_SHIFT) & STATE_MASK) === this.available;
  }

  disableKicks(): void {
    if (this.kicksOff) return;
    // With EVENT_IDX too: an event that is passed comes round again after two laps.
    this.deviceEventAtomics.store32(4 * this.deviceEventAt, EVENT_DISABLE);
    this.kicksOff = true;
  }

  /** Looks for available slots from the next one to the end of the ring. @returns whether there are any */
  private lookForMore(): boolean {
    if (this.broken) return false;
    const next = this.next;
    const at = 4 * (this.ringAt + next * WORDS + FLAGS_WORD);
    const left = this.size - next;
    const seen = this.ringAtomics.scan(at, left < LOOK_AHEAD ? left : LOOK_AHEAD, this.available);
    this.seen = seen;
    if (seen === 0) this.checkUnavailable((this.ringAtomics.load32(at) >>> STATE_SHIFT) & STATE_MASK);
    return seen > 0;
  }

  // The next slot was not available. Legitimate are: available by now; used in the lap before (or blank); and what the
  // driver wrote there in the lap before, where that slot was not used since, or not visibly, or passed over.
  private checkUnavailable(state: number): void {
    const { available, next } = this;
    const usedBefore = available === STATE_AVAILABLE ? STATE_USED ^ STATE_MASK : STATE_USED;
    if (state === usedBefore || state === available) return;
    const unused = this.held === next || this.passed[next] !== 0 || this.inHand === this.size;
    if (state === (available ^ STATE_MASK) && unused) return;
    throw this.broke('wrong-wrap', next);
  }

  /** Takes the chain that starts at `next`, whatever it is. */
  private take(chain: Chain): void {
    const builder = this.builder;
    const { size } = this;
    const words = this.words;
    const room = size - this.inHand;
    let at = this.next;
    let available = this.available;
    let slots = 0;
    let last = 0;
    chain.clear();
    for (;;) {
      if (slots === size) throw this.broke('loop', slots);
      if (slots === room) throw this.broke('avail-ahead', slots);
      slots++;
      const from = this.ringAt + (at << 2);
      // RACE: as in `pop`.
      last = words[from + 3];
      const lo = words[from];
      const hi = words[from + 1];
      const length = words[from + 2];
      const flags = last >>> 16;
      if (((last >>> STATE_SHIFT) & STATE_MASK) !== available) throw this.broke('wrong-wrap', at);
      if (++at === size) {
        at = 0;
        available ^= STATE_MASK;
      }
      if ((flags & UNKNOWN_FLAGS) !== 0) throw this.broke('unknown-flags', flags);
      if ((flags & INDIRECT) !== 0) {
        this.takeTable(chain, lo, hi, length, slots > 1 || (flags & NEXT) !== 0);
        break;
      }
      if (length !== 0) {
        const rule = builder.add(chain, lo, hi, length, (flags & WRITE) !== 0);
        if (rule !== null) throw this.broke(rule, slots);
      }
      if ((flags & NEXT) === 0) break;
    }
    // The id is the last descriptor's (virtio 1.3 § 2.8.6).
    const id = last & 0xffff;
    if (id >= size) throw this.broke('head-range', id);
    if (this.slots[id] !== 0) throw this.broke('head-in-flight', id);
    if (chain.count === 0) throw this.broke('empty-chain', id);
    chain.head = id;
    this.slots[id] = slots;
    this.inHand += slots;
    this.next = at;
    this.available = available;
    this.seen = Math.max(0, this.seen - slots);
  }

  /** Adds the buffers of an indirect table. Its own WRITE flag is ignored (virtio 1.3 § 2.8.7). */
  private takeTable(chain: Chain, lo: number, hi: number, bytes: number, linked: boolean): void {
    const builder = this.builder;
    const entries = builder.enterTable(chain, lo, hi, bytes, linked);
    if (entries === 0) throw this.broke(builder.rule, bytes);
    const { table } = builder;
    for (let i = 0; i < entries; i++) {
      const at = builder.tableAt + (i << 2);
      // RACE: as in `pop`.
      const length = table[at + 2];
      const flags = table[at + 3] >>> 16;
      if ((flags & INDIRECT) !== 0) throw this.broke('indirect-nested', i);
      if ((flags & UNKNOWN_FLAGS) !== 0) throw this.broke('unknown-flags', flags);
      if (length === 0) continue;
      const rule = builder.add(chain, table[at], table[at + 1], length, (flags & WRITE) !== 0);
      if (rule !== null) throw this.broke(rule, i);
    }
  }

  /** Uses all leading finished chains: one used descriptor for a run of them, the last one's (virtio 1.3 § 2.8.9). */
  private useInOrder(order: CompletionOrder): void {
    let slots = 0;
    for (let head = order.first(); head >= 0; ) {
      slots += this.slots[head];
      this.inHand -= this.slots[head];
      this.slots[head] = 0;
      this.waiting--;
      order.drop();
      const next = order.first();
      if (next < 0 || order.complete[head] === 0) {
        this.use(head, order.written[head], slots);
        slots = 0;
      }
      head = next;
    }
  }

  /** Writes the used descriptor of slot `at`; the batch's first becomes visible with `publish`. */
  private writeUsed(at: number, id: number, written: number): void {
    const words = this.words;
    const from = this.ringAt + (at << 2);
    const word = id | (written > 0 ? WRITE_BIT : 0) | this.usedBits;
    // RACE: the driver reads the slot only after it loads the flags of the batch's first one, which `publish` stores
    // with store32.
    words[from + 2] = written | 0;
    if (this.held < 0) {
      this.held = at;
      this.heldWord = word;
    } else {
      words[from + 3] = word;
    }
  }

  /** Uses `slots` ring slots with one used descriptor. */
  private use(id: number, written: number, slots: number): void {
    const at = this.usedNext;
    this.writeUsed(at, id, written);
    if (slots + this.anyPassed > 1) this.markPassed(at, slots);
    this.usedNext = at + slots;
    if (this.usedNext >= this.size) this.wrapUsed();
  }

  /** Notes that of `slots` slots from `at` on the first one was written and the others were passed over. */
  private markPassed(at: number, slots: number): void {
    this.anyPassed = 1;
    this.passed[at] = 0;
    for (let i = 1; i < slots; i++) this.passed[(at + i) % this.size] = 1;
  }

  /** Out of line, and thrown by the caller: the compiler then sees that nothing comes after. */
  private broke(rule: RingRule, value: number): RingError {
    this.broken = true;
    // Nothing more is seen, so that `pop` has one test for "nothing there" and for this.
    this.seen = 0;
    return ringError(rule, value);
  }
}
