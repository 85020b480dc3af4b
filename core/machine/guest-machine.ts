import { PassthroughGpu } from '../dmabuf/gpu.ts';
import { Compositor, type HeadPlan, type Surface } from '../guest/compositor.ts';
import { type QueueFactory, VirtioGpuDriver } from '../guest/driver.ts';
import { ModeSetting } from '../guest/mode-setting.ts';
import { MovingCursor } from '../guest/moving-cursor.ts';
import { Plane } from '../guest/plane.ts';
import type { Clock } from '../measure/clock.ts';
import { Counter, Counters } from '../measure/counters.ts';
import { FrameLog } from '../measure/frame-log.ts';
import { AddressSpace } from '../memory/address-space.ts';
import { PageAllocator } from '../memory/allocator.ts';
import { Ledger } from '../memory/ledger.ts';
import { Random } from '../memory/random.ts';
import { MemoryRegion } from '../memory/region.ts';
import { Feature } from '../protocol/constants.ts';
import type { Doorbell } from '../ring/doorbell.ts';
import { DeviceRegisters } from '../ring/registers.ts';
import { BufferFaults } from './fault-buffers.ts';
import type { GuestFaults } from './fault-guest.ts';
import { type MachineOptions, pathUsesBlob } from './options.ts';
import { type MakeCopier, plannedCopier, ringFeaturesHi } from './parts.ts';
import { GPU_NAME, type MachinePlan, RegionName } from './plan.ts';
import { openDriverQueue } from './queues.ts';
import { rendererOf } from './renderer-of.ts';
import { Surfaces } from './surfaces.ts';
import { WantedMoves } from './wanted-moves.ts';

/** The guest's half of a machine: GPU, driver, compositor. Its loop belongs to whoever runs it. */
export class GuestMachine {
  readonly driver: VirtioGpuDriver;
  readonly compositor: Compositor;
  readonly modeSetting: ModeSetting;
  readonly surfaces: Surfaces;
  readonly gpu: PassthroughGpu;
  readonly registers: DeviceRegisters;
  readonly counters: Counters;
  readonly ledger: Ledger;
  readonly log: FrameLog;
  readonly heads: readonly HeadPlan[];
  /** What somebody asks of its GPU's buffers while it runs; null: they are not movable. */
  readonly wantedMoves: WantedMoves | null;
  #cursor: MovingCursor | null;
  readonly #allocators: readonly PageAllocator[];
  /** Free bytes of all allocators with the rings set up and no buffer made. */
  readonly #freeAtStart: number;

  /**
   * Probes the host: blocks on `guestDoorbell` until it answers.
   * @param faults that are injected
   * @param cursorDoorbell kicks the cursor queue, where the host is another process; each head then keeps the size it was planned for
   *   until its display changes, whatever that prefers. null: `hostDoorbell` kicks both queues
   * @throws DriverError, RangeError when memory is short
   */
  constructor(
    plan: MachinePlan,
    clock: Clock,
    hostDoorbell: Doorbell,
    guestDoorbell: Doorbell,
    openQueue: QueueFactory = openDriverQueue,
    makeCopier: MakeCopier = plannedCopier,
    faults: GuestFaults | null = null,
    cursorDoorbell: Doorbell | null = null,
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
    const vramPages = vram === undefined ? null : new PageAllocator(vram, 0, random);

    const noFence = faults?.trigger('guest-no-memory');
    this.driver = new VirtioGpuDriver({
      space,
      registers: this.registers,
      hostDoorbell: faults?.hostDoorbell(hostDoorbell) ?? hostDoorbell,
      ...(cursorDoorbell === null ? {} : { cursorDoorbell }),
      guestDoorbell,
      clock,
      counters: this.counters,
      memory,
      pixels,
      openQueue: faults?.queues(openQueue) ?? openQueue,
      wantedFeatures: wantedFeatures(options),
      ...(noFence?.planned ? { allocateFence: () => (noFence.fires() ? null : this.driver.newFence()) } : {}),
    });
    this.gpu = new PassthroughGpu({
      name: GPU_NAME,
      vram: vramPages,
      system: pixels,
      vramBudget: vram === undefined ? 0 : vram.size,
      copier,
      wait: (done) => this.driver.waitFor(done),
    });
    this.#allocators = [memory, ...(high === undefined ? [] : [pixels]), ...(vramPages === null ? [] : [vramPages])];
    this.#freeAtStart = this.#freeBytes();
    this.surfaces = new Surfaces(options, this.driver, this.gpu, pixels, vramPages);
    const heads: HeadPlan[] = [];
    for (let head = 0; head < options.heads; head++) {
      heads.push({
        plane: new Plane(this.driver, head, this.log, options.linuxPacing, options.transferOnly),
        surfaces: this.surfaces.make(options),
      });
    }
    this.heads = heads;
    this.wantedMoves = options.movable === true ? new WantedMoves(this.gpu, heads, this.counters) : null;
    this.compositor = new Compositor({
      heads,
      renderer: rendererOf(options, clock, plan.content),
      clock,
      counters: this.counters,
      log: this.log,
      copier,
      periodNs: options.rateHz === null ? 0 : 1e9 / options.rateHz,
      damage: options.damage,
      ...this.#onFree(options, faults),
    });
    this.modeSetting = new ModeSetting(this.driver, this.compositor, heads, options, this.surfaces, cursorDoorbell !== null);
    this.#cursor = options.card === true ? new MovingCursor(this.driver, options.heads) : null;
  }

  /** Driver, mode setting and compositor, in that order. Never blocks but for a mode set. @returns whether anything progressed */
  poll(): boolean {
    const answered = this.driver.poll();
    const set = this.modeSetting.poll();
    const drew = this.compositor.poll();
    if (this.#cursor !== null) this.#moveCursors(this.#cursor);
    return drew || answered || set;
  }

  #moveCursors(cursor: MovingCursor): void {
    for (let head = 0; head < this.heads.length; head++) {
      const mode = this.modeSetting.modeOf(head);
      if (mode !== null) cursor.move(head, this.compositor.committedOf(head), mode.width, mode.height);
    }
  }

  /** Disables the scanouts, frees every buffer and resets the device: the host holds nothing even before the reset. Blocks. */
  shutDown(): void {
    this.freeBuffers();
    this.driver.reset();
  }

  /** Disables the scanouts and frees every buffer; the device goes on. Blocks. */
  freeBuffers(): void {
    for (const { plane } of this.heads) plane.disable();
    for (const head of this.heads) {
      this.surfaces.free(head.surfaces);
      head.surfaces = [];
    }
    this.#cursor?.free();
    this.#cursor = null;
  }

  /** Bytes of guest RAM and VRAM that buffers and their memory entries take now; 0 once all buffers are freed. */
  get heldBytes(): number {
    return this.#freeAtStart - this.#freeBytes();
  }

  #freeBytes(): number {
    return this.#allocators.reduce((sum, { freeBytes }) => sum + freeBytes, 0);
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

  /** What happens to a surface that has come free: moves, and faults. */
  #onFree(options: MachineOptions, faults: GuestFaults | null): { onFree?: (surface: Surface, frame: number) => void } {
    const every = options.migrateEvery;
    const wanted = this.wantedMoves;
    if (faults === null && wanted === null) return every > 0 ? { onFree: (surface, frame) => this.#migrate(surface, frame, every) } : {};
    const faulty = faults === null ? null : new BufferFaults(this, faults);
    return {
      onFree: (surface, frame) => {
        faulty?.onFree(surface);
        wanted?.onFree(surface);
        if (every > 0) this.#migrate(surface, frame, every);
      },
    };
  }

  /** Moves a free buffer to the other placement; a refusal (pinned, no room) is counted. */
  #migrate(surface: Surface, frame: number, every: number): void {
    if (surface.gpu === null || frame === 0 || frame % every !== 0) return;
    const moved = surface.gpu.placement === 'vram' ? this.gpu.evict(surface.gpu) : this.gpu.restore(surface.gpu);
    this.counters.add(moved.ok ? Counter.moves : Counter.movesRefused, 1);
  }
}

/** Feature bits that the guest of a machine accepts where they are offered. */
export function wantedFeatures(options: MachineOptions): { lo: number; hi: number } {
  const blob = pathUsesBlob(options.path) ? 1 << Feature.RESOURCE_BLOB : 0;
  return { lo: (1 << Feature.EDID) | blob | (1 << Feature.INDIRECT_DESC) | (1 << Feature.EVENT_IDX), hi: ringFeaturesHi(options) };
}
