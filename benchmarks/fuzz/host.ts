import type { HostOptions } from '../../core/host/options.ts';
import type { Ring } from '../../core/machine/options.ts';
import { HIGH, HostRig, QUEUE_MEMORY } from '../../core/machine/testing/host-rig.ts';
import { GuardedKernel, WitnessSink } from '../../core/machine/testing/witnesses.ts';
import { Copier } from '../../core/memory/copier.ts';
import { Ledger } from '../../core/memory/ledger.ts';
import type { MemoryRegion } from '../../core/memory/region.ts';
import { Command, Flag, Format, Response, responseName } from '../../core/protocol/constants.ts';
import { Header } from '../../core/protocol/layout.ts';
import { FuzzFailure, hold, same } from './failure.ts';
import type { FuzzMemory, GuardedRegion } from './memory.ts';
import { entry, request } from './words.ts';

export interface FuzzHostOptions extends Partial<Pick<HostOptions, 'udmabuf' | 'maxEntries' | 'maxHostmem' | 'policy' | 'profile'>> {
  readonly ring: Ring;
  readonly inOrder: boolean;
  /** Bytes of each of the four regions. */
  readonly regionBytes: number;
  /** How long the sink reads a frame, ns. */
  readonly scanoutNs: number;
  /** Requests in flight at a time, and bytes of the largest. */
  readonly slots: number;
  readonly slotBytes: number;
  /** First byte of region 0 that only the pattern is in; default: what follows requests and responses. */
  readonly sharedEnd?: number;
}

/** A buffer of a chain; without an address it goes where requests and responses go. */
export interface Part {
  readonly address?: number;
  readonly length: number;
}

export interface Answer {
  readonly used: number;
  readonly words: Uint32Array;
}

/** Heads of the host. */
export const HEADS = 2;
const RESPONSE_BYTES = 1280;
/** A response's place before it is written. */
const FRESH = new Uint8Array(RESPONSE_BYTES).fill(0xee);
/** Polls after which a host that still makes progress is taken to go round in circles. */
const MOST_POLLS = 20_000;
/** Ids and pixels of the frames that a host has to serve: no guest uses the ids. */
const SERVED = 0x7ffffff0;
const SIDE = 64;

/** A guest's requests through real rings into a real host, and all that has to hold meanwhile and afterwards. */
export class FuzzHost {
  readonly rig: HostRig;
  readonly sink: WitnessSink;
  readonly memory: FuzzMemory;
  readonly answers = new Map<number, Answer>();
  readonly #options: FuzzHostOptions;
  readonly #kernel: GuardedKernel;
  readonly #pending = new Map<number, { slot: number; writable: readonly Part[] }>();
  readonly #freeSlots: number[] = [];
  #token = 0;
  #lookups = 0;
  /** First byte after requests and responses. */
  readonly #end: number;

  constructor(memory: FuzzMemory, options: FuzzHostOptions) {
    this.memory = memory;
    this.#options = options;
    this.#end = QUEUE_MEMORY[1] + options.slots * (options.slotBytes + RESPONSE_BYTES);
    hold(this.#end <= options.regionBytes, 'requests and responses do not fit their region');
    this.#kernel = new GuardedKernel((region) => this.rig.images.has(region) || this.rig.space.regions[region.id] === region);
    let sink: WitnessSink | null = null;
    this.rig = new HostRig({
      heads: HEADS,
      makeRegion: memory.makeRegion,
      makeSink: (heads, counters) => (sink = new WitnessSink({ heads, periodNs: 0, phaseNs: 0, scanoutNs: options.scanoutNs, counters })),
      copier: new Copier(this.#kernel, new Ledger()),
      allocateImage: (bytes) => {
        const image = memory.takeImage(bytes);
        this.rig.images.add(image);
        return image;
      },
      freeImage: (image) => {
        hold(this.rig.images.delete(image), 'the host freed an image twice');
        memory.giveImage(image as GuardedRegion);
      },
      ...options,
    });
    if (sink === null) throw new Error('the rig made no sink');
    this.sink = sink;
    memory.restore();
    this.#watchLookups();
    this.start();
  }

  get pending(): number {
    return this.#pending.size;
  }

  /** Whether another request finds a slot and room in its ring. */
  get hasRoom(): boolean {
    return this.#freeSlots.length > 0 && this.rig.control.free > 8 && this.rig.cursor.free > 8;
  }

  /** Where requests without an address go: guest-physical, the same for the same slot. */
  #requestAt(slot: number): number {
    return QUEUE_MEMORY[1] + slot * this.#options.slotBytes;
  }

  #responseAt(slot: number): number {
    return QUEUE_MEMORY[1] + this.#options.slots * this.#options.slotBytes + slot * RESPONSE_BYTES;
  }

  /** Reset, then DRIVER_OK: everything before is forgotten. */
  start(): void {
    this.rig.start();
    this.answers.clear();
    this.#pending.clear();
    this.#freeSlots.length = 0;
    for (let slot = this.#options.slots - 1; slot >= 0; slot--) this.#freeSlots.push(slot);
  }

  /**
   * Offers a chain without running the host. The bytes of the request are laid over the readable buffers, one after another.
   * @returns its token
   */
  post(bytes: Uint8Array, readable: readonly Part[], writable: readonly Part[], cursor = false): number {
    const { rig } = this;
    const slot = this.#freeSlots.pop();
    hold(slot !== undefined, 'the fuzzer has no slot left');
    const queue = cursor ? rig.cursor : rig.control;
    queue.begin();
    let at = this.#requestAt(slot);
    let from = 0;
    for (const { address, length } of readable) {
      this.#put(address ?? at, bytes.subarray(from, from + length));
      queue.readable(address ?? at, length);
      from += length;
      if (address === undefined) at += length;
    }
    at = this.#responseAt(slot);
    rig.regions[0].u8.set(FRESH, at);
    for (const { address, length } of writable) {
      queue.writable(address ?? at, length);
      if (address === undefined) at += length;
    }
    const token = this.#token++;
    hold(queue.submit(token), 'the ring has no room');
    queue.publish();
    this.#pending.set(token, { slot, writable });
    return token;
  }

  /** Runs the host until it rests, and takes its answers. */
  run(): void {
    const { rig } = this;
    let polls = 0;
    while (rig.device.poll()) hold(++polls < MOST_POLLS, 'the host does not come to rest');
    if (rig.device.needsReset) return;
    for (const queue of [rig.control, rig.cursor]) while (queue.popUsed()) this.#collect(queue.usedToken, queue.usedLength);
  }

  pass(ns: number): void {
    this.rig.clock.advance(ns);
    this.run();
  }

  /** Time passes until every request has its answer. */
  settle(): void {
    this.run();
    for (let i = 0; i < 100 && this.#pending.size > 0 && !this.rig.device.needsReset; i++) this.pass(this.#options.scanoutNs + 1);
    if (!this.rig.device.needsReset) same(this.#pending.size, 0, 'requests without an answer');
    // Of what has no answer, the last reads.
    this.pass(this.#options.scanoutNs + 1);
  }

  /** What the host holds. */
  budgets(): string {
    const { device, images, vfio } = this.rig;
    const exported = vfio.map((owner) => owner.exported.length).join('+');
    return `${device.budgetUsed} bytes, ${device.segmentsUsed} segments, ${device.resourceCount} resources, ${images.size} images, ${exported} exported`;
  }

  /** All that holds after any guest: reset gives everything back, memory is untouched, valid frames are served. */
  finish(): void {
    const { rig } = this;
    for (const region of rig.regions) rig.device.setRegionPresent(region.id, true);
    this.start();
    same(this.budgets(), '0 bytes, 0 segments, 0 resources, 0 images, 0+0 exported', 'held after reset');
    this.serve();
    same(this.budgets(), '0 bytes, 0 segments, 0 resources, 0 images, 0+0 exported', 'held after serving');
    this.checkMemory();
  }

  /** @throws FuzzFailure if the host reached outside the regions, or wrote where no chain let it */
  checkMemory(): void {
    same(this.#lookups + this.#kernel.outside, 0, 'accesses outside the regions');
    this.memory.check(QUEUE_MEMORY[0], this.#options.sharedEnd ?? this.#end);
  }

  /** Two valid frames, a copied and an imported one: answered and shown with their own pixels. */
  serve(): void {
    const at = HIGH + this.#options.regionBytes - SIDE * SIDE * 4;
    const backing = entry(at, SIDE * SIDE * 4);
    const rect = [0, 0, SIDE, SIDE];
    const id = SERVED;
    const blob = SERVED + 1;
    const stride = SIDE * 4;
    this.#ok(request(Command.RESOURCE_CREATE_2D, [id, Format.B8G8R8X8, SIDE, SIDE]));
    this.#ok(request(Command.RESOURCE_ATTACH_BACKING, [id, 1, ...backing]));
    this.#ok(request(Command.TRANSFER_TO_HOST_2D, [...rect, 0, 0, id, 0]));
    this.#ok(request(Command.SET_SCANOUT, [...rect, 0, id]));
    this.#ok(request(Command.RESOURCE_FLUSH, [...rect, id, 0]));
    this.#shows('copied');
    this.#ok(request(Command.RESOURCE_UNREF, [id, 0]));
    this.#ok(request(Command.RESOURCE_CREATE_BLOB, [blob, 1, 2, 1, 0, 0, stride * SIDE, 0, ...backing]));
    this.#ok(request(Command.SET_SCANOUT_BLOB, [...rect, 0, blob, SIDE, SIDE, Format.B8G8R8X8, 0, stride, 0, 0, 0, 0, 0, 0, 0]));
    this.#ok(request(Command.RESOURCE_FLUSH, [...rect, blob, 0]));
    this.#shows('imported');
    this.#ok(request(Command.RESOURCE_UNREF, [blob, 0]));
  }

  /** The answer's type; −1 for a used length of 0. @throws FuzzFailure for one that is malformed */
  typeOf(token: number, sent: Uint8Array): number {
    const answer = this.answers.get(token);
    hold(answer !== undefined, 'no answer');
    if (answer.used === 0) return -1;
    hold(answer.used >= 24, `an answer of ${answer.used} bytes`);
    const { words } = answer;
    const type = words[Header.type];
    if (type >= Response.ERR_UNSPEC) same(answer.used, 24, 'bytes of an error');
    const asked = new Uint32Array(6);
    new Uint8Array(asked.buffer).set(sent.subarray(0, 24));
    if (sent.length < 24) asked.fill(0);
    const fenced = (asked[Header.flags] & Flag.FENCE) !== 0;
    same(words[Header.flags], fenced ? Flag.FENCE : 0, 'flags of an answer');
    same(words[Header.fenceLo], fenced ? asked[Header.fenceLo] : 0, 'fence of an answer');
    same(words[Header.fenceHi], fenced ? asked[Header.fenceHi] : 0, 'fence of an answer');
    return type;
  }

  #ok(bytes: Uint8Array): void {
    const token = this.post(bytes, [{ length: bytes.length }], [{ length: 24 }]);
    this.settle();
    hold(!this.rig.device.needsReset, `a valid command broke the ring: ${this.rig.device.ringError?.message}`);
    const type = this.typeOf(token, bytes);
    if (type !== Response.OK_NODATA) throw new FuzzFailure(`a valid command was answered ${responseName(type)}`);
  }

  #shows(what: string): void {
    const shown = this.sink.last[0];
    hold(shown !== null && shown.length === SIDE * SIDE, `a valid ${what} frame was not shown`);
    const from = this.memory.patterns[1].subarray(this.#options.regionBytes - SIDE * SIDE * 4);
    hold(Buffer.compare(new Uint8Array(shown.buffer), from) === 0, `a valid ${what} frame was shown with other pixels`);
    this.sink.last[0] = null;
  }

  /** Writes a request's bytes as the guest; what lies outside memory nobody writes. */
  #put(address: number, bytes: Uint8Array): void {
    const { space } = this.rig;
    for (const region of space.regions) {
      if (region === null || address < region.gpa || address >= region.gpa + region.size) continue;
      const at = address - region.gpa;
      region.u8.set(bytes.subarray(0, region.size - at), at);
      // Requests may lie in any memory: these bytes are the guest's own.
      if (region.id !== 0 || at >= this.#end) this.#borrowed.push({ region, at, bytes: Math.min(bytes.length, region.size - at) });
    }
  }

  readonly #borrowed: { region: MemoryRegion; at: number; bytes: number }[] = [];

  /** Gives memory that requests or answers lay in back its pattern. */
  unborrow(): void {
    for (const { region, at, bytes } of this.#borrowed) region.u8.set(this.memory.patterns[region.id].subarray(at, at + bytes), at);
    this.#borrowed.length = 0;
  }

  /** Takes an answer out of its buffers: these bytes, and no more of them, the host was free to write. */
  #collect(token: number, used: number): void {
    const pending = this.#pending.get(token);
    hold(pending !== undefined, `an answer that nobody waits for (${token})`);
    this.#pending.delete(token);
    this.#freeSlots.push(pending.slot);
    const room = pending.writable.reduce((sum, { length }) => sum + length, 0);
    hold(used <= room, `a used length of ${used} in ${room} bytes`);
    const bytes = new Uint8Array(Math.ceil(used / 4) * 4);
    let at = this.#responseAt(pending.slot);
    let done = 0;
    for (const { address, length } of pending.writable) {
      const from = address ?? at;
      if (address === undefined) at += length;
      const region = this.rig.regions.find(({ gpa, size }) => from >= gpa && from < gpa + size);
      hold(region !== undefined, 'an answer outside memory');
      const here = Math.min(length, used - done);
      bytes.set(region.u8.subarray(from - region.gpa, from - region.gpa + here), done);
      if (address !== undefined) this.#borrowed.push({ region, at: from - region.gpa, bytes: here });
      done += here;
    }
    const first = this.#responseAt(pending.slot);
    const own = pending.writable.reduce((sum, { address, length }) => sum + (address === undefined ? length : 0), 0);
    const written = pending.writable.some(({ address }) => address !== undefined) ? own : Math.min(own, used);
    const rest = this.rig.regions[0].u8.subarray(first + written, first + RESPONSE_BYTES);
    hold(Buffer.compare(rest, FRESH.subarray(0, rest.length)) === 0, 'the host wrote past the used length');
    this.answers.set(token, { used, words: new Uint32Array(bytes.buffer) });
  }

  #watchLookups(): void {
    const { space } = this.rig;
    const translate = space.translate.bind(space);
    space.translate = (address, length) => {
      const found = translate(address, length);
      const region = space.hitRegion;
      const inside =
        region !== null && space.regions[region.id] === region && space.hitOffset >= 0 && space.hitOffset + length <= region.size;
      if (found && !inside) this.#lookups++;
      return found;
    };
  }
}
