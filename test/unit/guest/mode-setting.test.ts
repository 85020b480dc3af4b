import { describe, expect, it } from 'vitest';
import { Compositor, type HeadPlan, type Surface } from '../../../core/guest/compositor.ts';
import { DeviceLost } from '../../../core/guest/errors.ts';
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
  readonly #rig: Rig;

  constructor(rig: Rig) {
    this.#rig = rig;
  }

  fits({ width, height }: Mode): boolean {
    return width * height <= 128 * 64;
  }

  make(mode: Mode): Surface[] {
    this.made.push(mode);
    const { width, height } = mode;
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

function desktop(options: RigOptions = {}, count = 1) {
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
  const modeSetting = new ModeSetting(rig.driver, compositor, heads, SIZE, source);
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

  it('the scanout is disabled, the old buffers are freed, new ones made, and then shown: in this order on the wire', () => {
    const { rig, source, heads, step } = desktop();
    const old = heads[0].surfaces.map(({ framebuffer: fb }) => fb.resource.id);
    rig.host.changeDisplay([head(96, 48)]);
    step(20);
    const off = rig.host.seen.findIndex(({ request }) => request.name === 'SET_SCANOUT' && request.resource === 0);
    const names = rig.host.seen.slice(off).map(({ name }) => name);
    expect(names.slice(0, 5)).toEqual(['SET_SCANOUT', 'RESOURCE_UNREF', 'RESOURCE_UNREF', 'RESOURCE_CREATE_BLOB', 'RESOURCE_CREATE_BLOB']);
    expect(rig.host.of('RESOURCE_UNREF').map(({ resource }) => resource)).toEqual(old);
    const shown = rig.host.of('SET_SCANOUT_BLOB').at(-1);
    expect(shown).toMatchObject({ scanout: 0, width: 96, height: 48 });
    expect(source.freed).toBe(2);
    // Nothing names an old buffer after it was freed.
    const after = rig.host.seen.slice(off + 3).filter(({ request }) => 'resource' in request && old.includes(request.resource));
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
