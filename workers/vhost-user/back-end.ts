import type { HostDevice } from '../../core/host/device.ts';
import { Feature } from '../../core/protocol/constants.ts';
import {
  GpuConfig,
  MAX_CONFIG,
  message,
  PROTOCOL_FEATURES_BIT,
  ProtocolFeature,
  pair,
  readMemTable,
  readU64,
  type TableRegion,
  VHOST_NEED_REPLY,
  VHOST_REPLY,
  VhostUser,
  VhostUserBackend,
  VRING_NO_FD,
} from '../../core/protocol/vhost-user.ts';
import { DESCRIPTOR_BYTES, FLAGS_WORD } from '../../core/ring/packed/layout.ts';
import { CONTROL_QUEUE, type DeviceRegisters, QUEUES } from '../../core/ring/registers.ts';
import type { Message } from './connection.ts';
import type { GuestMemory } from './guest-memory.ts';
import { PeerError } from './peer-error.ts';

const OFFERED_PROTOCOL =
  (1 << ProtocolFeature.MQ) | (1 << ProtocolFeature.REPLY_ACK) | (1 << ProtocolFeature.BACKEND_REQ) | (1 << ProtocolFeature.CONFIG);
/** The base of a packed ring that begins. */
export const PACKED_BEGIN = 0x80008000;

/** A queue as the front end has described it. */
interface Vring {
  size: number;
  base: number;
  /** The base that the front end has: what it set, or was answered. */
  given: number;
  /** The front end's own addresses; NaN: not told yet. */
  descriptor: number;
  used: number;
  avail: number;
  kick: number;
  call: number;
  err: number;
  /** A kick descriptor, or that there is none, has come since the last stop. */
  hasKick: boolean;
  enabled: boolean;
  running: boolean;
}

/** What the session around does for the back end. */
export interface BackEndHooks {
  /** A queue was started or stopped, or has a new descriptor. */
  queuesChanged(): void;
  /** Closes a file descriptor that came. */
  close(fd: number): void;
  /** Why a file descriptor is none for kicks, interrupts and errors, or null: it is one, and made ready. */
  eventFault(fd: number): string | null;
  /** Signals one of these. */
  signal(fd: number): void;
  /** One line for people. */
  say(line: string): void;
  /** Where a packed queue goes on that a host before this one served, of a front end that gives this base; null: not known. */
  goesOn(queue: number, descriptorAddress: number, size: number, given: number): number | null;
  /** The control queue starts, at its beginning (a new driver) or where one before it ended, and is about to be opened. */
  driverStarts(isNew: boolean, base: number): void;
  /** A GPU socket came, which is the session's from now on. @throws PeerError where none is wanted */
  gpuSocket(fd: number): void;
  /** Features were agreed on; for a recorder. */
  features(lo: number, hi: number): void;
  /** The memory table was taken into use. */
  memory(): void;
  /** For messages to the front end by itself, which it may not take; the socket is the session's from now on. */
  openRequests(fd: number): { send(bytes: Uint8Array): void; close(): void };
}

/**
 * The virtio-gpu device at the end of a vhost-user socket (QEMU docs/interop/vhost-user.rst): messages in, answers out, and the
 * device's queues started, stopped and moved as they say. The front end is trusted as little as the guest: what cannot be
 * is a PeerError, which ends the session.
 */
export class BackEnd {
  readonly queues: readonly Readonly<Vring>[];
  readonly #queues: Vring[];
  readonly #device: HostDevice;
  readonly #registers: DeviceRegisters;
  readonly #memory: GuestMemory;
  readonly #hooks: BackEndHooks;
  #protocol = 0;
  #negotiated = false;
  #requests: { send(bytes: Uint8Array): void; close(): void } | null = null;

  constructor(device: HostDevice, registers: DeviceRegisters, memory: GuestMemory, hooks: BackEndHooks) {
    this.#device = device;
    this.#registers = registers;
    this.#memory = memory;
    this.#hooks = hooks;
    this.#queues = Array.from({ length: QUEUES }, () => ({
      size: 0,
      base: 0,
      given: 0,
      descriptor: Number.NaN,
      used: Number.NaN,
      avail: Number.NaN,
      kick: -1,
      call: -1,
      err: -1,
      hasKick: false,
      enabled: true,
      running: false,
    }));
    this.queues = this.#queues;
  }

  /**
   * Carries out a message, whose size and number of file descriptors fit. Those it takes are closed in time.
   * @returns the answer, or null where none is wanted
   * @throws PeerError
   */
  handle({ request, flags, payload, fds }: Message): Uint8Array | null {
    const reply = this.#carryOut(request, payload, fds);
    if (reply !== null) return message(request, VHOST_REPLY, reply);
    if ((flags & VHOST_NEED_REPLY) === 0 || (this.#protocol & (1 << ProtocolFeature.REPLY_ACK)) === 0) return null;
    return message(request, VHOST_REPLY, pair(0, 0));
  }

  /** Tells the front end that configuration space has changed; where it listens to that, and has agreed that there is one. */
  configChanged(): void {
    if ((this.#protocol & (1 << ProtocolFeature.CONFIG)) === 0) return;
    this.#requests?.send(message(VhostUserBackend.CONFIG_CHANGE, 0, new Uint8Array(0)));
  }

  /** Signals rings that cannot go on (there is no NEEDS_RESET here) and stops both. */
  ringsBroken(): void {
    for (let index = 0; index < QUEUES; index++) {
      if (!this.#queues[index].running) continue;
      this.#signalError(index);
      this.#stop(index);
    }
    this.#hooks.queuesChanged();
  }

  /** Drops all that the front end gave. */
  close(): void {
    this.#device.reset();
    // The next session's device begins anew: what broke this one is not its driver's doing.
    this.#registers.reset();
    this.#memory.clear(this.#device);
    for (const queue of this.#queues) {
      queue.running = false;
      for (const key of ['kick', 'call', 'err'] as const) this.#setFd(queue, key, -1);
    }
    this.#requests?.close();
    this.#requests = null;
  }

  #carryOut(request: number, payload: DataView, fds: readonly number[]): Uint8Array | null {
    const registers = this.#registers;
    switch (request) {
      case VhostUser.GET_FEATURES:
        return pair((registers.deviceFeaturesLo | (1 << PROTOCOL_FEATURES_BIT)) >>> 0, registers.deviceFeaturesHi);
      case VhostUser.SET_FEATURES:
        this.#setFeatures(payload.getUint32(0, true), payload.getUint32(4, true));
        return null;
      case VhostUser.GET_PROTOCOL_FEATURES:
        return pair(OFFERED_PROTOCOL, 0);
      case VhostUser.SET_PROTOCOL_FEATURES:
        this.#protocol = payload.getUint32(0, true);
        if ((this.#protocol & ~OFFERED_PROTOCOL) !== 0 || payload.getUint32(4, true) !== 0) {
          throw new PeerError(`protocol features 0x${this.#protocol.toString(16)} were not offered`);
        }
        return null;
      case VhostUser.GET_QUEUE_NUM:
        return pair(QUEUES, 0);
      case VhostUser.SET_OWNER:
        return null;
      case VhostUser.RESET_OWNER:
        for (let index = 0; index < QUEUES; index++) this.#stop(index);
        this.#device.reset();
        this.#hooks.queuesChanged();
        return null;
      case VhostUser.SET_MEM_TABLE:
        this.#setMemTable(payload, fds);
        return null;
      case VhostUser.GET_CONFIG:
        return this.#getConfig(payload);
      case VhostUser.SET_CONFIG:
        this.#setConfig(payload);
        return null;
      case VhostUser.GPU_SET_SOCKET:
        this.#hooks.gpuSocket(fds[0]);
        return null;
      case VhostUser.SET_BACKEND_REQ_FD:
        this.#requests?.close();
        this.#requests = this.#hooks.openRequests(fds[0]);
        return null;
      default:
        return this.#vring(request, payload, fds);
    }
  }

  #setFeatures(lo: number, hi: number): void {
    const registers = this.#registers;
    const own = 1 << PROTOCOL_FEATURES_BIT;
    if (this.#queues.some(({ running }) => running)) throw new PeerError('SET_FEATURES while a queue runs');
    registers.setDriverFeatures((lo & ~own) >>> 0, hi);
    if (!this.#device.acceptFeatures()) {
      throw new PeerError(
        `features 0x${hi.toString(16)}${lo.toString(16).padStart(8, '0')} were not offered, or one lacks the one it needs`,
      );
    }
    // Without vhost-user's own bit a queue needs no ENABLE; with it, it begins disabled.
    if ((lo & own) !== 0 && !this.#negotiated) for (const queue of this.#queues) queue.enabled = false;
    this.#negotiated = (lo & own) !== 0;
    this.#hooks.features(lo, hi);
  }

  #setMemTable(payload: DataView, fds: readonly number[]): void {
    const table = readMemTable(payload, fds.length);
    if (typeof table === 'string') {
      for (const fd of fds) this.#hooks.close(fd);
      throw new PeerError(table);
    }
    const moved = this.#ringsIn(table, fds);
    for (const index of moved) this.#pause(index);
    this.#memory.change(this.#device, table, fds);
    this.#hooks.memory();
    for (const index of moved) this.#start(index);
  }

  /** Queues that run in regions which the table takes away: they are stopped before it and started after it, where they then are. */
  #ringsIn(table: readonly TableRegion[], fds: readonly number[]): number[] {
    const leaving = this.#memory.leaving(table, fds);
    const { space } = this.#memory;
    const isLeaving = (userAddress: number): boolean =>
      space.translate(this.#memory.guestAddress(userAddress), 1) && space.hitRegion !== null && leaving.has(space.hitRegion.id);
    return this.#queues.flatMap(({ running, descriptor, avail, used }, index) =>
      running && [descriptor, avail, used].some(isLeaving) ? [index] : [],
    );
  }

  #getConfig(payload: DataView): Uint8Array {
    const offset = payload.getUint32(0, true);
    const size = payload.getUint32(4, true);
    // An answer without bytes is a failure.
    if (offset + size > MAX_CONFIG || payload.byteLength !== 12 + size) return new Uint8Array(0);
    const config = new DataView(new ArrayBuffer(MAX_CONFIG));
    const registers = this.#registers;
    config.setUint32(GpuConfig.eventsRead, registers.eventsRead, true);
    config.setUint32(GpuConfig.numScanouts, registers.numScanouts, true);
    config.setUint32(GpuConfig.numCapsets, registers.numCapsets, true);
    const reply = new Uint8Array(12 + size);
    reply.set(new Uint8Array(payload.buffer, 0, 12));
    reply.set(new Uint8Array(config.buffer, offset, size), 12);
    return reply;
  }

  #setConfig(payload: DataView): void {
    const offset = payload.getUint32(0, true);
    const size = payload.getUint32(4, true);
    if (offset + size > MAX_CONFIG || payload.byteLength !== 12 + size) throw new PeerError(`SET_CONFIG of ${size} bytes at ${offset}`);
    const flags = payload.getUint32(8, true); // 0: by a front end, 1: with a migration, which is the same here.
    if (flags > 1) throw new PeerError(`SET_CONFIG with flags ${flags}`);
    // events_clear is the only field that a driver may write.
    if (offset > GpuConfig.eventsClear || offset + size < GpuConfig.eventsClear + 4) return;
    this.#registers.clearEvents(payload.getUint32(12 + GpuConfig.eventsClear - offset, true));
  }

  #vring(request: number, payload: DataView, fds: readonly number[]): Uint8Array | null {
    const carriesFd = request === VhostUser.SET_VRING_KICK || request === VhostUser.SET_VRING_CALL || request === VhostUser.SET_VRING_ERR;
    const first = payload.getUint32(0, true);
    const index = carriesFd ? first & 0xff : first;
    if (index >= QUEUES) {
      for (const fd of fds) this.#hooks.close(fd);
      throw new PeerError(`there is no queue ${index}`);
    }
    const queue = this.#queues[index];
    const second = payload.getUint32(4, true);
    if (carriesFd) {
      const none = (first & VRING_NO_FD) !== 0;
      if (fds.length !== (none ? 0 : 1)) {
        for (const fd of fds) this.#hooks.close(fd);
        throw new PeerError(`a descriptor of queue ${index} is ${none ? 'none and comes all the same' : 'missing'}`);
      }
      const fault = none ? null : this.#hooks.eventFault(fds[0]);
      if (fault !== null) {
        this.#hooks.close(fds[0]);
        throw new PeerError(`a descriptor of queue ${index} cannot be taken: ${fault}`);
      }
      const key = request === VhostUser.SET_VRING_KICK ? 'kick' : request === VhostUser.SET_VRING_CALL ? 'call' : 'err';
      this.#setFd(queue, key, none ? -1 : fds[0]);
      if (key === 'kick') {
        queue.hasKick = true;
        this.#start(index);
      }
      this.#hooks.queuesChanged();
      return null;
    }
    switch (request) {
      case VhostUser.GET_VRING_BASE:
        this.#stop(index);
        this.#hooks.queuesChanged();
        queue.given = queue.base;
        return pair(index, queue.base);
      case VhostUser.SET_VRING_ENABLE:
        queue.enabled = second === 1;
        if (queue.enabled) this.#start(index);
        else this.#pause(index);
        this.#hooks.queuesChanged();
        return null;
    }
    if (queue.running) throw new PeerError(`queue ${index} is set up anew while it runs`);
    if (request === VhostUser.SET_VRING_NUM) queue.size = second;
    else if (request === VhostUser.SET_VRING_BASE) queue.base = queue.given = second;
    else {
      queue.descriptor = readU64(payload, 8);
      queue.used = readU64(payload, 16);
      queue.avail = readU64(payload, 24);
    }
    return null;
  }

  /** Starts a queue of which all is known. One that cannot be opened is said, signalled, and stays stopped. */
  #start(index: number): void {
    const queue = this.#queues[index];
    if (queue.running || !queue.enabled || !queue.hasKick || queue.size === 0 || Number.isNaN(queue.descriptor)) return;
    const [descriptor, avail, used] = [queue.descriptor, queue.avail, queue.used].map((address) => this.#memory.guestAddress(address));
    if (Number.isNaN(descriptor) || Number.isNaN(avail) || Number.isNaN(used)) {
      throw new PeerError(`queue ${index} does not lie in the memory table`);
    }
    const registers = this.#registers;
    registers.setQueueSize(index, queue.size);
    registers.setQueueAddresses(index, descriptor, avail, used);
    registers.setQueueReady(index, true);
    // A front end cannot read a packed ring's position from its memory: one that gives an old base again does not know it.
    const kept = this.#isPacked ? this.#hooks.goesOn(index, descriptor, queue.size, queue.given) : null;
    if (kept !== null) queue.base = kept;
    if (index === CONTROL_QUEUE) {
      const isNew = kept === null && this.#isNew(queue, descriptor);
      if (isNew) this.#newDriver();
      this.#hooks.driverStarts(isNew, queue.base);
    }
    if (!this.#device.startQueue(index, queue.base)) {
      this.#hooks.say(`queue ${index} cannot be opened: ${this.#device.ringError?.message ?? 'the device is broken'}`);
      this.#signalError(index);
      return;
    }
    queue.running = true;
    // Whoever served it before may have ended between an answer and its interrupt.
    if (queue.base !== (this.#isPacked ? PACKED_BEGIN : 0) && queue.call >= 0) this.#hooks.signal(queue.call);
  }

  /** A driver that begins: what the one before made goes. A cursor queue that runs already goes on. */
  #newDriver(): void {
    const running = this.#queues.flatMap(({ running }, index) => (running ? [index] : []));
    for (const index of running) this.#pause(index);
    this.#device.reset();
    this.#device.acceptFeatures();
    for (const index of running) this.#start(index);
  }

  /**
   * Whether a driver begins, or one goes on that was paused: vhost-user does not say. A split ring begins at index 0 (where
   * one that goes on stands after each 65536th chain: it is taken for a new one). A packed ring begins at slot 0 with both wrap
   * counters set, and comes there every other lap: then its last slot has been used before.
   */
  #isNew({ base, size }: Vring, descriptor: number): boolean {
    if (!this.#isPacked) return base === 0;
    if (base !== PACKED_BEGIN) return false;
    const { space } = this.#memory;
    const lastSlot = descriptor + DESCRIPTOR_BYTES * (size - 1);
    return !space.translate(lastSlot, DESCRIPTOR_BYTES) || space.hitRegion?.u32[space.hitOffset / 4 + FLAGS_WORD] === 0;
  }

  get #isPacked(): boolean {
    return ((this.#registers.driverFeaturesHi >>> (Feature.RING_PACKED - 32)) & 1) !== 0;
  }

  #signalError(index: number): void {
    const { err } = this.#queues[index];
    if (err >= 0) this.#hooks.signal(err);
  }

  /** Stops a queue until its next kick descriptor. */
  #stop(index: number): void {
    this.#pause(index);
    this.#queues[index].hasKick = false;
    this.#setFd(this.#queues[index], 'kick', -1);
  }

  #pause(index: number): void {
    const queue = this.#queues[index];
    if (!queue.running) return;
    queue.base = this.#device.stopQueue(index);
    queue.running = false;
  }

  #setFd(queue: Vring, key: 'kick' | 'call' | 'err', fd: number): void {
    if (queue[key] >= 0) this.#hooks.close(queue[key]);
    queue[key] = fd;
  }
}
