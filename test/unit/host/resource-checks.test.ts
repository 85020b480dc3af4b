import { describe, expect, test } from 'vitest';
import { FenceTimeline } from '../../../core/host/fence-timeline.ts';
import { Flushes } from '../../../core/host/flushes.ts';
import { MAX_RESOURCES, MAX_SEGMENTS, Resource, ResourceTable } from '../../../core/host/resources.ts';
import { CopyStage } from '../../../core/memory/ledger.ts';
import { Command, Response } from '../../../core/protocol/constants.ts';
import { writeFlush, writeResource } from '../../../core/protocol/write.ts';
import { BAR, frame, HIGH, MIB, PIXELS, Rig, scattered } from './rig.ts';

const OK = Response.OK_NODATA;
const UNSPEC = Response.ERR_UNSPEC;
const PARAM = Response.ERR_INVALID_PARAMETER;
const COPIES = { udmabuf: { listLimit: 3, sizeLimitMb: 64 } };
const resource = (id: number): Resource => new Resource(id, '2d', 1, 1, 1, 4);

describe('the resource table', () => {
  test('charges bytes to the last one of the budget, and no further', () => {
    const table = new ResourceTable(100);
    const a = resource(1);
    expect(table.charge(a, 101)).toBe(false);
    expect(table.charge(a, 100)).toBe(true);
    expect(table.charge(a, 1)).toBe(false);
    table.discharge(a, 60);
    expect([table.charge(resource(2), 60), table.bytes, a.charged]).toEqual([true, 100, 40]);
  });

  test('charges segments in place of those charged before, up to the bound', () => {
    const table = new ResourceTable(0);
    const a = resource(1);
    expect([table.chargeSegments(a, 10), table.chargeSegments(a, 4), table.segments, a.segments]).toEqual([true, true, 4, 4]);
    expect(table.chargeSegments(a, MAX_SEGMENTS + 1)).toBe(false);
    expect([table.segments, a.segments]).toEqual([4, 4]);
    expect(table.chargeSegments(a, MAX_SEGMENTS)).toBe(true);
    expect([table.chargeSegments(resource(2), 1), table.segments]).toEqual([false, MAX_SEGMENTS]);
  });

  test('counts what the sink still holds until it is forgotten', () => {
    const table = new ResourceTable(0);
    for (let id = 1; id < MAX_RESOURCES; id++) table.add(resource(id));
    expect(table.full).toBe(false);
    const last = resource(MAX_RESOURCES);
    table.add(last);
    expect(table.full).toBe(true);
    last.held = 1;
    table.remove(last);
    expect([last.doomed, table.full, table.find(last.id), table.all().includes(last)]).toEqual([true, true, null, true]);
    table.forget(last);
    expect([table.full, table.all().includes(last)]).toEqual([false, false]);
  });
});

test('flushes: a frame is taken once, a slot is free after its last frame, and there is room for what fits', () => {
  const flushes = new Flushes(2);
  const slot = flushes.open(resource(1));
  flushes.addFrame(slot, 0, 7);
  flushes.addFrame(slot, 1, 7);
  expect([flushes.hasRoom(0, 7), flushes.hasRoom(0, 7 + 2048), flushes.hasRoom(0, 8)]).toEqual([false, false, true]);
  expect([flushes.take(0, 7), flushes.take(0, 7), flushes.countDown(slot), flushes.countDown(slot)]).toEqual([slot, -1, false, true]);
  flushes.close(slot);
  for (let i = 0; i < 4096; i++) flushes.open(resource(1));
  expect(flushes.hasRoom(0, 9)).toBe(false);
  flushes.close(slot);
  expect(flushes.hasRoom(0, 9)).toBe(true);
});

test('a fence timeline that was cleared is empty', () => {
  const timeline = new FenceTimeline(8);
  timeline.enqueue(1, 24, false);
  expect(timeline.empty).toBe(false);
  timeline.clear();
  expect(timeline.empty).toBe(true);
});

describe('backing', () => {
  test('its segments are charged while it is there, to 2D images and blobs', () => {
    const rig = new Rig();
    rig.create2d(2);
    expect([rig.attach(2, scattered(HIGH + PIXELS, 4)), rig.device.segmentsUsed]).toEqual([OK, 4]);
    expect([rig.createBlob(3, scattered(HIGH + PIXELS, 5)), rig.device.segmentsUsed]).toEqual([OK, 9]);
    expect([rig.detach(2), rig.device.segmentsUsed]).toEqual([OK, 5]);
    expect([rig.detach(3), rig.device.segmentsUsed]).toEqual([OK, 0]);
  });

  test('a blob of 2^32 bytes and more is past its entries', () => {
    const rig = new Rig();
    expect(rig.createBlob(2, frame(HIGH + PIXELS), { sizeHi: 1 })).toBe(PARAM);
    expect(rig.createBlob(2, frame(HIGH + PIXELS))).toBe(OK);
  });

  test('a TRANSFER of nothing copies and charges nothing, wherever it begins', () => {
    const rig = new Rig();
    rig.create2d(2);
    rig.attach(2, frame(HIGH + PIXELS));
    for (const [width, height] of [
      [64, 0],
      [0, 64],
    ]) {
      expect(rig.transfer(2, 0, 0, width, height, 10 * MIB)).toBe(OK);
    }
    expect(rig.ledger.copies(CopyStage.transfer)).toBe(0);
  });

  test('pages that left with their region are transferred no more (2D)', () => {
    const rig = new Rig();
    rig.create2d(2);
    rig.attach(2, frame(HIGH + PIXELS));
    rig.device.setRegionPresent(1, false);
    expect(rig.transfer(2)).toBe(UNSPEC);
    rig.device.setRegionPresent(1, true);
    expect(rig.transfer(2)).toBe(UNSPEC);
    expect([rig.attach(2, frame(HIGH + PIXELS)), rig.transfer(2)]).toEqual([OK, OK]);
  });

  test('qemu-10.2: TRANSFER to a blob that was detached answers UNSPEC, though it is still shown', () => {
    const rig = new Rig({ profile: 'qemu-10.2' });
    rig.createBlob(2, frame(HIGH + PIXELS));
    expect([rig.transfer(2), rig.detach(2), rig.transfer(2)]).toEqual([OK, OK, UNSPEC]);
  });

  test('DETACH stops the sink whether or not it reads, and is answered after the frame that it reads', () => {
    const stopped: number[] = [];
    const rig = new Rig({ scanoutNs: 1000 });
    const stop = rig.sink.stop.bind(rig.sink);
    rig.sink.stop = (id) => {
      stopped.push(id);
      stop(id);
    };
    rig.createBlob(2, frame(HIGH + PIXELS));
    rig.setScanoutBlob(0, 2);
    const flush = rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 2));
    const detach = rig.post((w, at) => writeResource(w, at, Command.RESOURCE_DETACH_BACKING, 2));
    rig.run();
    expect(rig.order.slice(-2)).toEqual([flush, detach]);
    expect(stopped).toContain(2);
    stopped.length = 0;
    rig.attach(2, frame(HIGH + PIXELS));
    expect([rig.detach(2), stopped]).toEqual([OK, [2]]);
  });

  test('a resource that two heads read is freed once, at the last of them', () => {
    const rig = new Rig({ heads: 2, scanoutNs: 1000 });
    rig.create2d(2);
    rig.attach(2, frame(HIGH + PIXELS));
    for (const head of [0, 1]) rig.setScanout(head, 2);
    expect([rig.flush(2), rig.unref(2), rig.device.budgetUsed]).toEqual([0, OK, 16384]);
    rig.advance(1000);
    expect([rig.device.budgetUsed, rig.images.size, rig.answers.size]).toEqual([0, 0, rig.order.length]);
  });

  test('a resource stays until the last of its frames is read, though it was given up before the first', () => {
    const rig = new Rig({ heads: 2, scanoutNs: 1000 });
    rig.create2d(2);
    rig.attach(2, frame(HIGH + PIXELS));
    rig.setScanout(0, 2);
    rig.flush(2);
    rig.advance(500);
    rig.setScanout(1, 2);
    rig.flush(2);
    expect(rig.unref(2)).toBe(OK);
    rig.advance(500);
    expect(rig.device.budgetUsed).toBe(16384);
    rig.advance(500);
    expect(rig.device.budgetUsed).toBe(0);
  });

  test('a frame that nobody flushed, released by a sink, is nobody’s answer', () => {
    const rig = new Rig();
    const poll = rig.sink.pollReleases.bind(rig.sink);
    let unknown = 1;
    rig.sink.pollReleases = (now) => {
      if (unknown-- <= 0) return poll(now);
      rig.sink.deadline[0] = Number.POSITIVE_INFINITY;
      rig.sink.releasedScanout[0] = 0;
      rig.sink.releasedFrame[0] = 99;
      return 1;
    };
    rig.sink.deadline[0] = 0;
    expect(() => rig.run()).not.toThrow();
    expect(rig.serves()).toBe(true);
  });
});

describe('copies of what cannot be imported', () => {
  test('FLUSH refreshes the copy only when the sink has read the frame before', () => {
    const rig = new Rig({ scanoutNs: 1000, ...COPIES });
    rig.createBlob(2, scattered(HIGH + PIXELS, 4));
    rig.setScanoutBlob(0, 2);
    expect([rig.flush(2), rig.flush(2), rig.ledger.copies(CopyStage.fallback)]).toEqual([0, 0, 1]);
    rig.advance(1000);
    expect(rig.ledger.copies(CopyStage.fallback)).toBe(2);
  });

  test('a copy whose pages left is given back', () => {
    const rig = new Rig(COPIES);
    rig.createBlob(2, scattered(HIGH + PIXELS, 4));
    expect([rig.device.budgetUsed, rig.images.size]).toEqual([16384, 1]);
    rig.device.setRegionPresent(1, false);
    expect([rig.device.budgetUsed, rig.images.size]).toEqual([0, 0]);
    expect([rig.unref(2), rig.device.budgetUsed]).toEqual([OK, 0]);
  });

  test('the reasons of the first 64 are kept', () => {
    const rig = new Rig(COPIES);
    for (let id = 2; id < 72; id++) expect(rig.createBlob(id, scattered(HIGH + PIXELS, 4))).toBe(OK);
    expect(rig.device.fallbacks.length).toBe(64);
  });
});

describe('imports', () => {
  test('a blob is exported by the device that its region is of, one of a whole page too', () => {
    const rig = new Rig();
    expect(rig.createBlob(2, [{ address: 2 * BAR + PIXELS, length: 4096 }])).toBe(OK);
    expect([rig.vfio[0].exported.length, rig.vfio[1].exported.length]).toEqual([0, 1]);
  });

  test('what VFIO refuses to export, or to attach, becomes a copy that says so, and leaves nothing behind', () => {
    const rig = new Rig();
    expect(rig.createBlob(2, [{ address: BAR + PIXELS + 512, length: 8192 }])).toBe(OK);
    rig.vfio[1].revoke();
    expect(rig.createBlob(3, frame(2 * BAR + PIXELS))).toBe(OK);
    const [unaligned, revoked] = rig.device.fallbacks;
    expect(unaligned.reason).toMatch(/^vfio gpu0 EINVAL/);
    expect(revoked.reason).toMatch(/^vfio gpu1 ENODEV/);
    expect([rig.vfio[0].exported.length, rig.vfio[1].exported.length]).toEqual([0, 0]);
  });

  test('memory without a file is not asked of udmabuf: the reason says what it lies in', () => {
    const rig = new Rig({ memfdOf: () => null });
    expect(rig.createBlob(2, frame(HIGH + PIXELS))).toBe(OK);
    expect(rig.device.fallbacks[0].reason).toBe("the first entry lies in no memfd and in no VFIO device's region");
  });

  test('qemu-10.2: two small entries are no direct buffer', () => {
    const rig = new Rig({ profile: 'qemu-10.2' });
    const small = [HIGH + PIXELS, HIGH + PIXELS + 8192].map((address) => ({ address, length: 1024 }));
    expect([rig.createBlob(2, small), rig.device.fallbacks.length]).toEqual([OK, 1]);
  });

  test("a device's buffers are revoked with its region, dropped by ATTACH, and imported anew after its return", () => {
    const rig = new Rig();
    rig.createBlob(2, frame(BAR + PIXELS));
    rig.device.setRegionPresent(2, false);
    expect(rig.vfio[0].revoked).toBe(true);
    rig.device.setRegionPresent(2, true);
    expect(rig.vfio[0].revoked).toBe(false);
    expect([rig.attach(2, frame(BAR + PIXELS)), rig.device.fallbacks.length, rig.vfio[0].exported.length]).toEqual([OK, 0, 1]);
    for (const present of [false, true]) expect(() => rig.device.setRegionPresent(99, present)).not.toThrow();
  });
});
