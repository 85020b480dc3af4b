import { describe, expect, it } from 'vitest';
import { DmaBuf } from '../../../core/dmabuf/dma-buf.ts';
import type { Errno } from '../../../core/dmabuf/errno.ts';
import type { Fence } from '../../../core/dmabuf/fence.ts';
import { FenceUsage } from '../../../core/dmabuf/reservation.ts';
import { FENCE_WAIT_NS, Plane, prepareFb } from '../../../core/guest/plane.ts';
import { importDmaBuf } from '../../../core/guest/prime.ts';
import type { Framebuffer } from '../../../core/guest/resource.ts';
import { Counter } from '../../../core/measure/counters.ts';
import { FrameColumn, FrameFlag, FrameLog } from '../../../core/measure/frame-log.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import { Feature } from '../../../core/protocol/constants.ts';
import { errnoOf, must, recordingOps } from '../dmabuf/fixtures.ts';
import { BASE_FEATURES, BLOB_FEATURES, framebuffer, pendingFence, Rig, type RigOptions } from './rig.ts';

const PAGE = 4096;

function importedFb(
  rig: Rig,
  at = 0,
  log: string[] = [],
  refuse: Partial<Record<'attach' | 'pin' | 'map', Errno>> = {},
): { fb: Framebuffer; dmabuf: DmaBuf } {
  const pages = new SegmentList();
  pages.append(rig.high, at * PAGE, 2 * PAGE);
  const dmabuf = new DmaBuf(recordingOps(log, refuse), pages.length, pages);
  const fb = framebuffer(must(importDmaBuf(rig.driver, dmabuf)));
  rig.driver.commands.notify();
  rig.run();
  rig.forget();
  return { fb, dmabuf };
}

const dumbFb = (rig: Rig): Framebuffer => framebuffer(rig.driver.createDumb(64, 32, 'contiguous'));
const holdFlush = (options: RigOptions = {}): Rig => new Rig({ ...options, hold: ({ name }) => name === 'RESOURCE_FLUSH' });
const kinds = (rig: Rig): string[] => rig.host.seen.map(({ name, fenced }) => (fenced ? `${name} fenced` : name));

function move(dmabuf: DmaBuf): void {
  dmabuf.resv.lock();
  dmabuf.moveNotify();
  dmabuf.resv.unlock();
}

describe('atomic update with blob (virtio-gpu §2)', () => {
  it('imported: SET_SCANOUT_BLOB when the framebuffer changed, then a fenced FLUSH; the commit ends with its fence', () => {
    const rig = holdFlush();
    const { fb, dmabuf } = importedFb(rig);
    const plane = new Plane(rig.driver, 0, null, false);
    expect(plane.begin(fb, null, -1)).toBe(true);
    rig.run();
    expect(kinds(rig)).toEqual(['SET_SCANOUT_BLOB', 'RESOURCE_FLUSH fenced']);
    expect(rig.host.of('SET_SCANOUT_BLOB')[0]).toMatchObject({
      scanout: 0,
      resource: fb.resource.id,
      fbWidth: 64,
      fbHeight: 32,
      width: 64,
      height: 32,
      format: 2,
    });
    expect(rig.host.of('SET_SCANOUT_BLOB')[0].strides[0]).toBe(256);
    expect(plane.poll()).toBe(false);
    expect(dmabuf.resv.pendingFence(FenceUsage.WRITE)).toBe(fb.fence);
    expect(dmabuf.pins).toBe(1);
    rig.host.release();
    rig.run();
    expect(plane.poll()).toBe(true);
    expect(dmabuf.resv.idle(FenceUsage.BOOKKEEP)).toBe(true);
    // On screen it stays pinned.
    expect(dmabuf.pins).toBe(1);
  });

  it('dumb blob: TRANSFER is sent although the device has nothing to do, FLUSH is fenced', () => {
    const rig = new Rig();
    const fb = dumbFb(rig);
    rig.forget();
    new Plane(rig.driver, 0, null, false).begin(fb, null, -1);
    rig.run();
    expect(kinds(rig)).toEqual(['TRANSFER_TO_HOST_2D', 'SET_SCANOUT_BLOB', 'RESOURCE_FLUSH fenced']);
  });

  it('a commit is published whole: one kick', () => {
    const rig = new Rig();
    const fb = dumbFb(rig);
    const kicks = (): number => rig.counters.get(Counter.kicks) + rig.counters.get(Counter.kicksSuppressed);
    const before = kicks();
    new Plane(rig.driver, 0, null, false).begin(fb, null, -1);
    expect(kicks()).toBe(before + 1);
  });

  it('transfer only: the first frame is shown, after it TRANSFER goes alone and its response ends the commit', () => {
    const rig = new Rig({ features: BASE_FEATURES });
    const fb = dumbFb(rig);
    const plane = new Plane(rig.driver, 0, null, false, true);
    rig.forget();
    for (let i = 0; i < 3; i++) {
      expect(plane.begin(fb, null, -1)).toBe(true);
      expect(plane.idle).toBe(false);
      rig.run();
      expect(plane.poll()).toBe(true);
    }
    expect(kinds(rig)).toEqual(['TRANSFER_TO_HOST_2D', 'SET_SCANOUT', 'RESOURCE_FLUSH', 'TRANSFER_TO_HOST_2D', 'TRANSFER_TO_HOST_2D']);
  });

  it('the same framebuffer again: no SET_SCANOUT_BLOB, and pins balance', () => {
    const rig = new Rig();
    const { fb, dmabuf } = importedFb(rig);
    const plane = new Plane(rig.driver, 0, null, false);
    for (let i = 0; i < 3; i++) {
      plane.begin(fb, null, -1);
      rig.run();
      expect(plane.poll()).toBe(true);
    }
    expect(kinds(rig)).toEqual(['SET_SCANOUT_BLOB', 'RESOURCE_FLUSH fenced', 'RESOURCE_FLUSH fenced', 'RESOURCE_FLUSH fenced']);
    expect(dmabuf.pins).toBe(1);
  });

  it('cleanup_fb: the framebuffer that was replaced is unpinned when the commit ends, not before', () => {
    const rig = new Rig();
    const a = importedFb(rig, 0);
    const b = importedFb(rig, 10);
    const plane = new Plane(rig.driver, 0, null, false);
    plane.begin(a.fb, null, -1);
    rig.run();
    plane.poll();
    rig.host.options.hold = ({ name }) => name === 'RESOURCE_FLUSH';
    plane.begin(b.fb, null, -1);
    rig.run();
    expect([a.dmabuf.pins, b.dmabuf.pins]).toEqual([1, 1]);
    rig.host.release();
    rig.run();
    plane.poll();
    expect([a.dmabuf.pins, b.dmabuf.pins]).toEqual([0, 1]);
    plane.disable();
    rig.run();
    expect([a.dmabuf.pins, b.dmabuf.pins]).toEqual([0, 0]);
    expect(rig.host.of('SET_SCANOUT')[0]).toMatchObject({ scanout: 0, resource: 0 });
  });

  it("waits for the exporter's fences on the buffer before it sends anything (implicit synchronisation)", () => {
    const rig = new Rig();
    const { fb, dmabuf } = importedFb(rig);
    for (const usage of [FenceUsage.KERNEL, FenceUsage.WRITE]) {
      rig.forget();
      const drawing = pendingFence();
      dmabuf.resv.lock();
      dmabuf.resv.addFence(drawing, usage);
      dmabuf.resv.unlock();
      const plane = new Plane(rig.driver, 0, null, false);
      expect(plane.begin(fb, null, -1)).toBe(true);
      rig.run();
      expect(plane.poll()).toBe(false);
      expect(rig.host.seen).toHaveLength(0);
      // Without limit: the 50 ms are the flush's.
      rig.clock.advance(1e9);
      expect(plane.poll()).toBe(false);
      drawing.signal();
      expect(plane.poll()).toBe(false);
      rig.run();
      expect(kinds(rig)).toEqual(['SET_SCANOUT_BLOB', 'RESOURCE_FLUSH fenced']);
      expect(plane.poll()).toBe(true);
    }
  });

  it('readers of the buffer hold nobody up', () => {
    const rig = new Rig();
    const { fb, dmabuf } = importedFb(rig);
    dmabuf.resv.lock();
    dmabuf.resv.addFence(pendingFence(), FenceUsage.READ);
    dmabuf.resv.unlock();
    new Plane(rig.driver, 0, null, false).begin(fb, null, -1);
    rig.run();
    expect(kinds(rig)).toEqual(['SET_SCANOUT_BLOB', 'RESOURCE_FLUSH fenced']);
  });
});

describe('the 50 ms bound', () => {
  it('a flush that is not answered ends the commit after 50 ms, not before; counted, marked, the buffer set aside', () => {
    const rig = holdFlush();
    const log = new FrameLog(new SharedArrayBuffer(FrameLog.bytes(1, 4)), 1, 4);
    const { fb, dmabuf } = importedFb(rig);
    const plane = new Plane(rig.driver, 0, log, false);
    const row = log.begin(0, 0);
    plane.begin(fb, null, row);
    const begun = rig.now;
    expect(plane.deadline[0]).toBe(begun + FENCE_WAIT_NS);
    rig.run();
    const { fence } = fb;
    rig.clock.advanceTo(begun + FENCE_WAIT_NS - 1);
    expect(plane.poll()).toBe(false);
    rig.clock.advanceTo(begun + FENCE_WAIT_NS);
    expect(plane.poll()).toBe(true);
    expect(plane.deadline[0]).toBe(Number.POSITIVE_INFINITY);
    expect(rig.counters.get(Counter.fencesTimedOut)).toBe(1);
    expect(log.cells[row + FrameColumn.guestFlags] & FrameFlag.timedOut).toBe(FrameFlag.timedOut);
    expect(log.cells[row + FrameColumn.fenceSeen]).toBe(0);
    expect(fb.overdue).toBe(fence);
    // The exporter still knows that the host may read.
    expect(dmabuf.resv.idle(FenceUsage.BOOKKEEP)).toBe(false);
    rig.host.release();
    rig.run();
    expect(fence?.state).toBe('signalled');
  });

  it('a fence given up on is not used again while it is pending', () => {
    const rig = holdFlush();
    const { fb } = importedFb(rig);
    const plane = new Plane(rig.driver, 0, null, false);
    plane.begin(fb, null, -1);
    const overdue = fb.fence;
    rig.run();
    rig.clock.advance(FENCE_WAIT_NS);
    plane.poll();
    const next = rig.driver.newFence();
    expect(next).not.toBe(overdue);
  });

  it('disabling a plane waits 50 ms at most for a commit under way', () => {
    const rig = holdFlush();
    const { fb } = importedFb(rig);
    const plane = new Plane(rig.driver, 0, null, false);
    plane.begin(fb, null, -1);
    const before = rig.now;
    plane.disable();
    expect(rig.now - before).toBeLessThanOrEqual(FENCE_WAIT_NS);
    expect(plane.current).toBeNull();
  });
});

describe('atomic update without blob', () => {
  it("no FLUSH is fenced; the commit ends with TRANSFER's response", () => {
    const rig = new Rig({ features: BASE_FEATURES, hold: ({ name }) => name === 'TRANSFER_TO_HOST_2D' });
    const fb = dumbFb(rig);
    rig.forget();
    const plane = new Plane(rig.driver, 0, null, false);
    plane.begin(fb, null, -1);
    rig.run();
    expect(kinds(rig)).toEqual(['TRANSFER_TO_HOST_2D', 'SET_SCANOUT', 'RESOURCE_FLUSH']);
    expect(plane.poll()).toBe(false);
    expect(plane.deadline[0]).toBe(Number.POSITIVE_INFINITY);
    rig.host.release();
    rig.run();
    expect(plane.poll()).toBe(true);
  });

  it('linux-pacing waits for nothing', () => {
    const rig = new Rig({ features: BASE_FEATURES });
    const fb = dumbFb(rig);
    rig.host.options.hold = () => true;
    const plane = new Plane(rig.driver, 0, null, true);
    plane.begin(fb, null, -1);
    expect(plane.idle).toBe(true);
  });

  it('damage of an unchanged framebuffer: TRANSFER and FLUSH of that rectangle, from its first byte on', () => {
    const rig = new Rig({ features: BASE_FEATURES });
    const fb = dumbFb(rig);
    const plane = new Plane(rig.driver, 0, null, false);
    const damage = { x: 8, y: 4, width: 16, height: 10 };
    plane.begin(fb, damage, -1);
    rig.run();
    rig.forget();
    plane.begin(fb, damage, -1);
    rig.run();
    expect(kinds(rig)).toEqual(['TRANSFER_TO_HOST_2D', 'RESOURCE_FLUSH']);
    expect(rig.host.of('TRANSFER_TO_HOST_2D')[0]).toMatchObject({ ...damage, offsetLo: 4 * 256 + 8 * 4, offsetHi: 0 });
    expect(rig.host.of('RESOURCE_FLUSH')[0]).toMatchObject(damage);
  });

  it('damage is ignored when the framebuffer changed', () => {
    const rig = new Rig({ features: BASE_FEATURES });
    const fbs = [dumbFb(rig), dumbFb(rig)];
    rig.forget();
    const plane = new Plane(rig.driver, 0, null, false);
    for (let i = 0; i < 4; i++) {
      plane.begin(fbs[i % 2], { x: 8, y: 4, width: 16, height: 10 }, -1);
      rig.run();
    }
    const whole = { x: 0, y: 0, width: 64, height: 32 };
    for (const request of [...rig.host.of('TRANSFER_TO_HOST_2D'), ...rig.host.of('RESOURCE_FLUSH')]) expect(request).toMatchObject(whole);
    expect(rig.host.of('TRANSFER_TO_HOST_2D')).toHaveLength(4);
  });
});

describe('prepare_fb gives back what it took', () => {
  const counted = (options: RigOptions = {}): { rig: Rig; given: Fence[]; fail: { now: boolean } } => {
    const given: Fence[] = [];
    const fail = { now: false };
    const rig: Rig = new Rig({
      ...options,
      guest: {
        allocateFence: () => {
          if (fail.now) return null;
          const fence = rig.driver.newFence();
          given.push(fence);
          return fence;
        },
      },
    });
    return { rig, given, fail };
  };

  it('no memory for the fence: ENOMEM, no pin, nothing sent; the next commit works', () => {
    const { rig, fail } = counted();
    const { fb, dmabuf } = importedFb(rig);
    const plane = new Plane(rig.driver, 0, null, false);
    fail.now = true;
    expect(plane.begin(fb, null, -1)).toBe(false);
    expect(plane.lastError).toMatchObject({ errno: 'ENOMEM' });
    expect(dmabuf.pins).toBe(0);
    expect(dmabuf.resv.held).toBe(false);
    expect(plane.current).toBeNull();
    rig.run();
    expect(rig.host.seen).toHaveLength(0);
    fail.now = false;
    expect(plane.begin(fb, null, -1)).toBe(true);
  });

  it.each(['pin', 'map'] as const)('%s fails: the fence is cancelled and given back, the pin undone', (what) => {
    const { rig, given } = counted();
    const refuse: Partial<Record<'attach' | 'pin' | 'map', Errno>> = {};
    const { fb, dmabuf } = importedFb(rig, 0, [], refuse);
    move(dmabuf);
    refuse[what] = 'ENODEV';
    rig.forget();
    expect(errnoOf(prepareFb(rig.driver, fb))).toBe('ENODEV');
    expect(dmabuf.pins).toBe(0);
    expect(dmabuf.resv.held).toBe(false);
    expect(fb.fence).toBeNull();
    expect(given.map(({ state }) => state)).toEqual(['cancelled']);
    // Back in the pool: the next one is the same object.
    expect(rig.driver.newFence()).toBe(given[0]);
    rig.run();
    expect(rig.host.seen).toHaveLength(0);
  });

  it("no memory for a moved buffer's entries: ENOMEM, unmapped and unpinned again; the next commit attaches it", () => {
    const { rig, given } = counted();
    const { fb, dmabuf } = importedFb(rig);
    move(dmabuf);
    rig.forget();
    const give = rig.starve();
    expect(errnoOf(prepareFb(rig.driver, fb))).toBe('ENOMEM');
    expect([dmabuf.pins, dmabuf.mappings, dmabuf.resv.held]).toEqual([0, 0, false]);
    expect(given.map(({ state }) => state)).toEqual(['cancelled']);
    rig.run();
    expect(rig.host.seen).toHaveLength(0);
    give();
    must(prepareFb(rig.driver, fb));
    expect([fb.reattached, dmabuf.mappings]).toEqual([true, 1]);
  });
});

describe('ring room', () => {
  it('a commit that does not fit is refused before anything is pinned, and goes through later', () => {
    const rig = holdFlush({ guest: { controlQueueSize: 8 } });
    const a = importedFb(rig, 0);
    const b = importedFb(rig, 10);
    const c = importedFb(rig, 20);
    const planes = [new Plane(rig.driver, 0, null, false), new Plane(rig.driver, 1, null, false), new Plane(rig.driver, 2, null, false)];
    expect(planes[0].begin(a.fb, null, -1)).toBe(true);
    expect(planes[1].begin(b.fb, null, -1)).toBe(true);
    expect(planes[2].begin(c.fb, null, -1)).toBe(true);
    expect(planes[2].idle).toBe(false);
    const other = new Plane(rig.driver, 3, null, false);
    expect(other.hasRoom).toBe(false);
    expect(other.begin(c.fb, null, -1)).toBe(false);
    expect(other.lastError).toBeNull();
    expect(c.dmabuf.pins).toBe(1);
    rig.run();
    expect(other.hasRoom).toBe(true);
  });

  it("without INDIRECT_DESC the FLUSH always finds room beside ATTACH_BACKING's entries", () => {
    const features = BLOB_FEATURES & ~(1 << Feature.INDIRECT_DESC);
    const rig = new Rig({ features, guest: { controlQueueSize: 8 } });
    const { fb, dmabuf } = importedFb(rig);
    move(dmabuf);
    rig.forget();
    const plane = new Plane(rig.driver, 0, null, false);
    expect(plane.begin(fb, null, -1)).toBe(true);
    for (let i = 0; i < 4; i++) {
      rig.run();
      plane.poll();
    }
    expect(kinds(rig)).toEqual(['RESOURCE_ATTACH_BACKING', 'SET_SCANOUT_BLOB', 'RESOURCE_FLUSH fenced']);
    expect(plane.idle).toBe(true);
  });
});
