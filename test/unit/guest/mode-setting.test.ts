import { describe, expect, it } from 'vitest';
import { Compositor, type HeadPlan, type Surface } from '../../../core/guest/compositor.ts';
import { AllocationError, DeviceLost } from '../../../core/guest/errors.ts';
import { type Mode, ModeSetting, type SurfaceSource } from '../../../core/guest/mode-setting.ts';
import { Plane } from '../../../core/guest/plane.ts';
import { StampRenderer } from '../../../core/guest/renderer.ts';
import { Counter } from '../../../core/measure/counters.ts';
import { FrameLog } from '../../../core/measure/frame-log.ts';
import { Copier, copyKernels } from '../../../core/memory/copier.ts';
import { Ledger } from '../../../core/memory/ledger.ts';
import { Response } from '../../../core/protocol/constants.ts';
import type { Head } from '../../../core/protocol/display-info.ts';
import { BASE_FEATURES, framebuffer, Rig, type RigOptions } from './rig.ts';

const SIZE: Mode = { width: 64, height: 32 };
const head = (width: number, height: number, enabled = true): Head => ({ x: 0, y: 0, width, height, enabled });

/** Dumb surfaces of at most 128 × 64 on the scripted host. */
class Source implements SurfaceSource {
  readonly made: Mode[] = [];
  freed = 0;
  /** There is memory for new buffers beside the old ones. */
  room = true;
  /** Widths of which buffers cannot be had after all. */
  refused: number[] = [];
  readonly #rig: Rig;

  constructor(rig: Rig) {
    this.#rig = rig;
  }

  fits({ width, height }: Mode): boolean {
    return width * height <= 128 * 64;
  }

  hasRoom(): boolean {
    return this.room;
  }

  make(mode: Mode): Surface[] {
    this.made.push(mode);
    const { width, height } = mode;
    if (this.refused.includes(width)) throw new AllocationError(`no buffers ${width} pixels wide`);
    return [0, 1].map(() => {
      const dumb = this.#rig.driver.createDumb(width, height, 'contiguous');
      return {
        target: { pages: dumb.pages, width, height, stride: width * 4 },
        framebuffer: framebuffer(dumb, width, height),
        gpu: null,
        readback: null,
      };
    });
  }

  free(surfaces: readonly Surface[]): void {
    for (const { framebuffer: fb } of surfaces) {
      if (fb.resource.kind === 'dumb') this.#rig.driver.freeDumb(fb.resource);
      this.freed++;
    }
  }
}

function desktop(options: RigOptions = {}, count = 1, keeps = false) {
  const rig = new Rig({ heads: Array.from({ length: count }, () => head(64, 32)), ...options });
  const source = new Source(rig);
  const log = new FrameLog(new SharedArrayBuffer(FrameLog.bytes(count, 64)), count, 64);
  const heads: HeadPlan[] = Array.from({ length: count }, (_, i) => ({
    plane: new Plane(rig.driver, i, log, false),
    surfaces: source.make(SIZE),
  }));
  const compositor = new Compositor({
    heads,
    renderer: new StampRenderer(),
    clock: rig.clock,
    counters: rig.counters,
    log,
    copier: new Copier(copyKernels()[0], new Ledger()),
    periodNs: 0,
    damage: null,
  });
  const modeSetting = new ModeSetting(rig.driver, compositor, heads, SIZE, source, keeps);
  source.made.length = 0;
  const step = (times = 10): void => {
    for (let i = 0; i < times; i++) {
      rig.driver.poll();
      modeSetting.poll();
      compositor.poll();
      rig.host.poll();
    }
  };
  step();
  rig.forget();
  return { rig, source, heads, compositor, modeSetting, step };
}

describe('mode setting after a config change (virtio-gpu §2, §4)', () => {
  it('a display of the size that is shown changes nothing, and the modes at probe are followed at once', () => {
    const same = desktop();
    same.rig.host.changeDisplay([head(64, 32)]);
    same.step();
    expect(same.source.made).toEqual([]);
    expect(same.modeSetting.settled).toBe(true);
    const other = desktop({ heads: [head(80, 40)] });
    expect(other.modeSetting.modeOf(0)).toEqual({ width: 80, height: 40 });
  });

  it('a guest that keeps its size does so until that display changes, and follows it from then on', () => {
    const { rig, modeSetting, step } = desktop({ heads: [head(80, 40), head(80, 40)] }, 2, true);
    const modes = () => [modeSetting.modeOf(0), modeSetting.modeOf(1)];
    expect(modes()).toEqual([SIZE, SIZE]);
    const change = (...displays: Head[]): void => {
      rig.host.changeDisplay(displays);
      step(40);
      expect(modeSetting.settled).toBe(true);
    };
    change(head(80, 40), head(96, 48));
    expect(modes()).toEqual([SIZE, { width: 96, height: 48 }]);
    change(head(80, 40, false), head(80, 40));
    expect(modes()).toEqual([null, { width: 80, height: 40 }]);
    // As it was at the start: a change all the same.
    change(head(80, 40), head(80, 40));
    expect(modes()).toEqual([
      { width: 80, height: 40 },
      { width: 80, height: 40 },
    ]);
  });

  const NEW = ['RESOURCE_CREATE_BLOB', 'RESOURCE_CREATE_BLOB'];
  const OLD = ['SET_SCANOUT', 'RESOURCE_UNREF', 'RESOURCE_UNREF'];

  it.each([
    [true, 'new buffers are made, the scanout is disabled, the old ones are freed, and the new ones shown', [...NEW, ...OLD]],
    [false, 'without memory for both the scanout is disabled and the old ones are freed first', [...OLD, ...NEW]],
  ])('room for both %s: %s, in this order on the wire', (room, _, order) => {
    const { rig, source, heads, step } = desktop();
    source.room = room;
    const old = heads[0].surfaces.map(({ framebuffer: fb }) => fb.resource.id);
    rig.host.changeDisplay([head(96, 48)]);
    step(20);
    const set = rig.host.seen.findIndex(({ name }) => name === order[0]);
    expect(rig.host.seen.slice(set, set + 5).map(({ name }) => name)).toEqual(order);
    expect(rig.host.of('SET_SCANOUT')).toMatchObject([{ scanout: 0, resource: 0 }]);
    expect(rig.host.of('RESOURCE_UNREF').map(({ resource }) => resource)).toEqual(old);
    const shown = rig.host.of('SET_SCANOUT_BLOB').at(-1);
    expect(shown).toMatchObject({ scanout: 0, width: 96, height: 48 });
    expect(source.freed).toBe(2);
    // Nothing names an old buffer after it was freed.
    const after = rig.host.seen.slice(set + 5).filter(({ request }) => 'resource' in request && old.includes(request.resource));
    expect(after).toEqual([]);
    expect(rig.counters.get(Counter.modeSets)).toBe(1);
  });

  it('waits for the commit in progress; a frame that is drawn and not in commit is dropped and its number used again', () => {
    const hold = { on: true };
    const { rig, source, compositor, modeSetting, step } = desktop({ hold: ({ name }) => hold.on && name === 'RESOURCE_FLUSH' });
    expect(compositor.drawn(0)).toBe(2);
    rig.host.changeDisplay([head(96, 48)]);
    step();
    expect(source.freed).toBe(0);
    expect(modeSetting.settled).toBe(false);
    expect(compositor.drawn(0)).toBe(1);
    hold.on = false;
    rig.host.release();
    step(3);
    expect(source.freed).toBe(2);
    expect(modeSetting.settled).toBe(true);
    expect(compositor.committedOf(0)).toBeGreaterThanOrEqual(1);
    step();
    // The host counts FLUSH commands: as many as frames.
    expect(rig.host.of('RESOURCE_FLUSH').length + 1).toBeGreaterThanOrEqual(compositor.committedOf(0));
  });

  it('a head whose display goes is off: disabled, freed, nothing drawn, no deadline; the other head goes on', () => {
    const { rig, heads, compositor, modeSetting, step } = desktop({}, 2);
    rig.host.changeDisplay([head(64, 32), head(64, 32, false)]);
    step(20);
    expect(modeSetting.modeOf(1)).toBeNull();
    expect(heads[1].surfaces).toEqual([]);
    const [going, gone] = [compositor.committedOf(0), compositor.committedOf(1)];
    step(20);
    expect(compositor.committedOf(0)).toBeGreaterThan(going);
    expect(compositor.committedOf(1)).toBe(gone);
    rig.forget();
    rig.host.changeDisplay([head(64, 32), head(48, 40)]);
    step(20);
    // It was off already: no SET_SCANOUT 0 goes before the new buffers.
    expect(rig.host.of('SET_SCANOUT')).toEqual([]);
    expect(compositor.committedOf(1)).toBeGreaterThan(gone);
  });

  it('where there is no EDID the size of the display info counts', () => {
    const noEdid = desktop({ features: BASE_FEATURES & ~2 });
    noEdid.rig.host.changeDisplay([head(80, 40)]);
    noEdid.step(20);
    expect(noEdid.modeSetting.modeOf(0)).toEqual({ width: 80, height: 40 });
    const refused = desktop({ answer: ({ name }) => (name === 'GET_EDID' ? Response.ERR_UNSPEC : undefined) });
    refused.rig.host.changeDisplay([head(80, 40)]);
    refused.step(20);
    expect(refused.modeSetting.modeOf(0)).toEqual({ width: 80, height: 40 });
    expect(refused.rig.counters.get(Counter.edidsRefused)).toBeGreaterThan(0);
  });

  it.each([
    ['no memory for it', 2000, 1000],
    ['a side under 32 pixels', 64, 31],
    ['a side over 8192 pixels', 8193, 1],
  ])('a mode with %s is refused: the old one stays', (_, width, height) => {
    const { rig, source, modeSetting, step } = desktop();
    rig.host.changeDisplay([head(width, height)]);
    step();
    expect(modeSetting.modeOf(0)).toEqual(SIZE);
    expect(source.made).toEqual([]);
    expect(rig.counters.get(Counter.modesRefused)).toBe(1);
    expect(modeSetting.settled).toBe(true);
  });

  it('a mode that is refused is counted once, also where another one was awaited or another display changes', () => {
    const hold = { on: true };
    const { rig, modeSetting, step } = desktop({ hold: ({ name }) => hold.on && name === 'RESOURCE_FLUSH' }, 2);
    const refused = head(2000, 1000);
    rig.host.changeDisplay([head(96, 48), head(64, 32)]);
    step();
    rig.host.changeDisplay([refused, head(64, 32)]);
    step();
    expect(modeSetting.settled).toBe(false);
    hold.on = false;
    while (rig.host.held.length > 0) rig.host.release();
    step(20);
    expect(modeSetting.modeOf(0)).toEqual(SIZE);
    expect(rig.counters.get(Counter.modesRefused)).toBe(1);
    rig.host.changeDisplay([refused, head(48, 40)]);
    step(20);
    expect(modeSetting.modeOf(1)).toEqual({ width: 48, height: 40 });
    expect(rig.counters.get(Counter.modesRefused)).toBe(1);
    rig.host.changeDisplay([head(64, 32), head(48, 40)]);
    step(20);
    rig.host.changeDisplay([refused, head(48, 40)]);
    step(20);
    expect(rig.counters.get(Counter.modesRefused)).toBe(2);
  });

  it('new buffers of the same size: made once, also when the display changes meanwhile, whose wish then counts', () => {
    const { rig, source, modeSetting, step } = desktop();
    modeSetting.remake(0);
    step();
    expect(source.made).toEqual([SIZE]);
    rig.host.changeDisplay([head(96, 48)]);
    modeSetting.remake(0);
    step(20);
    expect(source.made.at(-1)).toEqual({ width: 96, height: 48 });
    rig.host.changeDisplay([head(96, 48, false)]);
    step(20);
    const made = source.made.length;
    modeSetting.remake(0);
    step();
    expect(source.made).toHaveLength(made);
    expect(modeSetting.settled).toBe(true);
  });
});

describe('a mode whose buffers cannot be had', () => {
  it('leaves the old one on, with its own buffers and untouched on the wire; frames go on, and the next wish is followed', () => {
    const { rig, source, heads, compositor, modeSetting, step } = desktop();
    const old = heads[0].surfaces;
    source.refused = [96];
    rig.host.changeDisplay([head(96, 48)]);
    step(20);
    expect(source.made).toEqual([{ width: 96, height: 48 }]);
    expect(modeSetting.modeOf(0)).toEqual(SIZE);
    expect(heads[0].surfaces).toBe(old);
    expect(rig.host.of('SET_SCANOUT')).toEqual([]);
    expect(rig.host.of('RESOURCE_UNREF')).toEqual([]);
    expect([rig.counters.get(Counter.modesRefused), rig.counters.get(Counter.modeSets)]).toEqual([1, 0]);
    expect(modeSetting.settled).toBe(true);
    const committed = compositor.committedOf(0);
    step();
    expect(compositor.committedOf(0)).toBeGreaterThan(committed);
    rig.host.changeDisplay([head(80, 40)]);
    step(20);
    expect(modeSetting.modeOf(0)).toEqual({ width: 80, height: 40 });
    expect(source.freed).toBe(2);
  });

  it('has the old one made again where that had to make room first', () => {
    const { rig, source, heads, compositor, modeSetting, step } = desktop();
    const old = heads[0].surfaces;
    source.room = false;
    source.refused = [96];
    rig.host.changeDisplay([head(96, 48)]);
    step(20);
    expect(source.made).toEqual([{ width: 96, height: 48 }, SIZE]);
    expect(modeSetting.modeOf(0)).toEqual(SIZE);
    expect(heads[0].surfaces).toHaveLength(old.length);
    expect([rig.counters.get(Counter.modesRefused), rig.counters.get(Counter.modeSets)]).toEqual([1, 0]);
    const committed = compositor.committedOf(0);
    step();
    expect(compositor.committedOf(0)).toBeGreaterThan(committed);
  });

  it('turns the head off where not even the old one can be had again; the other head goes on, and a later change brings it back', () => {
    const { rig, source, heads, compositor, modeSetting, step } = desktop({}, 2);
    source.room = false;
    source.refused = [96, 64];
    rig.host.changeDisplay([head(96, 48), head(64, 32)]);
    step(20);
    expect(modeSetting.modeOf(0)).toBeNull();
    expect(heads[0].surfaces).toEqual([]);
    const going = compositor.committedOf(1);
    step();
    expect(compositor.committedOf(1)).toBeGreaterThan(going);
    source.refused = [];
    rig.host.changeDisplay([head(96, 48), head(48, 40)]);
    step(20);
    expect([modeSetting.modeOf(0), modeSetting.modeOf(1)]).toEqual([
      { width: 96, height: 48 },
      { width: 48, height: 40 },
    ]);
    const off = compositor.committedOf(0);
    step();
    expect(compositor.committedOf(0)).toBeGreaterThan(off);
  });

  it('leaves a head that was off as it is', () => {
    const { rig, source, modeSetting, step } = desktop({}, 2);
    rig.host.changeDisplay([head(64, 32), head(64, 32, false)]);
    step(20);
    for (const room of [true, false]) {
      source.room = room;
      source.refused = [96];
      rig.host.changeDisplay([head(64, 32), head(96, 48)]);
      step(20);
      expect(modeSetting.modeOf(1)).toBeNull();
      expect(modeSetting.settled).toBe(true);
    }
  });

  it('is no matter of a device that is lost meanwhile: that passes', () => {
    const { source, modeSetting, step } = desktop();
    source.make = () => {
      throw new DeviceLost('the host has gone');
    };
    modeSetting.remake(0);
    expect(() => step()).toThrow(DeviceLost);
  });
});

describe('a host that falls silent in the middle of a mode set', () => {
  it('has lost the device: the guest may reset it and begin anew', () => {
    const { modeSetting, step } = desktop({ hold: ({ name }) => name === 'RESOURCE_UNREF' });
    modeSetting.remake(0);
    expect(() => step()).toThrow(DeviceLost);
  });
});

describe('a head between two modes', () => {
  it('is not given other surfaces while a frame is in commit', () => {
    const { compositor } = desktop({ hold: ({ name }) => name === 'RESOURCE_FLUSH' });
    compositor.hold(0);
    expect(compositor.quiet(0)).toBe(false);
    expect(() => compositor.resume(0, [])).toThrow(/in commit/);
  });
});
