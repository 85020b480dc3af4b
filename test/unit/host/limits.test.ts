import { describe, expect, test } from 'vitest';
import { RawDriver } from '../../../core/machine/testing/raw-driver.ts';
import { Feature, Response } from '../../../core/protocol/constants.ts';
import { writeGetEdid } from '../../../core/protocol/write.ts';
import { Status } from '../../../core/ring/registers.ts';
import { INDIRECT, placeSplitQueue } from '../../../core/ring/split/layout.ts';
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

  test.each([['RAM', HIGH, 1], ['a BAR', BAR, 2]])('is read no more once it is gone: the sink stops first (%s)', (_name, base, region) => {
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
