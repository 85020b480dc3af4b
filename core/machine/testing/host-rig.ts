import { Memfd, UDMABUF_DEFAULTS } from '../../dmabuf/udmabuf.ts';
import { VfioDevice } from '../../dmabuf/vfio.ts';
import { HostDevice, type HostOptions } from '../../host/device.ts';
import { VirtualClock } from '../../measure/clock.ts';
import { Counters } from '../../measure/counters.ts';
import { FrameLog } from '../../measure/frame-log.ts';
import { AddressSpace } from '../../memory/address-space.ts';
import { Copier, copyKernels } from '../../memory/copier.ts';
import { Ledger } from '../../memory/ledger.ts';
import { createSharedMemory, MemoryRegion, type RegionPlan } from '../../memory/region.ts';
import { Feature } from '../../protocol/constants.ts';
import type { Doorbell } from '../../ring/doorbell.ts';
import { PackedDriver } from '../../ring/packed/driver.ts';
import { placePackedQueue } from '../../ring/packed/layout.ts';
import type { QueueConfig } from '../../ring/queue.ts';
import { CONTROL_QUEUE, CURSOR_QUEUE, DeviceRegisters, Status } from '../../ring/registers.ts';
import { SplitDriver } from '../../ring/split/driver.ts';
import { placeSplitQueue } from '../../ring/split/layout.ts';
import { LatchSink } from '../../sink/latch.ts';
import type { Sink } from '../../sink/sink.ts';
import type { Ring } from '../options.ts';
import { ringFeaturesHi } from '../parts.ts';

export const MIB = 1024 * 1024;
export const LOW = 0;
export const HIGH = 4 * 1024 * MIB;
export const BAR = 256 * 1024 * MIB;

export const BASE_FEATURES = (1 << Feature.EDID) | (1 << Feature.INDIRECT_DESC) | (1 << Feature.EVENT_IDX);
export const BLOB_FEATURES = BASE_FEATURES | (1 << Feature.RESOURCE_BLOB);

export interface HostRigOptions extends Partial<Omit<HostOptions, 'sink'>> {
  heads?: number;
  features?: number;
  /** Default: split. */
  ring?: Ring;
  inOrder?: boolean;
  periodNs?: number;
  scanoutNs?: number;
  makeSink?: (heads: number, counters: Counters) => Sink;
  /** Bytes of each of the four regions. */
  regionBytes?: number;
  /** Makes a region's bytes; default: new memory of its size. */
  makeRegion?: (plan: Omit<RegionPlan, 'memory'>) => MemoryRegion;
}

/** A queue as `HostRig` places it. */
export interface PlacedQueue {
  readonly config: QueueConfig;
  readonly tables: { readonly address: number; readonly descriptors: number };
}

/** Queue sizes and bases: the control and the cursor queue, each with its indirect tables 16 KiB further on. */
const QUEUES = [
  { index: CONTROL_QUEUE, size: 64, base: 0x10000 },
  { index: CURSOR_QUEUE, size: 16, base: 0x18000 },
] as const;
const TABLES_AFTER = 0x4000;
const TABLE_DESCRIPTORS = 4;
/** Both queues and their tables. */
export const QUEUE_MEMORY = [0x10000, 0x20000] as const;

/** The four regions, each of `size` bytes. */
export const regionPlans = (size: number): Omit<RegionPlan, 'memory'>[] =>
  [
    { name: 'ram-low', gpa: LOW, device: null },
    { name: 'ram-high', gpa: HIGH, device: null },
    { name: 'bar0', gpa: BAR, device: 'gpu0' },
    { name: 'bar1', gpa: 2 * BAR, device: 'gpu1' },
  ].map((plan, id) => ({ ...plan, id, size, kind: plan.device === null ? 'ram' : 'device', bar: plan.device === null ? null : 0 }));

/**
 * A host device with real rings in real memory and a virtual clock, driven by hand; for tests and fuzzers.
 * Regions: 0 RAM, 1 RAM above 4 GiB, 2 gpu0's BAR, 3 gpu1's.
 */
export class HostRig {
  readonly clock = new VirtualClock();
  readonly counters = new Counters();
  readonly ledger = new Ledger();
  readonly space = new AddressSpace();
  readonly regions: MemoryRegion[];
  readonly registers = new DeviceRegisters(new Int32Array(new SharedArrayBuffer(DeviceRegisters.words * 4)));
  readonly log: FrameLog;
  readonly sink: Sink;
  readonly device: HostDevice;
  /** The host's own images that are in use. */
  readonly images = new Set<MemoryRegion>();
  readonly vfio: VfioDevice[];
  interrupts = 0;
  #control: SplitDriver | PackedDriver | null = null;
  #cursor: SplitDriver | PackedDriver | null = null;
  readonly #options: HostRigOptions;

  constructor(options: HostRigOptions = {}) {
    this.#options = options;
    const size = options.regionBytes ?? 12 * MIB;
    const make = options.makeRegion ?? ((plan) => new MemoryRegion({ ...plan, memory: createSharedMemory(plan.size) }));
    this.regions = regionPlans(size).map(make);
    for (const region of this.regions) this.space.add(region);
    this.vfio = [new VfioDevice('gpu0'), new VfioDevice('gpu1')];
    this.vfio[0].addRegion(0, this.regions[2]);
    this.vfio[1].addRegion(0, this.regions[3]);
    const memfds = new Map<MemoryRegion, Memfd>([this.regions[0], this.regions[1]].map((region) => [region, new Memfd(region)]));
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
        const pages = Math.ceil(bytes / 4096) * 4096;
        const id = nextId++;
        const plan = { id, name: `image-${id}`, kind: 'ram', gpa: 0, size: pages, device: null, bar: null } as const;
        const image = new MemoryRegion({ ...plan, memory: createSharedMemory(pages) });
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
  }

  /** The driver's side of the queues since the last `start`. */
  get control(): SplitDriver | PackedDriver {
    return started(this.#control);
  }
  get cursor(): SplitDriver | PackedDriver {
    return started(this.#cursor);
  }

  /** Resets and takes the device to DRIVER_OK with fresh queues. @param between runs after FEATURES_OK */
  start(features = this.#options.features ?? BLOB_FEATURES, between: () => void = () => {}): void {
    const { registers } = this;
    this.status(0);
    this.status(Status.ACKNOWLEDGE | Status.DRIVER);
    registers.setDriverFeatures(features, this.#featuresHi);
    this.status(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK);
    between();
    this.regions[0].u8.fill(0, QUEUE_MEMORY[0], QUEUE_MEMORY[1]);
    const drivers = QUEUES.map(({ index }) => {
      const queue = this.placed(index, features);
      const { size, descriptorAddress, driverAddress, deviceAddress } = queue.config;
      registers.setQueueSize(index, size);
      registers.setQueueAddresses(index, descriptorAddress, driverAddress, deviceAddress);
      registers.setQueueReady(index, true);
      return openDriver(this.space, this.#options, queue);
    });
    [this.#control, this.#cursor] = drivers;
    this.status(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK | Status.DRIVER_OK);
  }

  status(value: number): void {
    this.registers.status = value;
    this.device.poll();
  }

  /** Where a queue lies. */
  placed(index: number, features = this.#options.features ?? BLOB_FEATURES): PlacedQueue {
    return placeQueue(index, this.#options, features);
  }

  get #featuresHi(): number {
    return ringFeaturesHi({ ring: this.#options.ring ?? 'split', inOrder: this.#options.inOrder ?? false });
  }
}

/** Where a queue of the rig lies. */
export function placeQueue(index: number, kind: Pick<HostRigOptions, 'ring' | 'inOrder'>, features = BLOB_FEATURES): PlacedQueue {
  const { size, base } = QUEUES[index];
  const place = kind.ring === 'packed' ? placePackedQueue : placeSplitQueue;
  const { descriptorAddress, driverAddress, deviceAddress } = place(base, size);
  const bit = (n: number): boolean => ((features >>> n) & 1) !== 0;
  return {
    config: {
      size,
      descriptorAddress,
      driverAddress,
      deviceAddress,
      indirect: bit(Feature.INDIRECT_DESC),
      eventIdx: bit(Feature.EVENT_IDX),
      inOrder: kind.inOrder === true,
    },
    tables: { address: base + TABLES_AFTER, descriptors: TABLE_DESCRIPTORS },
  };
}

/** The driver's side of such a queue, which writes zeros over its areas first. */
export function openDriver(space: AddressSpace, kind: Pick<HostRigOptions, 'ring'>, queue: PlacedQueue): SplitDriver | PackedDriver {
  return new (kind.ring === 'packed' ? PackedDriver : SplitDriver)(space, queue.config, queue.tables);
}

function started<T>(queue: T | null): T {
  if (queue === null) throw new Error('the rig was not started');
  return queue;
}
