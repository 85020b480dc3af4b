import { describe, expect, test } from 'vitest';
import { Command, Feature, Response } from '../../../core/protocol/constants.ts';
import { writeFlush, writeSimple } from '../../../core/protocol/write.ts';
import { Status } from '../../../core/ring/registers.ts';
import { RING_KINDS } from '../../support/ring-kinds.ts';
import { BASE_FEATURES, BLOB_FEATURES, frame, HIGH, PIXELS, Rig } from './rig.ts';

const OK = Response.OK_NODATA;

describe.each(RING_KINDS)('the device on a ring of %o', (kind) => {
  describe.each([
    ['INDIRECT and EVENT_IDX', BLOB_FEATURES],
    ['neither', BLOB_FEATURES & ~(1 << Feature.INDIRECT_DESC) & ~(1 << Feature.EVENT_IDX)],
  ])('with %s', (_, features) => {
    test('serves frames, answers errors and starts again after a reset', () => {
      const rig = new Rig({ ...kind, features });
      for (let life = 0; life < 3; life++) {
        for (let i = 0; i < 40; i++) {
          expect(rig.serves()).toBe(true);
          expect(rig.unref(4711)).toBe(Response.ERR_INVALID_RESOURCE_ID);
          // No room for a response.
          expect(rig.send((w, at) => writeSimple(w, at, Command.GET_DISPLAY_INFO), { writable: 8 })).toBe(-1);
        }
        rig.start();
        expect(rig.device.budgetUsed).toBe(0);
      }
    });

    test('a broken ring needs a reset, and only that', () => {
      const rig = new Rig({ ...kind, features });
      rig.control.begin();
      rig.control.readable(0xf000_0000, 24);
      rig.control.submit(0);
      rig.control.publish();
      rig.device.poll();
      expect(rig.registers.deviceStatus & Status.NEEDS_RESET).not.toBe(0);
      expect(rig.device.ringError?.rule).toBe('outside-memory');
      rig.start();
      expect(rig.serves()).toBe(true);
    });
  });

  test('commands after a flush that the sink holds are carried out at once, and answered at once unless IN_ORDER', () => {
    const rig = new Rig({ ...kind, scanoutNs: 1000 });
    expect(rig.createBlob(2, frame(HIGH + PIXELS))).toBe(OK);
    expect(rig.setScanoutBlob(0, 2)).toBe(OK);
    rig.order.length = 0;
    const flush = rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 2), { fenced: true });
    rig.run();
    const before = rig.interrupts;
    const info = rig.post((w, at) => writeSimple(w, at, Command.GET_DISPLAY_INFO));
    const wrong = rig.post((w, at) => writeSimple(w, at, Command.RESOURCE_CREATE_2D));
    rig.run();
    expect(rig.order).toEqual(kind.inOrder ? [] : [info, wrong]);
    if (kind.inOrder) expect(rig.interrupts).toBe(before);
    rig.advance(1000);
    expect(rig.order).toEqual(kind.inOrder ? [flush, info, wrong] : [info, wrong, flush]);
    expect(rig.answers.get(info)).toMatchObject({ type: Response.OK_DISPLAY_INFO, used: 408 });
    expect(rig.answers.get(wrong)).toMatchObject({ type: Response.ERR_UNSPEC, used: 24 });
    expect(rig.answers.get(flush)?.type).toBe(OK);
    expect(rig.control.free).toBe(rig.control.size);
  });

  test('flushes of two heads released the other way round', () => {
    const rig = new Rig({ ...kind, scanoutNs: 1000, heads: 2, features: BASE_FEATURES });
    for (const id of [2, 3]) {
      expect(rig.create2d(id)).toBe(OK);
      expect(rig.attach(id, frame(HIGH + PIXELS))).toBe(OK);
      expect(rig.setScanout(id - 2, id)).toBe(OK);
    }
    rig.order.length = 0;
    const tokens = [2, 3, 2, 3].map((id) => {
      const token = rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, id));
      rig.run();
      return token;
    });
    for (let i = 0; i < 10; i++) rig.advance(1000);
    if (kind.inOrder) expect(rig.order).toEqual(tokens);
    else expect([...rig.order].sort((a, b) => a - b)).toEqual(tokens);
    for (const token of tokens) expect(rig.answers.get(token)?.type).toBe(OK);
  });
});

test('a layout that was not offered is refused at FEATURES_OK (hostile-guest 24)', () => {
  const rig = new Rig({ asleep: true });
  for (const bit of [Feature.RING_PACKED, Feature.IN_ORDER]) {
    rig.status(0);
    rig.status(Status.ACKNOWLEDGE | Status.DRIVER);
    rig.registers.setDriverFeatures(BLOB_FEATURES, 1 | (1 << (bit - 32)));
    rig.status(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK);
    expect(rig.registers.deviceStatus & Status.FEATURES_OK).toBe(0);
  }
});
