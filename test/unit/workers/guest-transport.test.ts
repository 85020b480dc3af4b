import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Clock, MonotonicClock, monotonicNowNs } from '../../../core/measure/clock.ts';
import { Counters } from '../../../core/measure/counters.ts';
import {
  MAX_PAYLOAD,
  message,
  pair,
  readMemTable,
  readU64,
  VHOST_HEADER,
  VHOST_NEED_REPLY,
  VHOST_REPLY,
  VhostUser,
  VhostUserBackend,
} from '../../../core/protocol/vhost-user.ts';
import { DeviceRegisters, Interrupt, QUEUES, Status } from '../../../core/ring/registers.ts';
import { Libc } from '../../../workers/native/libc.ts';
import { FdSocket } from '../../../workers/native/socket.ts';
import { Connection, type Message } from '../../../workers/vhost-user/connection.ts';
import { GuestTransport } from '../../../workers/vhost-user/guest-transport.ts';

const loaded = Libc.load();
const DRIVER = Status.ACKNOWLEDGE | Status.DRIVER;
const FEATURES_OK = DRIVER | Status.FEATURES_OK;
const DRIVER_OK = FEATURES_OK | Status.DRIVER_OK;
const PACKED_HI = 0b101;

describe.skipIf(typeof loaded === 'string')("a guest's transport", () => {
  const libc = loaded as Libc;
  let files: number;
  let clock: Clock;
  let registers: DeviceRegisters;
  let transport: GuestTransport;
  let own: number;
  let memory: number;
  let backEnd: Connection;
  let requests: number;
  /** The back end's end of the socket for its own requests. */
  let asks: FdSocket;
  /** File descriptors that the back end was given. */
  let given: number[];

  let hungUp: boolean;

  const hangUp = (): void => {
    hungUp = true;
    backEnd.close();
  };
  const write = (status: number): void => {
    registers.status = status;
    transport.ring();
  };
  const came = (): Message[] => {
    const all: Message[] = [];
    for (let one = backEnd.receive(); one !== null; one = backEnd.receive()) {
      all.push(one);
      given.push(...one.fds);
    }
    return all;
  };
  const start = (hi = 1): Message[] => {
    for (let queue = 0; queue < QUEUES; queue++) {
      registers.setQueueSize(queue, 64 >> queue);
      registers.setQueueAddresses(queue, 0x1000 + queue, 0x2000 + queue, 0x3000 + queue);
    }
    registers.setDriverFeatures(0x30000000, hi);
    write(DRIVER);
    write(FEATURES_OK);
    write(DRIVER_OK);
    return came();
  };
  const isSet = (fd: number): boolean => libc.read(fd, new Uint8Array(8)) === 8;
  const fdOf = (all: readonly Message[], request: number, queue: number): number => {
    const found = all.find((one) => one.request === request && one.payload.getUint32(0, true) === queue);
    return found?.fds[0] ?? -1;
  };
  const answerBases = (): void => {
    for (let queue = 0; queue < QUEUES; queue++) backEnd.send(message(VhostUser.GET_VRING_BASE, VHOST_REPLY, pair(queue, 7)));
  };
  const sleep = (ms: number): boolean => {
    clock.read();
    return transport.sleep(transport.sample(), clock.slot[0] + ms * 1e6);
  };

  beforeEach(() => {
    files = openFiles();
    given = [];
    hungUp = false;
    const [ours, others] = libc.socketpair();
    own = ours;
    backEnd = new Connection(new FdSocket(libc, others, VHOST_HEADER + MAX_PAYLOAD));
    clock = new MonotonicClock(monotonicNowNs());
    registers = new DeviceRegisters(new Int32Array(new SharedArrayBuffer(DeviceRegisters.words * 4)));
    memory = libc.memfd('transport-test', 8192);
    const regions = [{ gpa: 0x100000000, size: 8192, userAddress: 0x100000000, fileOffset: 0, fd: memory }];
    const [ourRequests, theirRequests] = libc.socketpair();
    requests = ourRequests;
    asks = new FdSocket(libc, theirRequests, 65536);
    transport = new GuestTransport({ socket: own, requests, regions }, registers, clock, new Counters());
  });
  afterEach(() => {
    registers.requestStop();
    transport.close();
    for (const fd of [own, requests, asks.fd, memory, ...given]) libc.close(fd);
    if (!hungUp) hangUp();
    expect(openFiles()).toBe(files);
  });

  test('features go out once they are chosen, and nothing before', () => {
    registers.setDriverFeatures(0x30000000, 1);
    write(Status.ACKNOWLEDGE);
    write(DRIVER);
    expect(came()).toEqual([]);
    write(FEATURES_OK);
    const [features, ...rest] = came();
    expect([features.request, rest]).toEqual([VhostUser.SET_FEATURES, []]);
    // With vhost-user's own bit: queues begin disabled.
    expect([features.payload.getUint32(0, true), features.payload.getUint32(4, true)]).toEqual([0x70000000, 1]);
    expect([registers.statusSeen, registers.deviceStatus]).toEqual([FEATURES_OK, FEATURES_OK]);
  });

  test('the driver is ready: the memory, then each queue, then it is enabled', () => {
    const all = start();
    const { SET_MEM_TABLE, SET_VRING_NUM, SET_VRING_BASE, SET_VRING_ADDR } = VhostUser;
    const { SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR, SET_VRING_ENABLE, SET_FEATURES } = VhostUser;
    const queue = [SET_VRING_ERR, SET_VRING_NUM, SET_VRING_BASE, SET_VRING_ADDR, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ENABLE];
    expect(all.map(({ request }) => request)).toEqual([SET_FEATURES, SET_MEM_TABLE, ...queue, ...queue]);
    const [, table] = all;
    expect(readMemTable(table.payload, table.fds.length)).toEqual([
      { gpa: 0x100000000, size: 8192, userAddress: 0x100000000, fileOffset: 0 },
    ]);
    const second = all.slice(2 + queue.length);
    expect([second[1].payload.getUint32(0, true), second[1].payload.getUint32(4, true)]).toEqual([1, 32]);
    // Descriptors, used, avail.
    expect([8, 16, 24].map((at) => readU64(second[3].payload, at))).toEqual([0x1001, 0x3001, 0x2001]);
  });

  test.each([
    ['split', 1, 0],
    ['packed', PACKED_HI, 0x80008000],
  ])('a %s ring begins at its base', (_ring, hi, base) => {
    const bases = start(hi).filter(({ request }) => request === VhostUser.SET_VRING_BASE);
    expect(bases.map(({ payload }) => payload.getUint32(4, true))).toEqual([base, base]);
  });

  test('a kick goes to the descriptor of its queue', () => {
    const all = start();
    const [control, cursor] = [0, 1].map((queue) => fdOf(all, VhostUser.SET_VRING_KICK, queue));
    transport.ring();
    expect([isSet(control), isSet(cursor)]).toEqual([true, false]);
    transport.cursorDoorbell.ring();
    expect([isSet(control), isSet(cursor)]).toEqual([false, true]);
  });

  test('an interrupt of either queue ends a sleep, once', () => {
    const all = start();
    for (const queue of [0, 1]) {
      const call = fdOf(all, VhostUser.SET_VRING_CALL, queue);
      libc.write(call, new Uint8Array(new BigUint64Array([3n]).buffer));
      expect(sleep(60_000)).toBe(true);
      expect(isSet(call)).toBe(false);
    }
    expect(sleep(0)).toBe(false);
  });

  test('a ring that the back end finds broken ends a sleep', () => {
    const all = start();
    libc.write(fdOf(all, VhostUser.SET_VRING_ERR, 1), new Uint8Array(new BigUint64Array([1n]).buffer));
    expect(() => sleep(60_000)).toThrow(/queue 1: it found the ring broken/);
  });

  test('a back end that hangs up ends a sleep', () => {
    start();
    hangUp();
    expect(() => sleep(60_000)).toThrow('the back end is gone');
    expect(() => write(0)).toThrow(/sendmsg|hung up/);
  });

  const CHANGE = message(VhostUserBackend.CONFIG_CHANGE, 0, new Uint8Array(0));
  /** As the back end will answer the next GET_CONFIG. */
  const answerConfig = (eventsRead: number): void => {
    const config = new Uint8Array(12 + 16);
    new DataView(config.buffer).setUint32(4, 16, true);
    new DataView(config.buffer).setUint32(12, eventsRead, true);
    backEnd.send(message(VhostUser.GET_CONFIG, VHOST_REPLY, config));
  };

  test('a change of the configuration ends a sleep and is a config interrupt, with the events that there are', () => {
    start();
    const before = registers.configGeneration;
    asks.send(CHANGE);
    asks.send(CHANGE);
    answerConfig(1);
    expect(sleep(60_000)).toBe(true);
    // Once for both.
    expect(came().map(({ request }) => request)).toEqual([VhostUser.GET_CONFIG]);
    expect([registers.eventsRead, registers.configGeneration - before]).toEqual([1, 1]);
    expect(registers.takeInterrupts()).toBe(Interrupt.CONFIG_CHANGE);
    expect(sleep(0)).toBe(false);

    // What the driver has seen goes back in the whole of the configuration.
    registers.clearEvents(1);
    transport.ring();
    const [clear, ...rest] = came();
    expect([clear.request, rest, registers.eventsRead]).toEqual([VhostUser.SET_CONFIG, [], 0]);
    expect([...new Uint32Array(clear.payload.buffer)]).toEqual([0, 16, 0, 0, 1, 0, 0]);
  });

  test('a guest that never sleeps sees a change too', () => {
    start();
    asks.send(CHANGE);
    answerConfig(1);
    for (let turns = 0; turns < 64; turns++) transport.sample();
    expect(registers.interruptStatus).toBe(Interrupt.CONFIG_CHANGE);
  });

  test('a change that wants to be answered is, once the configuration is known; before a driver runs it is none', () => {
    asks.send(message(VhostUserBackend.CONFIG_CHANGE, VHOST_NEED_REPLY, new Uint8Array(0)));
    expect(sleep(60_000)).toBe(true);
    expect([came(), registers.interruptStatus]).toEqual([[], 0]);
    start();
    asks.send(message(VhostUserBackend.CONFIG_CHANGE, VHOST_NEED_REPLY, new Uint8Array(0)));
    answerConfig(0);
    sleep(60_000);
    const bytes = new Uint8Array(64);
    expect(asks.receive(bytes, 0, 64, [])).toBe(40);
    expect([...bytes.subarray(0, 20)]).toEqual([2, 0, 0, 0, 5, 0, 0, 0, 8, ...new Array<number>(11).fill(0)]);
  });

  test('a back end that closes that socket alone is not listened to any more; one that says something else there is given up', () => {
    start();
    libc.write(asks.fd, CHANGE.subarray(0, 3));
    asks.send(message(7, 0, new Uint8Array(0)));
    expect(() => sleep(60_000)).toThrow("the back end's request");
    const [ours, theirs] = libc.socketpair();
    libc.close(theirs);
    const other = new GuestTransport({ socket: own, requests: ours, regions: [] }, registers, clock, new Counters());
    clock.read();
    expect(other.sleep(0, clock.slot[0] + 60e9)).toBe(true);
    clock.read();
    expect(other.sleep(0, clock.slot[0] + 20e6)).toBe(false);
    other.close();
    libc.close(ours);
  });

  test('a reset stops both queues, waits for where they stand, and the next start begins anew', () => {
    start();
    answerBases();
    write(0);
    const { SET_VRING_ENABLE, GET_VRING_BASE } = VhostUser;
    expect(came().map(({ request }) => request)).toEqual([SET_VRING_ENABLE, GET_VRING_BASE, SET_VRING_ENABLE, GET_VRING_BASE]);
    expect([registers.statusSeen, registers.deviceStatus, registers.driverFeaturesLo]).toEqual([0, 0, 0]);
    // Nobody to kick any more.
    transport.ring();
    expect(start(PACKED_HI).filter(({ request }) => request === VhostUser.SET_FEATURES).length).toBe(1);
  });

  test('a back end that does not stop a queue is given up, after a moment where a stop was asked for', () => {
    start();
    registers.requestStop();
    expect(() => write(0)).toThrow('the back end does not answer GET_VRING_BASE');
  });
});

const openFiles = (): number => readdirSync('/proc/self/fd').length;
