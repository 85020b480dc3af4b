import { DriverError } from '../guest/errors.ts';
import type { Clock } from '../measure/clock.ts';
import { Counter, type Counters } from '../measure/counters.ts';
import type { AddressSpace } from '../memory/address-space.ts';
import type { MemoryRegion } from '../memory/region.ts';
import { Command, commandName, Flag, Response } from '../protocol/constants.ts';
import { Header } from '../protocol/layout.ts';
import { setFence } from '../protocol/write.ts';
import type { Doorbell } from '../ring/doorbell.ts';
import { CONTROL_QUEUE, type DeviceRegisters, Status } from '../ring/registers.ts';
import type { SplitDriver } from '../ring/split/driver.ts';
import { bufferRoom, type QueuePlace } from './replay-plan.ts';
import { startRecorded } from './start-recorded.ts';
import type { Workload, WorkloadChain } from './workload.ts';

export interface WorkloadDriverOptions {
  readonly workload: Workload;
  readonly space: AddressSpace;
  /** Where rings, tables and chains lie. */
  readonly rings: MemoryRegion;
  readonly queues: readonly QueuePlace[];
  /** First address of the chains' buffers. */
  readonly buffers: number;
  readonly registers: DeviceRegisters;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly hostDoorbell: Doorbell;
  readonly guestDoorbell: Doorbell;
}

/** A wait for the host that lasts this long means that it is gone; it looks again by itself in between. */
const HOST_GONE_NS = 10e9;
const RECHECK_NS = 100e6;

/**
 * The driver of a recorded guest: sends chains with the bytes and in the descriptors that were recorded, each from a
 * place of its own in memory, which is written once. Fence ids go on rising, as a guest's do.
 */
export class WorkloadDriver {
  readonly #options: WorkloadDriverOptions;
  readonly #chains: readonly WorkloadChain[];
  readonly #queues: readonly SplitDriver[];
  /** Address of each chain's first buffer. */
  readonly #at: Float64Array;
  /** Word in the rings' region of a chain's answer, −1: it has none (the cursor queue's). */
  readonly #answer: Int32Array;
  /** Whether a chain is fenced; whether it is in flight. */
  readonly #fenced: Uint8Array;
  readonly #flying: Uint8Array;
  #fence = 0;
  /** By queue: chains submitted and not published. */
  readonly #unpublished = new Int32Array(2);
  #inFlight = 0;
  /** What is told of each answer. */
  #onAnswer: (step: number) => void = () => {};

  /**
   * Brings the device up and sends what makes the workload's resources; blocks until all of it is answered.
   * @throws DriverError when the host does not answer, refuses the features or answers a command with an error
   */
  constructor(options: WorkloadDriverOptions) {
    const { workload, space, registers, queues, rings, buffers } = options;
    this.#options = options;
    this.#chains = [...workload.steps, ...workload.setUp];
    const count = this.#chains.length;
    this.#at = new Float64Array(count);
    this.#answer = new Int32Array(count).fill(-1);
    this.#fenced = new Uint8Array(count);
    this.#flying = new Uint8Array(count);
    this.#placeChains(rings, buffers);
    this.#queues = startRecorded(registers, space, queues, workload.features, (status) => this.#setStatus(status));
    for (let chain = workload.steps.length; chain < count; chain++) {
      if (!this.submit(chain)) throw new DriverError(`the command of line ${this.#chains[chain].line} does not fit an empty ring`);
      this.publish();
      this.#waitFor(() => this.#inFlight === 0);
    }
  }

  /** Told of each answer from here on; not of those to what was sent before. */
  listen(told: (step: number) => void): void {
    this.#onAnswer = told;
  }

  /** As a command queue's. */
  get commands(): { readonly inFlight: number } {
    return this;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Puts a step's chain into its ring, unpublished. @returns false while it is in flight, or without room */
  submit(chain: number): boolean {
    if (this.#flying[chain] !== 0) return false;
    const { queue: which, indirect, readable, writable } = this.#chains[chain];
    const queue = this.#queues[which];
    let at = this.#at[chain];
    queue.begin();
    for (let i = 0; i < readable.length; i++) {
      queue.readable(at, readable[i]);
      at += bufferRoom(readable[i]);
    }
    for (let i = 0; i < writable.length; i++) {
      queue.writable(at, writable[i]);
      at += bufferRoom(writable[i]);
    }
    const words = this.#options.rings.u32;
    // A response of type 0 would be one that never came.
    if (this.#answer[chain] >= 0) words[this.#answer[chain] + Header.type] = 0;
    queue.indirectFrom = indirect ? 1 : Number.POSITIVE_INFINITY;
    if (this.#fenced[chain] !== 0) setFence(words, (this.#at[chain] - this.#options.rings.gpa) / 4, this.#fence + 1, 0);
    if (!queue.submit(chain)) return false;
    this.#fence += this.#fenced[chain];
    this.#flying[chain] = 1;
    this.#unpublished[which]++;
    this.#inFlight++;
    return true;
  }

  /** Publishes what was submitted, and kicks the host if it wants a kick. */
  publish(): void {
    const { counters, hostDoorbell } = this.#options;
    for (let queue = 0; queue < this.#unpublished.length; queue++) {
      if (this.#unpublished[queue] === 0) continue;
      this.#unpublished[queue] = 0;
      if (this.#queues[queue].publish()) {
        counters.add(Counter.kicks, 1);
        hostDoorbell.ring();
      } else {
        counters.add(Counter.kicksSuppressed, 1);
      }
    }
  }

  /** Takes every answer that has come. @returns whether there was any. @throws DriverError for an error response, or one without its fence */
  poll(): boolean {
    const { counters, registers, rings } = this.#options;
    registers.takeInterrupts();
    let progressed = false;
    for (let which = 0; which < this.#queues.length; which++) {
      const queue = this.#queues[which];
      while (queue.popUsed()) {
        progressed = true;
        const chain = queue.usedToken;
        this.#flying[chain] = 0;
        this.#inFlight--;
        counters.add(Counter.commands, 1);
        if (which === CONTROL_QUEUE) {
          // RACE: written by the host; ordered by the used index that popUsed() loaded.
          const type = rings.u32[this.#answer[chain] + Header.type];
          if (type < Response.OK_NODATA || type >= Response.ERR_UNSPEC) this.#refused(chain, type);
          if (this.#fenced[chain] !== 0 && !this.#signals(chain)) this.#unsignalled(chain);
        }
        this.#onAnswer(chain);
      }
    }
    return progressed;
  }

  /** Before sleeping: asks for interrupts. @returns true: something came meanwhile. @throws DriverError when the device needs a reset */
  prepareSleep(): boolean {
    this.#checkDevice();
    let came = false;
    for (let i = 0; i < this.#queues.length; i++) if (this.#queues[i].enableInterrupts()) came = true;
    return came;
  }

  endSleep(): void {
    for (let i = 0; i < this.#queues.length; i++) this.#queues[i].disableInterrupts();
  }

  /** Ends the device: status 0, waited for. */
  reset(): void {
    this.#setStatus(0);
  }

  /** Writes every chain's bytes to its place. */
  #placeChains(rings: MemoryRegion, buffers: number): void {
    let at = buffers;
    for (let chain = 0; chain < this.#chains.length; chain++) {
      const { queue, readable, writable, request } = this.#chains[chain];
      this.#at[chain] = at;
      let from = 0;
      for (const length of readable) {
        rings.u8.set(request.subarray(from, from + length), at - rings.gpa);
        from += length;
        at += bufferRoom(length);
      }
      if (queue === CONTROL_QUEUE) this.#answer[chain] = (at - rings.gpa) / 4;
      for (const length of writable) at += bufferRoom(length);
      this.#fenced[chain] = (rings.u32[(this.#at[chain] - rings.gpa) / 4 + Header.flags] & Flag.FENCE) !== 0 ? 1 : 0;
    }
  }

  /** Out of line: a frame that was not taken over cannot be counted, so there is nothing to go on with. */
  #refused(chain: number, type: number): never {
    this.#options.counters.add(Counter.errorResponses, 1);
    const { line, request } = this.#chains[chain];
    const name = commandName(new DataView(request.buffer, request.byteOffset).getUint32(0, true));
    const answer = Object.entries(Response).find(([, value]) => value === type)?.[0] ?? `0x${type.toString(16)}`;
    throw new DriverError(`the host answers line ${line} of the trace (${name}) with ${answer}`);
  }

  /** Whether the answer brings the fence that was sent: that alone signals it to Linux (virtgpu_vq.c, virtio_gpu_dequeue_ctrl_func). */
  #signals(chain: number): boolean {
    const { rings } = this.#options;
    const request = (this.#at[chain] - rings.gpa) / 4;
    const answer = this.#answer[chain];
    // RACE: as the answer's type.
    return (
      (rings.u32[answer + Header.flags] & Flag.FENCE) !== 0 && rings.u32[answer + Header.fenceLo] === rings.u32[request + Header.fenceLo]
    );
  }

  /** Out of line, as `#refused`. */
  #unsignalled(chain: number): never {
    throw new DriverError(`the host answers line ${this.#chains[chain].line} of the trace without its fence`);
  }

  #checkDevice(): void {
    if ((this.#options.registers.deviceStatus & Status.NEEDS_RESET) === 0) return;
    throw new DriverError('the device needs a reset: it found a broken ring');
  }

  #setStatus(status: number): void {
    const { registers, hostDoorbell } = this.#options;
    registers.status = status;
    hostDoorbell.ring();
    this.#waitFor(() => registers.statusSeen === status);
    if (status !== 0 && registers.deviceStatus !== status) {
      const features = (status & Status.FEATURES_OK) !== 0 && (registers.deviceStatus & Status.FEATURES_OK) === 0;
      throw new DriverError(features ? 'the host does not have the features that the guest used' : 'the device did not accept the queues');
    }
  }

  /** Blocks until `done` holds, taking answers. @throws DriverError after 10 s, or when the session is stopped */
  #waitFor(done: () => boolean): void {
    const { guestDoorbell, registers, clock } = this.#options;
    clock.read();
    const giveUp = clock.slot[0] + HOST_GONE_NS;
    for (;;) {
      const sample = guestDoorbell.sample();
      if (this.#inFlight > 0) this.poll();
      if (done()) return;
      if (registers.stopRequested) throw new DriverError('stopped while waiting for the host');
      clock.read();
      if (clock.slot[0] >= giveUp) throw new DriverError('the host has not answered for 10 s');
      if (this.#inFlight > 0 && this.prepareSleep()) continue;
      guestDoorbell.sleep(sample, Math.min(giveUp, clock.slot[0] + RECHECK_NS));
      if (this.#inFlight > 0) this.endSleep();
    }
  }
}

/** Bytes that the chains' buffers take. */
export function chainRoom({ steps, setUp }: Workload): number {
  let bytes = 0;
  for (const { readable, writable } of [...steps, ...setUp]) for (const length of [...readable, ...writable]) bytes += bufferRoom(length);
  return bytes;
}

export const isTransfer = (chain: WorkloadChain): boolean =>
  new DataView(chain.request.buffer, chain.request.byteOffset).getUint32(0, true) === Command.TRANSFER_TO_HOST_2D;
