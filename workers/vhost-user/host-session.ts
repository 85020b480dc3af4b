import { type GuestView, HostMachine, plannedDisplays } from '../../core/machine/host-machine.ts';
import { plannedCopier } from '../../core/machine/parts.ts';
import type { MachinePlan } from '../../core/machine/plan.ts';
import type { Clock } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { Ledger } from '../../core/memory/ledger.ts';
import type { MemoryRegion } from '../../core/memory/region.ts';
import { MAX_PAYLOAD, VHOST_HEADER, VhostUser } from '../../core/protocol/vhost-user.ts';
import type { Doorbell } from '../../core/ring/doorbell.ts';
import { CONTROL_QUEUE, Interrupt, QUEUES } from '../../core/ring/registers.ts';
import type { CursorBoard } from '../encode/cursor-board.ts';
import type { EncodeEnd } from '../encode/host-end.ts';
import { runLoop, type Side } from '../loop.ts';
import { EventSignals, eventFault } from '../native/event-fd.ts';
import { type Imports, importsHere, openImports } from '../native/imports.ts';
import type { Libc } from '../native/libc.ts';
import { type BackingFile, type FileMappings, fileIdentity } from '../native/mapping.ts';
import { PollSet } from '../native/poll.ts';
import { FdSocket } from '../native/socket.ts';
import { HostRemote } from '../remote.ts';
import { BackEnd } from './back-end.ts';
import { Connection } from './connection.ts';
import { FrameList } from './frames.ts';
import { GuestMemory } from './guest-memory.ts';
import type { HostTask } from './host-task.ts';
import { KeptRings } from './kept-rings.ts';
import { KeptState } from './kept-state.ts';
import { MemorySink } from './memory-sink.ts';
import { OwnRequests } from './own-requests.ts';
import { PeerError } from './peer-error.ts';
import { Recorder } from './recorder.ts';
import type { SendingSink } from './sending-sink.ts';
import { SocketSink } from './socket-sink.ts';

/** Places of the poll set; the queues' kicks follow. */
const SOCKET = 0;
const WAKE = 1;
const GPU = 2;
const FIRST_KICK = 3;
/** Turns between two looks at the socket while there is work, and ns between two while there is none. */
const TURNS_PER_LOOK = 64;
/** Messages carried out at one look: a front end that sends without end keeps neither queues nor a stop waiting. */
const MESSAGES_PER_LOOK = 64;

/** One front end at the other end of the socket, from its connection to its end. */
export class HostSession {
  readonly #libc: Libc;
  readonly #task: HostTask;
  readonly #clock: Clock;
  readonly #connection: Connection;
  readonly #machine: HostMachine;
  readonly #memory: GuestMemory;
  readonly #imports: Imports;
  readonly #backEnd: BackEnd;
  readonly #polls: PollSet;
  readonly #signals: EventSignals;
  readonly #counters: Counters;
  readonly #recorder: Recorder | null;
  readonly #frames: FrameList | null;
  readonly #state: KeptState | null;
  readonly #rings: KeptRings | null;
  readonly #sender: SendingSink | null;
  readonly #remote: HostRemote;
  readonly #cursors: CursorBoard | null;
  readonly #wakeFd: number;
  #gpuFd = -1;
  readonly #isStopped: () => boolean;
  readonly #drain = new Uint8Array(8);
  #ended: string | null = null;
  #turns = 0;

  /**
   * @param fd the connection, closed at the end
   * @param wakeFd readable when it is to stop, which `isStopped` then says, or when a display was changed
   * @param displays a `Remote`'s buffer
   * @param watched a `SignalWatch`'s
   * @param encoder whose sink takes the place of the plan's; the same for all sessions
   */
  constructor(
    libc: Libc,
    mappings: FileMappings,
    task: HostTask,
    clock: Clock,
    fd: number,
    wakeFd: number,
    displays: SharedArrayBuffer,
    watched: SharedArrayBuffer,
    isStopped: () => boolean,
    say: (line: string) => void,
    encoder: EncodeEnd | null = null,
  ) {
    const { plan } = task;
    this.#libc = libc;
    this.#task = task;
    this.#clock = clock;
    this.#isStopped = isStopped;
    this.#connection = new Connection(new FdSocket(libc, fd, VHOST_HEADER + MAX_PAYLOAD));
    this.#memory = new GuestMemory(mappings, fileIdentity, (one) => libc.close(one), task.devices, task.unsealed);
    const { importBy } = plan.options;
    const way = importsHere(importBy);
    if (way === 'udmabuf') mappings.keepFiles();
    this.#imports = openImports(libc, way, importBy === 'auto' ? 'remap' : 'refuse', ({ memory }) => mappings.fileOf(memory));
    this.#counters = new Counters(plan.hostCounters);
    this.#recorder = task.record === null ? null : new Recorder(task.record, traceHeader(plan), clock, this.#memory);
    this.#frames = task.frames === null ? null : new FrameList(task.frames);
    // First: it is locked.
    this.#rings = task.state === null ? null : new KeptRings(`${task.state}.rings`, mappings, libc);
    this.#state = task.state === null ? null : new KeptState(task.state, this.#memory.space);
    if (task.send === 'memory') mappings.keepFiles();
    this.#sender = senderOf(libc, task, (region) => mappings.fileOf(region.memory));
    this.#cursors = encoder?.cursors ?? null;
    const taker = encoder?.sink ?? this.#sender;
    const frames = this.#frames;
    const recorder = this.#recorder;
    const state = this.#state;
    const rings = this.#rings;
    this.#machine = new HostMachine(
      plan,
      clock,
      { ring: () => this.#interrupt(), sample: () => 0, sleep: () => true } satisfies Doorbell,
      plannedCopier,
      (sink) => (frames === null ? (taker ?? sink) : frames.around(taker ?? sink, plan.options.heads)),
      null,
      viewOf(this.#memory, this.#imports),
      recorder === null && state === null
        ? undefined
        : (queue, chain) => {
            recorder?.chain(queue, chain);
            if (queue === CONTROL_QUEUE) state?.observe(chain);
          },
      rings === null
        ? undefined
        : {
            records: rings.records,
            given: (queue) => this.#backEnd.queues[queue].given,
            returned: (queue, head) => {
              if (queue === CONTROL_QUEUE) state?.answered(head, rings.records[queue].used);
            },
          },
    );
    this.#polls = new PollSet(libc, FIRST_KICK + QUEUES);
    this.#signals = new EventSignals(libc, watched);
    this.#polls.set(SOCKET, fd);
    this.#wakeFd = wakeFd;
    this.#polls.set(WAKE, wakeFd);
    this.#backEnd = new BackEnd(this.#machine.device, this.#machine.registers, this.#memory, {
      queuesChanged: () => {
        this.#backEnd.queues.forEach(({ running, kick }, index) => {
          this.#polls.set(FIRST_KICK + index, running ? kick : -1);
        });
      },
      close: (one) => libc.close(one),
      eventFault: (one) => eventFault(libc, one),
      signal: (one) => this.#signals.signal(one),
      say,
      goesOn: (queue, address, size, given) => rings?.goesOn(this.#memory.space, queue, address, size, given) ?? null,
      driverStarts: (isNew, base) => {
        if (isNew) state?.clear();
        else if (this.#machine.device.resourceCount === 0) say(this.#restore(base));
      },
      gpuSocket: (one) => this.#takeGpuSocket(one),
      features: (lo, hi) => recorder?.features(lo, hi),
      memory: () => recorder?.regions(),
      openRequests: (requests) => new OwnRequests(new FdSocket(libc, requests, VHOST_HEADER), say),
    });
    this.#remote = new HostRemote(displays, this.#machine, plannedDisplays(plan.options));
  }

  /** Serves until the front end goes, breaks the protocol, or a stop is asked for. @returns why it ended; null: it was stopped */
  run(): string | null {
    const { device } = this.#machine;
    const isFinished = (): boolean => this.#ended !== null || this.#isStopped();
    const side: Side = {
      deadline: device.deadline,
      turn: () => this.#turn(),
      prepareSleep: () => device.prepareSleep(),
      endSleep: () => device.endSleep(),
      get finished() {
        return isFinished();
      },
    };
    const bell = { deadline: new Float64Array(1), sample: () => 0, blockUntilDeadline: () => this.#sleep(bell.deadline[0]) };
    try {
      runLoop(side, bell, this.#clock, this.#counters, this.#task.plan.options.spinUs * 1000);
    } finally {
      this.#backEnd.close();
      this.#imports.close();
      this.#connection.close();
      this.#sender?.setSocket(-1);
      if (this.#gpuFd >= 0) this.#libc.close(this.#gpuFd);
      this.#recorder?.close();
      this.#frames?.close();
      this.#state?.close();
      this.#rings?.close();
    }
    return this.#ended;
  }

  /** What the driver goes on with that was set up with a host before this one. @returns a line for people */
  #restore(base: number): string {
    this.#state?.goesOn(this.#rings?.comesAgain(CONTROL_QUEUE, base) ?? null);
    const requests = this.#state?.requests ?? [];
    if (requests.length === 0) return 'the guest goes on with a host that knows nothing of it: reload its driver (see --state)';
    const done = this.#machine.device.restore(requests);
    return `the guest goes on: ${done} of ${requests.length} kept requests were carried out again`;
  }

  #takeGpuSocket(fd: number): void {
    if (this.#sender === null) {
      this.#libc.close(fd);
      throw new PeerError('GPU_SET_SOCKET, but frames are not sent here: --sink socket and --sink memory use it');
    }
    if (this.#gpuFd >= 0) this.#libc.close(this.#gpuFd);
    this.#gpuFd = fd;
    this.#sender.setSocket(fd);
  }

  #turn(): boolean {
    const { device } = this.#machine;
    let progressed = device.poll();
    if (progressed) this.#cursors?.show(device, this.#counters, this.#machine.ledger);
    if (this.#remote.poll()) progressed = true;
    if (device.needsReset && this.#backEnd.queues.some(({ running }) => running)) {
      this.#backEnd.ringsBroken();
      progressed = true;
    }
    if (this.#sender !== null && this.#sender.fault !== null && this.#ended === null) this.#ended = this.#sender.fault;
    if (++this.#turns % TURNS_PER_LOOK === 0 && this.#messages()) progressed = true;
    return progressed;
  }

  /** Carries out the messages that have come. @returns whether there was any */
  #messages(): boolean {
    let any = false;
    try {
      for (let i = 0; i < MESSAGES_PER_LOOK; i++) {
        const message = this.#connection.receive();
        if (message === null) break;
        any = true;
        const reply = this.#backEnd.handle(message);
        if (reply !== null) this.#connection.send(reply);
        // Once it has left: a front end that has it not gives the base from before.
        if (message.request === VhostUser.GET_VRING_BASE)
          this.#backEnd.queues.forEach(({ given }, queue) => void this.#rings?.records[queue].told(given));
      }
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      this.#ended = error.message;
      any = true;
    }
    return any;
  }

  /** Waits for a kick, a message, the stop or the deadline. @returns whether something came */
  #sleep(deadlineNs: number): boolean {
    const clock = this.#clock;
    clock.read();
    const before = clock.slot[0];
    if (this.#sender !== null) this.#polls.set(GPU, this.#sender.pollFd, this.#sender.pollEvents);
    const ready = this.#polls.wait(Math.max(0, deadlineNs - before));
    clock.read();
    this.#counters.add(Counter.sleeps, 1);
    this.#counters.add(Counter.sleepNs, clock.slot[0] - before);
    if (ready === 0) return false;
    for (let index = 0; index < QUEUES; index++) {
      if (this.#polls.isReady(FIRST_KICK + index)) this.#signals.take(this.#backEnd.queues[index].kick);
    }
    if (this.#polls.isReady(WAKE)) this.#libc.read(this.#wakeFd, this.#drain);
    if (this.#polls.isReady(GPU)) this.#sender?.ready(clock.slot);
    if (this.#polls.isReady(SOCKET)) this.#messages();
    return true;
  }

  #interrupt(): void {
    const { device, registers } = this.#machine;
    const queues = device.interruptedQueues;
    device.interruptedQueues = 0;
    for (let index = 0; index < QUEUES; index++) {
      const { call } = this.#backEnd.queues[index];
      if ((queues & (1 << index)) !== 0 && call >= 0) this.#signals.signal(call);
    }
    if ((registers.takeInterrupts() & Interrupt.CONFIG_CHANGE) !== 0 && !device.needsReset) this.#backEnd.configChanged();
  }
}

/** What sends frames through the GPU socket; null: they go to the plan's sink. */
function senderOf(libc: Libc, { send, plan }: HostTask, fileOf: (region: MemoryRegion) => BackingFile | null): SendingSink | null {
  const { heads } = plan.options;
  if (send === 'pixels') return new SocketSink(libc, heads, new Ledger(plan.hostLedger));
  return send === 'memory' ? new MemorySink(libc, heads, fileOf) : null;
}

/** The guest's memory, and how scattered imports of it become one range. */
function viewOf(memory: GuestMemory, { sideBySide }: Imports): GuestView {
  const { space, regions, vfioDevices } = memory;
  return { space, regions, vfioDevices, ...(sideBySide === undefined ? {} : { sideBySide }), memfdOf: (region) => memory.memfdOf(region) };
}

function traceHeader({ options }: MachinePlan): ConstructorParameters<typeof Recorder>[1] {
  const { heads, width, height } = options;
  return { trace: 'virtio-gpu-commands', version: 1, transport: 'vhost-user', config: { num_scanouts: heads, width, height } };
}
