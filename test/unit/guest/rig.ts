import { Fence } from '../../../core/dmabuf/fence.ts';
import { type GuestOptions, VirtioGpuDriver } from '../../../core/guest/driver.ts';
import type { Framebuffer, GuestResource } from '../../../core/guest/resource.ts';
import { openSplitDriver } from '../../../core/machine/queues.ts';
import { VirtualClock } from '../../../core/measure/clock.ts';
import { Counters } from '../../../core/measure/counters.ts';
import { AddressSpace } from '../../../core/memory/address-space.ts';
import { PageAllocator } from '../../../core/memory/allocator.ts';
import { Random } from '../../../core/memory/random.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { Feature, Flag, Format, Response } from '../../../core/protocol/constants.ts';
import { type Head, writeDisplayInfo } from '../../../core/protocol/display-info.ts';
import { buildEdid } from '../../../core/protocol/edid.ts';
import { Header } from '../../../core/protocol/layout.ts';
import { decodeRequest, type Request, type RequestOf } from '../../../core/protocol/request.ts';
import { writeEdid, writeResponseHeader } from '../../../core/protocol/write-response.ts';
import { Chain, readChain, writeChain } from '../../../core/ring/chain.ts';
import type { Doorbell } from '../../../core/ring/doorbell.ts';
import { CONTROL_QUEUE, CURSOR_QUEUE, DeviceRegisters, Event, Interrupt, Status } from '../../../core/ring/registers.ts';
import { SplitDevice } from '../../../core/ring/split/device.ts';

const MIB = 1024 * 1024;
export const RAM_HIGH = 4 * 1024 * MIB;
export const BASE_FEATURES = (1 << Feature.EDID) | (1 << Feature.INDIRECT_DESC) | (1 << Feature.EVENT_IDX);
export const BLOB_FEATURES = BASE_FEATURES | (1 << Feature.RESOURCE_BLOB);
export const PERIOD = 1e9 / 60;

/** A command as the host got it. */
export interface Seen {
  readonly request: Request;
  readonly name: Request['name'];
  readonly queue: number;
  readonly fenced: boolean;
  readonly fence: readonly [lo: number, hi: number];
  /** Bytes of the writable part. */
  readonly room: number;
}

interface Held {
  readonly seen: Seen;
  readonly head: number;
  readonly chain: Chain;
}

export interface ScriptOptions {
  features?: number;
  heads?: Head[];
  /** Which requests are kept without an answer until `release`. */
  hold?: (seen: Seen) => boolean;
  /** What a request is answered with; undefined: as it should be. */
  answer?: (seen: Seen) => number | undefined;
  /** DRIVER_OK is refused. */
  refuseQueues?: boolean;
  /** Told of each command, in order. */
  onCommand?: (seen: Seen) => void;
}

/** A host that answers what it is told to and writes down what it gets: real rings and registers, no device behind. */
export class ScriptedHost {
  readonly seen: Seen[] = [];
  readonly held: Held[] = [];
  readonly registers: DeviceRegisters;
  readonly options: ScriptOptions;
  heads: Head[];
  /** Of every chain that was returned: `[queue, bytes written]`. */
  readonly used: [queue: number, written: number][] = [];
  refuseFeatures = false;
  /** What events_read held when each GET_DISPLAY_INFO was answered. */
  readonly #space: AddressSpace;
  readonly #guestBell: Doorbell;
  #status = 0;
  #queues: (SplitDevice | null)[] = [null, null];
  #chain = new Chain();
  readonly #response = new Uint32Array(512);
  readonly #bytes = new Uint8Array(this.#response.buffer);

  constructor(space: AddressSpace, registers: DeviceRegisters, guestBell: Doorbell, options: ScriptOptions) {
    this.#space = space;
    this.registers = registers;
    this.#guestBell = guestBell;
    this.options = options;
    this.heads = options.heads ?? [{ x: 0, y: 0, width: 64, height: 32, enabled: true }];
    registers.setDeviceFeatures(options.features ?? BLOB_FEATURES, 1);
    registers.numScanouts = this.heads.length;
    registers.presentMask = 1;
  }

  names(): string[] {
    return this.seen.map((each) => each.name);
  }

  of<N extends Request['name']>(name: N): RequestOf<N>[] {
    return this.seen.filter((each) => each.name === name).map((each) => each.request as RequestOf<N>);
  }

  poll(): boolean {
    let progressed = false;
    const { registers } = this;
    if (registers.eventsClear !== 0) {
      registers.takeEventsClear();
      progressed = true;
    }
    const { status } = registers;
    if (status !== this.#status) {
      this.#status = status;
      let accepted = status;
      if (status === 0) {
        this.#queues = [null, null];
        registers.reset();
      } else if (this.refuseFeatures) accepted &= ~Status.FEATURES_OK;
      if (this.options.refuseQueues === true) accepted &= ~Status.DRIVER_OK;
      if ((status & Status.DRIVER_OK) !== 0 && this.#queues[0] === null) {
        this.#queues = [CONTROL_QUEUE, CURSOR_QUEUE].map((queue) => this.#open(queue));
      }
      registers.deviceStatus = accepted;
      registers.statusSeen = status;
      this.#guestBell.ring();
      progressed = true;
    }
    for (const queue of [CONTROL_QUEUE, CURSOR_QUEUE]) if (this.#serve(queue)) progressed = true;
    return progressed;
  }

  /** Answers the oldest request held, or the one given. */
  release(held: Held | undefined = this.held[0], code?: number): void {
    if (held === undefined) throw new Error('nothing is held');
    this.held.splice(this.held.indexOf(held), 1);
    this.#respond(held, code);
    this.#publish(held.seen.queue);
  }

  /** Sends an answer of its own making to a held request. */
  releaseWith(held: Held, type: number, flags: number, lo: number, hi: number): void {
    this.held.splice(this.held.indexOf(held), 1);
    writeResponseHeader(this.#response, 0, type, flags, lo, hi, 0, 0);
    this.#return(held, 24);
    this.#publish(held.seen.queue);
  }

  /** The display changed: events_read and a config interrupt. */
  changeDisplay(heads: Head[], interrupt: number = Event.DISPLAY): void {
    this.heads = heads;
    this.registers.bumpConfigGeneration();
    this.registers.raiseEvents(interrupt);
    this.registers.raiseInterrupt(Interrupt.CONFIG_CHANGE);
    this.#guestBell.ring();
  }

  #open(queue: number): SplitDevice {
    const { registers } = this;
    const features = registers.driverFeaturesLo;
    return new SplitDevice(this.#space, {
      size: registers.queueSize(queue),
      descriptorAddress: registers.queueDescriptorAddress(queue),
      driverAddress: registers.queueDriverAddress(queue),
      deviceAddress: registers.queueDeviceAddress(queue),
      indirect: ((features >>> Feature.INDIRECT_DESC) & 1) !== 0,
      eventIdx: ((features >>> Feature.EVENT_IDX) & 1) !== 0,
    });
  }

  #serve(index: number): boolean {
    const queue = this.#queues[index];
    if (queue === null || queue === undefined) return false;
    let progressed = false;
    while (queue.pop(this.#chain)) {
      progressed = true;
      const chain = this.#chain;
      this.#chain = new Chain();
      const bytes = new Uint8Array(chain.readableBytes);
      readChain(this.#space, chain, 0, bytes, 0, bytes.length);
      const request = decodeRequest(bytes);
      if ('error' in request) throw new Error(request.error);
      const words = new Uint32Array(bytes.buffer, 0, 6);
      const seen: Seen = {
        request,
        name: request.name,
        queue: index,
        fenced: (words[Header.flags] & Flag.FENCE) !== 0,
        fence: [words[Header.fenceLo], words[Header.fenceHi]],
        room: chain.writableBytes,
      };
      this.seen.push(seen);
      this.options.onCommand?.(seen);
      const held = { seen, head: chain.head, chain };
      if (index === CONTROL_QUEUE && this.options.hold?.(seen) === true) this.held.push(held);
      else this.#respond(held);
    }
    if (progressed) this.#publish(index);
    return progressed;
  }

  #respond(held: Held, code?: number): void {
    const { seen } = held;
    if (seen.queue === CURSOR_QUEUE) {
      this.#return(held, 0);
      return;
    }
    const wanted = code ?? this.options.answer?.(seen);
    let type: number = wanted ?? Response.OK_NODATA;
    let bytes = 24;
    if (wanted === undefined && seen.name === 'GET_DISPLAY_INFO') {
      type = Response.OK_DISPLAY_INFO;
      bytes = writeDisplayInfo(this.#response, 0, this.heads);
    } else if (wanted === undefined && seen.request.name === 'GET_EDID') {
      type = Response.OK_EDID;
      const head = this.heads[seen.request.scanout];
      bytes = writeEdid(this.#response, 0, buildEdid({ width: head.width, height: head.height, refreshHz: 60 }));
    }
    writeResponseHeader(
      this.#response,
      0,
      type,
      seen.fenced ? Flag.FENCE : 0,
      seen.fenced ? seen.fence[0] : 0,
      seen.fenced ? seen.fence[1] : 0,
      0,
      0,
    );
    this.#return(held, bytes);
  }

  #return(held: Held, bytes: number): void {
    const { seen, chain, head } = held;
    writeChain(this.#space, chain, this.#bytes, 0, bytes);
    this.#queues[seen.queue]?.push(head, bytes);
    this.used.push([seen.queue, bytes]);
  }

  #publish(queue: number): void {
    if (this.#queues[queue]?.publish() === true) {
      this.registers.raiseInterrupt(Interrupt.USED_BUFFER);
      this.#guestBell.ring();
    }
  }
}

class Bell implements Doorbell {
  rings = 0;
  onSleep: (deadlineNs: number) => boolean = () => false;

  sample(): number {
    return this.rings;
  }

  ring(): void {
    this.rings++;
  }

  sleep(expected: number, deadlineNs: number): boolean {
    while (this.rings === expected) if (!this.onSleep(deadlineNs)) return false;
    return true;
  }
}

export interface RigOptions extends ScriptOptions {
  wanted?: number;
  refuseFeatures?: boolean;
  guest?: Partial<GuestOptions>;
}

/** The driver against a scripted host, on one thread under a virtual clock. */
export class Rig {
  readonly clock = new VirtualClock();
  readonly counters = new Counters();
  readonly space = new AddressSpace();
  readonly low: MemoryRegion;
  readonly high: MemoryRegion;
  readonly memory: PageAllocator;
  readonly pixels: PageAllocator;
  readonly registers = new DeviceRegisters(new Int32Array(new SharedArrayBuffer(DeviceRegisters.words * 4)));
  readonly host: ScriptedHost;
  readonly driver: VirtioGpuDriver;
  readonly hostBell = new Bell();
  /** Called whenever the driver sleeps and the host has nothing to do; true: something happened. */
  onIdle: () => boolean = () => false;
  readonly guestBell = new Bell();

  constructor(options: RigOptions = {}) {
    const ram = { kind: 'ram', size: 4 * MIB, device: null, bar: null } as const;
    this.low = new MemoryRegion({ ...ram, id: 0, name: 'low', gpa: 0, memory: createSharedMemory(4 * MIB) });
    this.high = new MemoryRegion({ ...ram, id: 1, name: 'high', gpa: RAM_HIGH, memory: createSharedMemory(4 * MIB) });
    this.space.add(this.low);
    this.space.add(this.high);
    const random = new Random(1);
    this.memory = new PageAllocator(this.low, 0x10000, random);
    this.pixels = new PageAllocator(this.high, 0, random);
    this.clock.advance(1e6);
    this.host = new ScriptedHost(this.space, this.registers, this.guestBell, options);
    this.host.refuseFeatures = options.refuseFeatures ?? false;
    this.guestBell.onSleep = (deadline) => {
      if (this.host.poll() || this.onIdle()) return true;
      this.clock.read();
      if (this.clock.slot[0] >= deadline) return false;
      this.clock.advanceTo(deadline);
      return false;
    };
    this.driver = new VirtioGpuDriver({
      space: this.space,
      registers: this.registers,
      hostDoorbell: this.hostBell,
      guestDoorbell: this.guestBell,
      clock: this.clock,
      counters: this.counters,
      memory: this.memory,
      pixels: this.pixels,
      openQueue: openSplitDriver,
      wantedFeatures: { lo: options.wanted ?? options.features ?? BLOB_FEATURES, hi: 1 },
      ...options.guest,
    });
  }

  /** Both sides run until neither progresses. */
  run(): void {
    let progressed = true;
    while (progressed) {
      progressed = this.host.poll();
      if (this.driver.poll()) progressed = true;
    }
  }

  get now(): number {
    this.clock.read();
    return this.clock.slot[0];
  }

  /** Takes all guest RAM for rings, commands and entries. @returns what gives it back */
  starve(): () => void {
    const all = this.memory.alloc(this.memory.freeBytes, '4k');
    if (all === null) throw new Error('free pages are there to be had one by one');
    return () => this.memory.free(all);
  }

  /** Forgets what was seen so far (the probe). */
  forget(): void {
    this.host.seen.length = 0;
    this.host.used.length = 0;
  }
}

export function framebuffer(resource: GuestResource, width = 64, height = 32): Framebuffer {
  return { resource, width, height, stride: width * 4, format: Format.B8G8R8X8, fence: null, overdue: null, reattached: false };
}

/** A fence that a test signals. */
export const pendingFence = (): Fence => new Fence(99, 1);
