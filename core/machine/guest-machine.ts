import { PassthroughGpu } from '../dmabuf/gpu.ts';
import { Compositor, type HeadPlan, type Surface } from '../guest/compositor.ts';
import { DriverError, type QueueFactory, VirtioGpuDriver } from '../guest/driver.ts';
import { Plane } from '../guest/plane.ts';
import { freeImported, importDmaBuf } from '../guest/prime.ts';
import { PaintRenderer, StampRenderer } from '../guest/renderer.ts';
import type { Framebuffer, GuestResource } from '../guest/resource.ts';
import type { Clock } from '../measure/clock.ts';
import { Counter, Counters } from '../measure/counters.ts';
import { FrameLog } from '../measure/frame-log.ts';
import { PAGE_SIZE } from '../memory/address.ts';
import { AddressSpace } from '../memory/address-space.ts';
import { PageAllocator } from '../memory/allocator.ts';
import { Ledger } from '../memory/ledger.ts';
import { Random } from '../memory/random.ts';
import { MemoryRegion } from '../memory/region.ts';
import type { SegmentList } from '../memory/segments.ts';
import { Feature, Format } from '../protocol/constants.ts';
import type { Doorbell } from '../ring/doorbell.ts';
import { DeviceRegisters } from '../ring/registers.ts';
import { type MachineOptions, pathUsesBlob } from './options.ts';
import { type MakeCopier, plannedCopier, ringFeaturesHi } from './parts.ts';
import { frameBytes, GPU_NAME, type MachinePlan, RegionName } from './plan.ts';
import { openDriverQueue } from './queues.ts';

/** The guest's half of a machine: GPU, driver, compositor. Its loop belongs to whoever runs it. */
export class GuestMachine {
  readonly driver: VirtioGpuDriver;
  readonly compositor: Compositor;
  readonly gpu: PassthroughGpu;
  readonly registers: DeviceRegisters;
  readonly counters: Counters;
  readonly ledger: Ledger;
  readonly log: FrameLog;
  readonly heads: readonly HeadPlan[];

  /** Probes the host: blocks on `guestDoorbell` until it answers. @throws DriverError, RangeError when memory is short */
  constructor(
    plan: MachinePlan,
    clock: Clock,
    hostDoorbell: Doorbell,
    guestDoorbell: Doorbell,
    openQueue: QueueFactory = openDriverQueue,
    makeCopier: MakeCopier = plannedCopier,
  ) {
    const { options } = plan;
    const space = new AddressSpace();
    const regions = new Map<string, MemoryRegion>();
    for (const regionPlan of plan.regions) {
      const region = new MemoryRegion(regionPlan);
      regions.set(region.name, region);
      space.add(region);
    }
    this.registers = new DeviceRegisters(new Int32Array(plan.control));
    this.counters = new Counters(plan.guestCounters);
    this.ledger = new Ledger(plan.guestLedger);
    this.log = new FrameLog(plan.frameLog, options.heads, options.logCapacity);
    const copier = makeCopier(options, this.ledger);
    const random = new Random(options.seed);
    const low = regions.get(RegionName.lowRam);
    if (low === undefined) throw new RangeError('a machine needs low RAM');
    const memory = new PageAllocator(low, 0x10000, random);
    const high = regions.get(RegionName.highRam);
    const pixels = high === undefined ? memory : new PageAllocator(high, 0, random);
    const vram = regions.get(RegionName.vram);

    this.driver = new VirtioGpuDriver({
      space,
      registers: this.registers,
      hostDoorbell,
      guestDoorbell,
      clock,
      counters: this.counters,
      memory,
      pixels,
      openQueue,
      wantedFeatures: wantedFeatures(options),
    });
    this.gpu = new PassthroughGpu({
      name: GPU_NAME,
      vram: vram === undefined ? null : new PageAllocator(vram, 0, random),
      system: pixels,
      vramBudget: vram === undefined ? 0 : vram.size,
      copier,
      wait: (done) => this.driver.waitFor(done),
    });
    const heads: HeadPlan[] = [];
    for (let head = 0; head < options.heads; head++) {
      const surfaces: Surface[] = [];
      for (let i = 0; i < options.buffers; i++) surfaces.push(this.#surface(options));
      heads.push({ plane: new Plane(this.driver, head, this.log, options.linuxPacing), surfaces });
    }
    this.heads = heads;
    this.compositor = new Compositor({
      heads,
      renderer: options.renderer === 'paint' ? new PaintRenderer(options.damage) : new StampRenderer(options.damage),
      clock,
      counters: this.counters,
      log: this.log,
      copier,
      periodNs: options.rateHz === null ? 0 : 1e9 / options.rateHz,
      damage: options.damage,
      ...(options.migrateEvery > 0 ? { onFree: (surface, frame) => this.#migrate(surface, frame, options.migrateEvery) } : {}),
    });
  }

  /** Disables the scanouts, frees every buffer and resets the device: the host holds nothing even before the reset. Blocks. */
  shutDown(): void {
    this.freeBuffers();
    this.driver.reset();
  }

  /** Disables the scanouts and frees every buffer; the device goes on. Blocks. */
  freeBuffers(): void {
    for (const { plane } of this.heads) plane.disable();
    for (const { surfaces } of this.heads) {
      for (const { framebuffer, gpu } of surfaces) {
        const { resource } = framebuffer;
        if (resource.kind === 'imported') freeImported(this.driver, resource);
        else this.driver.freeDumb(resource);
        gpu?.destroy();
      }
    }
  }

  /** Segments of the largest buffer that the host was given. */
  get segments(): number {
    let most = 0;
    for (const { surfaces } of this.heads) {
      for (const { framebuffer } of surfaces) {
        const { resource } = framebuffer;
        most = Math.max(most, resource.kind === 'dumb' ? resource.pages.count : (resource.sg?.count ?? 0));
      }
    }
    return most;
  }

  #surface(options: MachineOptions): Surface {
    const surface = this.#newSurface(options);
    // First touch now, not in the first frame.
    touch(surface.target.pages);
    if (surface.readback !== null) touch(surface.readback);
    return surface;
  }

  #newSurface(options: MachineOptions): Surface {
    const { path, width, height, layout } = options;
    const bytes = frameBytes(options);
    const stride = width * 4;
    if (path === 'copy') {
      const dumb = this.driver.createDumb(width, height, layout);
      return { target: { pages: dumb.pages, width, height, stride }, framebuffer: framebuffer(dumb, options), gpu: null, readback: null };
    }
    const created = this.gpu.createBuffer(bytes, path === 'udmabuf' ? 'system' : 'vram', layout);
    if (!created.ok) throw new DriverError(`${created.why} (${created.errno})`);
    const gpu = created.value;
    const target = {
      get pages() {
        return gpu.pages;
      },
      width,
      height,
      stride,
    };
    if (path === 'readback-blob' || path === 'readback-copy') {
      const dumb = this.driver.createDumb(width, height, layout);
      return { target, framebuffer: framebuffer(dumb, options), gpu, readback: dumb.pages };
    }
    const imported = importDmaBuf(this.driver, gpu.export());
    if (!imported.ok) throw new DriverError(`import failed: ${imported.why} (${imported.errno})`);
    this.driver.commands.notify();
    return { target, framebuffer: framebuffer(imported.value, options), gpu, readback: null };
  }

  /** Moves a free buffer to the other placement; a refusal (pinned, no room) is counted. */
  #migrate(surface: Surface, frame: number, every: number): void {
    if (surface.gpu === null || frame === 0 || frame % every !== 0) return;
    const moved = surface.gpu.placement === 'vram' ? this.gpu.evict(surface.gpu) : this.gpu.restore(surface.gpu);
    this.counters.add(moved.ok ? Counter.moves : Counter.movesRefused, 1);
  }
}

function touch(pages: SegmentList): void {
  for (let i = 0; i < pages.count; i++) {
    const { u32 } = pages.region[i];
    const first = pages.offset[i] / 4;
    for (let at = first; at < first + pages.bytes[i] / 4; at += PAGE_SIZE / 4) u32[at] = 0;
  }
}

function framebuffer(resource: GuestResource, options: MachineOptions): Framebuffer {
  const { width, height } = options;
  return { resource, width, height, stride: width * 4, format: Format.B8G8R8X8, fence: null, overdue: null, reattached: false };
}

function wantedFeatures(options: MachineOptions): { lo: number; hi: number } {
  const blob = pathUsesBlob(options.path) ? 1 << Feature.RESOURCE_BLOB : 0;
  return { lo: (1 << Feature.EDID) | blob | (1 << Feature.INDIRECT_DESC) | (1 << Feature.EVENT_IDX), hi: ringFeaturesHi(options) };
}
