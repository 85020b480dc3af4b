import { describe, expect, test, vi } from 'vitest';
import { Counter } from '../../../core/measure/counters.ts';
import { FrameColumn } from '../../../core/measure/frame-log.ts';
import { CopyStage } from '../../../core/memory/ledger.ts';
import { Command, Flag, Response } from '../../../core/protocol/constants.ts';
import { writeFlush, writeResource, writeSimple, writeTransfer } from '../../../core/protocol/write.ts';
import { BAR, BASE_FEATURES, frame, HIGH, MIB, PIXELS, Rig, scattered } from './rig.ts';

const OK = Response.OK_NODATA;

/** A rig with blob 2 (and 3) in RAM, 2 on head 0. */
function withBlob(options: ConstructorParameters<typeof Rig>[0] = {}): Rig {
  const rig = new Rig({ scanoutNs: 1000, ...options });
  expect(rig.createBlob(2, frame(HIGH + PIXELS))).toBe(OK);
  expect(rig.createBlob(3, frame(HIGH + PIXELS + MIB))).toBe(OK);
  expect(rig.setScanoutBlob(0, 2)).toBe(OK);
  return rig;
}

describe('2D', () => {
  const with2d = (options: ConstructorParameters<typeof Rig>[0] = {}): Rig => {
    const rig = new Rig({ features: BASE_FEATURES, ...options });
    expect(rig.create2d(2)).toBe(OK);
    expect(rig.attach(2, scattered(HIGH + PIXELS, 4))).toBe(OK);
    expect(rig.setScanout(0, 2)).toBe(OK);
    return rig;
  };

  test('TRANSFER copies the rectangle and nothing else; row r comes from offset + r · stride (virtio-gpu §3)', () => {
    const rig = with2d();
    const pixels = rig.regions[1].u32;
    // Backing byte b lies at HIGH + PIXELS + (b / 4096) · 8192 + b % 4096.
    for (let b = 0; b < 16384; b += 4) pixels[(PIXELS + Math.floor(b / 4096) * 8192 + (b % 4096)) / 4] = b / 4;
    const image = [...rig.images][0].u32;
    expect(rig.transfer(2, 8, 2, 4, 3, 10 * 4)).toBe(OK);
    for (let y = 0; y < 64; y++) {
      for (let x = 0; x < 64; x++) {
        const inside = x >= 8 && x < 12 && y >= 2 && y < 5;
        expect(image[y * 64 + x], `${x},${y}`).toBe(inside ? 10 + (y - 2) * 64 + (x - 8) : 0);
      }
    }
    expect(rig.ledger.bytesCopied(CopyStage.transfer)).toBe(48);
    expect(rig.transfer(2)).toBe(OK);
    expect(image[64 * 64 - 1]).toBe(64 * 64 - 1);
    expect(rig.ledger.copies(CopyStage.transfer)).toBe(2);
  });

  test('an unfenced FLUSH is answered at its release and delays only a TRANSFER to the same resource', () => {
    const rig = with2d({ scanoutNs: 1000 });
    expect(rig.create2d(3)).toBe(OK);
    expect(rig.attach(3, frame(HIGH + PIXELS + MIB))).toBe(OK);
    expect(rig.flush(2)).toBe(0);
    expect(rig.transfer(3)).toBe(OK);
    const stalled = rig.post((w, at) => writeTransfer(w, at, 0, 0, 64, 64, 0, 0, 2));
    const behind = rig.post((w, at) => writeSimple(w, at, Command.GET_DISPLAY_INFO));
    rig.run();
    expect(rig.answers.has(stalled)).toBe(false);
    expect(rig.answers.has(behind)).toBe(false);
    expect(rig.ledger.copies(CopyStage.transfer)).toBe(1);
    // The stalled queue asks for no kicks: nothing but the sink's deadline wakes it.
    expect(rig.device.prepareSleep()).toBe(false);
    expect(rig.device.deadline[0]).toBe(1000);
    rig.advance(1000);
    expect(rig.answers.get(stalled)?.type).toBe(OK);
    expect(rig.answers.get(behind)?.type).toBe(Response.OK_DISPLAY_INFO);
  });

  test('the cursor queue goes on while the control queue waits', () => {
    const rig = with2d({ scanoutNs: 1000 });
    rig.flush(2);
    rig.post((w, at) => writeTransfer(w, at, 0, 0, 64, 64, 0, 0, 2));
    rig.run();
    const w = rig.regions[0].u32;
    w[0x300000 / 4] = Command.MOVE_CURSOR;
    w.fill(0, 0x300004 / 4, 0x300038 / 4);
    w[0x300000 / 4 + 7] = 5;
    rig.cursor.begin();
    rig.cursor.readable(0x300000, 56);
    rig.cursor.submit(1);
    rig.cursor.publish();
    rig.run();
    expect(rig.cursor.popUsed()).toBe(true);
    expect(rig.cursor.usedLength).toBe(0);
    expect(rig.device.cursor(0).x).toBe(5);
    rig.advance(1000);
    expect(rig.order.length).toBeGreaterThan(0);
    expect(rig.transfer(2)).toBe(OK);
  });

  test('FLUSH of a resource on no scanout answers OK', () => {
    const rig = with2d();
    rig.setScanout(0, 0);
    expect(rig.flush(2)).toBe(OK);
  });
});

describe('blob', () => {
  test("an import copies nothing, and the frame is the guest's own pages", () => {
    const rig = withBlob();
    expect(rig.flush(2)).toBe(0);
    rig.advance(1000);
    for (const stage of Object.values(CopyStage)) expect(rig.ledger.copies(stage)).toBe(0);
    expect(rig.device.budgetUsed).toBe(0);
    expect(rig.counters.get(Counter.imports)).toBe(2);
  });

  test("a fenced FLUSH completes at the sink's last read, without a successor frame", () => {
    const rig = withBlob();
    const token = rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 2), { fenced: true });
    rig.run();
    rig.advance(999);
    expect(rig.answers.has(token)).toBe(false);
    rig.advance(1);
    expect(rig.answers.get(token)).toMatchObject({ type: OK, flags: Flag.FENCE, fence: [1, 0xffffffff], used: 24 });
  });

  test('fenced responses leave in fence order over all heads; unfenced ones overtake', () => {
    const rig = withBlob({ heads: 2 });
    expect(rig.setScanoutBlob(1, 3)).toBe(OK);
    rig.order.length = 0;
    const first = rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 2), { fenced: true });
    rig.device.poll();
    rig.clock.advance(400);
    const second = rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 3), { fenced: true });
    const third = rig.post((w, at) => writeTransfer(w, at, 0, 0, 64, 64, 0, 0, 3), { fenced: true });
    const free = rig.post((w, at) => writeSimple(w, at, Command.GET_DISPLAY_INFO));
    rig.run();
    expect(rig.order).toEqual([free]);
    rig.advance(600);
    expect(rig.order).toEqual([free, first]);
    rig.advance(400);
    expect(rig.order).toEqual([free, first, second, third]);
  });

  test('a later fence waits for an earlier flush that ends after it', () => {
    const rig = withBlob({ heads: 2, periodNs: 10_000 });
    expect(rig.setScanoutBlob(1, 3)).toBe(OK);
    rig.order.length = 0;
    const flush = rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 2), { fenced: true });
    const stop = rig.post((w, at) => writeResource(w, at, Command.RESOURCE_DETACH_BACKING, 3), { fenced: true });
    rig.run();
    expect(rig.order).toEqual([]);
    rig.advance(11_000);
    expect(rig.order).toEqual([flush, stop]);
  });

  test('DETACH of a buffer on a scanout stops the sink and answers without a later command; FLUSH before ATTACH answers UNSPEC', () => {
    const rig = withBlob({ scanoutNs: 1e9 });
    const flush = rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 2), { fenced: true });
    rig.run();
    rig.order.length = 0;
    const detach = rig.post((w, at) => writeResource(w, at, Command.RESOURCE_DETACH_BACKING, 2), { fenced: true });
    rig.run();
    expect(rig.order).toEqual([flush, detach]);
    expect(rig.answers.get(detach)?.type).toBe(OK);
    expect(rig.flush(2)).toBe(Response.ERR_UNSPEC);
    expect(rig.setScanoutBlob(0, 2)).toBe(Response.ERR_UNSPEC);
    expect(rig.attach(2, frame(HIGH + PIXELS + 2 * MIB))).toBe(OK);
    // The scanout stayed bound: no SET_SCANOUT is needed.
    const again = rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 2), { fenced: true });
    rig.run();
    rig.advance(1e9);
    expect(rig.answers.get(again)?.type).toBe(OK);
    expect(rig.counters.get(Counter.imports)).toBe(3);
  });

  test('one FLUSH is a frame on every scanout that shows it, answered when the last has released', () => {
    const rig = withBlob({ heads: 2 });
    rig.setScanoutBlob(1, 2);
    rig.flush(2, { fenced: true });
    rig.advance(1000);
    expect(rig.order.length).toBeGreaterThan(0);
    for (const head of [0, 1]) {
      const row = rig.log.row(head, 0);
      expect(rig.log.cells[row + FrameColumn.release]).toBe(1000);
    }
    rig.flush(2, { fenced: true, width: 64 });
    rig.advance(1000);
    expect(rig.log.cells[rig.log.row(1, 1) + FrameColumn.release]).toBe(2000);
  });

  test('FLUSH that touches no scanout of the blob answers INVALID_PARAMETER', () => {
    const rig = withBlob();
    expect(rig.flush(3)).toBe(Response.ERR_INVALID_PARAMETER);
    expect(rig.flush(2, { x: 64 })).toBe(Response.ERR_INVALID_PARAMETER);
  });

  test('without fences the answer comes at once, and the sink still shows the frame', () => {
    const rig = withBlob({ fencesOff: true });
    expect(rig.flush(2, { fenced: true })).toBe(OK);
    rig.advance(1000);
    expect(rig.counters.get(Counter.framesPresented)).toBe(1);
  });

  test('the frame log tells pickup, flush, present, release and vblank', () => {
    const rig = withBlob({ periodNs: 10_000 });
    rig.clock.advance(5000);
    rig.transfer(2);
    rig.clock.advance(100);
    rig.flush(2, { fenced: true });
    rig.advance(6000);
    const { cells } = rig.log;
    const row = rig.log.row(0, 0);
    expect(cells[row + FrameColumn.flush]).toBe(5100);
    expect(cells[row + FrameColumn.present]).toBe(10_000);
    expect(cells[row + FrameColumn.release]).toBe(11_000);
    expect(cells[row + FrameColumn.vblank]).toBe(2);
  });

  test('UNREF while the sink holds it: OK, scanout disabled, freed at the last release (hostile-guest 52, 53)', () => {
    const rig = new Rig({ scanoutNs: 1000, udmabuf: { listLimit: 1, sizeLimitMb: 64 } });
    rig.createBlob(2, scattered(HIGH + PIXELS, 4));
    expect(rig.device.budgetUsed).toBe(16384);
    rig.setScanoutBlob(0, 2);
    rig.flush(2, { fenced: true });
    expect(rig.unref(2)).toBe(OK);
    expect(rig.unref(2)).toBe(Response.ERR_INVALID_RESOURCE_ID);
    expect(rig.device.budgetUsed).toBe(16384);
    rig.advance(1000);
    expect(rig.device.budgetUsed).toBe(0);
    expect(rig.images.size).toBe(0);
  });
});

describe('import', () => {
  test("one VFIO device's region becomes a VFIO dma-buf", () => {
    const rig = new Rig();
    expect(rig.createBlob(2, scattered(BAR + PIXELS, 4))).toBe(OK);
    expect(rig.vfio[0].exported).toHaveLength(1);
    expect(rig.device.fallbacks).toEqual([]);
    expect(rig.unref(2)).toBe(OK);
    expect(rig.vfio[0].exported).toHaveLength(0);
  });

  test("frames of a device's memory are counted among the imported ones, and apart; those of RAM and of the host's copies are not", () => {
    const rig = new Rig({ udmabuf: { listLimit: 1, sizeLimitMb: 64 } });
    rig.createBlob(2, frame(BAR + PIXELS));
    rig.createBlob(3, frame(HIGH + PIXELS));
    rig.createBlob(4, scattered(HIGH + PIXELS, 4));
    const counted: number[][] = [];
    for (const resource of [2, 3, 4]) {
      rig.setScanoutBlob(0, resource);
      rig.flush(resource, { fenced: true });
      rig.advance(1000);
      counted.push([rig.counters.get(Counter.framesImported), rig.counters.get(Counter.framesImportedFromDevice)]);
    }
    expect(counted).toEqual([
      [1, 1],
      [2, 1],
      [2, 1],
    ]);
  });

  test('past list_limit the host keeps a copy that FLUSH refreshes, and names the limit', () => {
    const rig = new Rig({ udmabuf: { listLimit: 3, sizeLimitMb: 64 } });
    expect(rig.createBlob(2, scattered(HIGH + PIXELS, 4))).toBe(OK);
    expect(rig.device.fallbacks).toEqual([{ resourceId: 2, reason: 'udmabuf list_limit 3 < 4 entries' }]);
    expect(rig.setScanoutBlob(0, 2, { width: 32, height: 32, x: 16, y: 16 })).toBe(OK);
    rig.regions[1].u32[(PIXELS + 8192 + 16 * 4) / 4] = 0xabcdef; // x 16, y 16: the second page's first row
    expect(rig.flush(2, { fenced: true })).toBe(OK);
    expect(rig.ledger.bytesCopied(CopyStage.fallback)).toBe(32 * 32 * 4);
    expect([...rig.images][0].u32[16 * 64 + 16]).toBe(0xabcdef);
    expect(rig.detach(2)).toBe(OK);
    expect(rig.device.budgetUsed).toBe(0);
  });

  test('past size_limit_mb the reason names that', () => {
    const rig = new Rig({ udmabuf: { listLimit: 1024, sizeLimitMb: 1 } });
    expect(rig.createBlob(2, [{ address: HIGH + PIXELS, length: 2 * MIB }])).toBe(OK);
    expect(rig.device.fallbacks[0].reason).toBe('udmabuf size_limit_mb 1 < 2 MiB');
  });

  test("entries of RAM and a device, or of two devices, are no one's dma-buf", () => {
    for (const entries of [
      [...frame(BAR + PIXELS), ...frame(HIGH + PIXELS)],
      [...frame(BAR), ...frame(2 * BAR)],
    ]) {
      const copy = new Rig();
      expect(copy.createBlob(2, entries)).toBe(OK);
      expect(copy.device.fallbacks[0].reason).toBe('entries lie in more than one region, the first in gpu0');
      const error = new Rig({ policy: 'error' });
      expect(error.createBlob(2, entries)).toBe(Response.ERR_UNSPEC);
      expect(error.device.resourceCount).toBe(0);
    }
  });

  test('several memfds in one udmabuf are legitimate', () => {
    const rig = new Rig({ policy: 'error' });
    expect(rig.createBlob(2, [...frame(PIXELS), ...frame(HIGH + PIXELS)])).toBe(OK);
  });

  test('a single entry below one page is used as it is', () => {
    const rig = new Rig({ policy: 'error' });
    expect(rig.createBlob(2, [{ address: HIGH + PIXELS + 64, length: 2048 }])).toBe(OK);
    expect(rig.device.fallbacks).toEqual([]);
  });

  test('qemu-10.2: a failed udmabuf is silent, then SET_SCANOUT_BLOB, TRANSFER and DETACH answer UNSPEC (virtio-gpu §3)', () => {
    const rig = new Rig({ profile: 'qemu-10.2', policy: 'error', udmabuf: { listLimit: 1, sizeLimitMb: 64 } });
    expect(rig.createBlob(2, scattered(HIGH + PIXELS, 4))).toBe(OK);
    expect(rig.setScanoutBlob(0, 2)).toBe(Response.ERR_UNSPEC);
    expect(rig.transfer(2)).toBe(Response.ERR_UNSPEC);
    expect(rig.detach(2)).toBe(Response.ERR_UNSPEC);
  });

  test('qemu-10.2: after DETACH the scanout goes on showing the closed buffer, and ATTACH rebuilds no dma-buf', () => {
    const rig = new Rig({ profile: 'qemu-10.2', policy: 'error' });
    rig.createBlob(2, frame(HIGH + PIXELS));
    rig.setScanoutBlob(0, 2);
    expect(rig.detach(2, true)).toBe(OK);
    expect(rig.flush(2, { fenced: true })).toBe(OK);
    expect(rig.attach(2, frame(HIGH + PIXELS + MIB))).toBe(OK);
    expect(rig.counters.get(Counter.imports)).toBe(1);
    expect(rig.flush(2, { fenced: true })).toBe(OK);
  });

  test.each([
    ["a VFIO device's region", BAR, 2],
    ['RAM', HIGH, 1],
  ])('%s leaves: FLUSH answers UNSPEC until ATTACH after its return', (_name, base, region) => {
    const rig = new Rig({ scanoutNs: 1000 });
    rig.createBlob(2, frame(base + PIXELS));
    rig.setScanoutBlob(0, 2);
    const shown = rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 2), { fenced: true });
    rig.run();
    rig.registers.presentMask = 0b1111 & ~(1 << region);
    const generation = rig.registers.bumpTableGeneration();
    rig.run();
    expect(rig.registers.hostTableGeneration).toBe(generation);
    expect(rig.answers.get(shown)?.type).toBe(OK);
    expect(rig.flush(2, { fenced: true })).toBe(Response.ERR_UNSPEC);
    expect(rig.attach(2, frame(base + PIXELS))).toBe(Response.ERR_UNSPEC);
    expect(rig.detach(2)).toBe(OK);
    rig.device.setRegionPresent(region, true);
    expect(rig.attach(2, frame(base + PIXELS))).toBe(OK);
    rig.flush(2, { fenced: true });
    rig.advance(1000);
    expect(rig.counters.get(Counter.framesPresented)).toBe(2);
    expect(rig.unref(2)).toBe(OK);
    expect(rig.vfio[0].exported).toHaveLength(0);
  });
});

describe('hostService', () => {
  /** A clock on which every read takes 10 ns. */
  class TickingClock {
    readonly slot = new Float64Array(1);
    now = 0;
    read(): void {
      this.now += 10;
      this.slot[0] = this.now;
    }
  }

  test('every nanosecond of polls that progressed belongs to exactly one frame', () => {
    const clock = new TickingClock();
    const rig = new Rig({ clock, heads: 2 });
    rig.createBlob(2, frame(HIGH + PIXELS));
    rig.createBlob(3, frame(HIGH + PIXELS + MIB));
    rig.setScanoutBlob(0, 2);
    rig.setScanoutBlob(1, 3);
    for (let i = 0; i < 5; i++) {
      rig.flush(2, { fenced: true });
      rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 2), { fenced: true });
      rig.post((w, at) => writeFlush(w, at, 0, 0, 64, 64, 3), { fenced: true });
      rig.run();
    }
    let charged = 0;
    for (const [head, frames] of [
      [0, 10],
      [1, 5],
    ]) {
      for (let i = 0; i < frames; i++) {
        const ns = rig.log.cells[rig.log.row(head, i) + FrameColumn.hostService];
        expect(ns).toBeGreaterThan(0);
        charged += ns;
      }
    }
    expect(charged).toBeCloseTo(rig.device.serviceNs, 3);
    // All reads but those of polls' first were inside a measured poll.
    expect(charged).toBeLessThan(clock.now);
  });
});

test('a region that leaves takes no answer with it: a waiting request in it ends the device or is answered, never a crash', () => {
  const rig = new Rig({ scanoutNs: 1000, features: BASE_FEATURES });
  rig.create2d(2);
  rig.attach(2, frame(HIGH + PIXELS));
  rig.setScanout(0, 2);
  rig.flush(2);
  rig.post((w, at) => writeTransfer(w, at, 0, 0, 64, 64, 0, 0, 2));
  rig.run();
  rig.device.setRegionPresent(0, false);
  rig.clock.advance(1000);
  expect(() => {
    while (rig.device.poll());
  }).not.toThrow();
});

test('a resource that the sink reads on after its flush was answered is destroyed when the sink has been made to stop', () => {
  const rig = withBlob();
  const stop = vi.spyOn(rig.sink, 'stop');
  expect(rig.flush(2)).toBe(0);
  rig.advance(1000);
  rig.run();
  vi.spyOn(rig.sink, 'holds').mockImplementation((id) => id === 2 || id === 3);
  // It was never shown: what is held is another one that had its id.
  expect([rig.unref(3), stop.mock.calls]).toEqual([OK, []]);
  expect([rig.unref(2), stop.mock.calls]).toEqual([OK, [[2]]]);
});
