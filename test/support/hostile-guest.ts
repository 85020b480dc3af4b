/**
 * A guest that writes whatever bytes it is told to through a real ring into a real host device, and what has to hold after
 * each of its attempts: memory outside its own buffers unchanged, nothing read outside its regions, budgets as before, other
 * resources' pixels untouched, a valid frame still served.
 */
import { expect } from 'vitest';
import { GuardedKernel, WitnessSink } from '../../core/machine/testing/witnesses.ts';
import { Counter } from '../../core/measure/counters.ts';
import { Copier } from '../../core/memory/copier.ts';
import { Ledger } from '../../core/memory/ledger.ts';
import { Command, Format, Response } from '../../core/protocol/constants.ts';
import { BAR, frame, HIGH, MIB, PIXELS, Rig, type RigOptions } from '../unit/host/rig.ts';
import { RING_KINDS } from './ring-kinds.ts';

export { BAR, HIGH, MIB, PIXELS } from '../unit/host/rig.ts';

/** Requests and responses of the attempts: in RAM above 4 GiB, filled with GUARD. */
const ARENA = 0x10000;
const ARENA_END = 0x380000;
const GUARD = 0xa5;
/** Sentinel bytes before and after each buffer. */
const GUARD_BYTES = 64;
/** Both queues, their INDIRECT tables, and the requests and responses of the rig's own commands. */
const RIG_MEMORY = [0x10000, 0x320000] as const;
/** What guest memory has to hold, by region. One for all: filling fresh memory is most of a case's time. */
const SHADOW = Array.from({ length: 4 }, () => new Uint8Array(12 * MIB));
let shadowOf: HostileGuest | null = null;
/** The rig's own tokens stay below. */
const FIRST_TOKEN = 1_000_000;
const SIDE = 64;

/** Ids that no case uses. */
export const BYSTANDER = { image: 77, ram: 78, bar: 79 } as const;
const PATTERNS = [
  { id: BYSTANDER.image, region: 1, offset: 11 * MIB + 0x40000, base: HIGH, seed: 0x11110000 },
  { id: BYSTANDER.ram, region: 0, offset: 11 * MIB + 0x40000, base: 0, seed: 0x22220000 },
  { id: BYSTANDER.bar, region: 2, offset: 11 * MIB + 0x40000, base: BAR, seed: 0x33330000 },
] as const;

export const U64 = (value: bigint): [number, number] => [Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn)];

/** Bytes of little-endian words. */
export const words = (...list: number[]): Uint8Array => new Uint8Array(Uint32Array.from(list, (word) => word >>> 0).buffer);

/** A request: 24 bytes of header without flags, then the body's words. */
export const request = (type: number, ...body: number[]): Uint8Array => words(type, 0, 0, 0, 0, 0, ...body);

/** A request and the words behind its fixed part: mem_entries, however many. */
export function withWords(head: Uint8Array, tail: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(head.length + tail.length * 4);
  bytes.set(head);
  bytes.set(new Uint8Array(Uint32Array.from(tail, (word) => word >>> 0).buffer), head.length);
  return bytes;
}

/** A mem_entry's words. */
export const entry = (address: number | bigint, length: number): number[] => [...U64(BigInt(address)), length, 0];

export type Expected = number | 'L0' | 'counted' | 'later';

export interface Step {
  readonly bytes: Uint8Array;
  /** What a control request is answered; L0: used length 0; counted: on the cursor queue; later: see `pass`. */
  readonly answer: Expected;
  readonly queue?: 'cursor';
  /** Bytes of the readable descriptors; default: one. */
  readonly readable?: readonly number[];
  /** Bytes of the writable descriptors; default: one of 1056 on the control queue, none on the cursor queue. */
  readonly writable?: readonly number[];
  /** The step may change budgets although it fails. */
  readonly changes?: boolean;
}

export interface HostileCase {
  /** Number in the hostile-guest list. */
  readonly is: number;
  readonly what: string;
  readonly options?: RigOptions;
  readonly steps: readonly Step[];
  /** What else has to hold after the last step. */
  readonly after?: (guest: HostileGuest) => void;
}

interface Answered {
  readonly used: number;
  readonly bytes: Uint8Array;
}

export class HostileGuest {
  readonly rig: Rig;
  readonly sink: WitnessSink;
  readonly answers: Answered[] = [];
  /** The device's own. */
  readonly copier: Copier;
  readonly ledger = new Ledger();
  /** Look-ups that answered with a range outside a present region. */
  #lookups = 0;
  readonly #kernel: GuardedKernel;
  #arena = ARENA;
  #base = '';
  readonly #pending = new Map<number, [number, number][]>();
  #tokens = 0;

  constructor(options: RigOptions = {}) {
    const kernel = new GuardedKernel((region) => this.rig.images.has(region) || this.rig.space.regions[region.id] === region);
    this.#kernel = kernel;
    this.copier = new Copier(kernel, this.ledger);
    let sink: WitnessSink | null = null;
    this.rig = new Rig({
      heads: 2,
      makeSink: (heads, counters) =>
        (sink = new WitnessSink({ heads, periodNs: 0, phaseNs: 0, scanoutNs: options.scanoutNs ?? 0, counters })),
      copier: this.copier,
      ...options,
    });
    if (sink === null) throw new Error('the rig made no sink');
    this.sink = sink;
    const { space } = this.rig;
    const translate = space.translate.bind(space);
    space.translate = (address, length) => {
      const found = translate(address, length);
      const region = space.hitRegion;
      if (
        found &&
        (region === null || space.regions[region.id] !== region || !(space.hitOffset >= 0 && space.hitOffset + length <= region.size))
      ) {
        this.#lookups++;
      }
      return found;
    };
    this.renew();
  }

  /** After a reset: the bystanders and the guards as a case finds them. */
  renew(): void {
    this.#settle();
    this.#arena = ARENA;
    this.answers.length = 0;
    this.rig.regions[1].u8.fill(GUARD, ARENA, ARENA_END);
    if (shadowOf === this) {
      // The case before left memory as it found it but for these.
      SHADOW[1].fill(GUARD, ARENA, ARENA_END);
    } else {
      for (const [i, region] of this.rig.regions.entries()) SHADOW[i].set(region.u8);
      shadowOf = this;
    }
    this.#base = this.budgets();
  }

  /** Look-ups and copies so far that left the present regions (and, for copies, the host's own images). */
  get outside(): number {
    return this.#lookups + this.#kernel.outside;
  }

  /** What the host holds, to be compared. */
  budgets(): string {
    const { device, images, vfio } = this.rig;
    return JSON.stringify({
      bytes: device.budgetUsed,
      segments: device.segmentsUsed,
      resources: device.resourceCount,
      images: images.size,
      exported: vfio.map((owner) => owner.exported.length),
    });
  }

  /** One attempt: places the bytes, offers the chain, runs the host, holds the answer against what is expected. */
  attempt(step: Step, label: string): void {
    const { rig } = this;
    const cursor = step.queue === 'cursor';
    const queue = cursor ? rig.cursor : rig.control;
    const errors = rig.counters.get(Counter.cursorErrors);
    const before = this.budgets();
    const writable = step.writable ?? (cursor ? [] : [1056]);
    queue.begin();
    let at = 0;
    for (const length of step.readable ?? [step.bytes.length]) {
      const bytes = new Uint8Array(length);
      bytes.set(step.bytes.subarray(at, at + length));
      queue.readable(HIGH + this.#place(bytes), length);
      at += length;
    }
    const places: [number, number][] = [];
    for (const length of writable) {
      const place = this.#place(new Uint8Array(length).fill(GUARD));
      places.push([place, length]);
      queue.writable(HIGH + place, length);
    }
    const token = FIRST_TOKEN + this.#tokens++;
    expect(queue.submit(token), `${label}: the ring has no room`).toBe(true);
    queue.publish();
    while (rig.device.poll());
    if (step.answer === 'later') {
      this.#pending.set(token, places);
      return;
    }
    expect(queue.popUsed(), `${label}: no answer`).toBe(true);
    expect(queue.usedToken, `${label}: another's answer`).toBe(token);
    const used = queue.usedLength;
    const answer = this.#take(places, used);
    this.answers.push(answer);
    if (step.answer === 'counted') {
      expect(used, label).toBe(0);
      expect(rig.counters.get(Counter.cursorErrors), label).toBe(errors + 1);
      expect(this.budgets(), label).toBe(before);
      return;
    }
    if (step.answer === 'L0') {
      expect(used, label).toBe(0);
      expect(this.budgets(), label).toBe(before);
      return;
    }
    if (cursor) {
      expect(used, label).toBe(0);
      return;
    }
    expect(used, `${label}: used length`).toBeGreaterThanOrEqual(24);
    const type = new DataView(answer.bytes.buffer).getUint32(0, true);
    expect(`0x${type.toString(16)}`, label).toBe(`0x${step.answer.toString(16)}`);
    if (type < Response.ERR_UNSPEC) return;
    expect(used, `${label}: an error is a header`).toBe(24);
    if (step.changes !== true) expect(this.budgets(), `${label}: an error changed budgets`).toBe(before);
  }

  /** Time passes: the types of the answers that were pending, in the order in which they came. */
  pass(ns: number): number[] {
    const { rig } = this;
    rig.clock.advance(ns);
    while (rig.device.poll());
    const types: number[] = [];
    while (rig.control.popUsed()) {
      const places = this.#pending.get(rig.control.usedToken);
      if (places === undefined) throw new Error(`an answer nobody waits for: ${rig.control.usedToken}`);
      this.#pending.delete(rig.control.usedToken);
      const answer = this.#take(places, rig.control.usedLength);
      this.answers.push(answer);
      types.push(new DataView(answer.bytes.buffer).getUint32(0, true));
    }
    return types;
  }

  /** Everything that has to hold after a case. */
  unharmed(): void {
    const { rig } = this;
    expect(rig.device.needsReset).toBe(false);
    expect(this.pass(1e9), 'answers that nobody asked about').toEqual([]);
    expect(this.#pending.size, 'requests without an answer').toBe(0);
    this.#untouched();
    for (let id = 1; id < 32; id++) rig.unref(id);
    expect(this.budgets(), 'budgets').toBe(this.#base);
    this.#bystanders();
    expect(rig.serves(), 'a valid frame').toBe(true);
    expect(this.outside, 'accesses outside the regions').toBe(0);
    rig.start();
    expect(this.budgets(), 'budgets after reset').toBe('{"bytes":0,"segments":0,"resources":0,"images":0,"exported":[0,0]}');
    expect(rig.serves(), 'a valid frame after reset').toBe(true);
  }

  /** Puts guest bytes somewhere in a region, as the guest itself does. */
  write(region: number, offset: number, bytes: Uint8Array): void {
    this.rig.regions[region].u8.set(bytes, offset);
    SHADOW[region].set(bytes, offset);
  }

  /** The bytes of the last answer, which end where its used length says. */
  get reply(): Uint8Array {
    return this.answers[this.answers.length - 1].bytes;
  }

  #place(bytes: Uint8Array): number {
    const place = this.#arena + GUARD_BYTES;
    this.#arena = place + Math.ceil(bytes.length / 4) * 4 + GUARD_BYTES;
    if (this.#arena > ARENA_END) throw new RangeError('the arena is too small for this case');
    this.write(1, place, bytes);
    return place;
  }

  /** Takes the answer out of its descriptors: these bytes, and no others, the host was free to write. */
  #take(places: readonly [number, number][], used: number): Answered {
    const bytes = new Uint8Array(used);
    let at = 0;
    for (const [place, length] of places) {
      const here = Math.min(length, used - at);
      const written = this.rig.regions[1].u8.slice(place, place + here);
      bytes.set(written, at);
      SHADOW[1].set(written, place);
      at += here;
    }
    return { used, bytes };
  }

  #untouched(): void {
    for (const [index, region] of this.rig.regions.entries()) {
      const shadow = SHADOW[index];
      const same = (from: number, to: number): void => {
        if (Buffer.compare(shadow.subarray(from, to), region.u8.subarray(from, to)) === 0) return;
        const at = shadow.findIndex((byte, i) => i >= from && i < to && byte !== region.u8[i]);
        expect.fail(`the host wrote byte ${at} of ${region.name}`);
      };
      if (index === 0) {
        same(0, RIG_MEMORY[0]);
        same(RIG_MEMORY[1], region.size);
      } else {
        same(0, region.size);
      }
    }
  }

  /** Resources that nobody attacks, with pixels of their own: one copied, one in a udmabuf, one in a device's memory. */
  #settle(): void {
    const { rig } = this;
    const ok = Response.OK_NODATA;
    for (const { id, region, offset, base, seed } of PATTERNS) {
      for (let i = 0; i < SIDE * SIDE; i++) rig.regions[region].u32[offset / 4 + i] = seed + i;
      if (id !== BYSTANDER.image) continue;
      expect(rig.create2d(id)).toBe(ok);
      expect(rig.attach(id, frame(base + offset))).toBe(ok);
      expect(rig.transfer(id)).toBe(ok);
      expect(rig.setScanout(1, id)).toBe(ok);
    }
    if (rig.registers.driverFeaturesLo !== rig.registers.deviceFeaturesLo || ((rig.registers.driverFeaturesLo >>> 3) & 1) === 0) return;
    for (const { id, offset, base } of PATTERNS) if (id !== BYSTANDER.image) expect(rig.createBlob(id, frame(base + offset))).toBe(ok);
  }

  #bystanders(): void {
    const { rig, sink } = this;
    const ok = Response.OK_NODATA;
    for (const { id, seed } of PATTERNS) {
      const blob = id !== BYSTANDER.image;
      if (blob && ((rig.registers.driverFeaturesLo >>> 3) & 1) === 0) continue;
      expect(blob ? rig.setScanoutBlob(1, id) : rig.setScanout(1, id), `bystander ${id}`).toBe(ok);
      rig.flush(id);
      rig.advance(1e9);
      const shown = sink.last[1];
      expect(shown?.length, `bystander ${id}`).toBe(SIDE * SIDE);
      expect(
        shown?.every((pixel, i) => pixel === seed + i),
        `pixels of bystander ${id}`,
      ).toBe(true);
    }
  }
}

/** Runs a table on every kind of ring: the one place where a new kind joins. */
export function eachRing(run: (ring: Pick<RigOptions, 'ring' | 'inOrder'>, name: string) => void): void {
  for (const { ring, inOrder } of RING_KINDS) run({ ring, inOrder }, inOrder ? `${ring}, in order` : ring);
}

/** One case on one ring: its steps, what it says itself, then the invariants. */
export function play(hostile: HostileCase, ring: Pick<RigOptions, 'ring' | 'inOrder'>): void {
  const key = hostile.options === undefined ? JSON.stringify(ring) : '';
  const used = guests.get(key);
  // A guest that a failed case has left is not used again.
  guests.delete(key);
  used?.renew();
  const guest = used ?? new HostileGuest({ ...hostile.options, ...ring });
  for (const [i, step] of hostile.steps.entries()) guest.attempt(step, `step ${i + 1}`);
  hostile.after?.(guest);
  guest.unharmed();
  if (key !== '') guests.set(key, guest);
}

/** One a kind of ring, for cases that need no options: each case ends with a reset. */
const guests = new Map<string, HostileGuest>();

// Requests that a well-behaved guest would send, as words; cases are variations of these.
export const OK = Response.OK_NODATA;
export const UNSPEC = Response.ERR_UNSPEC;
export const OOM = Response.ERR_OUT_OF_MEMORY;
export const SCAN = Response.ERR_INVALID_SCANOUT_ID;
export const RES = Response.ERR_INVALID_RESOURCE_ID;
export const PARAM = Response.ERR_INVALID_PARAMETER;

/** 64 × 64 pixels of a guest, in RAM above 4 GiB. */
export const PLACE = HIGH + PIXELS;
export const BYTES = SIDE * SIDE * 4;

export const create2d = (id: number, format: number = Format.B8G8R8X8, width = SIDE, height = SIDE): Uint8Array =>
  request(Command.RESOURCE_CREATE_2D, id, format, width, height);
export const unref = (id: number): Uint8Array => request(Command.RESOURCE_UNREF, id, 0);
export const attach = (id: number, entries: readonly number[] = entry(PLACE, BYTES), count = entries.length / 4): Uint8Array =>
  withWords(request(Command.RESOURCE_ATTACH_BACKING, id, count), entries);
export const detach = (id: number): Uint8Array => request(Command.RESOURCE_DETACH_BACKING, id, 0);
export const transfer = (id: number, rect: readonly number[] = [0, 0, SIDE, SIDE], offset: bigint = 0n): Uint8Array =>
  request(Command.TRANSFER_TO_HOST_2D, ...rect, ...U64(offset), id, 0);
export const flush = (id: number, rect: readonly number[] = [0, 0, SIDE, SIDE]): Uint8Array =>
  request(Command.RESOURCE_FLUSH, ...rect, id, 0);
export const setScanout = (head: number, id: number, rect: readonly number[] = [0, 0, SIDE, SIDE]): Uint8Array =>
  request(Command.SET_SCANOUT, ...rect, head, id);
export const createBlob = (
  id: number,
  options: { memory?: number; flags?: number; entries?: readonly number[]; count?: number; size?: bigint } = {},
): Uint8Array => {
  const entries = options.entries ?? entry(PLACE, BYTES);
  const count = options.count ?? entries.length / 4;
  const size = U64(options.size ?? BigInt(BYTES));
  return withWords(request(Command.RESOURCE_CREATE_BLOB, id, options.memory ?? 1, options.flags ?? 2, count, 0, 0, ...size), entries);
};
export const setScanoutBlob = (
  head: number,
  id: number,
  options: { rect?: readonly number[]; width?: number; height?: number; format?: number; stride?: number; offset?: number } = {},
): Uint8Array =>
  request(
    Command.SET_SCANOUT_BLOB,
    ...(options.rect ?? [0, 0, SIDE, SIDE]),
    head,
    id,
    options.width ?? SIDE,
    options.height ?? SIDE,
    options.format ?? Format.B8G8R8X8,
    0,
    options.stride ?? SIDE * 4,
    0,
    0,
    0,
    options.offset ?? 0,
    0,
    0,
    0,
  );
export const getEdid = (head: number): Uint8Array => request(Command.GET_EDID, head, 0);
export const getDisplayInfo = (): Uint8Array => request(Command.GET_DISPLAY_INFO);
export const cursor = (type: number, head: number, id: number): Uint8Array => request(type, head, 10, 20, 0, id, 1, 2, 0);
