import { describe, expect, test } from 'vitest';
import { Response } from '../../../core/protocol/constants.ts';
import { BAR, frame, HIGH, MIB, PIXELS, Rig } from './rig.ts';

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
