import { describe, expect, it } from 'vitest';
import { DmaBuf, type DmaBufOps } from '../../../core/dmabuf/dma-buf.ts';
import type { Errno } from '../../../core/dmabuf/errno.ts';
import { FenceUsage, Reservation } from '../../../core/dmabuf/reservation.ts';
import { Plane, prepareFb } from '../../../core/guest/plane.ts';
import { freeImported, importDmaBuf } from '../../../core/guest/prime.ts';
import { type ImportedBuffer, ResourceIds } from '../../../core/guest/resource.ts';
import { Counter, Counters } from '../../../core/measure/counters.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import { BlobFlag, BlobMem, Response } from '../../../core/protocol/constants.ts';
import { errnoOf, must, recordingOps } from '../dmabuf/fixtures.ts';
import { BASE_FEATURES, framebuffer, pendingFence, RAM_HIGH, Rig, type RigOptions } from './rig.ts';

const PAGE = 4096;

/** A 64×32 buffer (two pages) of another device in high RAM, `gap` pages between its pages. */
function foreign(
  rig: Rig,
  log: string[] = [],
  options: {
    at?: number;
    gap?: number;
    pages?: number;
    refuse?: Partial<Record<'attach' | 'pin' | 'map', Errno>>;
    ops?: Partial<DmaBufOps>;
  } = {},
): DmaBuf {
  const pages = new SegmentList();
  for (let i = 0; i < (options.pages ?? 2); i++) pages.append(rig.high, ((options.at ?? 0) + i * ((options.gap ?? 1) + 1)) * PAGE, PAGE);
  return new DmaBuf({ ...recordingOps(log, options.refuse), ...options.ops }, pages.length, pages, new Reservation());
}

function imported(rig: Rig, dmabuf: DmaBuf): ImportedBuffer {
  const buffer = must(importDmaBuf(rig.driver, dmabuf));
  if (buffer.kind !== 'imported') throw new Error('not an import');
  rig.driver.commands.notify();
  rig.run();
  return buffer;
}

/** Wire commands and dma-buf operations in one log. */
function logged(options: RigOptions = {}): { rig: Rig; log: string[] } {
  const log: string[] = [];
  const rig = new Rig({ ...options, onCommand: ({ name, fenced }) => void log.push(fenced ? `${name} fenced` : name) });
  rig.forget();
  log.length = 0;
  return { rig, log };
}

const move = (dmabuf: DmaBuf): void => {
  dmabuf.resv.lock();
  dmabuf.moveNotify();
  dmabuf.resv.unlock();
};

describe('resource ids', () => {
  it('begin at 2 and are never reused, not after a free nor after a failure', () => {
    const { rig } = logged();
    const first = rig.driver.createDumb(64, 32, 'contiguous');
    const second = imported(rig, foreign(rig, [], { at: 64 }));
    rig.driver.freeDumb(first);
    freeImported(rig.driver, second);
    expect(errnoOf(importDmaBuf(rig.driver, foreign(rig, [], { at: 64, refuse: { map: 'ENOMEM' } })))).toBe('ENOMEM');
    const later = rig.driver.createDumb(64, 32, 'contiguous');
    expect([first.id, second.id, later.id]).toEqual([2, 3, 5]);
  });

  it('go on where those of the driver before ended, which the counters of the guest know', () => {
    const counters = new Counters();
    const first = new Rig({ guest: { counters } });
    expect([first.driver.ids.take(), first.driver.ids.take()]).toEqual([2, 3]);
    expect(new Rig({ guest: { counters } }).driver.ids.take()).toBe(4);
  });

  it('end at the last that fits the wire', () => {
    const counters = new Counters();
    const ids = new ResourceIds(counters);
    counters.add(Counter.resourceIds, 0xffffffff - 2);
    expect(ids.take()).toBe(0xffffffff);
    expect(() => ids.take()).toThrow(RangeError);
  });
});

describe("import of another device's dma-buf (virtio-gpu §2)", () => {
  it('a buffer that this device exported gives a reference and the same resource, and sends nothing', () => {
    const { rig } = logged();
    const dumb = rig.driver.createDumb(64, 32, 'contiguous');
    const own = new DmaBuf(recordingOps([]), dumb.pages.length, dumb.pages);
    rig.driver.exported.set(own, dumb);
    rig.forget();
    expect(must(importDmaBuf(rig.driver, own))).toBe(dumb);
    expect(own.refcount).toBe(2);
    expect(own.attachments).toHaveLength(0);
    rig.run();
    expect(rig.host.seen).toHaveLength(0);
  });

  it("without the blob feature only that works: another device's buffer is ENODEV and is not touched", () => {
    const log: string[] = [];
    const { rig } = logged({ features: BASE_FEATURES });
    const dumb = rig.driver.createDumb(64, 32, 'contiguous');
    const own = new DmaBuf(recordingOps([]), dumb.pages.length, dumb.pages);
    rig.driver.exported.set(own, dumb);
    expect(must(importDmaBuf(rig.driver, own))).toBe(dumb);
    const dmabuf = foreign(rig, log, { at: 64 });
    expect(errnoOf(importDmaBuf(rig.driver, dmabuf))).toBe('ENODEV');
    expect(dmabuf.refcount).toBe(1);
    expect(log).toEqual([]);
  });

  it('attaches, pins, maps, CREATE_BLOB, unpins; the mapping stays and a reference is held', () => {
    const { rig, log } = logged();
    const dmabuf = foreign(rig, log);
    const buffer = imported(rig, dmabuf);
    expect(log).toEqual(['attach', 'pin', 'map', 'unpin', 'RESOURCE_CREATE_BLOB']);
    expect(dmabuf.refcount).toBe(2);
    expect(dmabuf.pins).toBe(0);
    expect(dmabuf.mappings).toBe(1);
    expect(dmabuf.resv.held).toBe(false);
    expect(buffer.resv).toBe(dmabuf.resv);
    expect(buffer.attachment?.importer.allowPeer2peer).toBe(true);
    expect(buffer.attachment?.dynamic).toBe(true);
  });

  it("CREATE_BLOB is an unfenced SHAREABLE guest blob of the dma-buf's size and is not published by itself", () => {
    const { rig } = logged();
    const dmabuf = foreign(rig);
    const buffer = must(importDmaBuf(rig.driver, dmabuf));
    rig.host.poll();
    expect(rig.host.seen).toHaveLength(0);
    rig.driver.commands.notify();
    rig.run();
    expect(rig.host.seen.map(({ name, fenced }) => [name, fenced])).toEqual([['RESOURCE_CREATE_BLOB', false]]);
    const [blob] = rig.host.of('RESOURCE_CREATE_BLOB');
    expect(blob).toMatchObject({ resource: buffer.id, blobMem: BlobMem.GUEST, blobFlags: BlobFlag.SHAREABLE, sizeLo: 8192, sizeHi: 0 });
  });

  it('one mem_entry per DMA segment: pages side by side are one, scattered ones one each', () => {
    const { rig } = logged();
    imported(rig, foreign(rig, [], { at: 10, gap: 0, pages: 4 }));
    imported(rig, foreign(rig, [], { at: 100, gap: 1, pages: 300 }));
    const [joined, scattered] = rig.host.of('RESOURCE_CREATE_BLOB');
    expect(joined.entries.map(({ addrLo, addrHi, length }) => [addrHi * 2 ** 32 + addrLo, length])).toEqual([
      [RAM_HIGH + 10 * PAGE, 4 * PAGE],
    ]);
    expect(scattered.entries).toHaveLength(300);
    expect(scattered.entries.map(({ addrLo, addrHi }) => addrHi * 2 ** 32 + addrLo)).toEqual(
      Array.from({ length: 300 }, (_, i) => RAM_HIGH + (100 + 2 * i) * PAGE),
    );
    expect(scattered.entries.every(({ length }) => length === PAGE)).toBe(true);
  });

  it("the entries' memory is the device's until it has answered, and free then", () => {
    const { rig } = logged({ hold: ({ name }) => name === 'RESOURCE_CREATE_BLOB' });
    const before = rig.memory.freeBytes;
    imported(rig, foreign(rig));
    expect(rig.memory.freeBytes).toBeLessThan(before);
    rig.host.release();
    rig.run();
    expect(rig.memory.freeBytes).toBe(before);
  });

  it("waits for the exporter's KERNEL fence before it maps", () => {
    const { rig, log } = logged();
    const dmabuf = foreign(rig, log);
    const moving = pendingFence();
    dmabuf.resv.lock();
    dmabuf.resv.addFence(moving, FenceUsage.KERNEL);
    dmabuf.resv.unlock();
    rig.onIdle = () => {
      if (moving.state !== 'pending') return false;
      log.push('moved');
      moving.signal();
      return true;
    };
    imported(rig, dmabuf);
    expect(log).toEqual(['attach', 'pin', 'moved', 'map', 'unpin', 'RESOURCE_CREATE_BLOB']);
  });

  it.each(['attach', 'pin', 'map'] as const)('an exporter that refuses to %s: its errno, nothing kept, nothing sent', (what) => {
    const { rig, log } = logged();
    const dmabuf = foreign(rig, log, { refuse: { [what]: 'EOPNOTSUPP' } });
    expect(errnoOf(importDmaBuf(rig.driver, dmabuf))).toBe('EOPNOTSUPP');
    rig.driver.commands.notify();
    rig.run();
    expect(rig.host.seen).toHaveLength(0);
    expect([dmabuf.refcount, dmabuf.pins, dmabuf.mappings, dmabuf.attachments.length]).toEqual([1, 0, 0, 0]);
    expect(dmabuf.resv.held).toBe(false);
  });

  it('guest RAM without room for the memory entries: ENOMEM, nothing kept, nothing sent; the next import works', () => {
    const { rig } = logged();
    const dmabuf = foreign(rig);
    const give = rig.starve();
    expect(errnoOf(importDmaBuf(rig.driver, dmabuf))).toBe('ENOMEM');
    rig.driver.commands.notify();
    rig.run();
    expect(rig.host.seen).toHaveLength(0);
    expect([dmabuf.refcount, dmabuf.pins, dmabuf.mappings, dmabuf.attachments.length]).toEqual([1, 0, 0, 0]);
    expect(dmabuf.resv.held).toBe(false);
    give();
    expect(imported(rig, dmabuf).attached).toBe(true);
  });
});

describe('move_notify', () => {
  it('a fenced DETACH_BACKING, waited for with the lock held, then unmap', () => {
    const log: string[] = [];
    let heldAtDetach: boolean | null = null;
    let mappedAtAnswer: boolean | null = null;
    const { rig } = logged({ hold: ({ name }) => name === 'RESOURCE_DETACH_BACKING' });
    const dmabuf = foreign(rig, log);
    const buffer = imported(rig, dmabuf);
    rig.onIdle = () => {
      if (rig.host.held.length === 0) return false;
      heldAtDetach = dmabuf.resv.held;
      mappedAtAnswer = buffer.attachment?.mapped ?? null;
      log.push('answered');
      rig.host.release();
      return true;
    };
    log.length = 0;
    rig.forget();
    move(dmabuf);
    expect(rig.host.seen.map(({ name, fenced }) => [name, fenced])).toEqual([['RESOURCE_DETACH_BACKING', true]]);
    expect(heldAtDetach).toBe(true);
    expect(mappedAtAnswer).toBe(true);
    expect(log).toEqual(['answered', 'unmap']);
    expect(buffer).toMatchObject({ attached: false, sg: null, moves: 1 });
    expect(rig.counters.get(Counter.moveNotifies)).toBe(1);
  });

  it('tells the host once: a second move before the next commit sends nothing', () => {
    const { rig } = logged();
    const dmabuf = foreign(rig);
    imported(rig, dmabuf);
    rig.forget();
    move(dmabuf);
    move(dmabuf);
    expect(rig.host.names()).toEqual(['RESOURCE_DETACH_BACKING']);
  });

  it('a DETACH that the host refuses still ends the wait and the mapping', () => {
    const { rig } = logged({ answer: ({ name }) => (name === 'RESOURCE_DETACH_BACKING' ? Response.ERR_UNSPEC : undefined) });
    const dmabuf = foreign(rig);
    const buffer = imported(rig, dmabuf);
    move(dmabuf);
    expect(buffer.attached).toBe(false);
    expect(dmabuf.mappings).toBe(0);
  });

  it('waits beyond 50 ms: it is uninterruptible', () => {
    const { rig } = logged({ hold: ({ name }) => name === 'RESOURCE_DETACH_BACKING' });
    const dmabuf = foreign(rig);
    imported(rig, dmabuf);
    rig.onIdle = () => {
      if (rig.host.held.length === 0) return false;
      rig.clock.advance(5e9);
      rig.host.release();
      return true;
    };
    const before = rig.now;
    move(dmabuf);
    expect(rig.now - before).toBeGreaterThanOrEqual(5e9);
    expect(dmabuf.mappings).toBe(0);
  });

  it('the next prepare_fb maps anew and sends ATTACH_BACKING with the new addresses, unfenced', () => {
    const { rig, log } = logged();
    const dmabuf = foreign(rig, log);
    const buffer = imported(rig, dmabuf);
    move(dmabuf);
    const pages = new SegmentList();
    pages.append(rig.high, 200 * PAGE, PAGE);
    pages.append(rig.high, 300 * PAGE, PAGE);
    dmabuf.pages = pages;
    rig.forget();
    log.length = 0;
    const fb = framebuffer(buffer);
    expect(new Plane(rig.driver, 0, null, false).begin(fb, null, -1)).toBe(true);
    expect(fb.reattached).toBe(true);
    rig.run();
    expect(log.slice(0, 2)).toEqual(['pin', 'map']);
    expect(rig.host.names()).toEqual(['RESOURCE_ATTACH_BACKING', 'SET_SCANOUT_BLOB', 'RESOURCE_FLUSH']);
    expect(rig.host.seen[0].fenced).toBe(false);
    expect(rig.host.of('RESOURCE_ATTACH_BACKING')[0].entries.map(({ addrLo, length }) => [addrLo, length])).toEqual([
      [200 * PAGE, PAGE],
      [300 * PAGE, PAGE],
    ]);
    expect(buffer.attached).toBe(true);
    expect(rig.counters.get(Counter.reattaches)).toBe(1);
  });

  it('a buffer that has not moved is not attached again', () => {
    const { rig } = logged();
    const buffer = imported(rig, foreign(rig));
    rig.forget();
    const fb = framebuffer(buffer);
    new Plane(rig.driver, 0, null, false).begin(fb, null, -1);
    rig.run();
    expect(rig.host.names()).toEqual(['SET_SCANOUT_BLOB', 'RESOURCE_FLUSH']);
    expect(fb.reattached).toBe(false);
  });
});

describe('freeing an import', () => {
  it('detaches the backing, unmaps, leaves the dma-buf, drops its reference, then UNREF', () => {
    const { rig, log } = logged();
    const dmabuf = foreign(rig, log);
    const buffer = imported(rig, dmabuf);
    // Ours is the last reference: the exporter has let go.
    dmabuf.put();
    log.length = 0;
    freeImported(rig.driver, buffer);
    expect(log).toEqual(['RESOURCE_DETACH_BACKING fenced', 'unmap', 'detach', 'release', 'RESOURCE_UNREF']);
    expect(buffer).toMatchObject({ dmabuf: null, attachment: null });
  });

  it("ends when UNREF's response has come", () => {
    const { rig } = logged({ hold: ({ name }) => name === 'RESOURCE_UNREF' });
    const buffer = imported(rig, foreign(rig));
    let waited = false;
    rig.onIdle = () => {
      if (rig.host.held.length === 0) return false;
      waited = true;
      rig.host.release();
      return true;
    };
    freeImported(rig.driver, buffer);
    expect(waited).toBe(true);
  });

  it('a buffer that has just moved has no backing to detach; freeing twice does nothing', () => {
    const { rig, log } = logged();
    const dmabuf = foreign(rig, log);
    const buffer = imported(rig, dmabuf);
    move(dmabuf);
    log.length = 0;
    freeImported(rig.driver, buffer);
    freeImported(rig.driver, buffer);
    expect(log).toEqual(['detach', 'RESOURCE_UNREF']);
    expect(dmabuf.refcount).toBe(1);
  });

  it('a freed buffer cannot be shown', () => {
    const { rig } = logged();
    const buffer = imported(rig, foreign(rig));
    freeImported(rig.driver, buffer);
    expect(errnoOf(prepareFb(rig.driver, framebuffer(buffer)))).toBe('ENODEV');
  });
});
