import { describe, expect, test } from 'vitest';
import { DmaBuf } from '../../../core/dmabuf/dma-buf.ts';
import { Fence } from '../../../core/dmabuf/fence.ts';
import { FenceUsage } from '../../../core/dmabuf/reservation.ts';
import { COMMAND_SLOT_BYTES } from '../../../core/guest/command-queue.ts';
import { Compositor, type CompositorOptions } from '../../../core/guest/compositor.ts';
import { CursorPlane } from '../../../core/guest/cursor.ts';
import { DriverError } from '../../../core/guest/driver.ts';
import { Plane, prepareFb } from '../../../core/guest/plane.ts';
import { freeImported, importDmaBuf, reattach } from '../../../core/guest/prime.ts';
import type { ImportedBuffer } from '../../../core/guest/resource.ts';
import { Counter } from '../../../core/measure/counters.ts';
import { FrameLog } from '../../../core/measure/frame-log.ts';
import { Copier, copyKernels } from '../../../core/memory/copier.ts';
import { Ledger } from '../../../core/memory/ledger.ts';
import { SegmentList } from '../../../core/memory/segments.ts';
import { Command, Feature, Response } from '../../../core/protocol/constants.ts';
import { Size } from '../../../core/protocol/layout.ts';
import { writeResource } from '../../../core/protocol/write.ts';
import { errnoOf, must, recordingOps } from '../dmabuf/fixtures.ts';
import { BLOB_FEATURES, framebuffer, Rig } from './rig.ts';

/** Without EVENT_IDX a scripted host, which never says otherwise, wants every kick; with it only the first. */
const KICKED = BLOB_FEATURES & ~(1 << Feature.EVENT_IDX);

function send(rig: Rig, fence: Fence | null = null): void {
  const { commands } = rig.driver;
  const slot = commands.open();
  const bytes = writeResource(commands.words, commands.requestWord(slot), Command.RESOURCE_UNREF, 77);
  if (!commands.submit(slot, bytes, Size.header, 0, 0, fence, null, 0)) throw new Error('the ring is full');
}

function imported(rig: Rig): { dmabuf: DmaBuf; buffer: ImportedBuffer } {
  const pages = new SegmentList();
  pages.append(rig.high, 0, 8192);
  const dmabuf = new DmaBuf(recordingOps([]), pages.length, pages);
  const buffer = must(importDmaBuf(rig.driver, dmabuf));
  if (buffer.kind !== 'imported') throw new Error('not an import');
  rig.driver.commands.notify();
  rig.run();
  return { dmabuf, buffer };
}

describe('the command queue', () => {
  test('has no room while every slot is open, though the ring is empty', () => {
    const { commands } = new Rig().driver;
    for (let i = 0; i < 64; i++) expect(commands.open()).toBeGreaterThanOrEqual(0);
    expect([commands.hasRoom(1), commands.open()]).toEqual([false, -1]);
  });

  test('sends the bytes of its entries and none after them', () => {
    const rig = new Rig();
    rig.forget();
    imported(rig);
    expect(rig.host.of('RESOURCE_CREATE_BLOB')).toHaveLength(1);
    expect(rig.host.of('RESOURCE_CREATE_BLOB')[0]).not.toHaveProperty('trailing');
  });

  test('clears the response of a slot that it uses again', () => {
    const { commands } = new Rig().driver;
    const slot = commands.open();
    commands.words[commands.responseWord(slot)] = Response.OK_NODATA;
    commands.submit(slot, writeResource(commands.words, commands.requestWord(slot), Command.RESOURCE_UNREF, 7), 24, 0, 0, null, null, 0);
    expect(commands.words[commands.responseWord(slot)]).toBe(0);
  });

  test('rings a host that wants it, once it can see the command; one that does not is left alone', () => {
    for (const [features, wanted] of [
      [KICKED, 1],
      [BLOB_FEATURES, 0],
    ]) {
      const rig = new Rig({ features });
      rig.forget();
      const kicks = rig.counters.get(Counter.kicks);
      const seenAtRing: number[] = [];
      rig.hostBell.ring = () => {
        rig.host.poll();
        seenAtRing.push(rig.host.seen.length);
      };
      send(rig);
      rig.driver.commands.notify();
      expect([rig.counters.get(Counter.kicks) - kicks, seenAtRing]).toEqual([wanted, wanted === 1 ? [1] : []]);
    }
  });

  test('a response without the FENCE flag signals nothing, whatever id it carries', () => {
    const rig = new Rig({ hold: ({ name }) => name === 'RESOURCE_UNREF' });
    rig.forget();
    const fence = new Fence(1, 1);
    send(rig, fence);
    rig.driver.commands.notify();
    rig.run();
    const [held] = rig.host.held;
    rig.host.releaseWith(held, Response.OK_NODATA, 0, held.seen.fence[0], held.seen.fence[1]);
    rig.run();
    expect(fence.state).toBe('pending');
  });

  test('a cursor command rings a host that wants it', () => {
    const rig = new Rig({ features: KICKED });
    const cursor = new CursorPlane(rig.driver, 0);
    const before = rig.hostBell.rings;
    cursor.move(1, 1);
    expect(rig.hostBell.rings).toBe(before + 1);
  });
});

describe('the driver', () => {
  test('does without a device that refuses its queues', () => {
    expect(() => new Rig({ refuseQueues: true })).toThrow(new DriverError('the device did not accept the queues'));
  });

  test.each([
    [
      'a device that needs a reset',
      /needs a reset/,
      (rig: Rig) => {
        rig.registers.deviceStatus = 64;
      },
    ],
    ['a host that another has taken the place of', /has ended/, (rig: Rig) => void rig.registers.generation++],
    ['a session that was asked to stop', /stopped/, (rig: Rig) => rig.registers.requestStop()],
  ])('waits no longer for %s', (_what, message, happens) => {
    const rig = new Rig();
    rig.onIdle = () => {
      happens(rig);
      return false;
    };
    const before = rig.now;
    expect(() => rig.driver.waitFor(() => false)).toThrow(message);
    expect(rig.now - before).toBeLessThan(1e9);
  });

  test('does not sleep on an answer that came while it asked for interrupts', () => {
    const rig = new Rig();
    const prepare = rig.driver.prepareSleep.bind(rig.driver);
    rig.driver.prepareSleep = () => {
      rig.host.poll();
      return prepare();
    };
    send(rig);
    rig.driver.commands.notify();
    const before = rig.now;
    rig.driver.waitFor(() => rig.driver.commands.inFlight === 0);
    expect(rig.now).toBe(before);
  });

  test('does not sleep on a ring that came while it looked', () => {
    const rig = new Rig();
    let looked = 0;
    const before = rig.now;
    rig.driver.waitFor(() => {
      if (looked++ === 0) rig.host.changeDisplay(rig.host.heads);
      return looked > 1;
    });
    expect(rig.now).toBe(before);
  });

  test('keeps at most 64 fences to be used again', () => {
    const { driver } = new Rig();
    const fences = Array.from({ length: 70 }, () => driver.newFence());
    for (const fence of fences) {
      fence.signal();
      driver.dropFence(fence);
    }
    const again = new Set(Array.from({ length: 70 }, () => driver.newFence()));
    expect(fences.filter((fence) => again.has(fence)).length).toBe(64);
  });

  test('ends what was pending cancelled when it resets the device', () => {
    const rig = new Rig({ hold: ({ name }) => name === 'RESOURCE_UNREF' });
    const fence = new Fence(1, 1);
    send(rig, fence);
    rig.driver.commands.notify();
    rig.run();
    rig.driver.reset();
    expect(fence.state).toBe('cancelled');
  });

  test('says that guest RAM has no room for its commands', () => {
    const rig = new Rig();
    const { memory } = rig;
    const alloc = memory.alloc.bind(memory);
    // The rings find room, the slots of the commands do not.
    const slots = 80 * COMMAND_SLOT_BYTES;
    memory.alloc = (bytes, layout) => (bytes === slots ? null : alloc(bytes, layout));
    expect(() => new Rig({ guest: { memory } })).toThrow(new DriverError(`guest RAM has no ${slots} contiguous bytes left`));
  });

  test('rings for a status that the host can see', () => {
    const rig = new Rig();
    const seen: number[] = [];
    const ring = rig.hostBell.ring.bind(rig.hostBell);
    rig.hostBell.ring = () => {
      seen.push(rig.registers.status);
      ring();
    };
    rig.driver.reset();
    expect(seen[0]).toBe(0);
  });

  test('believes no EDID of an OK answer that is none, and no heads of an answer that is an error', () => {
    const rig = new Rig({
      answer: ({ name }) => (name === 'GET_EDID' ? Response.OK_EDID : name === 'GET_DISPLAY_INFO' ? Response.ERR_UNSPEC : undefined),
    });
    expect([rig.driver.display.modes, rig.driver.display.heads]).toEqual([[null], []]);
  });
});

describe('planes and imports', () => {
  test('a commit that waited for fences waits for room in the ring too', () => {
    const rig = new Rig();
    const { dmabuf, buffer } = imported(rig);
    rig.host.options.hold = () => true;
    const drawing = new Fence(9, 1);
    dmabuf.resv.lock();
    dmabuf.resv.addFence(drawing, FenceUsage.WRITE);
    dmabuf.resv.unlock();
    const plane = new Plane(rig.driver, 0, null, false);
    expect(plane.begin(framebuffer(buffer), null, -1)).toBe(true);
    while (rig.driver.commands.hasRoom(1)) send(rig);
    drawing.signal();
    expect([plane.poll(), rig.driver.commands.inFlight]).toEqual([false, 64]);
  });

  test('a freed buffer is attached no more; a moved one only after its move', () => {
    const rig = new Rig();
    const { dmabuf, buffer } = imported(rig);
    dmabuf.resv.lock();
    dmabuf.moveNotify();
    const blit = new Fence(9, 1);
    dmabuf.resv.addFence(blit, FenceUsage.KERNEL);
    dmabuf.resv.unlock();
    rig.onIdle = () => {
      if (!blit.pending) return false;
      expect(buffer.attached).toBe(false);
      blit.signal();
      return true;
    };
    const fb = framebuffer(buffer);
    must(prepareFb(rig.driver, fb));
    expect([blit.state, fb.reattached]).toEqual(['signalled', true]);
    const freed = imported(rig).buffer;
    freeImported(rig.driver, freed);
    freed.attached = false;
    expect(errnoOf(reattach(rig.driver, freed))).toBe('ENODEV');
  });

  test("a free surface is not drawn into while the host's fence or another's reads its buffer", () => {
    const rig = new Rig();
    const { dmabuf, buffer } = imported(rig);
    const drawn: number[] = [];
    const target = { pages: dmabuf.pages, width: 64, height: 32, stride: 256 };
    const compositor = new Compositor({
      heads: [
        {
          plane: new Plane(rig.driver, 0, null, false),
          surfaces: [{ target, framebuffer: framebuffer(buffer), gpu: null, readback: null }],
        },
      ],
      renderer: { name: 'stamp', render: (_target, frame) => void drawn.push(frame) },
      clock: rig.clock,
      counters: rig.counters,
      log: new FrameLog(new SharedArrayBuffer(FrameLog.bytes(1, 64)), 1, 64),
      copier: new Copier(copyKernels()[0], new Ledger()),
      periodNs: 0,
      damage: null,
    });
    const reader = new Fence(9, 1);
    dmabuf.resv.lock();
    dmabuf.resv.addFence(reader, FenceUsage.READ);
    dmabuf.resv.unlock();
    compositor.poll();
    expect(drawn).toEqual([]);
    reader.signal();
    compositor.poll();
    expect(drawn).toEqual([0]);
  });

  test('a head without surfaces is refused', () => {
    const heads = [{ plane: new Plane(new Rig().driver, 0, null, false), surfaces: [] }];
    expect(() => new Compositor({ heads } as unknown as CompositorOptions)).toThrow(/at least one surface/);
  });
});
