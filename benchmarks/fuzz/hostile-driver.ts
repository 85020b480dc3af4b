import { openDriver, type PlacedQueue, placeQueue } from '../../core/machine/testing/host-rig.ts';
import type { AddressSpace } from '../../core/memory/address-space.ts';
import type { Random } from '../../core/memory/random.ts';
import type { MemoryRegion } from '../../core/memory/region.ts';
import { Command, Format } from '../../core/protocol/constants.ts';
import { AttachBacking, CreateBlob } from '../../core/protocol/layout.ts';
import type { DriverQueue } from '../../core/ring/queue.ts';
import { CONTROL_QUEUE } from '../../core/ring/registers.ts';
import type { RingKind } from './plan.ts';
import { RACE } from './plan.ts';
import { entry, request } from './words.ts';

const INDIRECT = 4;
/** Words of a descriptor. */
const WORDS = 4;
/** Values that checks are made of, of counts, sizes, ids, coordinates. */
const EDGES = [0, 1, 2, 3, 4, 5, 16, 24, 64, 255, 256, 1024, 4096, 16384, 16385, 65536, 0x7fffffff, 0x80000000, 0xffffffff];
/** What a guest does with its resources, as numbers of `#body`. */
const USUAL = [0, 1, 2, 3, 4, 5, 6, 4, 8, 1, 2, 4, 7, 7];
/** First word behind a request's header. */
const BODY = 6;
/** Numbers of memory entries: about as many as there are, what the host's arrays begin with, its limit. */
const COUNTS = [0, 1, 2, 7, 64, 1024, 1025, 2048, 4096, 8192, 16383, 16384, 16385, 0xffffffff];
/** Times that a word has gone to and fro when its chain becomes visible. */
const PUBLISH_AT = 3;
/** Times that a word goes to and fro, unless the answer comes before. */
const MOST_FLIPS = 300;
/** Of 16 steps so many go at requests, then so many in all at requests and descriptors; the others at indices. */
const WHOLE = [13, 15] as const;
const RING_ONLY = [1, 13] as const;
/** Lengths of descriptors: what is legitimate, a little less, and what reaches past the region's end. */
const LENGTHS = [0, 8, 23, 24, 56, 1056, 4096, RACE.regionBytes, 0xffffffff];
/** Upper halves of addresses: none of them is memory but 0. */
const HIGHS = [0, 2, 63, 0x200000, 0xffffffff];

/**
 * A driver that offers valid chains and, while the device looks at them, rewrites them: requests, memory entries,
 * descriptors, indices, event structures go to and fro between what is valid and what is not. Whatever it makes writable
 * for the host lies in its own part of region 0, or nowhere, so that no write elsewhere is legitimate.
 */
export class HostileDriver {
  readonly #random: Random;
  readonly #kind: RingKind;
  readonly #ringOnly: boolean;
  readonly #queue: PlacedQueue;
  readonly #words: Uint32Array;
  readonly #cells: Int32Array;
  readonly #halves: Uint16Array;
  readonly #driver: DriverQueue;
  #token = 0;
  #next = 0;
  /** Of the step: how often a word goes to and fro, how long it stays, whether it ends wrong; its chain is still invisible; it was answered. */
  #flips = 0;
  #ends = false;
  #offered = false;
  #answered = false;
  #rightFor = 0;
  #wrongFor = 0;
  /** Nobody else's. */
  readonly #idle = new Int32Array(new SharedArrayBuffer(4));
  /** A queue that its own driver cannot follow any more is only written to. */
  #lost = false;

  /** @param low region 0 @param ringOnly nobody reads the requests */
  constructor(space: AddressSpace, low: MemoryRegion, kind: RingKind, random: Random, ringOnly: boolean) {
    this.#ringOnly = ringOnly;
    this.#random = random;
    this.#kind = kind;
    this.#queue = placeQueue(CONTROL_QUEUE, kind);
    this.#words = low.u32;
    this.#cells = low.i32;
    this.#halves = low.u16;
    this.#driver = openDriver(space, kind, this.#queue);
  }

  /** One chain, and what becomes of it meanwhile. */
  step(): void {
    const random = this.#random;
    const slot = this.#token++ % RACE.slots;
    const at = RACE.requests + slot * RACE.slotBytes;
    const response = RACE.responses + slot * RACE.slotBytes;
    const bytes = this.#request();
    const words = new Uint32Array(bytes.buffer);
    for (let i = 0; i < words.length; i++) this.#words[at / 4 + i] = words[i];
    const cut = random.below(3) === 0 ? 4 * (1 + random.below(words.length - 1)) : 0;
    // Without one of its halves a chain is one buffer, and takes the shortest way through the device.
    const half = random.below(8);
    const room = half === 0 ? 0 : random.below(4) === 0 ? 24 : 1056;
    const split = random.below(4) === 0;
    // All that is drawn is drawn before it depends on the device's speed.
    const target = random.below(16);
    const fixed = bodyWords(words[0]);
    const word = random.below(4) > 0 ? BODY + random.below(fixed) : random.below(words.length);
    const value = random.next();
    const choice = random.below(64);
    this.#rightFor = random.below(40);
    // The looks at a descriptor lie next to each other: the shorter it is wrong, the more often the first one finds it right and
    // a second one wrong. Those at a request lie apart.
    this.#wrongFor = this.#ringOnly && random.below(3) > 0 ? 0 : random.below(40);
    this.#flips = 4 + random.below(random.below(4) > 0 ? MOST_FLIPS : 40);
    this.#ends = random.below(12) === 0;
    this.#answered = false;
    this.#offered = !this.#lost && this.#offer(at, half === 1 ? 0 : bytes.length, cut, response, room, split);
    const [requests, descriptors] = this.#ringOnly ? RING_ONLY : WHOLE;
    const values = word === countWord(words[0]) ? COUNTS : EDGES;
    if (target < requests) this.#flip(at / 4 + word, choice < 56 ? values[choice % values.length] : value);
    else if (target < descriptors) this.#flipDescriptor(choice, value);
    else this.#flipIndex(choice, value);
    this.#publish();
    this.#takeBack(4);
  }

  /** @returns what a guest sends that shows frames, of its few resources one at random */
  #request(): Uint8Array {
    const random = this.#random;
    const next = this.#next++;
    const id = 1 + (Math.floor(next / USUAL.length) % 3);
    const side = 16 << random.below(3);
    const rect = [0, 0, side, side];
    const count = 1 + random.below(6);
    const backing: number[] = [];
    for (let i = 0; i < count; i++) backing.push(...entry(0x100000000 + (random.below(16) << 12), 4096));
    const which = random.below(4) === 0 ? random.below(9) : USUAL[next % USUAL.length];
    const bytes = this.#body(which, id, side, rect, backing);
    // Its upper half stays 0: read as a descriptor's flags it must make nothing writable.
    if (random.below(2) === 0) new Uint32Array(bytes.buffer).set([1, random.next() & 0xffff, 0], 1);
    return bytes;
  }

  #body(which: number, id: number, side: number, rect: readonly number[], backing: readonly number[]): Uint8Array {
    const blob = id + 8;
    const count = backing.length / 4;
    switch (which) {
      case 0:
        return request(Command.RESOURCE_CREATE_2D, [id, Format.B8G8R8X8, side, side]);
      case 1:
        return request(Command.RESOURCE_ATTACH_BACKING, [id, count, ...backing]);
      case 2:
        return request(Command.TRANSFER_TO_HOST_2D, [...rect, 0, 0, id, 0]);
      case 3:
        return request(Command.SET_SCANOUT, [...rect, this.#random.below(2), id]);
      case 4:
        return request(Command.RESOURCE_FLUSH, [...rect, this.#next % 2 === 0 ? id : blob, 0]);
      case 5:
        return request(Command.RESOURCE_CREATE_BLOB, [blob, 1, 2, count, 0, 0, count * 4096, 0, ...backing]);
      case 6:
        return request(Command.SET_SCANOUT_BLOB, [...rect, 0, blob, side, side, Format.B8G8R8X8, 0, side * 4, 0, 0, 0, 0, 0, 0, 0]);
      case 7:
        return request(Command.RESOURCE_UNREF, [this.#next % 2 === 0 ? id : blob, 0]);
      default:
        return request(Command.RESOURCE_DETACH_BACKING, [id, 0]);
    }
  }

  /** Places the chain; it becomes visible in the midst of what is done to it. @returns false: no room */
  #offer(at: number, bytes: number, cut: number, response: number, room: number, split: boolean): boolean {
    const driver = this.#driver;
    driver.begin();
    if (cut > 0 && cut < bytes) {
      driver.readable(at, cut);
      driver.readable(at + cut, bytes - cut);
    } else if (bytes > 0) {
      driver.readable(at, bytes);
    }
    if (room === 0) return driver.submit(this.#token);
    if (split) {
      driver.writable(response, 16);
      driver.writable(response + 16, room - 16);
    } else {
      driver.writable(response, room);
    }
    return driver.submit(this.#token);
  }

  #publish(): void {
    if (this.#offered) this.#driver.publish();
    this.#offered = false;
  }

  /** Takes used chains back, up to the one just offered if there is time for it. */
  #takeBack(looks: number): void {
    if (this.#lost) return;
    try {
      for (let i = 0; i < looks && !this.#answered; i++) {
        if (this.#driver.popUsed() && this.#driver.usedToken === this.#token) this.#answered = true;
      }
    } catch {
      this.#lost = true;
    }
  }

  /** A word goes to and fro; it ends as it was, or not. */
  #flip(word: number, wrong: number): void {
    const cells = this.#cells;
    // A table's address may be one of those that lead out of memory.
    if (word >= RACE.end / 4) return;
    const right = Atomics.load(cells, word);
    for (let i = 0; i < this.#flips && !this.#answered; i++) {
      Atomics.store(cells, word, wrong | 0);
      this.#hold(this.#wrongFor);
      Atomics.store(cells, word, right);
      this.#hold(this.#rightFor);
      if (i === PUBLISH_AT) this.#publish();
      else if (i % 4 === 0) this.#takeBack(1);
    }
    if (this.#ends) Atomics.store(cells, word, wrong | 0);
  }

  /** Some nanoseconds in which the device may see what a word is. */
  #hold(loads: number): void {
    for (let i = 0; i < loads; i++) Atomics.load(this.#idle, 0);
  }

  /** A descriptor of a chain that was offered lately, in the ring or in its table. */
  #flipDescriptor(choice: number, value: number): void {
    const { descriptorAddress, size } = this.#queue.config;
    const packed = this.#kind.ring === 'packed';
    let at = descriptorAddress / 4 + this.#lately(value % size) * WORDS;
    const flags = (): number => (packed ? this.#words[at + 3] >>> 16 : this.#words[at + 3] & 0xffff);
    if ((flags() & INDIRECT) !== 0 && choice % 4 !== 0) at = this.#words[at] / 4 + (value % 3) * WORDS;
    const field = (choice >>> 2) % 4;
    if (field === 0) this.#flip(at, this.#address(value));
    else if (field === 1) this.#flip(at + 1, HIGHS[value % HIGHS.length]);
    else if (field === 2) this.#flip(at + 2, LENGTHS[value % LENGTHS.length]);
    else this.#flip(at + 3, this.#flags(this.#words[at + 3], this.#words[at + 2], value, packed));
  }

  #lately(back: number): number {
    const { driverAddress, size } = this.#queue.config;
    if (this.#kind.ring === 'packed') return back;
    const avail = driverAddress / 2;
    return Atomics.load(this.#halves, avail + 2 + ((Atomics.load(this.#halves, avail + 1) - 1 - (back & 1)) & (size - 1))) % size;
  }

  #address(value: number): number {
    const { deviceAddress } = this.#queue.config;
    const slot = value % RACE.slots;
    return [
      RACE.requests + slot * RACE.slotBytes,
      RACE.responses + slot * RACE.slotBytes,
      RACE.regionBytes - 8,
      RACE.regionBytes - 24,
      RACE.regionBytes,
      deviceAddress,
    ][(value >>> 8) % 6];
  }

  #flags(word: number, length: number, value: number, packed: boolean): number {
    const shift = packed ? 16 : 0;
    // A buffer is made a table only where it is no possible one: read as descriptors, requests could name any memory.
    const known = length % 16 === 0 && (word & (INDIRECT << shift)) === 0 ? 3 : 7;
    const high = packed ? 0x80 << ((value >>> 4) & 8) : 8;
    const changes = [(1 + (value % known)) << shift, high << shift, (value % 64) << (16 - shift), 0xffff << (16 - shift)];
    return word ^ changes[(value >>> 16) % changes.length];
  }

  /** What tells the other side of progress: indices and entries, or event structures. */
  #flipIndex(choice: number, value: number): void {
    const { driverAddress, size } = this.#queue.config;
    const word = driverAddress / 4;
    const now = Atomics.load(this.#cells, word);
    if (this.#kind.ring === 'packed') {
      this.#flip(word, choice % 2 === 0 ? value : now ^ (1 << (choice & 31)));
    } else if (choice < 24) {
      // flags in the low half, idx in the high one
      const steps = [1, 2, size, size + 1, -1, 0x8000];
      this.#flip(word, (now & 0xffff) | ((((now >>> 16) + steps[value % steps.length]) & 0xffff) << 16));
    } else if (choice < 44) {
      this.#flip(word + 1 + (value % (size / 2)), (value >>> 8) % 3 === 0 ? value : value & 0x003f003f);
    } else {
      this.#flip(word + 1 + size / 2, value);
    }
  }
}

/** Words between a request's header and its list of memory entries. */
function bodyWords(type: number): number {
  if (type === Command.RESOURCE_CREATE_BLOB) return CreateBlob.entries - BODY;
  if (type === Command.RESOURCE_ATTACH_BACKING) return AttachBacking.entries - BODY;
  if (type === Command.RESOURCE_UNREF || type === Command.RESOURCE_DETACH_BACKING) return 2;
  return type === Command.RESOURCE_CREATE_2D ? 4 : type === Command.SET_SCANOUT_BLOB ? 15 : 6;
}

/** The word that says how many memory entries follow; −1: none do. */
function countWord(type: number): number {
  if (type === Command.RESOURCE_CREATE_BLOB) return CreateBlob.nrEntries;
  return type === Command.RESOURCE_ATTACH_BACKING ? AttachBacking.nrEntries : -1;
}
