import { describe, expect, test } from 'vitest';
import { Counter } from '../../../core/measure/counters.ts';
import { Command, Feature, Response } from '../../../core/protocol/constants.ts';
import { writeFlush, writeGetEdid, writeResource, writeSimple, writeTransfer, writeUpdateCursor } from '../../../core/protocol/write.ts';
import { Interrupt } from '../../../core/ring/registers.ts';
import type { ScanoutImage } from '../../../core/sink/sink.ts';
import { BLOB_FEATURES, frame, HIGH, MIB, PIXELS, Rig, type RigOptions } from './rig.ts';

const OK = Response.OK_NODATA;
const UNSPEC = Response.ERR_UNSPEC;
const PARAM = Response.ERR_INVALID_PARAMETER;

/** What the sink is told to show, call by call. */
function watched(options: RigOptions = {}): { rig: Rig; shown: [head: number, image: ScanoutImage | null][] } {
  const rig = new Rig(options);
  const shown: [number, ScanoutImage | null][] = [];
  const set = rig.sink.setScanout.bind(rig.sink);
  rig.sink.setScanout = (head, image) => {
    shown.push([head, image]);
    set(head, image);
  };
  return { rig, shown };
}

describe('displays', () => {
  const edid = (rig: Rig, head = 0) => rig.send((w, at) => writeGetEdid(w, at, head));

  test('GET_EDID without the feature, or of a head without a display, answers UNSPEC', () => {
    expect(edid(new Rig({ features: BLOB_FEATURES & ~(1 << Feature.EDID) }))).toBe(UNSPEC);
    const rig = new Rig();
    rig.device.setDisplay(0, null);
    expect(edid(rig)).toBe(UNSPEC);
    for (const head of [-1, 1, Number.NaN]) expect(() => rig.device.setDisplay(head, null)).toThrow(RangeError);
  });

  test('a display that changes has another EDID', () => {
    const rig = new Rig();
    const read = (): string => {
      const token = rig.post((w, at) => writeGetEdid(w, at, 0));
      rig.run();
      return Buffer.from(rig.answers.get(token)?.bytes ?? []).toString('hex');
    };
    const before = read();
    rig.device.setDisplay(0, { width: 1920, height: 1080, refreshHz: 60 });
    expect(read()).not.toBe(before);
  });

  test('ASSIGN_UUID of an unknown resource, or without room for its answer, is refused', () => {
    const rig = new Rig({ features: BLOB_FEATURES | (1 << Feature.RESOURCE_UUID) });
    const assign = (id: number, writable: number) =>
      rig.send((w, at) => writeResource(w, at, Command.RESOURCE_ASSIGN_UUID, id), { writable });
    rig.create2d(2);
    expect([assign(3, 40), assign(2, 39), assign(2, 40)]).toEqual([Response.ERR_INVALID_RESOURCE_ID, UNSPEC, Response.OK_RESOURCE_UUID]);
  });
});

describe('scanouts', () => {
  test('SET_SCANOUT of a resource without backing answers UNSPEC', () => {
    const rig = new Rig();
    rig.create2d(2);
    expect([rig.setScanout(0, 2), rig.attach(2, frame(HIGH + PIXELS)), rig.setScanout(0, 2)]).toEqual([UNSPEC, OK, OK]);
  });

  test('UNREF disables the heads that show the resource, and no other', () => {
    const { rig, shown } = watched({ heads: 3 });
    for (const id of [2, 3]) {
      rig.create2d(id);
      rig.attach(id, frame(HIGH + PIXELS + id * MIB));
    }
    for (const [head, id] of [
      [0, 2],
      [1, 3],
      [2, 2],
    ]) {
      rig.setScanout(head, id);
    }
    shown.length = 0;
    expect(rig.unref(2)).toBe(OK);
    expect(shown).toEqual([
      [0, null],
      [2, null],
    ]);
  });

  test('a FLUSH beside, above or below what a scanout shows of a blob touches no scanout', () => {
    const rig = new Rig();
    rig.createBlob(2, frame(HIGH + PIXELS));
    rig.setScanoutBlob(0, 2, { x: 20, y: 20, width: 20, height: 20 });
    for (const [x, y, answer] of [
      [0, 20, PARAM],
      [40, 20, PARAM],
      [20, 0, PARAM],
      [20, 40, PARAM],
      [1, 1, OK],
      [39, 39, OK],
    ]) {
      expect(rig.flush(2, { x, y, width: 20, height: 20 }), `${x},${y}`).toBe(answer);
    }
  });

  test('the sink gets the geometry that was set, the same object for the same one, sixteen of them kept', () => {
    const { rig, shown } = watched();
    rig.createBlob(2, [{ address: HIGH + PIXELS, length: 2 * MIB }]);
    const first = { width: 32, height: 32, stride: 256, offset: 0, format: 1 };
    const geometries = [
      first,
      { ...first, offset: 4 },
      { ...first, width: 48 },
      { ...first, height: 48 },
      { ...first, stride: 512 },
      { ...first, format: 2 },
    ];
    const show = (geometry: typeof first): ScanoutImage | null => {
      expect(rig.setScanoutBlob(0, 2, geometry)).toBe(OK);
      return shown[shown.length - 1][1];
    };
    for (const geometry of geometries) expect(show(geometry)).toMatchObject(geometry);
    const image = show(first);
    for (let offset = 8; offset < 8 + 4 * 10; offset += 4) show({ ...first, offset });
    expect(show(first)).toBe(image);
    show({ ...first, offset: 4096 });
    expect(show(first)).not.toBe(image);
  });

  test('a head takes no more frames than it can number: the next FLUSH waits', () => {
    const rig = new Rig({ fencesOff: true, scanoutNs: 1e9 });
    rig.create2d(2);
    rig.attach(2, frame(HIGH + PIXELS));
    rig.setScanout(0, 2);
    for (let i = 0; i < 2048; i++) if (rig.flush(2) !== OK) throw new Error(`flush ${i} was not answered`);
    expect(rig.flush(2)).toBe(0);
  });
});

describe('the cursor', () => {
  function update(rig: Rig, resource: number): [updates: number, errors: number] {
    const address = 0x1000;
    const bytes = writeUpdateCursor(rig.regions[0].u32, address / 4, Command.UPDATE_CURSOR, 0, 0, 0, resource, 0, 0);
    rig.cursor.begin();
    rig.cursor.readable(address, bytes);
    rig.cursor.submit(1);
    rig.cursor.publish();
    rig.run();
    rig.cursor.popUsed();
    return [rig.counters.get(Counter.cursorUpdates), rig.counters.get(Counter.cursorErrors)];
  }

  test('an image that is wider or higher than 64 is an error', () => {
    const rig = new Rig();
    rig.create2d(2, 128, 64);
    rig.create2d(3, 64, 128);
    expect([update(rig, 2), update(rig, 3)]).toEqual([
      [0, 1],
      [0, 2],
    ]);
  });

  test('a blob smaller than the image is an error, whatever its pages; and one whose pages are', () => {
    const rig = new Rig();
    rig.createBlob(2, frame(HIGH + PIXELS), { size: 4096 });
    expect(update(rig, 2)).toEqual([0, 1]);
    const qemu = new Rig({ profile: 'qemu-10.2' });
    qemu.createBlob(2, [{ address: HIGH + PIXELS, length: 8192 }], { size: 16384 });
    expect(update(qemu, 2)).toEqual([0, 1]);
  });

  test('without memory for its image it is an error', () => {
    const rig = new Rig({ allocateImage: () => null });
    rig.createBlob(2, frame(HIGH + PIXELS));
    expect(update(rig, 2)).toEqual([0, 1]);
  });
});

describe('interrupts', () => {
  test('the guest is rung once the reason can be seen', () => {
    const reasons: number[] = [];
    const rig: Rig = new Rig({
      asleep: true,
      guestDoorbell: { sample: () => 0, ring: () => void reasons.push(rig.registers.interruptStatus), sleep: () => false },
    });
    rig.start();
    rig.registers.takeInterrupts();
    reasons.length = 0;
    expect(rig.send((w, at) => writeSimple(w, at, Command.GET_DISPLAY_INFO))).toBe(Response.OK_DISPLAY_INFO);
    expect(reasons).toEqual([Interrupt.USED_BUFFER]);
  });
});

describe('reset', () => {
  test('shows nothing more, and counts frames anew', () => {
    const { rig, shown } = watched();
    for (let i = 0; i < 2; i++) {
      rig.create2d(2);
      rig.attach(2, frame(HIGH + PIXELS));
      rig.setScanout(0, 2);
      const frames: number[] = [];
      const present = rig.sink.present.bind(rig.sink);
      rig.sink.present = (head, number, now) => {
        frames.push(number);
        present(head, number, now);
      };
      rig.flush(2);
      rig.sink.present = present;
      expect(frames).toEqual([0]);
      shown.length = 0;
      rig.start();
      expect(shown).toEqual([[0, null]]);
    }
  });

  test('forgets the request that waited and the fences that were pending', () => {
    const rig = new Rig({ scanoutNs: 1e9 });
    rig.create2d(2);
    rig.attach(2, frame(HIGH + PIXELS));
    rig.setScanout(0, 2);
    rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 2), { fenced: true });
    rig.post((w, at) => writeTransfer(w, at, 0, 0, 64, 64, 0, 0, 2));
    rig.run();
    rig.start();
    expect(rig.send((w, at) => writeSimple(w, at, Command.GET_DISPLAY_INFO), { fenced: true })).toBe(Response.OK_DISPLAY_INFO);
  });
});
