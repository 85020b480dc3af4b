import { beforeEach, describe, expect, test } from 'vitest';
import { createSharedMemory } from '../../../core/memory/region.ts';
import { ConfigEvent } from '../../../core/protocol/constants.ts';
import {
  memTable,
  PROTOCOL_FEATURES_BIT,
  ProtocolFeature,
  pair,
  VHOST_HEADER,
  VHOST_NEED_REPLY,
  VHOST_VERSION,
  VhostUser,
  VhostUserBackend,
} from '../../../core/protocol/vhost-user.ts';
import { BackEnd } from '../../../workers/vhost-user/back-end.ts';
import { GuestMemory } from '../../../workers/vhost-user/guest-memory.ts';
import { BLOB_FEATURES, Rig } from '../host/rig.ts';

const NOTHING = new Uint8Array(0);

/** A configuration space message. */
function config(offset: number, size: number, bytes: readonly number[] = []): Uint8Array {
  const payload = new Uint8Array(12 + size);
  const view = new DataView(payload.buffer);
  view.setUint32(0, offset, true);
  view.setUint32(4, size, true);
  payload.set(bytes.slice(0, size), 12);
  return payload;
}

describe('a vhost-user back end', () => {
  let rig: Rig;
  let backEnd: BackEnd;
  let closed: number[];
  let sent: Uint8Array[];
  let socketsClosed: number[];

  const ask = (request: number, payload: Uint8Array = NOTHING, fds: number[] = [], flags = 0): DataView | null => {
    const reply = backEnd.handle({ request, flags: VHOST_VERSION | flags, payload: new DataView(payload.slice().buffer), fds });
    return reply === null ? null : new DataView(reply.buffer, VHOST_HEADER);
  };

  beforeEach(() => {
    rig = new Rig({ asleep: true });
    closed = [];
    sent = [];
    socketsClosed = [];
    const close = (fd: number): void => void closed.push(fd);
    const mappings = { map: (_fd: number, _offset: number, bytes: number) => createSharedMemory(bytes), unmap: () => {} };
    const memory = new GuestMemory(mappings, String, close, [], false);
    backEnd = new BackEnd(rig.device, rig.registers, memory, {
      queuesChanged: () => {},
      close,
      eventFault: (fd) => (fd < 100 ? 'it is no eventfd' : null),
      signal: () => {},
      say: () => {},
      goesOn: () => null,
      driverStarts: () => {},
      gpuSocket: () => {},
      features: () => {},
      memory: () => {},
      openRequests: (fd) => ({ send: (bytes) => void sent.push(bytes), close: () => void socketsClosed.push(fd) }),
    });
  });

  test('tells of its features, its queues and its own protocol', () => {
    expect(ask(VhostUser.GET_FEATURES)?.getUint32(0, true)).toBe((BLOB_FEATURES | (1 << PROTOCOL_FEATURES_BIT)) >>> 0);
    expect(ask(VhostUser.GET_QUEUE_NUM)?.getUint32(0, true)).toBe(2);
    const offered = ask(VhostUser.GET_PROTOCOL_FEATURES)?.getUint32(0, true) ?? 0;
    expect(ask(VhostUser.SET_PROTOCOL_FEATURES, pair(offered, 0))).toBe(null);
    expect(() => ask(VhostUser.SET_PROTOCOL_FEATURES, pair(1 << 1, 0))).toThrow(/were not offered/);
    expect(() => ask(VhostUser.SET_PROTOCOL_FEATURES, pair(0, 1))).toThrow(/were not offered/);
  });

  test('acknowledges what asks for it once that was agreed on, and not before', () => {
    expect(ask(VhostUser.SET_OWNER, NOTHING, [], VHOST_NEED_REPLY)).toBe(null);
    ask(VhostUser.SET_PROTOCOL_FEATURES, pair(1 << ProtocolFeature.REPLY_ACK, 0));
    expect(ask(VhostUser.SET_OWNER, NOTHING, [], VHOST_NEED_REPLY)?.getUint32(0, true)).toBe(0);
    expect(ask(VhostUser.SET_OWNER)).toBe(null);
  });

  test('tells of a change of its configuration where it is listened to and F_CONFIG agreed on; events_clear takes the event back', () => {
    backEnd.configChanged();
    expect(sent).toEqual([]);
    ask(VhostUser.SET_BACKEND_REQ_FD, NOTHING, [7]);
    rig.device.setDisplay(0, { width: 32, height: 32, refreshHz: 60 });
    backEnd.configChanged();
    expect(sent).toEqual([]);
    ask(VhostUser.SET_PROTOCOL_FEATURES, pair(1 << ProtocolFeature.CONFIG, 0));
    backEnd.configChanged();
    expect([...sent[0]]).toEqual([VhostUserBackend.CONFIG_CHANGE, 0, 0, 0, VHOST_VERSION, 0, 0, 0, 0, 0, 0, 0]);
    const events = (): number | undefined => ask(VhostUser.GET_CONFIG, config(0, 16))?.getUint32(12, true);
    expect(events()).toBe(ConfigEvent.DISPLAY);
    // Not the whole field, or past it.
    for (const [offset, size] of [
      [4, 2],
      [0, 4],
      [6, 4],
      [8, 8],
    ])
      ask(VhostUser.SET_CONFIG, config(offset, size, [255, 255, 255, 255]));
    rig.device.poll();
    expect(events()).toBe(ConfigEvent.DISPLAY);
    ask(VhostUser.SET_CONFIG, config(2, 6, [0, 0, ConfigEvent.DISPLAY]));
    rig.device.poll();
    expect(events()).toBe(0);
    ask(VhostUser.SET_BACKEND_REQ_FD, NOTHING, [8]);
    expect(socketsClosed).toEqual([7]);
    backEnd.close();
    expect(socketsClosed).toEqual([7, 8]);
  });

  test('has 256 bytes of configuration: more, or another payload than it says, is a failure', () => {
    expect(ask(VhostUser.GET_CONFIG, config(0, 256))?.byteLength).toBe(12 + 256);
    expect(ask(VhostUser.GET_CONFIG, config(255, 1))?.byteLength).toBe(13);
    expect(ask(VhostUser.GET_CONFIG, config(255, 2))?.byteLength).toBe(0);
    expect(ask(VhostUser.GET_CONFIG, config(2 ** 32 - 1, 1))?.byteLength).toBe(0);
    expect(ask(VhostUser.GET_CONFIG, config(0, 8).subarray(0, 19))?.byteLength).toBe(0);
    expect(() => ask(VhostUser.SET_CONFIG, config(253, 4))).toThrow(/SET_CONFIG of 4 bytes at 253/);
    expect(() => ask(VhostUser.SET_CONFIG, config(0, 8).subarray(0, 19))).toThrow(/SET_CONFIG/);
  });

  test('configuration is set by a front end or with a migration: other flags are refused', () => {
    const flagged = (flags: number): Uint8Array => {
      const payload = config(0, 4);
      new DataView(payload.buffer).setUint32(8, flags, true);
      return payload;
    };
    for (const flags of [0, 1]) expect(ask(VhostUser.SET_CONFIG, flagged(flags))).toBe(null);
    for (const flags of [2, 3, 2 ** 32 - 1]) {
      expect(() => ask(VhostUser.SET_CONFIG, flagged(flags))).toThrow(`SET_CONFIG with flags ${flags}`);
    }
  });

  test('takes features that it offers, each with the one it needs, and none while a queue runs', () => {
    expect(() => ask(VhostUser.SET_FEATURES, pair(1, 1))).toThrow(/features 0x100000001 were not offered/);
    ask(VhostUser.SET_FEATURES, pair(BLOB_FEATURES >>> 0, 1));
    ask(VhostUser.SET_MEM_TABLE, memTable([{ gpa: 0, size: 65536, userAddress: 0, fileOffset: 0 }]), [50]);
    ask(VhostUser.SET_VRING_NUM, pair(0, 64));
    const addresses = new Uint8Array(40);
    new DataView(addresses.buffer).setUint32(16, 0x1000, true);
    new DataView(addresses.buffer).setUint32(24, 0x2000, true);
    ask(VhostUser.SET_VRING_ADDR, addresses);
    expect(() => ask(VhostUser.SET_VRING_KICK, pair(0, 0), [99])).toThrow(/it is no eventfd/);
    ask(VhostUser.SET_VRING_KICK, pair(0, 0), [100]);
    expect(backEnd.queues[0].running).toBe(true);
    expect(() => ask(VhostUser.SET_FEATURES, pair(0, 1))).toThrow(/while a queue runs/);
    expect(() => ask(VhostUser.SET_VRING_NUM, pair(0, 32))).toThrow(/set up anew while it runs/);
    expect(rig.registers.driverFeaturesLo).toBe(BLOB_FEATURES >>> 0);
    ask(VhostUser.RESET_OWNER);
    expect(backEnd.queues[0].running).toBe(false);
    backEnd.close();
    // Once each: the table's file, what was no eventfd, the kick.
    expect(closed.sort()).toEqual([100, 50, 99]);
  });
});
