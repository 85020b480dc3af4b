import { describe, expect, test } from 'vitest';
import { Counter } from '../../../core/measure/counters.ts';
import { CopyStage } from '../../../core/memory/ledger.ts';
import { Command, Feature, Flag, Response } from '../../../core/protocol/constants.ts';
import { parseEdid } from '../../../core/protocol/edid.ts';
import { Header } from '../../../core/protocol/layout.ts';
import {
  writeAssignUuid,
  writeGetCapset,
  writeGetCapsetInfo,
  writeGetEdid,
  writeMapBlob,
  writeResource,
  writeSimple,
  writeUnmapBlob,
  writeUpdateCursor,
} from '../../../core/protocol/write.ts';
import { Interrupt, Status } from '../../../core/ring/registers.ts';
import { BASE_FEATURES, BLOB_FEATURES, frame, HIGH, MIB, PIXELS, Rig, scattered } from './rig.ts';

const OK = Response.OK_NODATA;
const UNSPEC = Response.ERR_UNSPEC;
const OOM = Response.ERR_OUT_OF_MEMORY;
const SCAN = Response.ERR_INVALID_SCANOUT_ID;
const RES = Response.ERR_INVALID_RESOURCE_ID;
const PARAM = Response.ERR_INVALID_PARAMETER;
const info = (w: Uint32Array, at: number): number => writeSimple(w, at, Command.GET_DISPLAY_INFO);

/** After every case: nothing held, and a frame is still served. */
function unharmed(rig: Rig, resources = 0): void {
  expect(rig.device.resourceCount).toBe(resources);
  if (resources === 0) expect(rig.device.budgetUsed).toBe(0);
  expect(rig.device.needsReset).toBe(false);
  expect(rig.serves()).toBe(true);
}

describe('framing', () => {
  test('28: fewer than 24 readable bytes answer UNSPEC', () => {
    const rig = new Rig();
    expect(rig.send(info, { bytes: 23 })).toBe(UNSPEC);
    expect(rig.send(info, { bytes: 0 })).toBe(UNSPEC);
    unharmed(rig);
  });

  test('29: a short body answers UNSPEC; qemu-10.2 answers OK and does nothing', () => {
    const rig = new Rig();
    const create = (w: Uint32Array, at: number): number => writeResource(w, at, Command.RESOURCE_CREATE_2D, 2);
    expect(rig.send(create, { bytes: 32 })).toBe(UNSPEC);
    unharmed(rig);
    const qemu = new Rig({ profile: 'qemu-10.2' });
    expect(qemu.send(create, { bytes: 32 })).toBe(OK);
    unharmed(qemu);
  });

  test('30: trailing bytes are ignored', () => {
    const rig = new Rig();
    expect(rig.send(info, { bytes: 4096 })).toBe(Response.OK_DISPLAY_INFO);
  });

  test('31: without room for a response header nothing is done and the used length is 0', () => {
    const rig = new Rig();
    rig.create2d(2);
    expect(rig.send((w, at) => writeResource(w, at, Command.RESOURCE_UNREF, 2), { writable: 23 })).toBe(-1);
    expect(rig.send((w, at) => writeResource(w, at, Command.RESOURCE_UNREF, 2), { writable: 0 })).toBe(-1);
    expect(rig.unref(2)).toBe(OK);
    unharmed(rig);
  });

  test('32: a reply larger than its room is an UNSPEC header', () => {
    const rig = new Rig();
    const token = rig.post(info, { writable: 407 });
    rig.run();
    expect(rig.answers.get(token)).toMatchObject({ type: UNSPEC, used: 24 });
  });

  test.each([0, 0x1100, 0x1200, 0x10e, 0x200, 0xffffffff, Command.UPDATE_CURSOR, Command.MOVE_CURSOR])(
    '33, 34: type 0x%s of the control queue answers UNSPEC',
    (type) => {
      const rig = new Rig();
      expect(rig.send((w, at) => writeResource(w, at, type, 1) + 64)).toBe(UNSPEC);
      unharmed(rig);
    },
  );

  test('35: blob commands without the feature answer INVALID_PARAMETER', () => {
    const rig = new Rig({ features: BASE_FEATURES });
    expect(rig.createBlob(2, frame(HIGH + PIXELS))).toBe(PARAM);
    expect(rig.setScanoutBlob(0, 2)).toBe(PARAM);
    unharmed(rig);
  });

  test('36: fence flag, id and context are echoed bit for bit; without the flag all are zero', () => {
    const rig = new Rig();
    const fenced = rig.post((w, at) => {
      const bytes = info(w, at);
      w[at + Header.flags] = Flag.FENCE;
      w[at + Header.fenceLo] = 0xfffffffe;
      w[at + Header.fenceHi] = 0x80000001;
      w[at + Header.ctxId] = 77;
      return bytes;
    });
    const plain = rig.post((w, at) => {
      const bytes = info(w, at);
      w[at + Header.fenceLo] = 5;
      w[at + Header.ctxId] = 77;
      return bytes;
    });
    rig.run();
    expect(rig.answers.get(fenced)).toMatchObject({ flags: Flag.FENCE, fence: [0xfffffffe, 0x80000001], context: 77 });
    expect(rig.answers.get(plain)).toMatchObject({ flags: 0, fence: [0, 0], context: 0 });
  });

  test('37: ring_idx that was not negotiated answers INVALID_PARAMETER', () => {
    const rig = new Rig();
    const withIndex = (w: Uint32Array, at: number): number => {
      const bytes = info(w, at);
      w[at + Header.flags] = Flag.INFO_RING_IDX;
      return bytes;
    };
    expect(rig.send(withIndex)).toBe(PARAM);
  });

  test('39: unused reply bytes are zero, although the response buffer was used before', () => {
    const rig = new Rig({ heads: 1 });
    rig.send((w, at) => writeGetEdid(w, at, 0));
    const token = rig.post(info);
    rig.run();
    const { bytes } = rig.answers.get(token) ?? { bytes: new Uint8Array(0) };
    expect(bytes.subarray(24 + 24, 408).every((b) => b === 0)).toBe(true);
    expect(bytes[408]).toBe(0xee);
  });

  test('commands of features that are never offered answer UNSPEC (61, 62, 70)', () => {
    const rig = new Rig();
    rig.createBlob(2, frame(HIGH + PIXELS));
    expect(rig.send((w, at) => writeMapBlob(w, at, 2, 0, 0))).toBe(UNSPEC);
    expect(rig.send((w, at) => writeUnmapBlob(w, at, 2))).toBe(UNSPEC);
    expect(rig.send((w, at) => writeGetCapsetInfo(w, at, 0))).toBe(UNSPEC);
    expect(rig.send((w, at) => writeGetCapset(w, at, 1, 1))).toBe(UNSPEC);
    expect(rig.send((w, at) => writeAssignUuid(w, at, 2))).toBe(UNSPEC);
  });
});

describe('resources', () => {
  test('40, 41, 54: id 0, a duplicate and an unknown one answer INVALID_RESOURCE_ID', () => {
    const rig = new Rig();
    expect(rig.create2d(0)).toBe(RES);
    expect(rig.createBlob(0, frame(HIGH + PIXELS))).toBe(RES);
    expect(rig.create2d(2)).toBe(OK);
    expect(rig.create2d(2)).toBe(RES);
    expect(rig.createBlob(2, frame(HIGH + PIXELS))).toBe(RES);
    expect(rig.unref(2)).toBe(OK);
    for (const answer of [
      rig.unref(2),
      rig.attach(2, frame(HIGH + PIXELS)),
      rig.detach(2),
      rig.transfer(2),
      rig.flush(2),
      rig.setScanout(0, 2),
      rig.setScanoutBlob(0, 2),
    ]) {
      expect(answer).toBe(RES);
    }
    unharmed(rig);
  });

  test('42, 43: a bad format or an empty image answers INVALID_PARAMETER', () => {
    const rig = new Rig();
    expect(rig.create2d(2, 64, 64, 0)).toBe(PARAM);
    expect(rig.create2d(2, 64, 64, 5)).toBe(PARAM);
    expect(rig.create2d(2, 0, 64)).toBe(PARAM);
    expect(rig.create2d(2, 64, 0)).toBe(PARAM);
    unharmed(rig);
  });

  test('44, 45: sizes that overflow or pass the budget answer OUT_OF_MEMORY and leak nothing', () => {
    const rig = new Rig({ maxHostmem: 40000 });
    expect(rig.create2d(2, 0xffffffff, 0xffffffff)).toBe(OOM);
    expect(rig.create2d(2, 0x10000, 0x10000)).toBe(OOM); // 2^34: 0 in 32 bits
    expect(rig.create2d(2, 0x8000, 0x8000)).toBe(OOM); // 2^32: 0 in 32 bits
    expect([rig.create2d(2), rig.create2d(3), rig.create2d(4)]).toEqual([OK, OK, OOM]);
    expect(rig.device.budgetUsed).toBe(32768);
    rig.unref(2);
    rig.unref(3);
    expect(rig.images.size).toBe(0);
    unharmed(rig);
  });

  test('memory that the host does not have answers OUT_OF_MEMORY, budget unchanged', () => {
    const rig = new Rig({ allocateImage: () => null, udmabuf: { listLimit: 1, sizeLimitMb: 64 } });
    expect(rig.create2d(2)).toBe(OOM);
    expect(rig.createBlob(2, scattered(HIGH + PIXELS, 4))).toBe(OOM);
    expect(rig.device.budgetUsed).toBe(0);
    expect(rig.device.resourceCount).toBe(0);
  });

  test('46, 47: too many entries, or fewer than claimed, answer UNSPEC', () => {
    const rig = new Rig({ maxEntries: 8 });
    rig.create2d(2);
    expect(rig.attach(2, scattered(HIGH + PIXELS, 9))).toBe(UNSPEC);
    expect(rig.attach(2, frame(HIGH + PIXELS), 0xffffffff)).toBe(UNSPEC);
    expect(rig.attach(2, frame(HIGH + PIXELS), 2)).toBe(UNSPEC);
    expect(rig.createBlob(3, frame(HIGH + PIXELS), { count: 2 })).toBe(UNSPEC);
    expect(rig.attach(2, scattered(HIGH + PIXELS, 8))).toBe(OK);
    rig.unref(2);
    unharmed(rig);
  });

  test.each([
    ['length 0', { address: HIGH + PIXELS, length: 0 }],
    ['outside memory', { address: 2 * 1024 * MIB, length: 4096 }],
    ['past the end of its region', { address: HIGH + 12 * MIB - 4096, length: 8192 }],
    ['past 2^53', { address: 2 ** 63, length: 4096 }],
    ['wrapping 2^64', { address: 2 ** 64 - 4096, length: 8192 }],
  ])('48: an entry %s answers UNSPEC, all or nothing', (_name, bad) => {
    const rig = new Rig();
    rig.create2d(2);
    expect(rig.attach(2, [...frame(HIGH + PIXELS), bad])).toBe(UNSPEC);
    expect(rig.createBlob(3, [...frame(HIGH + PIXELS), bad], { size: 16384 })).toBe(UNSPEC);
    expect(rig.transfer(2)).toBe(UNSPEC);
    rig.unref(2);
    unharmed(rig);
  });

  test('49, 50, 55: attach twice answers UNSPEC and keeps the old backing; detach and transfer unbacked answer UNSPEC', () => {
    const rig = new Rig();
    rig.create2d(2);
    expect(rig.detach(2)).toBe(UNSPEC);
    expect(rig.transfer(2)).toBe(UNSPEC);
    expect(rig.attach(2, frame(HIGH + PIXELS))).toBe(OK);
    rig.regions[1].u32[PIXELS / 4] = 0x1234;
    expect(rig.attach(2, frame(HIGH + PIXELS + MIB))).toBe(UNSPEC);
    expect(rig.transfer(2)).toBe(OK);
    expect([...rig.images][0].u32[0]).toBe(0x1234);
    expect(rig.detach(2)).toBe(OK);
    expect(rig.transfer(2)).toBe(UNSPEC);
    expect(rig.createBlob(3, frame(HIGH + PIXELS))).toBe(OK);
    expect(rig.attach(3, frame(HIGH + PIXELS))).toBe(UNSPEC);
  });

  test('51: unref of a backed resource returns the budget', () => {
    const rig = new Rig();
    rig.create2d(2);
    rig.attach(2, frame(HIGH + PIXELS));
    expect(rig.unref(2)).toBe(OK);
    unharmed(rig);
  });

  test('56, 57: a rectangle outside, or an offset past the backing, answers INVALID_PARAMETER and copies nothing', () => {
    const rig = new Rig();
    rig.create2d(2);
    rig.attach(2, frame(HIGH + PIXELS));
    expect(rig.transfer(2, 1, 0, 64, 64)).toBe(PARAM);
    expect(rig.transfer(2, 0xffffffff, 0, 2, 1)).toBe(PARAM); // 1 in 32 bits
    expect(rig.transfer(2, 0, 0, 64, 64, 4)).toBe(PARAM);
    expect(rig.transfer(2, 0, 0, 64, 64, 2 ** 53)).toBe(PARAM);
    expect(rig.ledger.copies(CopyStage.transfer)).toBe(0);
    expect(rig.transfer(2, 0, 0, 0, 0)).toBe(OK);
    const qemu = new Rig({ profile: 'qemu-10.2' });
    qemu.create2d(2);
    qemu.attach(2, frame(HIGH + PIXELS));
    expect(qemu.transfer(2, 0, 0, 64, 64, 256)).toBe(OK);
    expect(qemu.ledger.bytesCopied(CopyStage.transfer)).toBe(63 * 256);
  });

  test('58: TRANSFER on a guest blob answers OK and copies nothing', () => {
    const rig = new Rig();
    rig.createBlob(2, frame(HIGH + PIXELS));
    expect(rig.transfer(2, 5, 5, 9999, 9999, 2 ** 40)).toBe(OK);
    expect(rig.ledger.copies(CopyStage.transfer)).toBe(0);
  });

  test('59, 60: a blob of size 0, misaligned, larger than its entries, or of another kind of memory answers INVALID_PARAMETER', () => {
    const rig = new Rig();
    const entries = frame(HIGH + PIXELS);
    for (const options of [
      { size: 0 },
      { size: 16380 },
      { size: 20480 },
      { size: 0, sizeHi: 1 },
      { memory: 0 },
      { memory: 2 },
      { memory: 3 },
      { memory: 4 },
    ]) {
      expect(rig.createBlob(2, entries, options), JSON.stringify(options)).toBe(PARAM);
    }
    unharmed(rig);
    // qemu-10.2 looks at neither, and reads nothing past the entries for it.
    const qemu = new Rig({ profile: 'qemu-10.2', policy: 'copy', udmabuf: { listLimit: 0, sizeLimitMb: 64 } });
    expect(qemu.createBlob(2, entries, { size: 20480 })).toBe(OK);
    expect(qemu.setScanoutBlob(0, 2, { offset: 4096 })).toBe(OK);
    expect(qemu.flush(2)).toBe(OK);
  });
});

describe('scanouts', () => {
  test('63: an unknown scanout answers INVALID_SCANOUT_ID, GET_EDID INVALID_PARAMETER; under 16×16 INVALID_PARAMETER', () => {
    const rig = new Rig();
    rig.create2d(2);
    rig.attach(2, frame(HIGH + PIXELS));
    expect(rig.setScanout(1, 2)).toBe(SCAN);
    expect(rig.setScanoutBlob(0xffffffff, 2)).toBe(SCAN);
    expect(rig.send((w, at) => writeGetEdid(w, at, 1))).toBe(PARAM);
    expect(rig.setScanout(0, 2, 0, 0, 15, 64)).toBe(PARAM);
    expect(rig.setScanout(0, 2, 0, 0, 64, 15)).toBe(PARAM);
  });

  test('64, 65: a rectangle outside answers INVALID_PARAMETER and keeps what was shown; resource 0 disables', () => {
    const rig = new Rig();
    rig.create2d(2);
    rig.attach(2, frame(HIGH + PIXELS));
    expect(rig.setScanout(0, 2)).toBe(OK);
    expect(rig.setScanout(0, 2, 1, 0, 64, 64)).toBe(PARAM);
    expect(rig.setScanout(0, 2, 0xfffffff0, 0, 32, 64)).toBe(PARAM); // 16 in 32 bits
    rig.flush(2);
    expect(rig.counters.get(Counter.framesPresented)).toBe(1);
    expect(rig.setScanout(0, 0)).toBe(OK);
    rig.flush(2);
    expect(rig.counters.get(Counter.framesPresented)).toBe(1);
  });

  test('66: a stride below the width, or an end past the blob in 64 bits, answers INVALID_PARAMETER', () => {
    const rig = new Rig();
    rig.createBlob(2, frame(HIGH + PIXELS));
    expect(rig.setScanoutBlob(0, 2, { stride: 252 })).toBe(PARAM);
    expect(rig.setScanoutBlob(0, 2, { offset: 4 })).toBe(PARAM);
    expect(rig.setScanoutBlob(0, 2, { stride: 0x80000000, fbHeight: 3, height: 16 })).toBe(PARAM); // 0 in 32 bits
    expect(rig.setScanoutBlob(0, 2, { offset: 0xffffffff })).toBe(PARAM);
    expect(rig.setScanoutBlob(0, 2, { format: 9 })).toBe(PARAM);
    expect(rig.setScanoutBlob(0, 2)).toBe(OK);
    const qemu = new Rig({ profile: 'qemu-10.2' });
    qemu.createBlob(2, frame(HIGH + PIXELS));
    expect(qemu.setScanoutBlob(0, 2, { stride: 128 })).toBe(OK);
  });

  test('52: unref of what is scanned out disables the scanout', () => {
    const rig = new Rig();
    rig.createBlob(2, frame(HIGH + PIXELS));
    rig.setScanoutBlob(0, 2);
    expect(rig.unref(2)).toBe(OK);
    unharmed(rig);
  });

  test('68: FLUSH outside a 2D resource answers INVALID_PARAMETER', () => {
    const rig = new Rig();
    rig.create2d(2);
    expect(rig.flush(2, { x: 1 })).toBe(PARAM);
    expect(rig.flush(2, { y: 0xffffffff, height: 2 })).toBe(PARAM);
  });
});

describe('cursor', () => {
  const cursor = (rig: Rig, type: number, head: number, id: number, bytes = 56): number => {
    writeUpdateCursor(rig.regions[0].u32, 0x300000 / 4, type, head, 10, 20, id, 1, 2);
    rig.cursor.begin();
    rig.cursor.readable(0x300000, bytes);
    rig.cursor.submit(1);
    rig.cursor.publish();
    rig.run();
    expect(rig.cursor.popUsed()).toBe(true);
    return rig.cursor.usedLength;
  };

  test('an update copies the 64×64 image of a 2D resource or blob, a move copies nothing; used length 0', () => {
    const rig = new Rig();
    rig.create2d(2);
    rig.createBlob(3, frame(HIGH + PIXELS));
    expect(cursor(rig, Command.UPDATE_CURSOR, 0, 2)).toBe(0);
    cursor(rig, Command.UPDATE_CURSOR, 0, 3);
    cursor(rig, Command.MOVE_CURSOR, 0, 3);
    expect(rig.ledger.bytesCopied(CopyStage.cursor)).toBe(2 * 16384);
    expect(rig.device.cursor(0)).toMatchObject({ resourceId: 3, x: 10, y: 20, hotX: 1, hotY: 2 });
    cursor(rig, Command.UPDATE_CURSOR, 0, 0);
    expect(rig.device.cursor(0).resourceId).toBe(0);
    expect(rig.counters.get(Counter.cursorErrors)).toBe(0);
    rig.status(0);
    expect(rig.images.size).toBe(0);
  });

  test('69: errors are counted only: unknown resource, wrong size, bad scanout, short request, command of the other queue', () => {
    const rig = new Rig();
    rig.create2d(2, 32, 128);
    rig.createBlob(3, [{ address: HIGH + PIXELS, length: 8192 }]);
    expect(cursor(rig, Command.UPDATE_CURSOR, 0, 2)).toBe(0);
    cursor(rig, Command.UPDATE_CURSOR, 0, 3);
    cursor(rig, Command.UPDATE_CURSOR, 0, 4);
    cursor(rig, Command.MOVE_CURSOR, 1, 0);
    cursor(rig, Command.MOVE_CURSOR, 0, 0, 55);
    cursor(rig, Command.RESOURCE_UNREF, 0, 2);
    expect(rig.counters.get(Counter.cursorErrors)).toBe(6);
    expect(rig.device.resourceCount).toBe(2);
  });
});

describe('device', () => {
  test('19: nothing is consumed before DRIVER_OK', () => {
    const rig = new Rig();
    rig.status(0);
    expect(rig.device.poll()).toBe(false);
    expect(rig.device.prepareSleep()).toBe(false);
  });

  test('24: a feature that was not offered, or without its dependency, leaves FEATURES_OK clear', () => {
    for (const [offered, asked] of [
      [BASE_FEATURES, BLOB_FEATURES],
      [BASE_FEATURES | (1 << Feature.CONTEXT_INIT), BASE_FEATURES | (1 << Feature.CONTEXT_INIT)],
    ]) {
      const rig = new Rig({ features: offered, asleep: true });
      rig.status(Status.ACKNOWLEDGE | Status.DRIVER);
      rig.registers.setDriverFeatures(asked, 1);
      rig.status(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK);
      expect(rig.registers.deviceStatus).toBe(Status.ACKNOWLEDGE | Status.DRIVER);
      rig.status(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK | Status.DRIVER_OK);
      expect(rig.registers.deviceStatus & Status.DRIVER_OK).toBe(0);
    }
  });

  test('16: a queue of an impossible size ends in NEEDS_RESET, and a reset heals it', () => {
    const rig = new Rig();
    rig.status(0);
    rig.status(Status.ACKNOWLEDGE | Status.DRIVER);
    rig.status(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK);
    rig.registers.setQueueSize(0, 3);
    rig.registers.setQueueAddresses(0, 0x10000, 0x11000, 0x12000);
    rig.registers.setQueueReady(0, true);
    rig.status(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK | Status.DRIVER_OK);
    expect(rig.registers.deviceStatus & Status.NEEDS_RESET).not.toBe(0);
    expect(rig.registers.interruptStatus & Interrupt.CONFIG_CHANGE).not.toBe(0);
    rig.start();
    unharmed(rig);
  });

  test('a broken ring ends the device until its reset; then it serves again (1, 26)', () => {
    const rig = new Rig();
    rig.create2d(2);
    const avail = rig.registers.queueDriverAddress(0) / 2 + 1;
    Atomics.store(rig.regions[0].u16, avail, Atomics.load(rig.regions[0].u16, avail) + 65);
    expect(rig.device.poll()).toBe(true);
    expect(rig.device.needsReset).toBe(true);
    expect(rig.registers.deviceStatus & Status.NEEDS_RESET).not.toBe(0);
    expect(rig.device.poll()).toBe(false);
    expect(rig.counters.get(Counter.ringErrors)).toBe(1);
    rig.start();
    unharmed(rig);
  });

  test('reset with flushes pending returns the budget and answers nothing', () => {
    const rig = new Rig({ scanoutNs: 1e9, udmabuf: { listLimit: 1, sizeLimitMb: 64 } });
    rig.createBlob(2, scattered(HIGH + PIXELS, 4));
    rig.setScanoutBlob(0, 2);
    expect(rig.flush(2, { fenced: true })).toBe(0);
    rig.start();
    expect(rig.device.budgetUsed).toBe(0);
    expect(rig.images.size).toBe(0);
    rig.advance(2e9);
    expect(rig.order).toEqual([]);
    unharmed(rig);
  });

  test('a display change sets events_read and raises a config interrupt; EDID and display info follow', () => {
    const rig = new Rig({ heads: 2 });
    rig.device.setDisplay(0, { width: 3840, height: 2160, refreshHz: 60 });
    rig.device.setDisplay(1, null);
    expect(rig.registers.eventsRead).toBe(1);
    expect(rig.registers.interruptStatus & Interrupt.CONFIG_CHANGE).not.toBe(0);
    rig.registers.clearEvents(1);
    rig.run();
    expect(rig.registers.eventsRead).toBe(0);
    const edid = rig.post((w, at) => writeGetEdid(w, at, 0));
    const heads = rig.post(info);
    rig.run();
    const bytes = rig.answers.get(edid)?.bytes ?? new Uint8Array(0);
    expect(parseEdid(bytes.slice(32, 32 + new DataView(bytes.buffer).getUint32(24, true)))).toMatchObject({ width: 3840, height: 2160 });
    const words = new Uint32Array((rig.answers.get(heads)?.bytes ?? new Uint8Array(0)).slice(0, 408).buffer);
    expect([...words.subarray(6, 18)]).toEqual([0, 0, 3840, 2160, 1, 0, 0, 0, 0, 0, 0, 0]);
  });
});
