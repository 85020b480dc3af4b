import type { AddressSpace } from '../../memory/address-space.ts';
import { type RingAtomics, ringAtomics } from '../atomics.ts';
import type { Chain } from '../chain.ts';
import { ChainBuilder } from '../chain-builder.ts';
import { CompletionOrder } from '../in-order.ts';
import type { DeviceQueue, QueueConfig, RingError } from '../queue.ts';
import { notInFlight, type RingRule, ringError } from '../rules.ts';
import { findSplitAreas } from './areas.ts';
import * as layout from './layout.ts';
import { availEventIndex, needEvent, usedBytes, usedEventIndex } from './layout.ts';

// Taken over: an imported binding is looked up at every use, a constant of the module is compiled in.
const {
  AVAIL_FLAGS,
  AVAIL_IDX,
  AVAIL_NO_INTERRUPT,
  AVAIL_RING,
  KNOWN_FLAGS,
  MAX_QUEUE_SIZE,
  NEXT,
  USED_FLAGS,
  USED_IDX,
  USED_NO_NOTIFY,
  USED_RING,
  WRITE,
} = layout;

/** In the last word of a descriptor: what no chain of one direct buffer has, what no buffer has, what nothing has. */
const NOT_ALONE = 0xffff & ~WRITE;
const ODD_FLAGS = 0xffff & ~(NEXT | WRITE);
const UNKNOWN_FLAGS = 0xffff & ~KNOWN_FLAGS;

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
  declare readonly size: number;
  /** A RingError was thrown. */
  broken = false;
  declare private readonly space: AddressSpace;
  declare private readonly mask: number;
  declare private readonly eventIdx: boolean;
  declare private readonly order: CompletionOrder | null;
  declare private readonly descriptors: Int32Array;
  declare private readonly descriptorsAt: number;
  declare private readonly availAtomics: RingAtomics;
  declare private readonly availU16: Uint16Array;
  declare private readonly avail: number;
  declare private readonly availRing: number;
  declare private readonly usedAtomics: RingAtomics;
  declare private readonly used: number;
  declare private readonly usedI32: Int32Array;
  declare private readonly usedRing: number;
  declare private readonly usedEvent: number;
  declare private readonly availEvent: number;
  /** 1 for each head that was taken and not returned. */
  declare private readonly taken: Uint8Array;
  declare private readonly builder: ChainBuilder;
  /** Next available entry to take; the driver's index as last read. Free-running u16. */
  private lastAvail = 0;
  private availSeen = 0;
  /** Next used entry to write; the index as last published. Free-running u16. */
  private usedNext = 0;
  /** IN_ORDER: returned chains that wait for those before them. */
  private waiting = 0;
  private usedPublished = 0;

  /** @throws RingError when the queue cannot be activated, see `findSplitAreas` */
  constructor(space: AddressSpace, config: QueueConfig, maxSize: number = MAX_QUEUE_SIZE) {
    const areas = findSplitAreas(space, config, maxSize);
    const { size } = config;
    this.size = size;
    this.space = space;
    this.mask = size - 1;
    this.eventIdx = config.eventIdx;
    this.order = config.inOrder === true ? new CompletionOrder(size) : null;
    this.descriptors = areas.descriptors.i32;
    this.descriptorsAt = areas.descriptorsAt / 4;
    this.availAtomics = ringAtomics(areas.avail);
    this.availU16 = areas.avail.u16;
    this.avail = areas.availAt / 2;
    this.availRing = this.avail + AVAIL_RING;
    this.usedAtomics = ringAtomics(areas.used);
    this.used = areas.usedAt / 2;
    this.usedI32 = areas.used.i32;
    this.usedRing = areas.usedAt / 4 + USED_RING;
    this.usedEvent = this.avail + usedEventIndex(size);
    this.availEvent = this.used + availEventIndex(size);
    this.taken = new Uint8Array(size);
    this.builder = new ChainBuilder(space, config.indirect, [config.deviceAddress, config.deviceAddress + usedBytes(size)]);
    if (config.base !== undefined) this.goOnFrom(config.base);
  }

  get base(): number {
    return this.lastAvail;
  }

  /** Nothing is in flight: all indices are the same. */
  private goOnFrom(base: number): void {
    if (base > 0xffff) throw ringError('base-range', base);
    this.lastAvail = base;
    this.availSeen = base;
    this.usedNext = base;
    this.usedPublished = base;
  }

  pop(chain: Chain): boolean {
    const at = this.lastAvail;
    if (at === this.availSeen && !this.lookForMore()) return false;
    // RACE: the driver wrote the entry before its store16 of idx, which lookForMore loaded. Read once.
    const head = this.availU16[this.availRing + (at & this.mask)];
    const taken = this.taken;
    if (head >= this.size || taken[head] !== 0) throw this.broke(head >= this.size ? 'head-range' : 'head-in-flight', head);
    const { window } = this.builder;
    if (window.generation !== this.space.generation) window.refresh();
    const words = this.descriptors;
    const from = this.descriptorsAt + (head << 2);
    // RACE: the driver wrote descriptors before its store16 of avail idx; a hostile one may still be writing.
    const last = words[from + 3];
    const length = words[from + 2];
    const rel = (words[from] - window.lo) | 0;
    // One buffer in the window: nothing to loop over, and nothing to sum.
    if ((last & NOT_ALONE) === 0 && words[from + 1] === window.hi && length > 0 && rel >>> 0 <= window.bytes - length) {
      chain.setOne(head, window.region, window.offset + rel, length, (last & WRITE) === 0 ? 0 : length);
    } else {
      // Anew: nothing of what was read above is used.
      this.take(chain, head);
    }
    taken[head] = 1;
    this.lastAvail = (at + 1) & 0xffff;
    if (this.order !== null) this.order.take(chain);
    return true;
  }

  push(head: number, written: number): void {
    const taken = this.taken;
    if (!(head >= 0 && head < this.size) || taken[head] === 0) throw notInFlight(head);
    if (this.order !== null) {
      this.order.finish(head, written);
      this.waiting++;
      return;
    }
    taken[head] = 0;
    const next = this.usedNext;
    const used = this.usedI32;
    // RACE: the driver reads the element only after it loads the idx that `publish` stores with store16.
    const element = this.usedRing + ((next & this.mask) << 1);
    used[element] = head;
    used[element + 1] = written | 0;
    this.usedNext = (next + 1) & 0xffff;
  }

  /** Chains taken and not returned yet. */
  get inFlight(): number {
    return ((this.lastAvail - this.usedNext) & 0xffff) - this.waiting;
  }

  publish(): boolean {
    if (this.order !== null && !this.broken) this.useInOrder(this.order);
    const old = this.usedPublished;
    const next = this.usedNext;
    if (next === old || this.broken) return false;
    this.usedPublished = next;
    this.usedAtomics.store16(2 * (this.used + USED_IDX), next);
    // The store and the loads below are sequentially consistent: the full barrier of virtio 1.3 § 2.7.8.2.
    if (this.eventIdx) return needEvent(this.availAtomics.load16(2 * this.usedEvent), next, old);
    return (this.availAtomics.load16(2 * (this.avail + AVAIL_FLAGS)) & AVAIL_NO_INTERRUPT) === 0;
  }

  enableKicks(): boolean {
    if (this.broken) return false;
    if (this.eventIdx) this.usedAtomics.store16(2 * this.availEvent, this.lastAvail);
    else this.usedAtomics.store16(2 * (this.used + USED_FLAGS), 0);
    return this.lastAvail !== this.availSeen || this.availAtomics.load16(2 * (this.avail + AVAIL_IDX)) !== this.lastAvail;
  }

  /** With EVENT_IDX there is nothing to write: the event index falls behind by itself. */
  disableKicks(): void {
    if (!this.eventIdx) this.usedAtomics.store16(2 * (this.used + USED_FLAGS), USED_NO_NOTIFY);
  }

  /** Uses all leading finished chains: one element for a run of them, the last one's (virtio 1.3 § 2.7.9). */
  private useInOrder(order: CompletionOrder): void {
    let count = 0;
    for (let head = order.first(); head >= 0; ) {
      count++;
      this.taken[head] = 0;
      this.waiting--;
      order.drop();
      const next = order.first();
      if (next < 0 || order.complete[head] === 0) {
        // RACE: as in `push`.
        const element = this.usedRing + ((this.usedNext & this.mask) << 1);
        this.usedI32[element] = head;
        this.usedI32[element + 1] = order.written[head];
        this.usedNext = (this.usedNext + count) & 0xffff;
        count = 0;
      }
      head = next;
    }
  }

  private lookForMore(): boolean {
    if (this.broken) return false;
    const seen = this.availAtomics.load16(2 * (this.avail + AVAIL_IDX));
    if (seen === this.lastAvail) return false;
    const count = (seen - this.lastAvail) & 0xffff;
    if (count > this.size) throw this.broke(count < 0x8000 ? 'avail-ahead' : 'avail-backwards', seen);
    this.availSeen = seen;
    return true;
  }

  /**
   * Takes the chain at `head`. Each descriptor is read once, into locals: they are the snapshot, and all that is
   * checked and used.
   */
  private take(chain: Chain, head: number): void {
    const builder = this.builder;
    let words = this.descriptors;
    let base = this.descriptorsAt;
    let entries = this.size;
    let visited = 0;
    let next = head;
    chain.clear();
    chain.head = head;
    for (;;) {
      // A chain cannot visit more descriptors than its table has without passing one twice.
      if (++visited > entries) throw this.broke('loop', head);
      const at = base + (next << 2);
      // RACE: the driver wrote descriptors before its store16 of avail idx; a hostile one may still be writing.
      const lo = words[at];
      const hi = words[at + 1];
      const length = words[at + 2];
      const last = words[at + 3];
      if ((last & ODD_FLAGS) !== 0) {
        if ((last & UNKNOWN_FLAGS) !== 0) throw this.broke('unknown-flags', last & 0xffff);
        if (chain.indirect) throw this.broke('indirect-nested', head);
        // The WRITE flag of a descriptor that names a table is ignored (virtio 1.3 § 2.7.5.3.2).
        entries = builder.enterTable(chain, lo, hi, length, (last & NEXT) !== 0);
        if (entries === 0) throw this.broke(builder.rule, head);
        words = builder.table;
        base = builder.tableAt;
        visited = 0;
        next = 0;
        continue;
      }
      if (length !== 0) {
        const rule = builder.add(chain, lo, hi, length, (last & WRITE) !== 0);
        if (rule !== null) throw this.broke(rule, head);
      }
      if ((last & NEXT) === 0) break;
      next = last >>> 16;
      if (next >= entries) throw this.broke('next-range', next);
    }
    if (chain.count === 0) throw this.broke('empty-chain', head);
  }

  /** Out of line, and thrown by the caller: the compiler then sees that nothing comes after. */
  private broke(rule: RingRule, value: number): RingError {
    this.broken = true;
    // Nothing more is seen, so that `pop` has one test for "nothing there" and for this.
    this.availSeen = this.lastAvail;
    return ringError(rule, value);
  }
}
