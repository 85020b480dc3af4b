import type { Clock } from '../../core/measure/clock.ts';
import { Counter, type Counters } from '../../core/measure/counters.ts';
import { Feature } from '../../core/protocol/constants.ts';
import { PROTOCOL_FEATURES_BIT, ProtocolFeature, VhostUser } from '../../core/protocol/vhost-user.ts';
import type { Doorbell } from '../../core/ring/doorbell.ts';
import { CONTROL_QUEUE, CURSOR_QUEUE, type DeviceRegisters, QUEUES, Status } from '../../core/ring/registers.ts';
import type { Bell } from '../loop.ts';
import type { Libc } from '../native/libc.ts';
import { PollSet } from '../native/poll.ts';
import { PACKED_BEGIN } from './back-end.ts';
import type { FrontEnd, SharedRegion } from './front-end.ts';
import { PeerError } from './peer-error.ts';

const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);
const GPU_CONFIG = 16;
/** A sleeper looks again after so long by itself: a stop rings no eventfd. */
const LOOK_NS = 50e6;
const SOCKET = QUEUES;

/**
 * What stands between a guest and a back end in another process: the device's registers on the guest's side. The guest writes
 * its status and rings; the status becomes vhost-user messages, answered before `ring` returns, and a kick goes to the
 * queue's eventfd. Interrupts are waited for with ppoll.
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
  readonly #kicks: number[];
  readonly #calls: number[];
  readonly #drain = new Uint8Array(8);
  #status = 0;
  #running = false;

  /**
   * Takes the back end's features and configuration into the registers.
   * @param regions the guest's memory; its user addresses are its guest-physical ones
   * @throws PeerError
   */
  constructor(libc: Libc, front: FrontEnd, registers: DeviceRegisters, regions: readonly SharedRegion[], clock: Clock, counters: Counters) {
    this.#libc = libc;
    this.#front = front;
    this.#registers = registers;
    this.#regions = regions;
    this.#clock = clock;
    this.#counters = counters;
    this.#kicks = Array.from({ length: QUEUES }, () => libc.eventfd());
    this.#calls = Array.from({ length: QUEUES }, () => libc.eventfd());
    this.#polls = new PollSet(libc, QUEUES + 1);
    for (let index = 0; index < QUEUES; index++) this.#polls.set(index, this.#calls[index]);
    this.#polls.set(SOCKET, front.fd);
    this.#connect();
  }

  sample(): number {
    return 0;
  }

  /** The control queue's kick, or a status that was written. */
  ring(): void {
    const { status } = this.#registers;
    if (status !== this.#status) this.#changeStatus(status);
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
    if (ready > 0 && this.#polls.isReady(SOCKET)) throw new PeerError('the back end is gone');
    for (let index = 0; ready > 0 && index < QUEUES; index++) {
      if (this.#polls.isReady(index)) this.#libc.read(this.#calls[index], this.#drain);
    }
    // Short of the deadline it is a look around, as after a ring.
    return ready > 0 || clock.slot[0] < this.deadline[0];
  }

  #connect(): void {
    const front = this.#front;
    const { lo, hi } = front.features();
    if (((lo >>> PROTOCOL_FEATURES_BIT) & 1) === 0) throw new PeerError('the back end has no protocol features, so no configuration space');
    const protocol = front.protocolFeatures();
    if ((protocol & (1 << ProtocolFeature.CONFIG)) === 0) throw new PeerError('the back end has no configuration space (F_CONFIG)');
    front.setProtocolFeatures(protocol & ((1 << ProtocolFeature.CONFIG) | (1 << ProtocolFeature.MQ)));
    front.tell(VhostUser.SET_OWNER);
    this.#registers.setDeviceFeatures((lo & ~(1 << PROTOCOL_FEATURES_BIT)) >>> 0, hi);
    const config = front.config(0, GPU_CONFIG);
    this.#registers.numScanouts = config.getUint32(8, true);
    this.#registers.numCapsets = config.getUint32(12, true);
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
    this.#libc.write(this.#kicks[queue], ONE);
    this.#counters.add(Counter.wakeUps, 1);
  }
}
