import { describe, expect, test } from 'vitest';
import { RawDriver } from '../../../core/machine/testing/raw-driver.ts';
import { Counter, Counters } from '../../../core/measure/counters.ts';
import { Command, Feature, Response } from '../../../core/protocol/constants.ts';
import { writeFlush, writeGetEdid, writeTransfer, writeUpdateCursor } from '../../../core/protocol/write.ts';
import { Status } from '../../../core/ring/registers.ts';
import { INDIRECT, NEXT, placeSplitQueue, WRITE } from '../../../core/ring/split/layout.ts';
import { BAR, BASE_FEATURES, BLOB_FEATURES, frame, HIGH, MIB, PIXELS, Rig } from './rig.ts';

const OK = Response.OK_NODATA;

describe('a region that leaves', () => {
  test('takes only the buffers that lie in it, whatever their segment lists held before', () => {
    const rig = new Rig();
    // A udmabuf of both RAM regions, freed: its list is used again for the next one.
    expect(rig.createBlob(2, [...frame(PIXELS), ...frame(HIGH + PIXELS)])).toBe(OK);
    expect(rig.unref(2)).toBe(OK);
    expect(rig.createBlob(3, frame(PIXELS))).toBe(OK);
    expect(rig.setScanoutBlob(0, 3)).toBe(OK);
    rig.device.setRegionPresent(1, false);
    expect(rig.flush(3)).toBe(OK);
    rig.device.setRegionPresent(1, true);
    expect(rig.unref(3)).toBe(OK);
  });

  test.each([
    ['RAM', HIGH, 1],
    ['a BAR', BAR, 2],
  ])('is read no more once it is gone: the sink stops first (%s)', (_name, base, region) => {
    const present: boolean[] = [];
    const rig: Rig = new Rig({ scanoutNs: 1000 });
    const stop = rig.sink.stop.bind(rig.sink);
    rig.sink.stop = (id) => {
      present.push((rig.space.regions[region] ?? null) !== null);
      stop(id);
    };
    expect(rig.createBlob(2, frame(base + PIXELS + MIB))).toBe(OK);
    rig.device.setRegionPresent(region, false);
    expect(present).toEqual([true]);
  });
});

describe('the region that the rings lie in leaves', () => {
  test.each(['split', 'packed'] as const)('%s: the device needs a reset and looks at them no more', (ring) => {
    const rig = new Rig({ ring });
    const token = rig.post((w, at) => writeGetEdid(w, at, 0));
    rig.registers.presentMask = 0b1110;
    rig.registers.bumpTableGeneration();
    rig.registers.setQueueAddresses(0, HIGH, HIGH, HIGH);
    const before = rig.regions[0].u8.slice();
    rig.run();
    expect(rig.device.needsReset).toBe(true);
    expect(rig.device.ringError?.rule).toBe('ring-outside-memory');
    expect(Buffer.compare(before, rig.regions[0].u8)).toBe(0);
    expect(rig.answers.has(token)).toBe(false);
    expect(rig.device.prepareSleep()).toBe(false);
    rig.registers.presentMask = 0b1111;
    rig.registers.bumpTableGeneration();
    rig.start();
    expect(rig.serves()).toBe(true);
  });
});

describe('registers that change while they are looked at', () => {
  const negotiate = (rig: Rig): void => {
    rig.status(0);
    rig.status(Status.ACKNOWLEDGE | Status.DRIVER);
  };

  test('the features in force are those that were checked: the register is read once', () => {
    const rig = new Rig({ features: BASE_FEATURES, asleep: true });
    negotiate(rig);
    let reads = 0;
    Object.defineProperty(rig.registers, 'driverFeaturesLo', { get: () => (reads++ === 0 ? BASE_FEATURES : BLOB_FEATURES) });
    rig.status(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK);
    expect(reads).toBe(1);
  });

  test('a feature written after FEATURES_OK is not in force: INDIRECT that was not negotiated breaks the ring', () => {
    const features = BASE_FEATURES & ~(1 << Feature.INDIRECT_DESC);
    const rig = new Rig({ features });
    rig.start(features, () => rig.registers.setDriverFeatures(BASE_FEATURES, 1));
    const raw = new RawDriver(rig.space, { ...placeSplitQueue(0x10000, 64), size: 64, indirect: false, eventIdx: true });
    raw.descriptor(0, { address: PIXELS, length: 32, flags: INDIRECT });
    raw.offer(0);
    rig.run();
    expect(rig.device.ringError?.rule).toBe('indirect-not-negotiated');
  });

  test('FEATURES_OK in force is what the device answered, not what its register says since', () => {
    const rig = new Rig({ features: BASE_FEATURES, asleep: true });
    negotiate(rig);
    rig.registers.setDriverFeatures(BLOB_FEATURES, 1);
    rig.status(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK);
    rig.registers.deviceStatus = Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK;
    rig.status(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK | Status.DRIVER_OK);
    expect(rig.registers.deviceStatus & (Status.FEATURES_OK | Status.DRIVER_OK)).toBe(0);
  });

  test('features negotiated again while the queues run change nothing', () => {
    const rig = new Rig({ features: BASE_FEATURES });
    rig.status(Status.ACKNOWLEDGE | Status.DRIVER | Status.DRIVER_OK);
    rig.registers.setDriverFeatures(0, 1);
    rig.status(Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK | Status.DRIVER_OK);
    expect(rig.send((w, at) => writeGetEdid(w, at, 0))).toBe(Response.OK_EDID);
  });
});

describe('work a guest can cause', () => {
  test('a device that needs a reset has no deadline: a frame that the sink still reads wakes nobody', () => {
    const rig = new Rig({ scanoutNs: 1000 });
    rig.createBlob(2, frame(HIGH + PIXELS));
    rig.setScanoutBlob(0, 2);
    rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 2), { fenced: true });
    rig.run();
    expect(rig.device.deadline[0]).toBe(1000);
    new RawDriver(rig.space, { ...placeSplitQueue(0x10000, 64), size: 64, indirect: false, eventIdx: true }).availIndex = 0xfff;
    rig.run();
    expect(rig.device.needsReset).toBe(true);
    rig.advance(2000);
    expect(rig.device.deadline[0]).toBe(Number.POSITIVE_INFINITY);
    rig.start();
    expect(rig.serves()).toBe(true);
  });

  test.each([
    ['control', 0x10000, 64],
    ['cursor', 0x18000, 16],
  ] as const)('one poll serves a %s queue that never runs dry for its length only', (queue, base, size) => {
    const rig = new Rig();
    const raw = new RawDriver(rig.space, { ...placeSplitQueue(base, size), size, indirect: false, eventIdx: true });
    writeUpdateCursor(
      rig.regions[0].u32,
      0x100000 / 4,
      queue === 'cursor' ? Command.MOVE_CURSOR : Command.GET_DISPLAY_INFO,
      0,
      1,
      1,
      0,
      0,
      0,
    );
    raw.descriptor(0, { address: 0x100000, length: 56, flags: queue === 'cursor' ? 0 : NEXT, next: 1 });
    raw.descriptor(1, { address: 0x110000, length: 1056, flags: WRITE });
    let served = 0;
    const counters = rig.counters;
    // The guest makes the next buffer available while this one is served, without waiting for its return.
    counters.add = (counter, n) => {
      Counters.prototype.add.call(counters, counter, n);
      if (counter !== Counter.commands) return;
      if (++served > 10_000) throw new Error('one poll serves for ever');
      raw.offer(0);
    };
    raw.offer(0);
    expect(rig.device.poll()).toBe(true);
    expect(served).toBe(size);
    expect(rig.device.prepareSleep()).toBe(true);
    expect(rig.device.poll()).toBe(true);
    expect(rig.device.needsReset).toBe(false);
  });

  test('one poll ends after its slice of time, however much is available', () => {
    /** A clock on which every read takes 1 ms, as after a large copy. */
    class SlowClock {
      readonly slot = new Float64Array(1);
      read(): void {
        this.slot[0] += 1e6;
      }
    }
    const rig = new Rig({ clock: new SlowClock() });
    rig.create2d(2);
    rig.attach(2, frame(HIGH + PIXELS));
    for (let i = 0; i < 16; i++) rig.post((w, at) => writeTransfer(w, at, 0, 0, 64, 64, 0, 0, 2));
    rig.device.poll();
    rig.collect();
    const first = rig.order.length;
    rig.run();
    expect(first).toBeLessThan(12);
    expect(rig.order).toHaveLength(18);
  });

  test('a reset stops the sink for what it reads, not for every resource that there is', () => {
    const rig = new Rig({ scanoutNs: 1000 });
    for (let id = 2; id < 100; id++) rig.createBlob(id, frame(HIGH + PIXELS));
    rig.setScanoutBlob(0, 2);
    rig.flush(2, { fenced: true });
    const stopped: number[] = [];
    const stop = rig.sink.stop.bind(rig.sink);
    rig.sink.stop = (id) => {
      stopped.push(id);
      stop(id);
    };
    rig.start();
    expect(stopped).toEqual([2]);
    expect(rig.sink.deadline[0]).toBe(Number.POSITIVE_INFINITY);
    expect(rig.serves()).toBe(true);
  });

  test('a scanout has no side over 16384 px, however large the blob: one page entered many times is any size', () => {
    const rig = new Rig();
    const entries = Array.from({ length: 512 }, () => ({ address: BAR + PIXELS, length: 4 * MIB }));
    expect(rig.createBlob(2, entries, { size: 0x80000000 })).toBe(OK);
    const wide = { stride: 16385 * 4, fbWidth: 16385, fbHeight: 16, height: 16 };
    expect(rig.setScanoutBlob(0, 2, { ...wide, width: 16385 })).toBe(Response.ERR_INVALID_PARAMETER);
    expect(rig.setScanoutBlob(0, 2, { ...wide, width: 16384 })).toBe(OK);
    expect(rig.setScanoutBlob(0, 2, { stride: 64, fbWidth: 16, width: 16, fbHeight: 16385, height: 16385 })).toBe(
      Response.ERR_INVALID_PARAMETER,
    );
    expect(rig.unref(2)).toBe(OK);
  });
});

describe('what a blob may be', () => {
  test('a blob without entries has a size past them: INVALID_PARAMETER, whatever the size (hostile-guest 59)', () => {
    const rig = new Rig();
    for (const size of [0, 4096]) expect(rig.createBlob(2, [], { size })).toBe(Response.ERR_INVALID_PARAMETER);
    expect(rig.device.resourceCount).toBe(0);
  });

  test('qemu-10.2 takes a blob of size 0 whose import fails: its copy is empty, and nothing throws', () => {
    const rig = new Rig({ profile: 'qemu-10.2', policy: 'copy', udmabuf: { listLimit: 0, sizeLimitMb: 64 } });
    expect(rig.createBlob(2, frame(HIGH + PIXELS), { size: 0 })).toBe(OK);
    expect(rig.setScanoutBlob(0, 2)).toBe(Response.ERR_INVALID_PARAMETER);
    expect(rig.unref(2)).toBe(OK);
    expect(rig.images.size).toBe(0);
    expect(rig.device.budgetUsed).toBe(0);
  });
});
