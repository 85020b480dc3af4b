import { describe, expect, it } from 'vitest';
import { Compositor, type Surface } from '../../../core/guest/compositor.ts';
import { Plane } from '../../../core/guest/plane.ts';
import { StampRenderer } from '../../../core/guest/renderer.ts';
import { Counter } from '../../../core/measure/counters.ts';
import { FrameColumn, FrameFlag, FrameLog } from '../../../core/measure/frame-log.ts';
import { Copier, copyKernels } from '../../../core/memory/copier.ts';
import { CopyStage, Ledger } from '../../../core/memory/ledger.ts';
import { BASE_FEATURES, framebuffer, PERIOD, Rig, type RigOptions } from './rig.ts';

interface Stage extends RigOptions {
  headCount?: number;
  buffers?: number;
  periodNs?: number;
  linuxPacing?: boolean;
  readback?: boolean;
  failFences?: { left: number };
}

/** A compositor of dumb surfaces on the scripted host. */
function compose(options: Stage = {}): {
  rig: Rig;
  compositor: Compositor;
  log: FrameLog;
  ledger: Ledger;
  planes: Plane[];
  step: (times?: number) => void;
  free: number[];
} {
  const { failFences } = options;
  const rig: Rig = new Rig({
    ...options,
    guest: {
      ...options.guest,
      ...(failFences === undefined ? {} : { allocateFence: () => (failFences.left-- > 0 ? null : rig.driver.newFence()) }),
    },
  });
  const heads = options.headCount ?? 1;
  const log = new FrameLog(new SharedArrayBuffer(FrameLog.bytes(heads, 256)), heads, 256);
  const ledger = new Ledger();
  const planes: Plane[] = [];
  const free: number[] = [];
  const plans = Array.from({ length: heads }, (_, head) => {
    const plane = new Plane(rig.driver, head, log, options.linuxPacing ?? false);
    planes.push(plane);
    const surfaces = Array.from({ length: options.buffers ?? 2 }, (): Surface => {
      const dumb = rig.driver.createDumb(64, 32, 'contiguous');
      const source = options.readback === true ? rig.driver.createDumb(64, 32, 'contiguous') : dumb;
      return {
        target: { pages: source.pages, width: 64, height: 32, stride: 256 },
        framebuffer: framebuffer(dumb),
        gpu: null,
        readback: options.readback === true ? dumb.pages : null,
      };
    });
    return { plane, surfaces };
  });
  const compositor = new Compositor({
    heads: plans,
    renderer: new StampRenderer(),
    clock: rig.clock,
    counters: rig.counters,
    log,
    copier: new Copier(copyKernels()[0], ledger),
    periodNs: options.periodNs ?? 0,
    damage: null,
    onFree: (surface) => void free.push(surface.framebuffer.resource.id),
  });
  rig.forget();
  const step = (times = 1): void => {
    for (let i = 0; i < times; i++) {
      rig.driver.poll();
      compositor.poll();
      rig.host.poll();
    }
  };
  return { rig, compositor, log, ledger, planes, step, free };
}

const holdFlush = { hold: ({ name }: { name: string }): boolean => name === 'RESOURCE_FLUSH' };

describe('compositor', () => {
  it('double buffering: while one commits the other is drawn, and none of the two is drawn into before its turn', () => {
    const { rig, compositor, step, free } = compose(holdFlush);
    step(5);
    // Frame 0 waits for its fence, frame 1 is drawn and ready; both buffers are taken.
    expect(compositor.drawn(0)).toBe(2);
    expect(rig.host.held).toHaveLength(1);
    rig.host.release();
    step(5);
    // Frame 0 is on screen, frame 1 in commit: nothing to draw into.
    expect(compositor.drawn(0)).toBe(2);
    rig.host.release();
    step(5);
    expect(compositor.drawn(0)).toBe(3);
    expect(free).toEqual([free[0], free[1], free[0]]);
  });

  it('triple buffering: the next frame is drawn while one is on screen and one in commit', () => {
    const { rig, compositor, step, free } = compose({ ...holdFlush, buffers: 3 });
    step(5);
    rig.host.release();
    step(5);
    expect(compositor.drawn(0)).toBe(3);
    expect(new Set(free).size).toBe(3);
  });

  it('one buffer: drawn again only when its commit has ended', () => {
    const { rig, compositor, step } = compose({ ...holdFlush, buffers: 1 });
    step(5);
    expect(compositor.drawn(0)).toBe(1);
    rig.host.release();
    step(5);
    expect(compositor.drawn(0)).toBe(2);
  });

  it('a page flip a tick: nothing is sent before the tick, one frame at each', () => {
    const { rig, compositor, step, log } = compose({ periodNs: PERIOD });
    compositor.start();
    for (let tick = 1; tick <= 4; tick++) {
      step(4);
      expect(rig.host.of('RESOURCE_FLUSH')).toHaveLength(tick - 1);
      expect(compositor.deadline[0]).toBe(tick * PERIOD);
      rig.clock.advanceTo(tick * PERIOD);
      step(4);
      expect(rig.host.of('RESOURCE_FLUSH')).toHaveLength(tick);
      expect(log.cells[log.row(0, tick - 1) + FrameColumn.scheduled]).toBe(tick * PERIOD);
    }
  });

  it('a tick that passes while a commit waits is missed, and the next frame counts from the one it missed', () => {
    const { rig, compositor, step, log } = compose({ ...holdFlush, periodNs: PERIOD });
    compositor.start();
    rig.clock.advanceTo(PERIOD);
    step(4);
    rig.clock.advanceTo(2.5 * PERIOD);
    step(4);
    rig.host.release();
    step(4);
    expect(rig.host.of('RESOURCE_FLUSH')).toHaveLength(1);
    rig.clock.advanceTo(3 * PERIOD);
    step(4);
    expect(rig.host.of('RESOURCE_FLUSH')).toHaveLength(2);
    expect(log.cells[log.row(0, 1) + FrameColumn.scheduled]).toBe(2 * PERIOD);
  });

  it('a buffer whose flush is overdue is not drawn into until the host has answered', () => {
    const { rig, compositor, step, free } = compose({ ...holdFlush, buffers: 2 });
    step(4);
    rig.clock.advance(50e6);
    step(4);
    // Frame 0 timed out and is on screen; frame 1 in commit, times out as well and frees frame 0's buffer, which is overdue.
    rig.clock.advance(50e6);
    step(4);
    expect(rig.counters.get(Counter.fencesTimedOut)).toBe(2);
    expect(compositor.drawn(0)).toBe(2);
    rig.host.release();
    step(4);
    expect(compositor.drawn(0)).toBe(3);
    expect(free[2]).toBe(free[0]);
  });

  it('a failed commit is counted and tried again a little later, not in a busy loop; its frame number is used by the next', () => {
    const failFences = { left: 3 };
    const { rig, compositor, step, log } = compose({ failFences });
    step(20);
    expect(compositor.failed).toBe(1);
    expect(compositor.deadline[0]).toBe(rig.now + 1e6);
    for (let i = 0; i < 4; i++) {
      rig.clock.advance(1e6);
      step(4);
    }
    expect(compositor.failed).toBe(3);
    expect(compositor.committedOf(0)).toBeGreaterThan(0);
    expect(log.cells[log.row(0, 0) + FrameColumn.submit]).toBeGreaterThan(0);
  });

  it('paced, a failed commit is tried again at the next tick', () => {
    const failFences = { left: 1 };
    const { rig, compositor, step } = compose({ failFences, periodNs: PERIOD });
    compositor.start();
    rig.clock.advanceTo(PERIOD);
    step(4);
    expect(compositor.failed).toBe(1);
    expect(compositor.deadline[0]).toBe(2 * PERIOD);
    rig.clock.advanceTo(2 * PERIOD);
    step(4);
    expect(rig.host.of('RESOURCE_FLUSH')).toHaveLength(1);
  });

  it("16 heads with fences in order over all heads: each head's commit ends with its own answer", () => {
    const { rig, compositor, step } = compose({ ...holdFlush, headCount: 16 });
    step(4);
    expect(rig.host.held).toHaveLength(16);
    expect(rig.host.held.map(({ seen }) => seen.fence[0])).toEqual(
      Array.from({ length: 16 }, (_, i) => rig.host.held[0].seen.fence[0] + i),
    );
    for (let head = 0; head < 16; head++) {
      rig.host.release();
      rig.driver.poll();
      compositor.poll();
      for (let other = 0; other < 16; other++) expect(compositor.committedOf(other)).toBe(other <= head ? 1 : 0);
    }
  });

  it('a frame that waits for ring room is read back once', () => {
    const { rig, compositor, ledger, step } = compose({
      headCount: 2,
      readback: true,
      hold: ({ name }) => name === 'RESOURCE_FLUSH',
      guest: { controlQueueSize: 4 },
    });
    // Four slots: while one head's flush waits there is no room for the other's commit.
    for (let i = 0; i < 40; i++) {
      step(3);
      if (rig.host.held.length > 0) rig.host.release();
    }
    step(3);
    const begun = rig.host.of('RESOURCE_FLUSH').length;
    expect(begun).toBeGreaterThan(10);
    expect(ledger.copies(CopyStage.readback)).toBe(begun);
    expect(compositor.failed).toBe(0);
  });

  it('a tick that finds the ring full is missed: the next deadline lies ahead', () => {
    const { rig, compositor, step } = compose({ ...holdFlush, headCount: 2, periodNs: PERIOD, guest: { controlQueueSize: 4 } });
    compositor.start();
    rig.clock.advanceTo(PERIOD);
    step(4);
    expect(rig.host.held).toHaveLength(1);
    expect(compositor.deadline[0]).toBeGreaterThan(rig.now);
  });

  it('linux-pacing flips as often as the ring takes frames', () => {
    const { rig, compositor, step } = compose({ features: BASE_FEATURES, linuxPacing: true });
    rig.host.options.hold = () => true;
    for (let i = 0; i < 200; i++) {
      rig.driver.poll();
      compositor.poll();
    }
    // Three commands a frame of changing framebuffers, 64 slots, room for four asked for.
    expect(compositor.committedOf(0)).toBe(21);
    step();
    expect(rig.host.held.length).toBe(63);
  });

  it('stops drawing when told, and is idle when the last commit has ended', () => {
    const { rig, compositor, step } = compose(holdFlush);
    step(4);
    compositor.running = false;
    step(4);
    expect(compositor.idle).toBe(false);
    while (rig.host.held.length > 0) {
      rig.host.release();
      step(4);
    }
    expect(compositor.idle).toBe(true);
    expect(compositor.committed).toBe(compositor.drawn(0));
  });

  it('marks the late wake-up, not the commit that waited', () => {
    const { rig, compositor, step, log } = compose({ periodNs: PERIOD });
    compositor.start();
    step(2);
    rig.clock.advanceTo(PERIOD + 3e6);
    step(4);
    expect(rig.counters.get(Counter.vblankLate)).toBe(1);
    expect(log.cells[log.row(0, 0) + FrameColumn.guestFlags] & FrameFlag.late).toBe(FrameFlag.late);
  });
});
