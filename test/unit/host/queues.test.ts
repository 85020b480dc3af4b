import { describe, expect, test } from 'vitest';
import { Memfd } from '../../../core/dmabuf/udmabuf.ts';
import { Counter } from '../../../core/measure/counters.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { Command, Feature, Response } from '../../../core/protocol/constants.ts';
import { writeCreate2d, writeFlush, writeResource, writeTransfer, writeUpdateCursor } from '../../../core/protocol/write.ts';
import { DESCRIPTOR_BYTES, FLAGS_WORD, STATE_AVAILABLE, STATE_SHIFT } from '../../../core/ring/packed/layout.ts';
import { CONTROL_QUEUE, CURSOR_QUEUE } from '../../../core/ring/registers.ts';
import { RING_KINDS } from '../../support/ring-kinds.ts';
import { BLOB_FEATURES, frame, HIGH, PIXELS, Rig } from './rig.ts';

const OK = Response.OK_NODATA;
const CURSOR_REQUEST = 0xc0000;

/** A cursor command, without polling. */
function postCursor(rig: Rig, x: number): void {
  const bytes = writeUpdateCursor(rig.regions[0].u32, CURSOR_REQUEST / 4, Command.MOVE_CURSOR, 0, x, 7, 0, 0, 0);
  rig.cursor.begin();
  rig.cursor.readable(CURSOR_REQUEST, bytes);
  if (!rig.cursor.submit(x)) throw new Error('cursor ring full');
  rig.cursor.publish();
}

function moveCursor(rig: Rig, x: number): boolean {
  postCursor(rig, x);
  rig.run();
  return rig.cursor.popUsed() && rig.cursor.usedToken === x && rig.device.cursor(0).x === x;
}

/** Stops a queue and starts it where it stood. */
function pause(rig: Rig, queue: number): number {
  const base = rig.device.stopQueue(queue);
  expect(rig.device.startQueue(queue, base)).toBe(true);
  return base;
}

/** A flush that the sink holds, and what the device owes because of it. */
function holding(options: ConstructorParameters<typeof Rig>[0]): Rig {
  const rig = new Rig({ ...options, scanoutNs: 1000 });
  expect(rig.createBlob(2, frame(HIGH + PIXELS))).toBe(OK);
  expect(rig.setScanoutBlob(0, 2)).toBe(OK);
  rig.order.length = 0;
  return rig;
}
const flush = (rig: Rig, fenced: boolean): number => rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 2), { fenced });

describe.each(RING_KINDS)('a queue of %o that is stopped and started', (kind) => {
  describe.each([
    ['INDIRECT and EVENT_IDX', BLOB_FEATURES],
    ['INDIRECT', BLOB_FEATURES & ~(1 << Feature.EVENT_IDX)],
    ['EVENT_IDX', BLOB_FEATURES & ~(1 << Feature.INDIRECT_DESC)],
    ['neither', BLOB_FEATURES & ~(1 << Feature.INDIRECT_DESC) & ~(1 << Feature.EVENT_IDX)],
  ])('with %s', (_, features) => {
    test('goes on exactly where it stood, lap after lap, with all that was made', () => {
      const rig = new Rig({ ...kind, features });
      expect(rig.create2d(1)).toBe(OK);
      const bases = new Set<number>();
      for (let i = 0; i < 150; i++) {
        // Other numbers of slots a turn, so that the stops fall on every place of the ring.
        for (let n = 0; n <= i % 3; n++) expect(rig.unref(4711)).toBe(Response.ERR_INVALID_RESOURCE_ID);
        // One slot where others take two: what is passed over in one lap is looked at in the next.
        if (i % 4 === 0) expect(rig.send((w, at) => writeResource(w, at, Command.RESOURCE_UNREF, 4711), { writable: 0 })).toBe(-1);
        // Posted while nobody serves: there when it starts again.
        const waiting = rig.post((w, at) => writeResource(w, at, Command.RESOURCE_UNREF, 4712));
        postCursor(rig, i);
        bases.add(pause(rig, CONTROL_QUEUE));
        pause(rig, CURSOR_QUEUE);
        rig.run();
        expect(rig.answers.get(waiting)?.type).toBe(Response.ERR_INVALID_RESOURCE_ID);
        expect(rig.cursor.popUsed()).toBe(true);
        expect(rig.device.cursor(0).x).toBe(i);
      }
      expect(rig.device.ringError).toBe(null);
      expect(rig.device.resourceCount).toBe(1);
      expect(bases.size).toBeGreaterThan(32);
    });

    test('interrupts where one was asked for and nowhere else, in every lap', () => {
      const rig = new Rig({ ...kind, features });
      for (let i = 0; i < 80; i++) {
        pause(rig, CONTROL_QUEUE);
        expect(rig.control.enableInterrupts()).toBe(false);
        const before = rig.interrupts;
        rig.post((w, at) => writeResource(w, at, Command.RESOURCE_UNREF, 4711));
        while (rig.device.poll());
        expect(rig.interrupts).toBe(before + 1);
        expect(rig.device.prepareSleep()).toBe(false);
        rig.collect();
        pause(rig, CONTROL_QUEUE);
        rig.control.disableInterrupts();
        rig.unref(4711);
        expect(rig.interrupts).toBe(before + 1);
      }
    });

    test('a flush that the sink holds is answered by the stop, and by nobody again', () => {
      const rig = holding({ ...kind, features });
      const fenced = flush(rig, true);
      rig.run();
      const after = rig.post((w, at) => writeResource(w, at, Command.RESOURCE_UNREF, 4711), { fenced: true });
      rig.run();
      expect(rig.order).toEqual([]);
      rig.device.interruptedQueues = 0;
      const before = rig.interrupts;
      rig.control.enableInterrupts();
      const base = rig.device.stopQueue(CONTROL_QUEUE);
      expect([rig.interrupts - before, rig.device.interruptedQueues]).toEqual([1, 1 << CONTROL_QUEUE]);
      rig.collect();
      expect(rig.order).toEqual([fenced, after]);
      expect(rig.answers.get(fenced)?.type).toBe(OK);
      expect(rig.sink.holds(2)).toBe(false);
      expect(rig.device.startQueue(CONTROL_QUEUE, base)).toBe(true);
      rig.advance(1e9);
      expect(rig.order.length).toBe(2);
      expect(rig.serves()).toBe(true);
    });
  });

  test('a request that waits for a release is carried out and answered by the stop, with those behind it after the start', () => {
    const rig = holding(kind);
    expect(rig.create2d(3)).toBe(OK);
    expect(rig.attach(3, frame(HIGH + PIXELS + 65536))).toBe(OK);
    expect(rig.setScanout(0, 3)).toBe(OK);
    rig.order.length = 0;
    const shown = rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 3));
    rig.run();
    const stalled = rig.post((w, at) => writeTransfer(w, at, 0, 0, 64, 64, 0, 0, 3));
    rig.run();
    const behind = rig.post((w, at) => writeCreate2d(w, at, 4, 2, 64, 64));
    rig.run();
    expect(rig.order).toEqual([]);
    const base = rig.device.stopQueue(CONTROL_QUEUE);
    rig.collect();
    expect(rig.order).toEqual([shown, stalled]);
    expect(rig.answers.get(stalled)?.type).toBe(OK);
    expect(rig.device.startQueue(CONTROL_QUEUE, base)).toBe(true);
    rig.run();
    expect(rig.order).toEqual([shown, stalled, behind]);
    expect(rig.serves()).toBe(true);
  });

  test('is not served meanwhile; the reset drops what was made', () => {
    const rig = new Rig(kind);
    expect(rig.create2d(1)).toBe(OK);
    const control = rig.device.stopQueue(CONTROL_QUEUE);
    const cursor = rig.device.stopQueue(CURSOR_QUEUE);
    const token = rig.post((w, at) => writeResource(w, at, Command.RESOURCE_UNREF, 1));
    postCursor(rig, 5);
    rig.run();
    expect(rig.answers.has(token)).toBe(false);
    expect(rig.device.resourceCount).toBe(1);
    rig.device.startQueue(CONTROL_QUEUE, control);
    rig.run();
    expect(rig.answers.get(token)?.type).toBe(OK);
    expect(rig.cursor.popUsed()).toBe(false);
    rig.device.startQueue(CURSOR_QUEUE, cursor);
    rig.run();
    expect(rig.cursor.popUsed()).toBe(true);
    expect(rig.create2d(1)).toBe(OK);
    rig.device.reset();
    expect([rig.device.resourceCount, rig.device.budgetUsed]).toEqual([0, 0]);
    expect(rig.device.stopQueue(CONTROL_QUEUE)).toBe(0);
    expect(rig.device.stopQueue(CURSOR_QUEUE)).toBe(0);
  });

  test('an interrupt says which queue it is for', () => {
    const rig = new Rig(kind);
    rig.device.interruptedQueues = 0;
    rig.control.enableInterrupts();
    rig.cursor.enableInterrupts();
    expect(moveCursor(rig, 3)).toBe(true);
    expect(rig.device.interruptedQueues).toBe(1 << CURSOR_QUEUE);
    rig.device.interruptedQueues = 0;
    rig.unref(4711);
    expect(rig.device.interruptedQueues).toBe(1 << CONTROL_QUEUE);
  });

  test('a region that leaves while its queue is stopped breaks nothing; while it runs, even the cursor queue alone, it does', () => {
    const rig = new Rig(kind);
    const control = rig.device.stopQueue(CONTROL_QUEUE);
    const cursor = rig.device.stopQueue(CURSOR_QUEUE);
    rig.device.setRegionPresent(0, false);
    rig.device.setRegionPresent(0, true);
    expect(rig.device.needsReset).toBe(false);
    expect(rig.device.startQueue(CURSOR_QUEUE, cursor)).toBe(true);
    expect(rig.device.startQueue(CONTROL_QUEUE, control)).toBe(true);
    expect(rig.serves() && moveCursor(rig, 9)).toBe(true);
    rig.device.stopQueue(CONTROL_QUEUE);
    rig.device.setRegionPresent(0, false);
    expect(rig.device.ringError?.rule).toBe('ring-outside-memory');
    // A broken device starts nothing before its reset.
    rig.device.setRegionPresent(0, true);
    expect(rig.device.startQueue(CONTROL_QUEUE, control)).toBe(false);
    rig.start();
    expect(rig.serves()).toBe(true);
  });

  test('the stop of a broken ring answers nothing', () => {
    const rig = holding(kind);
    const held = flush(rig, true);
    rig.run();
    rig.control.begin();
    rig.control.readable(0xf000_0000, 24);
    rig.control.submit(0);
    rig.control.publish();
    rig.run();
    expect(rig.device.needsReset).toBe(true);
    rig.device.stopQueue(CONTROL_QUEUE);
    rig.collect();
    expect(rig.answers.has(held)).toBe(false);
    expect(rig.sink.holds(2)).toBe(true);
  });

  test.runIf(kind.ring === 'packed')('which slots were passed over is learned anew within a lap', () => {
    const rig = new Rig(kind);
    pause(rig, CONTROL_QUEUE);
    const { config } = rig.placed(CONTROL_QUEUE);
    for (let i = 0; i <= config.size; i++) rig.unref(4711);
    // Slot 1, used in the first lap, as if the driver made it available in that lap once more.
    rig.regions[0].u32[(config.descriptorAddress + DESCRIPTOR_BYTES) / 4 + FLAGS_WORD] = STATE_AVAILABLE << STATE_SHIFT;
    rig.run();
    expect(rig.device.ringError?.rule).toBe('wrong-wrap');
  });

  const wrong = kind.ring === 'split' ? [0x10000, 0x80008000] : [64, 0x80008001, 0x80000000, 0x8000, 0x80408040];
  test.each(wrong)('0x%x is no place to go on from', (base) => {
    const rig = new Rig(kind);
    rig.device.stopQueue(CONTROL_QUEUE);
    expect(rig.device.startQueue(CONTROL_QUEUE, base)).toBe(false);
    expect(rig.device.ringError?.rule).toBe('base-range');
  });
});

test('a region that comes after the device was made is RAM with a file like any other: its buffers are imported', () => {
  const late = new MemoryRegion({
    id: 9,
    name: 'late',
    kind: 'ram',
    gpa: 2 * HIGH,
    size: 1024 * 1024,
    device: null,
    bar: null,
    memory: createSharedMemory(1024 * 1024),
  });
  const files = new Map<MemoryRegion, Memfd>();
  const rig = new Rig({ policy: 'error', memfdOf: (region) => files.get(region) ?? null });
  rig.regions.push(late);
  rig.device.setRegionPresent(9, true);
  expect(rig.createBlob(2, frame(2 * HIGH))).toBe(Response.ERR_UNSPEC);
  rig.device.setRegionPresent(9, false);
  files.set(late, new Memfd(late));
  rig.device.setRegionPresent(9, true);
  expect(rig.createBlob(2, frame(2 * HIGH))).toBe(OK);
  expect(rig.counters.get(Counter.imports)).toBe(1);
});
