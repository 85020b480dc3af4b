import { Memfd, UDMABUF_DEFAULTS } from '../dmabuf/udmabuf.ts';
import { VfioDevice } from '../dmabuf/vfio.ts';
import { HostDevice } from '../host/device.ts';
import type { HostOptions, SideBySide } from '../host/options.ts';
import type { Clock } from '../measure/clock.ts';
import { Counters } from '../measure/counters.ts';
import { FrameLog } from '../measure/frame-log.ts';
import { pageAlign } from '../memory/address.ts';
import { AddressSpace } from '../memory/address-space.ts';
import { Ledger } from '../memory/ledger.ts';
import { createSharedMemory, MemoryRegion, type RegionPlan } from '../memory/region.ts';
import { Feature } from '../protocol/constants.ts';
import type { Chain } from '../ring/chain.ts';
import type { Doorbell } from '../ring/doorbell.ts';
import { DeviceRegisters } from '../ring/registers.ts';
import { DisplaySink } from '../sink/display.ts';
import { LatchSink } from '../sink/latch.ts';
import type { Sink } from '../sink/sink.ts';
import { VerifySink } from '../sink/verify.ts';
import { type HostFaults, refusedImages } from './fault-host.ts';
import { type MachineOptions, pathUsesBlob } from './options.ts';
import { type MakeCopier, plannedCopier, ringFeaturesHi } from './parts.ts';
import type { MachinePlan } from './plan.ts';

/** Ids of the host's own memory start here; below are the guest's regions. */
const HOST_REGION = 1000;

/** The host's half of a machine: the device and its sink. Its loop belongs to whoever runs it. */
export class HostMachine {
  readonly device: HostDevice;
  readonly sink: Sink;
  readonly registers: DeviceRegisters;
  readonly counters: Counters;
  readonly ledger: Ledger;
  readonly log: FrameLog;

  /**
   * @param wrapSink what the device is given in place of the machine's sink, which stays `sink`; for tests
   * @param faults that are injected
   * @param view the guest's memory, where it is not the plan's
   */
  constructor(
    plan: MachinePlan,
    clock: Clock,
    guestDoorbell: Doorbell,
    makeCopier: MakeCopier = plannedCopier,
    wrapSink: (sink: Sink) => Sink = (sink) => sink,
    faults: HostFaults | null = null,
    view: GuestView = hostView(plan.regions),
    observeChain?: (queue: number, chain: Chain) => void,
    keptRings?: HostOptions['keptRings'],
  ) {
    const { options } = plan;
    this.registers = new DeviceRegisters(new Int32Array(plan.control));
    this.counters = new Counters(plan.hostCounters);
    this.ledger = new Ledger(plan.hostLedger);
    this.log = new FrameLog(plan.frameLog, options.heads, options.logCapacity);
    const copier = makeCopier(options, this.ledger);
    const pool = new ImagePool();
    const refused = refusedImages(options.faults);
    const timing = {
      heads: options.heads,
      periodNs: options.rateHz === null ? 0 : 1e9 / options.rateHz,
      phaseNs: options.rateHz === null ? 0 : (1e9 / options.rateHz) * options.sinkPhase,
      scanoutNs: options.scanoutUs * 1000,
      counters: this.counters,
    };
    this.sink =
      options.sink === 'verify'
        ? new VerifySink({ ...timing, crcEvery: options.crcEvery, expectSequence: true, damage: options.damage })
        : options.sink === 'display'
          ? new DisplaySink({
              ...timing,
              copier,
              allocateTexture: (bytes) => pool.allocate(bytes),
              freeTexture: (region) => pool.free(region),
            })
          : new LatchSink(timing);
    this.device = new HostDevice({
      space: view.space,
      regions: view.regions,
      registers: this.registers,
      guestDoorbell: faults === null ? guestDoorbell : faults.guestDoorbell(guestDoorbell),
      clock,
      counters: this.counters,
      frameLog: this.log,
      copier,
      sink: wrapSink(faults === null ? this.sink : faults.sink(this.sink, options)),
      profile: options.profile,
      policy: options.policy,
      udmabuf: { ...UDMABUF_DEFAULTS, listLimit: options.listLimit, sizeLimitMb: options.sizeLimitMb },
      maxEntries: options.maxEntries,
      maxHostmem: options.maxHostmem,
      displays: plannedDisplays(options),
      offeredFeatures: offeredFeatures(options),
      allocateImage: (bytes) => (refused(bytes) ? null : pool.allocate(bytes)),
      freeImage: (region) => pool.free(region),
      vfioDevices: view.vfioDevices,
      memfdOf: (region) => view.memfdOf(region),
      ...(view.sideBySide === undefined ? {} : { sideBySide: view.sideBySide }),
      ...(observeChain === undefined ? {} : { observeChain }),
      ...(keptRings === undefined ? {} : { keptRings }),
      fencesOff: !options.fences,
    });
  }
}

/** The displays that a machine begins with: one a head. */
export function plannedDisplays(options: MachineOptions): { width: number; height: number; refreshHz: number }[] {
  const { width, height, rateHz, heads } = options;
  return Array.from({ length: heads }, () => ({ width, height, refreshHz: rateHz ?? 60 }));
}

/** The guest's memory as a host sees it. */
export interface GuestView {
  readonly space: AddressSpace;
  /** All regions of the session, present or not. */
  readonly regions: readonly MemoryRegion[];
  readonly vfioDevices: VfioDevice[];
  /** The file behind a RAM region; null: it has none. */
  memfdOf(region: MemoryRegion): Memfd | null;
  /** As HostOptions'. */
  readonly sideBySide?: SideBySide;
}

/** The host's own view of the guest's memory: a memfd a RAM region, a VFIO device for those that own BARs. */
export function hostView(plans: readonly RegionPlan[]): GuestView {
  const space = new AddressSpace();
  const regions: MemoryRegion[] = [];
  const memfds = new Map<MemoryRegion, Memfd>();
  const devices = new Map<string, VfioDevice>();
  for (const plan of plans) {
    const region = new MemoryRegion(plan);
    regions[region.id] = region;
    space.add(region);
    if (region.kind === 'ram') {
      memfds.set(region, new Memfd(region));
    } else if (region.device !== null && region.bar !== null) {
      let device = devices.get(region.device);
      if (device === undefined) {
        device = new VfioDevice(region.device);
        devices.set(region.device, device);
      }
      device.addRegion(region.bar, region);
    }
  }
  return { space, regions, memfdOf: (region) => memfds.get(region) ?? null, vfioDevices: [...devices.values()] };
}

/** Free regions kept, and their bytes: enough for the buffers of an 8K head or many small ones, whatever sizes a guest makes up. */
const KEPT_REGIONS = 64;
const KEPT_BYTES = 512 * 1024 * 1024;

/** Memory of the host's own, for images and textures: reused by size, so that no frame pays a first touch. */
export class ImagePool {
  /** Free regions, the one given back first in front. */
  readonly #kept = new Set<MemoryRegion>();
  #keptBytes = 0;
  #next = HOST_REGION;

  /** Bytes of free regions kept for the next images of their size. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  allocate(bytes: number): MemoryRegion | null {
    const size = pageAlign(bytes);
    for (const region of this.#kept) {
      if (region.size !== size) continue;
      this.#forget(region);
      region.u32.fill(0);
      return region;
    }
    try {
      const id = this.#next++;
      const memory = createSharedMemory(size);
      // Not part of the guest's address space: the address only names it.
      const region = new MemoryRegion({ id, name: `host-${id}`, kind: 'ram', gpa: 0, size, device: null, bar: null, memory });
      // First touch now, not in the first frame.
      for (let at = 0; at < region.u32.length; at += 1024) region.u32[at] = 0;
      return region;
    } catch {
      // No memory: the caller answers OUT_OF_MEMORY.
      return null;
    }
  }

  free(region: MemoryRegion): void {
    this.#kept.add(region);
    this.#keptBytes += region.size;
    for (const oldest of this.#kept) {
      if (this.#kept.size <= KEPT_REGIONS && this.#keptBytes <= KEPT_BYTES) break;
      this.#forget(oldest);
    }
  }

  #forget(region: MemoryRegion): void {
    this.#kept.delete(region);
    this.#keptBytes -= region.size;
  }
}

function offeredFeatures(options: MachineOptions): { lo: number; hi: number } {
  const blob = pathUsesBlob(options.path) ? 1 << Feature.RESOURCE_BLOB : 0;
  return {
    lo: (1 << Feature.EDID) | blob | (1 << Feature.INDIRECT_DESC) | (1 << Feature.EVENT_IDX),
    hi: ringFeaturesHi(options),
  };
}
