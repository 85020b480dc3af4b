import type { Clock } from '../../core/measure/clock.ts';
import { Counter, type Counters } from '../../core/measure/counters.ts';
import { Feature } from '../../core/protocol/constants.ts';
import {
  BACK_END_REQUESTS,
  GPU_CONFIG_BYTES,
  GpuConfig,
  message,
  PROTOCOL_FEATURES_BIT,
  pair,
  VHOST_HEADER,
  VHOST_NEED_REPLY,
  VHOST_REPLY,
  VhostUser,
  VhostUserBackend,
} from '../../core/protocol/vhost-user.ts';
import type { Doorbell } from '../../core/ring/doorbell.ts';
import { CONTROL_QUEUE, CURSOR_QUEUE, type DeviceRegisters, Interrupt, QUEUES, Status } from '../../core/ring/registers.ts';
import type { Bell } from '../loop.ts';
import { ONE_EVENT } from '../native/event-fd.ts';
import { Libc } from '../native/libc.ts';
import { PollSet } from '../native/poll.ts';
import { FdSocket } from '../native/socket.ts';
import { PACKED_BEGIN } from './back-end.ts';
import { Connection, HUNG_UP } from './connection.ts';
import { FrontEnd, type SharedRegion } from './front-end.ts';
import { PeerError } from './peer-error.ts';

/** A sleeper looks again after so long by itself: a stop rings no eventfd. */
const LOOK_NS = 50e6;
/** How long a back end may take to answer, and one that is left because of a stop. */
const ANSWER_NS = 10e9;
const LAST_ANSWER_NS = 0.3e9;
/** Places of the poll set: a call of each queue, then these. */
const ERR = QUEUES;
const SOCKET = 2 * QUEUES;
const REQUESTS = SOCKET + 1;
/** Turns between two looks at the file descriptors while there is work. */
const TURNS_PER_LOOK = 64;
/** The back end's own requests that are taken at one look. */
const REQUESTS_PER_LOOK = 16;
/** An answer to one of them is its header and a u64. */
const ANSWER_BYTES = VHOST_HEADER + 8;

/** What a guest's thread is given in place of a host's thread. */
export interface TransportTask {
  /** Connected, the protocol agreed on (`connectBackEnd`). Stays open. */
  readonly socket: number;
  /** Where the back end's own requests come; −1: it has none. Stays open. */
  readonly requests: number;
  /** The guest's memory; its user addresses are its guest-physical ones. */
  readonly regions: readonly SharedRegion[];
}

/**
 * What stands between a guest and a back end in another process: the device's registers on the guest's side. The guest writes
 * its status and rings; the status becomes vhost-user messages, answered before `ring` returns, and a kick goes to the
 * queue's eventfd. Interrupts are waited for with ppoll. The offered features and the configuration are in the registers already.
 * A CONFIG_CHANGE of the back end's becomes a config interrupt, once the configuration has been asked for.
 */
export class GuestTransport implements Doorbell, Bell {
  readonly deadline = new Float64Array(1);
  /** Rings the cursor queue. */
  readonly cursorDoorbell: Doorbell = { ring: () => this.#kick(CURSOR_QUEUE), sample: () => 0, sleep: () => true };
  readonly #libc: Libc;
  readonly #front: FrontEnd;
  readonly #registers: DeviceRegisters;
  readonly #regions: readonly SharedRegion[];
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #polls: PollSet;
  /** null: it has none, or has closed them. */
  #requests: Connection | null;
  readonly #kicks: number[];
  readonly #calls: number[];
  readonly #errs: number[];
  readonly #drain = new Uint8Array(8);
  #status = 0;
  #running = false;
  #turns = 0;

  /** @throws Error without koffi, NativeError without file descriptors */
  constructor({ socket, requests, regions }: TransportTask, registers: DeviceRegisters, clock: Clock, counters: Counters) {
    const libc = Libc.load();
    if (typeof libc === 'string') throw new Error(libc);
    this.#libc = libc;
    this.#front = new FrontEnd(libc, socket, () => (registers.stopRequested ? LAST_ANSWER_NS : ANSWER_NS));
    this.#registers = registers;
    this.#regions = regions;
    this.#clock = clock;
    this.#counters = counters;
    [this.#kicks, this.#calls, this.#errs] = [0, 1, 2].map(() => Array.from({ length: QUEUES }, () => libc.eventfd()));
    this.#polls = new PollSet(libc, REQUESTS + 1);
    for (let index = 0; index < QUEUES; index++) {
      this.#polls.set(index, this.#calls[index]);
      this.#polls.set(ERR + index, this.#errs[index]);
    }
    this.#polls.set(SOCKET, socket);
    this.#requests = requests < 0 ? null : new Connection(new FdSocket(libc, requests, ANSWER_BYTES), BACK_END_REQUESTS);
    this.#polls.set(REQUESTS, requests);
  }

  /** Before each turn. A guest that always has work never sleeps, and looks here. */
  sample(): number {
    if (++this.#turns % TURNS_PER_LOOK === 0 && this.#polls.wait(0) > 0) this.#look();
    return 0;
  }

  /** The control queue's kick, or a status or events_clear that was written. */
  ring(): void {
    const { status, eventsClear } = this.#registers;
    if (status !== this.#status) this.#changeStatus(status);
    else if (eventsClear !== 0) this.#clearEvents();
    else this.#kick(CONTROL_QUEUE);
  }

  sleep(expected: number, deadlineNs: number): boolean {
    this.deadline[0] = deadlineNs;
    return this.blockUntilDeadline(expected);
  }

  blockUntilDeadline(_expected: number): boolean {
    const clock = this.#clock;
    clock.read();
    const before = clock.slot[0];
    const left = Math.min(this.deadline[0] - before, LOOK_NS);
    const ready = left > 0 ? this.#polls.wait(left) : 0;
    clock.read();
    this.#counters.add(Counter.sleeps, 1);
    this.#counters.add(Counter.sleepNs, clock.slot[0] - before);
    if (ready > 0) this.#look();
    // Short of the deadline it is a look around, as after a ring.
    return ready > 0 || clock.slot[0] < this.deadline[0];
  }

  /** Stops the queues, so that the back end lets go of the guest's memory, as far as it still answers. */
  close(): void {
    try {
      this.#stop();
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
    } finally {
      for (const fd of [...this.#kicks, ...this.#calls, ...this.#errs]) this.#libc.close(fd);
    }
  }

  #look(): void {
    for (let index = 0; index < QUEUES; index++) {
      if (this.#polls.isReady(index)) this.#libc.read(this.#calls[index], this.#drain);
      if (this.#polls.isReady(ERR + index)) throw new PeerError(`the back end cannot go on with queue ${index}: it found the ring broken`);
    }
    if (this.#polls.isReady(REQUESTS)) this.#takeRequests();
    // Nothing comes there but what was asked for, and has been taken.
    if (this.#polls.isReady(SOCKET) && this.#front.hasAnswer) throw new PeerError('the back end is gone');
  }

  /** One look at the configuration is enough for all that came. */
  #takeRequests(): void {
    let came = 0;
    let answers = 0;
    try {
      for (let one = this.#requests?.receive() ?? null; one !== null; one = this.#requests?.receive() ?? null) {
        if ((one.flags & VHOST_NEED_REPLY) !== 0) answers++;
        if (++came === REQUESTS_PER_LOOK) break;
      }
    } catch (error) {
      if (!(error instanceof PeerError && error.message === HUNG_UP)) throw error;
      // Only there: it has no more to say, and goes on.
      this.#requests = null;
      this.#polls.set(REQUESTS, -1);
    }
    if (came > 0 && this.#running) this.#configChanged();
    for (; answers > 0; answers--) this.#requests?.send(message(VhostUserBackend.CONFIG_CHANGE, VHOST_REPLY, pair(0, 0)));
  }

  #configChanged(): void {
    const registers = this.#registers;
    registers.raiseEvents(this.#front.config(0, GPU_CONFIG_BYTES).getUint32(GpuConfig.eventsRead, true));
    registers.bumpConfigGeneration();
    registers.raiseInterrupt(Interrupt.CONFIG_CHANGE);
  }

  /** All of the configuration, as QEMU sends it: its vhost-user-gpu looks for the field at its place in the whole. */
  #clearEvents(): void {
    const config = new Uint8Array(GPU_CONFIG_BYTES);
    new DataView(config.buffer).setUint32(GpuConfig.eventsClear, this.#registers.takeEventsClear(), true);
    this.#front.setConfig(0, config);
  }

  #changeStatus(status: number): void {
    const registers = this.#registers;
    const before = this.#status;
    this.#status = status;
    if (status === 0) {
      this.#stop();
      registers.reset();
    } else {
      if ((status & Status.FEATURES_OK) !== 0 && (before & Status.FEATURES_OK) === 0) {
        this.#front.setFeatures((registers.driverFeaturesLo | (1 << PROTOCOL_FEATURES_BIT)) >>> 0, registers.driverFeaturesHi);
      }
      if ((status & Status.DRIVER_OK) !== 0 && !this.#running) this.#start();
      registers.deviceStatus = status;
    }
    registers.statusSeen = status;
  }

  #start(): void {
    const registers = this.#registers;
    this.#front.setMemTable(this.#regions);
    const packed = ((registers.driverFeaturesHi >>> (Feature.RING_PACKED - 32)) & 1) !== 0;
    for (let index = 0; index < QUEUES; index++) {
      this.#front.tell(VhostUser.SET_VRING_ERR, pair(index, 0), [this.#errs[index]]);
      this.#front.startQueue(index, {
        size: registers.queueSize(index),
        base: packed ? PACKED_BEGIN : 0,
        descriptor: registers.queueDescriptorAddress(index),
        avail: registers.queueDriverAddress(index),
        used: registers.queueDeviceAddress(index),
        kick: this.#kicks[index],
        call: this.#calls[index],
      });
    }
    this.#running = true;
  }

  #stop(): void {
    if (!this.#running) return;
    this.#running = false;
    for (let index = 0; index < QUEUES; index++) this.#front.stopQueue(index);
  }

  #kick(queue: number): void {
    if (!this.#running) return;
    this.#libc.write(this.#kicks[queue], ONE_EVENT);
    this.#counters.add(Counter.wakeUps, 1);
  }
}
