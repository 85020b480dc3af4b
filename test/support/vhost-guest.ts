/** A guest and its front end by hand, for a vhost-user host: memory in a file, queues, eventfds, messages in QEMU's order. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_OPTIONS, type MachineOptions } from '../../core/machine/options.ts';
import { planParts } from '../../core/machine/plan.ts';
import { MIB, openDriver, placeQueue } from '../../core/machine/testing/host-rig.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { AddressSpace } from '../../core/memory/address-space.ts';
import { MemoryRegion } from '../../core/memory/region.ts';
import { Feature, Response } from '../../core/protocol/constants.ts';
import { PROTOCOL_FEATURES_BIT, ProtocolFeature, pair, VhostUser } from '../../core/protocol/vhost-user.ts';
import { writeCreateBlob, writeFlush, writeMemEntry, writeSetScanoutBlob } from '../../core/protocol/write.ts';
import type { PackedDriver } from '../../core/ring/packed/driver.ts';
import { CONTROL_QUEUE, QUEUES } from '../../core/ring/registers.ts';
import type { SplitDriver } from '../../core/ring/split/driver.ts';
import { ONE_EVENT } from '../../workers/native/event-fd.ts';
import type { Libc } from '../../workers/native/libc.ts';
import { FileMappings } from '../../workers/native/mapping.ts';
import { PollSet } from '../../workers/native/poll.ts';
import { PACKED_BEGIN } from '../../workers/vhost-user/back-end.ts';
import { FrontEnd, type SharedRegion } from '../../workers/vhost-user/front-end.ts';
import { VhostUserHost } from '../../workers/vhost-user/host.ts';
import type { HostNews, HostTask } from '../../workers/vhost-user/host-task.ts';

export const USER = 0x7f00_0000_0000;
export const RAM_BYTES = 8 * MIB;
const REQUEST = 0x100000;
const RESPONSE = 0x110000;
/** Between the places of two requests, and of two answers. */
const PLACE = 0x1000;
/** Pixels of tests lie from here on. */
export const PIXELS = 4 * MIB;
const PATIENCE_NS = 10e9;
const LOOK_NS = 1e6;

/** A host on its thread, and what it told. */
export class TestHost {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'scanout-vhost-'));
  readonly socket: string = join(this.folder, 'gpu.sock');
  readonly news: HostNews[] = [];
  readonly host: VhostUserHost;
  #heard: (() => void)[] = [];

  constructor(options: Partial<MachineOptions> = {}, task: Partial<HostTask> = {}) {
    const plan = planParts({ ...DEFAULT_OPTIONS, rateHz: null, logCapacity: 64, ...options }, [], monotonicNowNs());
    const rest = { devices: [], unsealed: false, once: false, send: null, state: null, record: null, frames: null, connect: false };
    this.host = new VhostUserHost({ plan, socket: this.socket, ...rest, ...task }, (one) => {
      this.news.push(one);
      for (const resolve of this.#heard.splice(0)) resolve();
    });
  }

  async until(found: (all: HostNews[]) => boolean): Promise<void> {
    while (!found(this.news)) await new Promise<void>((resolve) => this.#heard.push(resolve));
  }

  async listening(): Promise<this> {
    await this.until((all) => all.some(({ kind }) => kind === 'listening'));
    return this;
  }

  get lines(): string[] {
    return this.news.flatMap((one) => (one.kind === 'line' ? [one.text] : []));
  }

  /** Why session number `n`, from 1 on, ended. */
  async ending(n = 1): Promise<string | null> {
    const ended = (): HostNews[] => this.news.filter(({ kind }) => kind === 'disconnected');
    await this.until(() => ended().length >= n);
    const last = ended()[n - 1];
    return last.kind === 'disconnected' ? last.why : null;
  }

  async stop(): Promise<void> {
    this.host.stop();
    await this.host.ended;
  }

  async end(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true });
  }
}

/** The guest's memory and queues, and the front end that shares them. */
export class TestGuest {
  front: FrontEnd;
  readonly ring: 'split' | 'packed';
  readonly space = new AddressSpace();
  readonly ram: MemoryRegion;
  readonly ramFd: number;
  readonly kick: number[];
  readonly call: number[];
  readonly err: number[];
  readonly mappings: FileMappings;
  queues: (SplitDriver | PackedDriver)[] = [];
  /** Where answers lie. */
  readonly response = RESPONSE;
  /** Where the front end has its memory. */
  user = USER;
  features = 0;
  readonly #libc: Libc;
  readonly #polls: PollSet;
  #token = 0;

  constructor(libc: Libc, host: { readonly socket: string }, ring: 'split' | 'packed' = 'split') {
    this.#libc = libc;
    this.ring = ring;
    this.mappings = new FileMappings(libc);
    this.ramFd = libc.memfd('guest-ram', RAM_BYTES);
    const memory = this.mappings.map(this.ramFd, 0, RAM_BYTES);
    this.ram = new MemoryRegion({ id: 0, name: 'ram', kind: 'ram', gpa: 0, size: RAM_BYTES, device: null, bar: null, memory });
    this.space.add(this.ram);
    const events = (): number[] => Array.from({ length: QUEUES }, () => libc.eventfd());
    this.kick = events();
    this.call = events();
    this.err = events();
    this.#polls = new PollSet(libc, 1);
    this.front = FrontEnd.connect(libc, host.socket);
  }

  /** From the first message to running queues. */
  begin(): this {
    const { front } = this;
    const { lo, hi } = front.features();
    this.features = lo;
    front.setProtocolFeatures(front.protocolFeatures() & ((1 << ProtocolFeature.CONFIG) | (1 << ProtocolFeature.REPLY_ACK)));
    front.tell(VhostUser.SET_OWNER);
    front.setFeatures(lo, hi);
    this.setTable();
    this.newDriver();
    return this;
  }

  /**
   * Connects to a host that knows nothing of this guest, and goes on, as QEMU does: split rings at their used index; packed
   * rings, whose position cannot be read from memory, where they once began.
   * @param bases where they stand, of a front end that knows it
   */
  goOn(host: { readonly socket: string }, bases?: readonly number[]): void {
    this.front = FrontEnd.connect(this.#libc, host.socket);
    const { lo, hi } = this.front.features();
    this.front.setProtocolFeatures(this.front.protocolFeatures() & (1 << ProtocolFeature.CONFIG));
    this.front.setFeatures(lo, hi);
    this.setTable();
    for (let index = 0; index < QUEUES; index++) {
      const used = placeQueue(index, this).config.deviceAddress;
      this.start(index, bases?.[index] ?? (this.ring === 'packed' ? PACKED_BEGIN : this.ram.u16[used / 2 + 1]));
    }
  }

  get region(): SharedRegion {
    return { gpa: 0, size: RAM_BYTES, userAddress: this.user, fileOffset: 0, fd: this.ramFd };
  }

  setTable(more: readonly SharedRegion[] = []): void {
    this.front.setMemTable([this.region, ...more]);
  }

  /** Fresh queues, from their beginning. */
  newDriver(): void {
    this.ram.u8.fill(0, 0x10000, 0x20000);
    const features = this.features & ~(1 << PROTOCOL_FEATURES_BIT);
    this.queues = Array.from({ length: QUEUES }, (_, index) => openDriver(this.space, this, placeQueue(index, this, features)));
    for (let index = 0; index < QUEUES; index++) this.start(index, this.ring === 'packed' ? PACKED_BEGIN : 0);
  }

  start(index: number, base: number): void {
    const { descriptorAddress, driverAddress, deviceAddress, size } = placeQueue(index, this).config;
    this.front.tell(VhostUser.SET_VRING_ERR, pair(index, 0), [this.err[index]]);
    this.front.startQueue(index, {
      size,
      base,
      descriptor: this.user + descriptorAddress,
      avail: this.user + driverAddress,
      used: this.user + deviceAddress,
      kick: this.kick[index],
      call: this.call[index],
    });
  }

  /** Sends a request and waits for its answer. @returns its type */
  send(write: (w: Uint32Array, at: number) => number, queue = CONTROL_QUEUE): number {
    this.post(write, queue);
    return this.answer(queue);
  }

  /** @param place requests that are in flight at once have places of their own, 0 to 7 */
  post(write: (w: Uint32Array, at: number) => number, queue = CONTROL_QUEUE, place = 0): void {
    const driver = this.queues[queue];
    const request = REQUEST + place * PLACE;
    const response = RESPONSE + place * PLACE;
    const bytes = write(this.ram.u32, request / 4);
    this.ram.u32.fill(0, response / 4, response / 4 + 16);
    driver.begin();
    driver.readable(request, bytes);
    if (queue === CONTROL_QUEUE) driver.writable(response, 1056);
    if (!driver.submit(this.#token++)) throw new Error('the ring is full');
    driver.enableInterrupts();
    if (driver.publish()) this.#libc.write(this.kick[queue], ONE_EVENT);
  }

  answer(queue = CONTROL_QUEUE, place = 0): number {
    const driver = this.queues[queue];
    while (!driver.popUsed()) if (!this.readable(this.call[queue])) throw new Error('the guest waits for an interrupt in vain');
    return this.ram.u32[(RESPONSE + place * PLACE) / 4];
  }

  /** As `answer`; null: the host is gone, without one. */
  answerOrEnd(): number | null {
    const [driver] = this.queues;
    for (;;) {
      if (driver.popUsed()) return this.ram.u32[RESPONSE / 4];
      if (this.front.hasAnswer) return driver.popUsed() ? this.ram.u32[RESPONSE / 4] : null;
      this.#polls.set(0, this.call[CONTROL_QUEUE]);
      if (this.#polls.wait(LOOK_NS) > 0) this.#libc.read(this.call[CONTROL_QUEUE], new Uint8Array(8));
    }
  }

  /** Waits for an eventfd and takes it back. */
  readable(fd: number): boolean {
    this.#polls.set(0, fd);
    if (this.#polls.wait(PATIENCE_NS) === 0) return false;
    this.#libc.read(fd, new Uint8Array(8));
    return true;
  }

  /** A blob of 64×64 pixels in one piece, at `address`. */
  createBlob(id: number, address = PIXELS): number {
    return this.send((w, at) => {
      const bytes = writeCreateBlob(w, at, id, 1, 2, 1, 0, 0, 16384, 0);
      return bytes + writeMemEntry(w, at + bytes / 4, address % 2 ** 32, Math.floor(address / 2 ** 32), 16384);
    });
  }

  setScanout(id: number): number {
    return this.send((w, at) => writeSetScanoutBlob(w, at, 0, 0, 64, 64, 0, id, 64, 64, 2, 256, 0));
  }

  /** Draws `pixel` and shows it. */
  show(id: number, pixel: number): boolean {
    this.ram.u32[PIXELS / 4] = pixel;
    return this.send((w, at) => writeFlush(w, at, 0, 0, 64, 64, id)) === Response.OK_NODATA;
  }

  /** Hangs up, and gives back all that the guest has. */
  close(): void {
    this.front.close();
    for (const fd of [this.ramFd, ...this.kick, ...this.call, ...this.err]) this.#libc.close(fd);
    this.mappings.unmap(this.ram.memory, RAM_BYTES);
  }

  get eventIdx(): boolean {
    return ((this.features >>> Feature.EVENT_IDX) & 1) !== 0;
  }
}
