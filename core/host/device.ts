import { Counter } from '../measure/counters.ts';
import { FrameColumn } from '../measure/frame-log.ts';
import { type DeviceQueue, RingError } from '../ring/queue.ts';
import { CONTROL_QUEUE, CURSOR_QUEUE, Interrupt, QUEUES, Status } from '../ring/registers.ts';
import { destroy } from './commands-2d.ts';
import { changeDisplay } from './commands-info.ts';
import { Context, type Cursor, type Display } from './context.ts';
import { ControlQueue } from './control-queue.ts';
import { handleCursor, resetCursors } from './cursor.ts';
import { applyPresentMask, changeRegion } from './memory-table.ts';
import { negotiate } from './negotiate.ts';
import { keepQueue, openQueue, queueConfig } from './open-queue.ts';
import type { HostOptions } from './options.ts';
import { restore } from './restore.ts';

export type { Display } from './context.ts';
export type { HostOptions } from './options.ts';

/** Of a driver that was set up with a host before this one: no status that a driver can write. */
const STALE = -1;
/** Work not charged to a frame yet. */
const BUSY = 0;
/** Work in all. */
const SERVICE = 1;

/**
 * The virtio-gpu device (virtio 1.3 § 5.7; QEMU: hw/display/virtio-gpu.c): serves both queues, imports blobs, hands frames
 * to the sink. It never blocks and never throws for a guest's mistake: that is answered on the wire, and a broken
 * ring ends in DEVICE_NEEDS_RESET.
 */
export class HostDevice {
  readonly #options: HostOptions;
  readonly #context: Context;
  readonly #control: ControlQueue;
  #cursor: DeviceQueue | null = null;
  #status = 0;
  /** The status in force: what `deviceStatus` was written to, which a hostile driver may overwrite. */
  #accepted = 0;
  #tableGeneration = 0;
  #broken = false;
  /** Chains returned to the cursor queue since its last publish. */
  #cursorPushed = 0;
  /** ns at BUSY and SERVICE: slots, because a field's new double would be boxed. */
  readonly #work = new Float64Array(2);
  /** By queue: ids of the regions that its ring lies in. */
  readonly #ringRegions: readonly Set<number>[] = Array.from({ length: QUEUES }, () => new Set<number>());
  #ringError: RingError | null = null;
  /** Queues that an interrupt is for, bit n for queue n, when the guest's doorbell is rung. Whoever looks at it clears it. */
  interruptedQueues = 0;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#context = new Context(options);
    this.#control = new ControlQueue(this.#context);
    const registers = options.registers;
    registers.setDeviceFeatures(options.offeredFeatures.lo, options.offeredFeatures.hi);
    registers.numScanouts = options.displays.length;
    registers.numCapsets = 0;
    this.#tableGeneration = registers.hostTableGeneration;
    if ((registers.deviceStatus & Status.NEEDS_RESET) !== 0) {
      // Left by the host before this one: what the driver has set up is not ours. Nothing is taken before it resets.
      this.#status = STALE;
      this.#broken = true;
      options.counters.add(Counter.staleDrivers, 1);
      applyPresentMask(this.#context, registers.presentMask);
    }
  }

  /** `deadline[0]`: when the sink next has something to do by itself, ns; Infinity: never. */
  get deadline(): Float64Array {
    return this.#options.sink.deadline;
  }

  /** Imports that became copies, the first 64; `reason` names the limit. */
  get fallbacks(): readonly { resourceId: number; reason: string }[] {
    return this.#context.fallbacks;
  }

  get needsReset(): boolean {
    return this.#broken;
  }

  /** The broken ring rule, while the device needs a reset. */
  get ringError(): RingError | null {
    return this.#ringError;
  }

  /** Bytes of host memory that resources hold; 0 after a reset. */
  get budgetUsed(): number {
    return this.#context.resources.bytes;
  }

  /** Backing segments that resources hold; 0 after a reset. */
  get segmentsUsed(): number {
    return this.#context.resources.segments;
  }

  /** Work of all polls that progressed, ns. */
  get serviceNs(): number {
    return this.#work[SERVICE];
  }

  /** Resources that exist. */
  get resourceCount(): number {
    return this.#context.resources.count;
  }

  /** What a head's cursor looks like to the host. */
  cursor(head: number): Readonly<Cursor> {
    return this.#context.cursors[head];
  }

  /**
   * One run to completion: registers, releases of the sink, control queue, cursor queue, fence timeline, interrupts.
   * @returns whether anything progressed
   */
  poll(): boolean {
    let progressed = this.#pollRegisters();
    if (!this.#control.isOpen) return progressed;
    const context = this.#context;
    const sink = this.#options.sink;
    if (this.#broken) {
      // Nobody is answered, but a deadline that has passed must not wake the loop for ever.
      context.now();
      while (sink.deadline[0] <= context.nowNs && sink.pollReleases(context.nowSlot) > 0);
      return progressed;
    }
    context.workNs = -1;
    context.touchedCount = 0;
    if (sink.deadline[0] !== Number.POSITIVE_INFINITY) {
      context.now();
      if (sink.deadline[0] <= context.nowNs) {
        context.workNs = context.nowNs;
        this.#control.takeReleases();
      }
    }
    try {
      this.#control.serve();
      if (this.#serveCursor() && context.workNs < 0) context.workNs = context.nowNs;
    } catch (error) {
      if (!(error instanceof RingError)) throw error;
      this.#break(error);
      return true;
    }
    // A sink without vblanks may be done with what it was just given.
    if (context.workNs >= 0 && sink.deadline[0] <= context.nowNs) this.#control.takeReleases();
    if (this.#publish()) progressed = true;
    if (context.workNs >= 0) {
      progressed = true;
      context.now();
      this.#charge();
    }
    return progressed;
  }

  /** Before sleeping: asks for kicks. @returns true: work came meanwhile, poll again */
  prepareSleep(): boolean {
    if (this.#broken || !this.#control.isOpen) return false;
    const control = this.#control.enableKicks();
    const cursor = this.#cursor?.enableKicks() ?? false;
    return control || cursor;
  }

  /** After waking: no kicks while polling. */
  endSleep(): void {
    if (this.#broken || !this.#control.isOpen) return;
    this.#control.disableKicks();
    this.#cursor?.disableKicks();
  }

  /** Connects a display to a head, or disconnects it (null); the driver gets events_read bit 0 and a config interrupt. */
  setDisplay(head: number, display: Display | null): void {
    changeDisplay(this.#context, head, display);
    this.#options.registers.bumpConfigGeneration();
    this.#options.counters.add(Counter.configChanges, 1);
    this.#interrupt(Interrupt.CONFIG_CHANGE);
  }

  /** A memory region comes or goes. */
  setRegionPresent(regionId: number, present: boolean): void {
    changeRegion(this.#context, regionId, present);
    this.#checkRings();
  }

  /** Drops everything the driver made: queues, fences, scanouts, resources. Its pending fences get no answer. */
  reset(): void {
    const context = this.#context;
    this.#control.close();
    this.#cursor = null;
    for (const regions of this.#ringRegions) regions.clear();
    this.#broken = false;
    this.#ringError = null;
    this.#cursorPushed = 0;
    this.#work[BUSY] = 0;
    const resources = context.resources.all();
    context.scanouts.reset();
    // The scanouts are off already; of the others the sink reads no frame. A guest may have made very many.
    for (const resource of resources) if (resource.held > 0) this.#options.sink.stop(resource.id);
    context.now();
    while (this.#options.sink.pollReleases(context.nowSlot) > 0);
    context.flushes.clear();
    context.resources.clear();
    for (const resource of resources) destroy(context, resource);
    resetCursors(context);
    context.features = 0;
    context.featuresHi = 0;
    this.#accepted = 0;
    context.pickupNs = -1;
    context.transferNs = 0;
  }

  /**
   * Takes the driver's features: at FEATURES_OK, or when a transport without a status says so (vhost-user).
   * @returns false when they are not acceptable
   */
  acceptFeatures(): boolean {
    return negotiate(this.#context);
  }

  /**
   * Starts one queue as the registers describe it, for a transport that starts and stops them one by one (vhost-user).
   * @param base where it goes on, see QueueConfig; absent: a new queue
   * @returns false when it cannot be opened: the device is then broken, `ringError` says why
   */
  startQueue(queue: number, base?: number): boolean {
    if (this.#broken) return false;
    const { registers, space } = this.#options;
    const { features, featuresHi } = this.#context;
    try {
      const config = queueConfig(registers, queue, features, featuresHi, base);
      const opened = keepQueue(openQueue(space, config, this.#ringRegions[queue]), config, queue, this.#options.keptRings);
      opened.disableKicks();
      if (queue === CONTROL_QUEUE) this.#control.open(opened);
      else this.#cursor = opened;
    } catch (error) {
      if (!(error instanceof RingError)) throw error;
      this.#break(error);
      return false;
    }
    return true;
  }

  /**
   * Stops one queue and keeps what was made through it. What is in flight is answered first: the sink stops reading for it.
   * @returns where the queue stands, for `startQueue`; 0 for one that does not run
   */
  stopQueue(queue: number): number {
    const isControl = queue === CONTROL_QUEUE;
    this.#ringRegions[queue].clear();
    if (isControl && !this.#broken && this.#control.finish()) this.#interruptFor(1 << CONTROL_QUEUE);
    const base = (isControl ? this.#control : this.#cursor)?.base ?? 0;
    if (isControl) this.#control.close();
    else this.#cursor = null;
    return base;
  }

  /** Carries requests out once more that a host before this one answered: core/host/restore. While no queue runs. */
  restore(requests: readonly Uint8Array[]): number {
    return restore(this.#context, requests);
  }

  #pollRegisters(): boolean {
    const registers = this.#options.registers;
    let progressed = false;
    const generation = registers.tableGeneration;
    if (generation !== this.#tableGeneration) {
      this.#tableGeneration = generation;
      applyPresentMask(this.#context, registers.presentMask);
      this.#checkRings();
      registers.hostTableGeneration = generation;
      this.#options.guestDoorbell.ring();
      progressed = true;
    }
    if (registers.eventsClear !== 0) {
      registers.takeEventsClear();
      progressed = true;
    }
    const status = registers.status;
    if (status === this.#status) return progressed;
    this.#changeStatus(status);
    registers.statusSeen = status;
    this.#options.guestDoorbell.ring();
    return true;
  }

  /** virtio 1.3 § 3.1.1. */
  #changeStatus(status: number): void {
    const registers = this.#options.registers;
    const before = this.#status;
    this.#status = status;
    if (status === 0) {
      this.reset();
      registers.reset();
      return;
    }
    if (this.#broken) return;
    let accepted = status;
    if ((status & Status.FEATURES_OK) !== 0 && (before & Status.FEATURES_OK) === 0) {
      if (!this.#control.isOpen && !this.acceptFeatures()) accepted &= ~Status.FEATURES_OK;
    } else if ((this.#accepted & Status.FEATURES_OK) === 0) {
      accepted &= ~Status.FEATURES_OK;
    }
    if ((status & Status.DRIVER_OK) !== 0 && !this.#control.isOpen) {
      if ((accepted & Status.FEATURES_OK) === 0) accepted &= ~Status.DRIVER_OK;
      else if (!this.#activate()) return;
    }
    this.#accepted = accepted;
    registers.deviceStatus = accepted;
  }

  #activate(): boolean {
    const { registers } = this.#options;
    for (const queue of [CURSOR_QUEUE, CONTROL_QUEUE]) {
      if (registers.queueReady(queue) && !this.startQueue(queue)) return false;
    }
    return true;
  }

  /** The queues found their memory once, when they were opened: if it leaves, so do they. */
  #checkRings(): void {
    if (this.#broken) return;
    const { regions } = this.#options.space;
    for (const ids of this.#ringRegions) {
      for (const id of ids) {
        if ((regions[id] ?? null) !== null) continue;
        this.#break(new RingError('ring-outside-memory', `the region ${id} that a ring lies in has left`));
        return;
      }
    }
  }

  #break(error: RingError): void {
    const registers = this.#options.registers;
    this.#broken = true;
    this.#ringError = error;
    this.#options.counters.add(Counter.ringErrors, 1);
    registers.deviceStatus = this.#status | Status.NEEDS_RESET;
    this.#interrupt(Interrupt.CONFIG_CHANGE);
  }

  #interrupt(bits: number): void {
    this.#options.registers.raiseInterrupt(bits);
    this.#options.guestDoorbell.ring();
  }

  #serveCursor(): boolean {
    const queue = this.#cursor;
    if (queue === null) return false;
    const context = this.#context;
    const chain = context.cursorChain;
    let served = false;
    // No more than a queue's length a poll, as the control queue.
    for (let i = 0; i < queue.size && queue.pop(chain); i++) {
      if (!served) context.now();
      served = true;
      this.#options.observeChain?.(CURSOR_QUEUE, chain);
      handleCursor(context);
      queue.push(chain.head, 0);
      this.#cursorPushed++;
    }
    return served;
  }

  /** Makes what was returned visible. @returns whether there was anything */
  #publish(): boolean {
    const counters = this.#options.counters;
    const control = this.#control.publish();
    if (control === 0 && this.#cursorPushed === 0) return false;
    let wanted = control === 2 ? 1 << CONTROL_QUEUE : 0;
    if (control === 1) counters.add(Counter.interruptsSuppressed, 1);
    if (this.#cursorPushed > 0 && this.#cursor !== null) {
      if (this.#cursor.publish()) wanted |= 1 << CURSOR_QUEUE;
      else counters.add(Counter.interruptsSuppressed, 1);
    }
    this.#cursorPushed = 0;
    if (wanted !== 0) this.#interruptFor(wanted);
    return true;
  }

  #interruptFor(queues: number): void {
    this.interruptedQueues |= queues;
    this.#options.counters.add(Counter.interrupts, 1);
    this.#interrupt(Interrupt.USED_BUFFER);
  }

  /** Charges this poll's work to the frames it was for, in equal parts; without one, to the next frame. */
  #charge(): void {
    const context = this.#context;
    const log = this.#options.frameLog;
    const work = this.#work;
    const ns = context.nowNs - context.workNs;
    work[BUSY] += ns;
    work[SERVICE] += ns;
    if (log === null || context.touchedCount === 0) return;
    const part = work[BUSY] / context.touchedCount;
    for (let i = 0; i < context.touchedCount; i++) log.cells[context.touched[i] + FrameColumn.hostService] += part;
    work[BUSY] = 0;
  }
}
