import { Counter } from '../measure/counters.ts';
import { FrameColumn } from '../measure/frame-log.ts';
import { Feature, Flag, Response } from '../protocol/constants.ts';
import { Header, Size } from '../protocol/layout.ts';
import { writeResponseHeader } from '../protocol/write-response.ts';
import { writeChain } from '../ring/chain.ts';
import { type DeviceQueue, RingError } from '../ring/queue.ts';
import { CONTROL_QUEUE, CURSOR_QUEUE, Interrupt, Status } from '../ring/registers.ts';
import { destroy } from './commands-2d.ts';
import { changeDisplay } from './commands-info.ts';
import { Context, type Display, STALL } from './context.ts';
import { handleCursor, resetCursors } from './cursor.ts';
import { execute, readRequest } from './dispatch.ts';
import { FenceTimeline } from './fence-timeline.ts';
import { FlushAnswer } from './flushes.ts';
import { applyPresentMask, changeRegion } from './memory-table.ts';
import { openQueue } from './open-queue.ts';
import type { HostOptions } from './options.ts';
import { takeReleases } from './releases.ts';

export type { Display } from './context.ts';
export type { HostOptions } from './options.ts';

/** The largest queue, so the most chains in flight. */
const MAX_IN_FLIGHT = 1024;

/**
 * The virtio-gpu device (virtio 1.3 § 5.7; QEMU: hw/display/virtio-gpu.c): serves both queues, imports blobs, hands frames
 * to the sink. It never blocks and never throws for a guest's mistake: that is answered on the wire, and a broken
 * ring ends in DEVICE_NEEDS_RESET.
 */
export class HostDevice {
  readonly #options: HostOptions;
  readonly #context: Context;
  readonly #timeline = new FenceTimeline(MAX_IN_FLIGHT);
  #control: DeviceQueue | null = null;
  #cursor: DeviceQueue | null = null;
  #status = 0;
  #tableGeneration = 0;
  #broken = false;
  /** The request in the context waits for a release. */
  #stalled = false;
  /** A release has come since: try again. */
  #retry = false;
  /** Chains returned to the cursor queue since its last publish. */
  #cursorPushed = 0;
  /** Work not charged to a frame yet, ns. */
  #busyNs = 0;
  /** The RingError that ended the device. */
  #ringError: RingError | null = null;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#context = new Context(options);
    const registers = options.registers;
    registers.setDeviceFeatures(options.offeredFeatures.lo, options.offeredFeatures.hi);
    registers.numScanouts = options.displays.length;
    registers.numCapsets = 0;
    this.#tableGeneration = registers.hostTableGeneration;
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

  /** Resources that exist. */
  get resourceCount(): number {
    return this.#context.resources.count;
  }

  /** What a head's cursor looks like to the host. */
  cursor(head: number): { readonly resourceId: number; readonly x: number; readonly y: number; readonly hotX: number; readonly hotY: number } {
    return this.#context.cursors[head];
  }

  /**
   * One run to completion: registers, releases of the sink, control queue, cursor queue, fence timeline, interrupts.
   * @returns whether anything progressed
   */
  poll(): boolean {
    let progressed = this.#pollRegisters();
    if (this.#control === null || this.#broken) return progressed;
    const context = this.#context;
    const sink = this.#options.sink;
    let start = -1;
    context.touchedCount = 0;
    if (sink.deadline[0] !== Number.POSITIVE_INFINITY) {
      context.now();
      if (sink.deadline[0] <= context.nowNs) {
        start = context.nowNs;
        this.#takeReleases();
      }
    }
    let before = start;
    try {
      before = this.#serveControl(start);
      if (this.#serveCursor() && before < 0) before = context.nowNs;
    } catch (error) {
      if (!(error instanceof RingError)) throw error;
      this.#break(error);
      return true;
    }
    // A sink without vblanks may be done with what it was just given.
    if (before >= 0 && sink.deadline[0] <= context.nowNs) this.#takeReleases();
    if (this.#publish()) progressed = true;
    if (before >= 0) {
      progressed = true;
      context.now();
      this.#charge(context.nowNs - before);
    }
    return progressed;
  }

  /** Before sleeping: asks for kicks. @returns true: work came meanwhile, poll again */
  prepareSleep(): boolean {
    if (this.#broken || this.#control === null) return false;
    // A stalled queue is woken by the sink's deadline; its waiting chains are no news.
    const control = !this.#stalled && this.#control.enableKicks();
    const cursor = this.#cursor !== null && this.#cursor.enableKicks();
    return control || cursor;
  }

  /** After waking: no kicks while polling. */
  endSleep(): void {
    if (this.#broken || this.#control === null) return;
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
  }

  /** Drops everything the driver made: queues, fences, scanouts, resources. Its pending fences get no answer. */
  reset(): void {
    const context = this.#context;
    this.#control = null;
    this.#cursor = null;
    this.#broken = false;
    this.#ringError = null;
    this.#stalled = false;
    this.#retry = false;
    context.pushed = 0;
    this.#cursorPushed = 0;
    this.#busyNs = 0;
    this.#timeline.clear();
    const resources = context.resources.all();
    context.scanouts.reset();
    for (const resource of resources) this.#options.sink.stop(resource.id);
    context.now();
    while (this.#options.sink.pollReleases(context.nowNs) > 0);
    context.flushes.clear();
    context.resources.clear();
    for (const resource of resources) destroy(context, resource);
    resetCursors(context);
    context.features = 0;
    context.pickupNs = -1;
    context.transferNs = 0;
  }

  #pollRegisters(): boolean {
    const registers = this.#options.registers;
    let progressed = false;
    const generation = registers.tableGeneration;
    if (generation !== this.#tableGeneration) {
      this.#tableGeneration = generation;
      applyPresentMask(this.#context, registers.presentMask);
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
      if (this.#featuresAcceptable()) this.#context.features = registers.driverFeaturesLo;
      else accepted &= ~Status.FEATURES_OK;
    } else if ((registers.deviceStatus & Status.FEATURES_OK) === 0) {
      accepted &= ~Status.FEATURES_OK;
    }
    if ((status & Status.DRIVER_OK) !== 0 && this.#control === null) {
      if ((accepted & Status.FEATURES_OK) === 0) accepted &= ~Status.DRIVER_OK;
      else if (!this.#activate()) return;
    }
    registers.deviceStatus = accepted;
  }

  /** Nothing that was not offered, and no bit without the one it depends on (virtio 1.3 § 5.7.3). */
  #featuresAcceptable(): boolean {
    const registers = this.#options.registers;
    const { lo, hi } = this.#options.offeredFeatures;
    const driverLo = registers.driverFeaturesLo;
    if ((driverLo & ~lo) !== 0 || (registers.driverFeaturesHi & ~hi) !== 0) return false;
    const has = (bit: number): boolean => ((driverLo >>> bit) & 1) !== 0;
    if (has(Feature.CONTEXT_INIT) && !has(Feature.VIRGL)) return false;
    return !has(Feature.BLOB_ALIGNMENT) || has(Feature.RESOURCE_BLOB);
  }

  #activate(): boolean {
    const { registers, space } = this.#options;
    try {
      if (registers.queueReady(CURSOR_QUEUE)) this.#cursor = openQueue(space, registers, CURSOR_QUEUE);
      if (registers.queueReady(CONTROL_QUEUE)) this.#control = openQueue(space, registers, CONTROL_QUEUE);
    } catch (error) {
      if (!(error instanceof RingError)) throw error;
      this.#break(error);
      return false;
    }
    this.#control?.disableKicks();
    this.#cursor?.disableKicks();
    return true;
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

  /** @param start when this poll's work began, -1: it has not yet @returns the same */
  #serveControl(start: number): number {
    const queue = this.#control;
    const context = this.#context;
    if (queue === null) return start;
    let begun = start;
    if (this.#stalled) {
      if (!this.#retry) return begun;
      if (begun < 0) {
        context.now();
        begun = context.nowNs;
      }
      this.#retry = false;
      this.#stalled = false;
      this.#execute(queue);
    }
    while (!this.#stalled && queue.pop(context.chain)) {
      if (begun < 0 || context.pickupNs < 0) {
        context.now();
        if (begun < 0) begun = context.nowNs;
        if (context.pickupNs < 0) context.pickupNs = context.nowNs;
      }
      this.#options.counters.add(Counter.commands, 1);
      // Without room for a response header nothing is done at all (hostile-guest 31).
      if (context.chain.writableBytes < Size.header) {
        this.#options.counters.add(Counter.errorResponses, 1);
        this.#push(queue, context.chain.head, 0);
      } else if (readRequest(context)) {
        this.#execute(queue);
      } else {
        this.#respond(queue, Response.ERR_UNSPEC);
      }
    }
    return begun;
  }

  #execute(queue: DeviceQueue): void {
    const code = execute(this.#context);
    if (code === STALL) this.#stalled = true;
    else this.#respond(queue, code);
  }

  /** Writes the response into the guest's memory; its chain returns now, in fence order, or at the flush's release. */
  #respond(queue: DeviceQueue, code: number): void {
    const context = this.#context;
    const body = context.body;
    const fenced = (body[Header.flags] & Flag.FENCE) !== 0;
    const error = code >= Response.ERR_UNSPEC;
    const bytes = error ? Size.header : context.responseBytes;
    if (error) this.#options.counters.add(Counter.errorResponses, 1);
    if (fenced) {
      const ringIdx = context.has(Feature.CONTEXT_INIT) ? body[Header.flags] & Flag.INFO_RING_IDX : 0;
      writeResponseHeader(
        context.response, 0, code, Flag.FENCE | ringIdx, body[Header.fenceLo], body[Header.fenceHi], body[Header.ctxId],
        ringIdx === 0 ? 0 : body[Header.ringIdx],
      );
    } else {
      writeResponseHeader(context.response, 0, code, 0, 0, 0, 0, 0);
    }
    writeChain(this.#options.space, context.chain, context.responseU8, 0, bytes);
    const head = context.chain.head;
    const slot = error ? -1 : context.flushSlot;
    if (slot >= 0 && this.#options.fencesOff !== true) {
      if (fenced) {
        context.flushes.answer[slot] = FlushAnswer.fenced;
        context.flushes.token[slot] = this.#timeline.enqueue(head, bytes, false);
      } else {
        context.flushes.answer[slot] = FlushAnswer.unfenced;
        context.flushes.token[slot] = head;
      }
    } else if (fenced && !this.#timeline.empty) {
      this.#timeline.enqueue(head, bytes, true);
    } else {
      this.#push(queue, head, bytes);
    }
  }

  #push(queue: DeviceQueue, head: number, written: number): void {
    queue.push(head, written);
    this.#context.pushed++;
  }

  #serveCursor(): boolean {
    const queue = this.#cursor;
    if (queue === null) return false;
    const context = this.#context;
    const chain = context.cursorChain;
    let served = false;
    while (queue.pop(chain)) {
      if (!served) context.now();
      served = true;
      handleCursor(context);
      queue.push(chain.head, 0);
      this.#cursorPushed++;
    }
    return served;
  }

  #takeReleases(): void {
    if (takeReleases(this.#context, this.#timeline, this.#control) > 0) this.#retry = true;
  }

  /** Makes what was returned visible. @returns whether there was anything */
  #publish(): boolean {
    const control = this.#control;
    const context = this.#context;
    if (control !== null) context.pushed += this.#timeline.drain(control);
    const counters = this.#options.counters;
    if (context.pushed + this.#cursorPushed === 0) return false;
    let wanted = false;
    if (context.pushed > 0 && control !== null) {
      if (control.publish()) wanted = true;
      else counters.add(Counter.interruptsSuppressed, 1);
    }
    if (this.#cursorPushed > 0 && this.#cursor !== null) {
      if (this.#cursor.publish()) wanted = true;
      else counters.add(Counter.interruptsSuppressed, 1);
    }
    context.pushed = 0;
    this.#cursorPushed = 0;
    if (wanted) {
      counters.add(Counter.interrupts, 1);
      this.#interrupt(Interrupt.USED_BUFFER);
    }
    return true;
  }

  /** Charges this poll's work to the frames it was for, in equal parts; without one, to the next frame. */
  #charge(ns: number): void {
    const context = this.#context;
    const log = this.#options.frameLog;
    this.#busyNs += ns;
    if (log === null || context.touchedCount === 0) return;
    const part = this.#busyNs / context.touchedCount;
    for (let i = 0; i < context.touchedCount; i++) log.cells[context.touched[i] + FrameColumn.hostService] += part;
    this.#busyNs = 0;
  }
}
