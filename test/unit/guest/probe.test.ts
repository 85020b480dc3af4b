import { describe, expect, it } from 'vitest';
import { DriverError } from '../../../core/guest/driver.ts';
import { Counter } from '../../../core/measure/counters.ts';
import { Feature, Response } from '../../../core/protocol/constants.ts';
import type { Head } from '../../../core/protocol/display-info.ts';
import { Event, Interrupt } from '../../../core/ring/registers.ts';
import { BASE_FEATURES, BLOB_FEATURES, Rig } from './rig.ts';

const head = (width: number, height: number, x = 0): Head => ({ x, y: 0, width, height, enabled: true });
const TWO = [head(1920, 1080), head(1280, 1024, 1920)];

describe('driver probe', () => {
  it('accepts what both sides want and nothing else', () => {
    const rig = new Rig({ features: BLOB_FEATURES | (1 << Feature.VIRGL) | (1 << Feature.CONTEXT_INIT) });
    expect(rig.driver.hasBlob).toBe(true);
    const wanted = new Rig({ features: BLOB_FEATURES | (1 << Feature.VIRGL), wanted: BLOB_FEATURES });
    expect(wanted.registers.driverFeaturesLo).toBe(BLOB_FEATURES >>> 0);
    const refused = new Rig({ features: BASE_FEATURES, wanted: BLOB_FEATURES });
    expect(refused.driver.hasBlob).toBe(false);
    expect(refused.registers.driverFeaturesLo).toBe(BASE_FEATURES >>> 0);
  });

  it('a device that refuses FEATURES_OK ends the probe before a queue is set up', () => {
    expect(() => new Rig({ refuseFeatures: true })).toThrow(DriverError);
    expect(() => new Rig({ refuseFeatures: true })).toThrow(/refuses the features 0x1_/);
  });

  it('asks GET_EDID for each scanout, then GET_DISPLAY_INFO, and knows modes and heads when it is done', () => {
    const rig = new Rig({ heads: TWO });
    expect(rig.host.names()).toEqual(['GET_EDID', 'GET_EDID', 'GET_DISPLAY_INFO']);
    expect(rig.host.of('GET_EDID').map(({ scanout }) => scanout)).toEqual([0, 1]);
    expect(rig.driver.display.heads).toEqual(TWO);
    expect(rig.driver.display.modes.map((mode) => [mode?.width, mode?.height])).toEqual([
      [1920, 1080],
      [1280, 1024],
    ]);
    expect(rig.driver.display.generation).toBe(1);
  });

  it('without the EDID feature only GET_DISPLAY_INFO is sent', () => {
    const rig = new Rig({ heads: TWO, features: BLOB_FEATURES & ~(1 << Feature.EDID) });
    expect(rig.host.names()).toEqual(['GET_DISPLAY_INFO']);
    expect(rig.driver.display.modes).toEqual([null, null]);
  });

  it('an EDID that the host refuses leaves the scanout without a mode, the probe goes on', () => {
    const rig = new Rig({
      heads: TWO,
      answer: (seen) => (seen.request.name === 'GET_EDID' && seen.request.scanout === 1 ? Response.ERR_UNSPEC : undefined),
    });
    expect(rig.driver.display.modes[0]).not.toBeNull();
    expect(rig.driver.display.modes[1]).toBeNull();
    expect(rig.driver.display.heads).toHaveLength(2);
  });

  it('sixteen scanouts are served, more are not believed', () => {
    const heads = Array.from({ length: 16 }, (_, i) => head(640, 480, i * 640));
    const rig = new Rig({ heads });
    expect(rig.driver.numScanouts).toBe(16);
    expect(rig.host.of('GET_EDID')).toHaveLength(16);
    const liar = new Rig({ heads: Array.from({ length: 40 }, () => head(640, 480)) });
    expect(liar.driver.numScanouts).toBe(16);
    expect(liar.host.of('GET_EDID')).toHaveLength(16);
  });

  it('control queue of 64 and cursor queue of 16, or as asked', () => {
    const rig = new Rig();
    expect([rig.registers.queueSize(0), rig.registers.queueSize(1)]).toEqual([64, 16]);
    const other = new Rig({ guest: { controlQueueSize: 256, cursorQueueSize: 32 } });
    expect([other.registers.queueSize(0), other.registers.queueSize(1)]).toEqual([256, 32]);
  });

  it('a host that never answers is given up on after 10 s', () => {
    expect(() => new Rig({ hold: (seen) => seen.name === 'GET_DISPLAY_INFO' })).toThrow(/has not answered for 10 s/);
  });

  it('rings of any feature set work: without EVENT_IDX, without INDIRECT_DESC', () => {
    for (const missing of [1 << Feature.EVENT_IDX, 1 << Feature.INDIRECT_DESC, (1 << Feature.EVENT_IDX) | (1 << Feature.INDIRECT_DESC)]) {
      const rig = new Rig({ features: BLOB_FEATURES & ~missing });
      expect(rig.driver.display.heads).toHaveLength(1);
    }
  });
});

describe('a lost notification (hostile-guest "Faults")', () => {
  /** Waits for an answer whose notification is missing when the sleep ends that looks for it, and comes `lateNs` after it; null: never. */
  function lost(lateNs: number | null): number {
    const rig = new Rig({ hold: ({ name }) => name === 'RESOURCE_UNREF' });
    const { guestBell } = rig;
    const begun = rig.now;
    rig.onIdle = () => {
      if (rig.host.held.length > 0) {
        const { rings } = guestBell;
        rig.host.release();
        guestBell.rings = rings;
      }
      if (lateNs === null || rig.now === begun) return false;
      rig.clock.advance(lateNs);
      guestBell.ring();
      return true;
    };
    rig.driver.unref(77);
    expect(rig.now - begun).toBeGreaterThanOrEqual(100e6);
    return rig.counters.get(Counter.lostNotifications);
  }

  it('of an answer is found by the timed re-check, and counted', () => {
    expect(lost(null)).toBe(1);
  });

  it('is none where the ring comes a moment after its answer', () => {
    expect(lost(1e6)).toBe(0);
  });

  it('is none where the answer was published just when the driver stopped asking for notifications', () => {
    const rig = new Rig({ hold: ({ name }) => name === 'RESOURCE_UNREF', features: BLOB_FEATURES & ~(1 << Feature.EVENT_IDX) });
    const endSleep = rig.driver.endSleep.bind(rig.driver);
    let answered = false;
    rig.driver.endSleep = () => {
      endSleep();
      if (rig.host.held.length === 0) return;
      const { rings } = rig.guestBell;
      rig.host.release();
      answered = rig.guestBell.rings === rings;
    };
    rig.driver.unref(77);
    expect(answered).toBe(true);
    expect(rig.counters.get(Counter.lostNotifications)).toBe(0);
  });
});

describe('config change (virtio-gpu §4)', () => {
  it('asks GET_EDID per scanout and GET_DISPLAY_INFO, and writes events_clear only after the last answer', () => {
    const pendingAt: [string, number][] = [];
    const rig = new Rig({ heads: TWO });
    rig.forget();
    rig.host.options.hold = ({ name }) => name === 'GET_DISPLAY_INFO';
    rig.host.options.onCommand = ({ name }) => void pendingAt.push([name, rig.registers.eventsRead]);
    rig.host.changeDisplay([head(2560, 1440), head(1280, 1024, 2560)]);
    rig.run();
    expect(pendingAt).toEqual([
      ['GET_EDID', Event.DISPLAY],
      ['GET_EDID', Event.DISPLAY],
      ['GET_DISPLAY_INFO', Event.DISPLAY],
    ]);
    expect(rig.registers.eventsRead).toBe(Event.DISPLAY);
    expect(rig.registers.eventsClear).toBe(0);
    expect(rig.driver.display.refreshing).toBe(true);
    rig.host.release();
    rig.run();
    expect(rig.registers.eventsRead).toBe(0);
    expect(rig.driver.display.heads[0].width).toBe(2560);
    expect(rig.driver.display.modes[0]?.width).toBe(2560);
    expect(rig.driver.display.generation).toBe(2);
    expect(rig.counters.get(Counter.configChanges)).toBe(1);
  });

  it('the write of events_clear wakes the host', () => {
    const rig = new Rig();
    rig.host.changeDisplay([head(800, 600)]);
    rig.driver.poll();
    rig.host.poll();
    const rings = rig.hostBell.rings;
    rig.driver.poll();
    expect(rig.registers.eventsClear).toBe(Event.DISPLAY);
    expect(rig.hostBell.rings).toBe(rings + 1);
  });

  it('a change between the last answer and the clearing of the event before it is not lost', () => {
    const rig = new Rig();
    rig.host.changeDisplay([head(800, 600)]);
    rig.driver.poll();
    rig.host.poll();
    rig.host.changeDisplay([head(1024, 768)]);
    // The answers come in and events_clear is written; the host carries it out, and with it the second event's bit.
    rig.driver.commands.poll();
    rig.host.poll();
    expect(rig.registers.eventsRead).toBe(0);
    rig.run();
    expect(rig.driver.display.heads[0].width).toBe(1024);
    expect(rig.counters.get(Counter.configChanges)).toBe(2);
  });

  it('an interrupt without a display event asks for nothing', () => {
    const rig = new Rig();
    rig.forget();
    rig.registers.raiseInterrupt(Interrupt.CONFIG_CHANGE);
    rig.run();
    expect(rig.host.seen).toHaveLength(0);
  });

  it('a change during a refresh is dealt with by a second refresh, not lost and not mixed in', () => {
    const rig = new Rig();
    rig.forget();
    rig.host.options.hold = ({ name }) => name === 'GET_DISPLAY_INFO';
    rig.host.changeDisplay([head(800, 600)]);
    rig.run();
    rig.host.changeDisplay([head(1024, 768)]);
    rig.run();
    expect(rig.host.names()).toEqual(['GET_EDID', 'GET_DISPLAY_INFO']);
    rig.host.options.hold = () => false;
    rig.host.release();
    rig.run();
    expect(rig.host.names()).toEqual(['GET_EDID', 'GET_DISPLAY_INFO', 'GET_EDID', 'GET_DISPLAY_INFO']);
    expect(rig.driver.display.heads[0].width).toBe(1024);
  });
});
