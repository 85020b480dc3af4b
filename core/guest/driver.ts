import type { DmaBuf } from '../dmabuf/dma-buf.ts';
import { Fence } from '../dmabuf/fence.ts';
import type { Clock } from '../measure/clock.ts';
import { Counter, type Counters } from '../measure/counters.ts';
import { PAGE_SIZE, pageAlign } from '../memory/address.ts';
import type { PageLayout } from '../memory/allocator.ts';
import type { MemoryRegion } from '../memory/region.ts';
import type { SegmentList } from '../memory/segments.ts';
import { BlobFlag, BlobMem, Command, Feature, Format, MAX_SCANOUTS } from '../protocol/constants.ts';
import { MEM_ENTRY_BYTES, Size } from '../protocol/layout.ts';
import { writeAttachBacking, writeCreate2d, writeCreateBlob, writeMemEntry, writeResource } from '../protocol/write.ts';
import type { DriverQueue } from '../ring/queue.ts';
import { CONTROL_QUEUE, CURSOR_QUEUE, Interrupt, Status } from '../ring/registers.ts';
import { COMMAND_SLOT_BYTES, type CommandOwner, CommandQueue } from './command-queue.ts';
import { CursorQueue } from './cursor.ts';
import { DisplayState } from './display.ts';
import { AllocationError, DeviceLost, DriverError } from './errors.ts';
import type { GuestOptions, RingFeatures } from './options.ts';
import { Reply } from './reply.ts';
import { type DumbBuffer, type GuestResource, ResourceIds } from './resource.ts';

export { AllocationError, DeviceLost, DriverError } from './errors.ts';
export type { GuestOptions, QueueFactory, RingFeatures } from './options.ts';
export { Reply } from './reply.ts';

const bit = (features: number, number: number): boolean => (features & (1 << number)) !== 0;
/** A wait for the host that lasts this long means that it is gone; it looks again by itself in between. */
const HOST_GONE_NS = 10e9;
const RECHECK_NS = 100e6;
/** A ring that comes so much later than what it announces is not lost. */
const LATE_RING_NS = 5e6;

/** The virtio-gpu driver: probe, resources, commands. Planes, PRIME import and cursor are files of their own. */
export class VirtioGpuDriver {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly ids: ResourceIds;
  /** dma-bufs that this driver exported itself: importing one gives the resource back. */
  readonly exported = new Map<DmaBuf, GuestResource>();
  readonly commands: CommandQueue;
  readonly cursor: CursorQueue;
  readonly display: DisplayState;
  readonly hasBlob: boolean;
  readonly hasEdid: boolean;
  readonly numScanouts: number;
  readonly #options: GuestOptions;
  readonly #fences: Fence[] = [];
  readonly #fenceContext = 1;
  #seqno = 0;
  #configPending = false;
  #queuesOpen = false;
  /** The host's session that the driver has set up; another one knows none of its queues and resources. */
  #generation: number;
  #resetting = false;

  /** Probes the device: blocks on the guest's doorbell until it answers. @throws DriverError if it does not, or refuses the features */
  constructor(options: GuestOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.counters = options.counters;
    this.ids = new ResourceIds(options.counters);
    const { registers } = options;
    do {
      this.#generation = registers.generation;
      this.#setStatus(0);
    } while (registers.generation !== this.#generation);
    this.#setStatus(Status.ACKNOWLEDGE);
    this.#setStatus(Status.ACKNOWLEDGE | Status.DRIVER);
    const lo = registers.deviceFeaturesLo & options.wantedFeatures.lo;
    const hi = registers.deviceFeaturesHi & options.wantedFeatures.hi;
    registers.setDriverFeatures(lo, hi);
    this.#setStatus(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK);
    if ((registers.deviceStatus & Status.FEATURES_OK) === 0) {
      throw new DriverError(`the device refuses the features 0x${hi.toString(16)}_${lo.toString(16)}`);
    }
    this.hasBlob = bit(lo, Feature.RESOURCE_BLOB);
    this.hasEdid = bit(lo, Feature.EDID);
    const ring = {
      indirect: bit(lo, Feature.INDIRECT_DESC),
      eventIdx: bit(lo, Feature.EVENT_IDX),
      packed: bit(hi, Feature.RING_PACKED - 32),
      inOrder: bit(hi, Feature.IN_ORDER - 32),
    };

    const controlSize = options.controlQueueSize ?? 64;
    const cursorSize = options.cursorQueueSize ?? 16;
    const control = this.#openQueue(CONTROL_QUEUE, controlSize, ring);
    const cursor = this.#openQueue(CURSOR_QUEUE, cursorSize, ring);
    const slots = this.#contiguous((controlSize + cursorSize) * COMMAND_SLOT_BYTES);
    this.commands = new CommandQueue(
      control,
      slots.region[0],
      slots.offset[0],
      controlSize,
      options.counters,
      options.hostDoorbell,
      ring.indirect,
    );
    this.cursor = new CursorQueue(
      cursor,
      slots.region[0],
      slots.offset[0] + controlSize * COMMAND_SLOT_BYTES,
      cursorSize,
      options.counters,
      options.cursorDoorbell ?? options.hostDoorbell,
    );
    this.#setStatus(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK | Status.DRIVER_OK);
    if ((registers.deviceStatus & Status.DRIVER_OK) === 0) throw new DriverError('the device did not accept the queues');
    this.numScanouts = Math.min(registers.numScanouts, MAX_SCANOUTS);
    this.display = new DisplayState(this, registers, this.numScanouts, this.hasEdid);
    this.#queuesOpen = true;
    this.display.refresh();
    this.waitFor(() => !this.display.refreshing);
  }

  /** Takes responses, cursor completions and config changes. Never blocks. @returns whether anything progressed */
  poll(): boolean {
    let progressed = this.commands.poll();
    if (this.cursor.poll()) progressed = true;
    const { registers } = this.#options;
    if ((registers.takeInterrupts() & Interrupt.CONFIG_CHANGE) !== 0) this.#configPending = true;
    if (this.#configPending && !this.display.refreshing && this.display.hasRoom()) {
      this.#configPending = false;
      this.display.configChanged();
      progressed = true;
    }
    return progressed;
  }

  /** A config change was announced and is not known in full yet: `display` is about to change. */
  get displayChanging(): boolean {
    return this.#configPending || this.display.refreshing;
  }

  /** Before sleeping on the doorbell: asks for interrupts. @returns true if something came meanwhile: poll again */
  prepareSleep(): boolean {
    this.checkDevice();
    const control = this.commands.enableInterrupts();
    const cursor = this.cursor.enableInterrupts();
    return control || cursor;
  }

  endSleep(): void {
    this.commands.disableInterrupts();
    this.cursor.disableInterrupts();
  }

  /**
   * Blocks until `done` holds, as the kernel's uninterruptible waits do (move_notify, probing). For slow paths.
   * @param againNs when to look again at the latest, ns; Infinity: only when the host has rung
   * @throws DriverError when the host needs a reset, or the session was asked to stop; DeviceLost when another host has taken its
   *   place, or it has been silent for 10 s
   */
  waitFor(done: () => boolean, againNs = Number.POSITIVE_INFINITY): void {
    const { guestDoorbell, registers, clock } = this.#options;
    clock.read();
    const giveUp = clock.slot[0] + HOST_GONE_NS;
    for (;;) {
      const sample = guestDoorbell.sample();
      if (this.#queuesOpen) this.poll();
      if (done()) return;
      if (!this.#resetting) this.checkDevice();
      if (registers.stopRequested) throw new DriverError('stopped while waiting for the host');
      clock.read();
      if (clock.slot[0] >= giveUp) {
        const silent = 'the host has not answered for 10 s';
        // Once it has answered the probe, a reset may bring it back; a host that does not even answer that is gone.
        throw this.#queuesOpen && this.display.generation > 0 && !this.#resetting ? new DeviceLost(silent) : new DriverError(silent);
      }
      if (this.#queuesOpen && this.prepareSleep()) continue;
      const until = Math.min(clock.slot[0] < againNs ? Math.min(giveUp, againNs) : giveUp, clock.slot[0] + RECHECK_NS);
      const rung = guestDoorbell.sleep(sample, until);
      if (!this.#queuesOpen) continue;
      // Before `endSleep`: what is answered after it rings nobody, and rightly so.
      if (!rung) this.#lookAgain(sample);
      this.endSleep();
    }
  }

  /** Wakes the host for a register write. */
  kickHost(): void {
    this.#options.hostDoorbell.ring();
  }

  /** A free command slot; waits for responses when all are taken. */
  openCommand(): number {
    let slot = this.commands.open();
    if (slot < 0) {
      this.commands.notify();
      this.waitFor(() => this.commands.hasRoom(1));
      slot = this.commands.open();
    }
    return slot;
  }

  /** Enqueues, waiting for ring room if there is none. For slow paths: a frame asks `commands.hasRoom` first. */
  submit(
    slot: number,
    requestBytes: number,
    responseBytes: number,
    entriesAddress: number,
    entriesBytes: number,
    fence: Fence | null,
    owner: CommandOwner | null,
    kind: number,
  ): void {
    const { commands } = this;
    while (!commands.submit(slot, requestBytes, responseBytes, entriesAddress, entriesBytes, fence, owner, kind)) {
      if (commands.inFlight === 0) throw new DriverError(`a command of ${entriesBytes} bytes of entries does not fit an empty ring`);
      commands.notify();
      const before = commands.inFlight;
      this.waitFor(() => commands.inFlight < before);
    }
  }

  /** A fence for a command, pending. @throws DriverError never; see `allocateFlushFence` for the fallible one */
  newFence(): Fence {
    this.#seqno++;
    const fence = this.#fences.pop();
    if (fence === undefined) return new Fence(this.#fenceContext, this.#seqno);
    fence.reset(this.#seqno);
    return fence;
  }

  /** A flush's fence; null: no memory. */
  allocateFlushFence(): Fence | null {
    const { allocateFence } = this.#options;
    return allocateFence === undefined ? this.newFence() : allocateFence();
  }

  /** Takes back a fence that no reservation and no queue holds any more. */
  dropFence(fence: Fence): void {
    if (fence.state !== 'pending' && this.#fences.length < 64) this.#fences.push(fence);
  }

  /** Contiguous guest memory for `count` mem_entries; null: there is none. */
  allocateEntries(count: number): { address: number; region: MemoryRegion; offset: number; free: () => void } | null {
    const pages = this.#options.memory.alloc(pageAlign(Math.max(1, count) * MEM_ENTRY_BYTES), 'contiguous');
    if (pages === null) return null;
    const region = pages.region[0];
    return { address: region.gpa + pages.offset[0], region, offset: pages.offset[0], free: () => this.#options.memory.free(pages) };
  }

  /**
   * DRM_IOCTL_MODE_CREATE_DUMB: with the blob feature a guest blob, without it a 2D resource with backing.
   * @throws AllocationError when guest RAM has no room or the host refuses
   */
  createDumb(width: number, height: number, layout: PageLayout, format: number = Format.B8G8R8X8): DumbBuffer {
    const stride = width * 4;
    const pages = this.#options.pixels.alloc(pageAlign(stride * height), layout);
    if (pages === null) throw new AllocationError(`guest RAM has no room for a ${width}x${height} buffer in layout ${layout}`);
    const entries = this.allocateEntries(pages.count);
    if (entries === null) {
      this.#options.pixels.free(pages);
      throw new AllocationError(`guest RAM has no room for ${pages.count} entries`);
    }
    const id = this.ids.take();
    const words = entries.region.u32;
    for (let i = 0; i < pages.count; i++) {
      const address = pages.region[i].gpa + pages.offset[i];
      writeMemEntry(words, (entries.offset + i * MEM_ENTRY_BYTES) / 4, address >>> 0, Math.floor(address / 2 ** 32), pages.bytes[i]);
    }
    const bytes = pages.count * MEM_ENTRY_BYTES;
    const created = new Reply();
    const backed = new Reply();
    const { commands } = this;
    let slot = this.openCommand();
    let at = commands.requestWord(slot);
    if (this.hasBlob) {
      const size = writeCreateBlob(commands.words, at, id, BlobMem.GUEST, BlobFlag.SHAREABLE, pages.count, 0, 0, pages.length, 0);
      this.submit(slot, size, Size.header, entries.address, bytes, null, created, 0);
    } else {
      this.submit(slot, writeCreate2d(commands.words, at, id, format, width, height), Size.header, 0, 0, null, created, 0);
      slot = this.openCommand();
      at = commands.requestWord(slot);
      const size = writeAttachBacking(commands.words, at, id, pages.count);
      this.submit(slot, size, Size.header, entries.address, bytes, null, backed, 0);
    }
    commands.notify();
    this.waitFor(() => created.done && (backed.done || this.hasBlob));
    entries.free();
    const refusal = !created.ok ? created.type : !this.hasBlob && !backed.ok ? backed.type : 0;
    if (refusal !== 0) {
      if (created.ok) this.unref(id);
      this.#options.pixels.free(pages);
      throw new AllocationError(`the host refused a ${width}x${height} buffer: 0x${refusal.toString(16)}`);
    }
    return { kind: 'dumb', id, width, height, stride, blob: this.hasBlob, pages };
  }

  /** Frees a dumb buffer: UNREF, and its pages once the host has answered. */
  freeDumb(buffer: DumbBuffer): void {
    const reply = new Reply();
    this.#sendUnref(buffer.id, reply);
    this.waitFor(() => reply.done);
    this.#options.pixels.free(buffer.pages);
  }

  /** RESOURCE_UNREF; the resource is gone when the response arrives. */
  unref(id: number): void {
    const reply = new Reply();
    this.#sendUnref(id, reply);
    this.waitFor(() => reply.done);
  }

  /** Ends the device: status 0, waited for. Pending fences end `cancelled`. Nothing that was sent is recycled before. */
  reset(): void {
    this.#queuesOpen = false;
    this.#setStatus(0);
    this.counters.add(Counter.fencesCancelled, this.commands.cancelFences());
  }

  /**
   * Before each wait: a host that is gone, or a ring that it found broken, is never answered from.
   * @throws DeviceLost when the host is not the one that this driver has set up; DriverError when it needs a reset
   */
  checkDevice(): void {
    const { registers } = this.#options;
    // In this order: a new session begins with its number, and then needs a reset.
    const needsReset = (registers.deviceStatus & Status.NEEDS_RESET) !== 0;
    const { generation } = registers;
    if (generation !== this.#generation) throw new DeviceLost(`session ${this.#generation} of the host has ended, ${generation} has begun`);
    if (needsReset) throw new DriverError('the device needs a reset: it found a broken ring');
  }

  /**
   * Nobody has rung: what the rings hold all the same was announced by a notification that went missing, or that comes a
   * moment later (who publishes rings afterwards).
   */
  #lookAgain(sample: number): void {
    if (!this.poll()) return;
    const { guestDoorbell, clock } = this.#options;
    clock.read();
    if (!guestDoorbell.sleep(sample, clock.slot[0] + LATE_RING_NS)) this.counters.add(Counter.lostNotifications, 1);
  }

  #sendUnref(id: number, reply: Reply): void {
    const { commands } = this;
    const slot = this.openCommand();
    this.submit(
      slot,
      writeResource(commands.words, commands.requestWord(slot), Command.RESOURCE_UNREF, id),
      Size.header,
      0,
      0,
      null,
      reply,
      0,
    );
    commands.notify();
  }

  #openQueue(index: number, size: number, ring: RingFeatures): DriverQueue {
    const { space, memory, openQueue, registers } = this.#options;
    const { queue, config } = openQueue(space, memory, size, ring);
    registers.setQueueSize(index, size);
    registers.setQueueAddresses(index, config.descriptorAddress, config.driverAddress, config.deviceAddress);
    registers.setQueueReady(index, true);
    return queue;
  }

  #contiguous(bytes: number): SegmentList {
    const list = this.#options.memory.alloc(pageAlign(Math.max(bytes, PAGE_SIZE)), 'contiguous');
    if (list === null) throw new DriverError(`guest RAM has no ${bytes} contiguous bytes left`);
    return list;
  }

  /** Writes the status register and waits until the device has taken it. */
  #setStatus(status: number): void {
    const { registers, hostDoorbell } = this.#options;
    this.#resetting = status === 0;
    registers.status = status;
    hostDoorbell.ring();
    this.waitFor(() => registers.statusSeen === status);
  }
}
