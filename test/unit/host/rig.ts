import { type Memfd, Memfd as MemfdClass, UDMABUF_DEFAULTS } from '../../../core/dmabuf/udmabuf.ts';
import { VfioDevice } from '../../../core/dmabuf/vfio.ts';
import { HostDevice, type HostOptions } from '../../../core/host/device.ts';
import type { Ring } from '../../../core/machine/options.ts';
import { ringFeaturesHi } from '../../../core/machine/parts.ts';
import { VirtualClock } from '../../../core/measure/clock.ts';
import { Counters } from '../../../core/measure/counters.ts';
import { FrameLog } from '../../../core/measure/frame-log.ts';
import { AddressSpace } from '../../../core/memory/address-space.ts';
import { Copier, copyKernels } from '../../../core/memory/copier.ts';
import { Ledger } from '../../../core/memory/ledger.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { BlobFlag, BlobMem, Command, Feature, Format, Response } from '../../../core/protocol/constants.ts';
import { Header } from '../../../core/protocol/layout.ts';
import {
  setFence,
  writeAttachBacking,
  writeCreate2d,
  writeCreateBlob,
  writeFlush,
  writeMemEntry,
  writeResource,
  writeSetScanout,
  writeSetScanoutBlob,
  writeTransfer,
} from '../../../core/protocol/write.ts';
import type { Doorbell } from '../../../core/ring/doorbell.ts';
import { PackedDriver } from '../../../core/ring/packed/driver.ts';
import { placePackedQueue } from '../../../core/ring/packed/layout.ts';
import { CONTROL_QUEUE, CURSOR_QUEUE, DeviceRegisters, Status } from '../../../core/ring/registers.ts';
import { SplitDriver } from '../../../core/ring/split/driver.ts';
import { placeSplitQueue } from '../../../core/ring/split/layout.ts';
import { LatchSink } from '../../../core/sink/latch.ts';
import type { Sink } from '../../../core/sink/sink.ts';

export const MIB = 1024 * 1024;
export const LOW = 0;
export const HIGH = 4 * 1024 * MIB;
export const BAR = 256 * 1024 * MIB;
/** Pixels of tests lie from here in each region. */
export const PIXELS = 4 * MIB;
const COMMANDS = 0x100000;
const COMMAND_BYTES = 0x20000;
const COMMAND_SLOTS = 16;

export interface Answer {
  type: number;
  flags: number;
  fence: [number, number];
  context: number;
  used: number;
  bytes: Uint8Array;
}

export interface Entry {
  address: number;
  length: number;
}

export interface RigOptions extends Partial<Omit<HostOptions, 'sink'>> {
  heads?: number;
  features?: number;
  /** Default: split. */
  ring?: Ring;
  inOrder?: boolean;
  periodNs?: number;
  scanoutNs?: number;
  makeSink?: (heads: number, counters: Counters) => Sink;
  /** Do not take the device up to DRIVER_OK. */
  asleep?: boolean;
}

export const BASE_FEATURES = (1 << Feature.EDID) | (1 << Feature.INDIRECT_DESC) | (1 << Feature.EVENT_IDX);
export const BLOB_FEATURES = BASE_FEATURES | (1 << Feature.RESOURCE_BLOB);

const regionOf = (id: number, name: string, gpa: number, device: string | null): MemoryRegion =>
  new MemoryRegion({
    id,
    name,
    gpa,
    size: 12 * MIB,
    kind: device === null ? 'ram' : 'device',
    device,
    bar: device === null ? null : 0,
    memory: createSharedMemory(12 * MIB),
  });

/** A host device with a real ring in real memory, driven by hand. Regions: 0 RAM, 1 RAM above 4 GiB, 2 gpu0's BAR, 3 gpu1's. */
export class Rig {
  readonly clock = new VirtualClock();
  readonly counters = new Counters();
  readonly ledger = new Ledger();
  readonly space = new AddressSpace();
  readonly regions: MemoryRegion[];
  readonly registers = new DeviceRegisters(new Int32Array(new SharedArrayBuffer(DeviceRegisters.words * 4)));
  readonly log: FrameLog;
  readonly sink: Sink;
  readonly device: HostDevice;
  readonly images = new Set<MemoryRegion>();
  readonly vfio: VfioDevice[];
  interrupts = 0;
  control!: SplitDriver | PackedDriver;
  cursor!: SplitDriver | PackedDriver;
  readonly answers = new Map<number, Answer>();
  /** Tokens in the order their responses came. */
  readonly order: number[] = [];
  readonly #words: Uint32Array;
  #next = 0;
  #fence = 0;
  readonly #options: RigOptions;

  constructor(options: RigOptions = {}) {
    this.#options = options;
    this.regions = [
      regionOf(0, 'ram-low', LOW, null),
      regionOf(1, 'ram-high', HIGH, null),
      regionOf(2, 'bar0', BAR, 'gpu0'),
      regionOf(3, 'bar1', 2 * BAR, 'gpu1'),
    ];
    for (const region of this.regions) this.space.add(region);
    this.vfio = [new VfioDevice('gpu0'), new VfioDevice('gpu1')];
    this.vfio[0].addRegion(0, this.regions[2]);
    this.vfio[1].addRegion(0, this.regions[3]);
    const memfds = new Map<MemoryRegion, Memfd>([this.regions[0], this.regions[1]].map((region) => [region, new MemfdClass(region)]));
    this.#words = this.regions[0].u32;
    const heads = options.heads ?? 1;
    this.log = new FrameLog(new SharedArrayBuffer(FrameLog.bytes(heads, 64)), heads, 64);
    this.sink =
      options.makeSink?.(heads, this.counters) ??
      new LatchSink({ heads, periodNs: options.periodNs ?? 0, phaseNs: 0, scanoutNs: options.scanoutNs ?? 0, counters: this.counters });
    const doorbell: Doorbell = { sample: () => 0, ring: () => void this.interrupts++, sleep: () => false };
    const features = options.features ?? BLOB_FEATURES;
    let nextId = 1000;
    this.device = new HostDevice({
      space: this.space,
      regions: this.regions,
      registers: this.registers,
      guestDoorbell: doorbell,
      clock: this.clock,
      counters: this.counters,
      frameLog: this.log,
      copier: new Copier(copyKernels()[0], this.ledger),
      profile: 'series',
      policy: 'copy',
      udmabuf: UDMABUF_DEFAULTS,
      maxEntries: 16384,
      maxHostmem: 64 * MIB,
      displays: Array.from({ length: heads }, () => ({ width: 64, height: 64, refreshHz: 60 })),
      offeredFeatures: { lo: features, hi: this.#featuresHi },
      allocateImage: (bytes) => {
        const size = Math.ceil(bytes / 4096) * 4096;
        const id = nextId++;
        const image = new MemoryRegion({
          id,
          name: `image-${id}`,
          kind: 'ram',
          gpa: 0,
          size,
          device: null,
          bar: null,
          memory: createSharedMemory(size),
        });
        this.images.add(image);
        return image;
      },
      freeImage: (region) => {
        if (!this.images.delete(region)) throw new Error('freed twice');
      },
      vfioDevices: this.vfio,
      memfdOf: (region) => memfds.get(region) ?? null,
      ...options,
      sink: this.sink,
    });
    if (options.asleep !== true) this.start();
  }

  /** Resets and takes the device to DRIVER_OK with fresh queues. @param between runs after FEATURES_OK */
  start(features = this.#options.features ?? BLOB_FEATURES, between: () => void = () => {}): void {
    const { registers } = this;
    this.status(0);
    this.status(Status.ACKNOWLEDGE | Status.DRIVER);
    registers.setDriverFeatures(features, this.#featuresHi);
    this.status(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK);
    between();
    this.regions[0].u8.fill(0, 0x10000, 0x20000);
    this.control = this.#queue(CONTROL_QUEUE, 64, 0x10000, features);
    this.cursor = this.#queue(CURSOR_QUEUE, 16, 0x18000, features);
    this.status(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK | Status.DRIVER_OK);
    this.answers.clear();
    this.order.length = 0;
  }

  status(value: number): void {
    this.registers.status = value;
    this.device.poll();
  }

  get #featuresHi(): number {
    return ringFeaturesHi({ ring: this.#options.ring ?? 'split', inOrder: this.#options.inOrder ?? false });
  }

  #queue(index: number, size: number, base: number, features: number): SplitDriver | PackedDriver {
    const packed = this.#options.ring === 'packed';
    const placed = (packed ? placePackedQueue : placeSplitQueue)(base, size);
    this.registers.setQueueSize(index, size);
    this.registers.setQueueAddresses(index, placed.descriptorAddress, placed.driverAddress, placed.deviceAddress);
    this.registers.setQueueReady(index, true);
    const bit = (n: number): boolean => ((features >>> n) & 1) !== 0;
    return new (packed ? PackedDriver : SplitDriver)(
      this.space,
      { size, ...placed, indirect: bit(Feature.INDIRECT_DESC), eventIdx: bit(Feature.EVENT_IDX), inOrder: this.#options.inOrder === true },
      { address: base + 0x4000, descriptors: 4 },
    );
  }

  /**
   * Enqueues a request without polling. @param write fills it in at a word index and returns its bytes
   * @returns its token
   */
  post(
    write: (w: Uint32Array, at: number) => number,
    options: { fenced?: boolean; writable?: number; bytes?: number; entries?: readonly Entry[] } = {},
  ): number {
    const token = this.#next++;
    const address = COMMANDS + (token % COMMAND_SLOTS) * COMMAND_BYTES;
    const at = address / 4;
    let bytes = write(this.#words, at);
    if (options.fenced === true) setFence(this.#words, at, ++this.#fence, 0xffffffff);
    for (const entry of options.entries ?? []) {
      bytes += writeMemEntry(
        this.#words,
        (address + bytes) / 4,
        entry.address % 2 ** 32,
        Math.floor(entry.address / 2 ** 32),
        entry.length,
      );
    }
    const writable = options.writable ?? 1056;
    this.control.begin();
    if ((options.bytes ?? bytes) > 0) this.control.readable(address, options.bytes ?? bytes);
    const response = COMMANDS + COMMAND_SLOTS * COMMAND_BYTES + (token % COMMAND_SLOTS) * 2048;
    this.regions[0].u8.fill(0xee, response, response + 2048);
    if (writable > 0) this.control.writable(response, writable);
    if (!this.control.submit(token)) throw new Error('ring full');
    this.control.publish();
    return token;
  }

  /** Polls until nothing progresses, then collects the responses. */
  run(): void {
    while (this.device.poll());
    this.collect();
  }

  collect(): void {
    while (this.control.popUsed()) {
      const token = this.control.usedToken;
      const at = COMMANDS + COMMAND_SLOTS * COMMAND_BYTES + (token % COMMAND_SLOTS) * 2048;
      const w = at / 4;
      this.order.push(token);
      this.answers.set(token, {
        type: this.#words[w + Header.type],
        flags: this.#words[w + Header.flags],
        fence: [this.#words[w + Header.fenceLo], this.#words[w + Header.fenceHi]],
        context: this.#words[w + Header.ctxId],
        used: this.control.usedLength,
        bytes: Uint8Array.from(this.regions[0].u8.subarray(at, at + 1056)),
      });
    }
  }

  /** Sends a request and runs. @returns its answer's type; 0: not answered yet, −1: used length 0 */
  send(write: (w: Uint32Array, at: number) => number, options: Parameters<Rig['post']>[1] = {}): number {
    const token = this.post(write, options);
    this.run();
    const answer = this.answers.get(token);
    return answer === undefined ? 0 : answer.used === 0 ? -1 : answer.type;
  }

  /** Time passes; the device runs. */
  advance(ns: number): void {
    this.clock.advance(ns);
    this.run();
  }

  create2d = (id: number, width = 64, height = 64, format: number = Format.B8G8R8X8): number =>
    this.send((w, at) => writeCreate2d(w, at, id, format, width, height));

  attach = (id: number, entries: readonly Entry[], count = entries.length): number =>
    this.send((w, at) => writeAttachBacking(w, at, id, count), { entries });

  detach = (id: number, fenced = false): number =>
    this.send((w, at) => writeResource(w, at, Command.RESOURCE_DETACH_BACKING, id), { fenced });

  unref = (id: number): number => this.send((w, at) => writeResource(w, at, Command.RESOURCE_UNREF, id));

  createBlob = (
    id: number,
    entries: readonly Entry[],
    options: { size?: number; memory?: number; flags?: number; count?: number; sizeHi?: number } = {},
  ): number =>
    this.send(
      (w, at) =>
        writeCreateBlob(
          w,
          at,
          id,
          options.memory ?? BlobMem.GUEST,
          options.flags ?? BlobFlag.SHAREABLE,
          options.count ?? entries.length,
          0,
          0,
          options.size ?? entries.reduce((sum, entry) => sum + entry.length, 0),
          options.sizeHi ?? 0,
        ),
      { entries },
    );

  setScanout = (head: number, id: number, x = 0, y = 0, width = 64, height = 64): number =>
    this.send((w, at) => writeSetScanout(w, at, x, y, width, height, head, id));

  setScanoutBlob = (
    head: number,
    id: number,
    o: {
      x?: number;
      y?: number;
      width?: number;
      height?: number;
      fbWidth?: number;
      fbHeight?: number;
      format?: number;
      stride?: number;
      offset?: number;
    } = {},
  ): number =>
    this.send((w, at) =>
      writeSetScanoutBlob(
        w,
        at,
        o.x ?? 0,
        o.y ?? 0,
        o.width ?? 64,
        o.height ?? 64,
        head,
        id,
        o.fbWidth ?? 64,
        o.fbHeight ?? 64,
        o.format ?? Format.B8G8R8X8,
        o.stride ?? 256,
        o.offset ?? 0,
      ),
    );

  transfer = (id: number, x = 0, y = 0, width = 64, height = 64, offset = 0, fenced = false): number =>
    this.send((w, at) => writeTransfer(w, at, x, y, width, height, offset % 2 ** 32, Math.floor(offset / 2 ** 32), id), { fenced });

  flush = (id: number, options: { fenced?: boolean; x?: number; y?: number; width?: number; height?: number } = {}): number =>
    this.send((w, at) => writeFlush(w, at, options.x ?? 0, options.y ?? 0, options.width ?? 64, options.height ?? 64, id), {
      fenced: options.fenced ?? false,
    });

  /** A 64×64 frame shown on head 0 with a resource of its own: whether the device still serves. */
  serves(): boolean {
    const ok = Response.OK_NODATA;
    return (
      this.create2d(9999) === ok &&
      this.attach(9999, [{ address: HIGH + 11 * MIB, length: 16384 }]) === ok &&
      this.transfer(9999) === ok &&
      this.setScanout(0, 9999) === ok &&
      (this.flush(9999) === ok || this.#late()) &&
      this.unref(9999) === ok
    );
  }

  #late(): boolean {
    this.advance(1e9);
    return this.answers.get(this.order[this.order.length - 1])?.type === Response.OK_NODATA;
  }
}

/** A buffer of `pages` pages that lie apart, from `address` on. */
export const scattered = (address: number, pages: number): Entry[] =>
  Array.from({ length: pages }, (_, i) => ({ address: address + i * 8192, length: 4096 }));
/** 64×64 pixels in one piece. */
export const frame = (address: number): Entry[] => [{ address, length: 16384 }];
