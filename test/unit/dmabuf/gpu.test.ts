import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DmaBuf, type Importer } from '../../../core/dmabuf/dma-buf.ts';
import { LockError, UseAfterFreeError } from '../../../core/dmabuf/errors.ts';
import { Fence } from '../../../core/dmabuf/fence.ts';
import { type GpuBuffer, PassthroughGpu } from '../../../core/dmabuf/gpu.ts';
import { FenceUsage } from '../../../core/dmabuf/reservation.ts';
import type { Wait } from '../../../core/dmabuf/wait.ts';
import { PageAllocator } from '../../../core/memory/allocator.ts';
import { Copier, copyKernels } from '../../../core/memory/copier.ts';
import { CopyStage, Ledger } from '../../../core/memory/ledger.ts';
import { Random } from '../../../core/memory/random.ts';
import type { SegmentList } from '../../../core/memory/segments.ts';
import { bar, dynamicImporter, errnoOf, must, PAGE, ram, segments, staticImporter } from './fixtures.ts';

function setUp(options: { vram?: number; system?: number; budget?: number; wait?: Wait } = {}) {
  const random = new Random(7);
  const ledger = new Ledger();
  const vram = new PageAllocator(bar(options.vram ?? 16), 0, random);
  const system = new PageAllocator(ram(options.system ?? 64), 0, random);
  const wait = options.wait === undefined ? {} : { wait: options.wait };
  const budget = options.budget ?? (options.vram ?? 16) * PAGE;
  const copier = new Copier(copyKernels()[0], ledger);
  const gpu = new PassthroughGpu({ name: 'gpu0', vram, system, vramBudget: budget, copier, random, ...wait });
  return { gpu, ledger, vram, system };
}

const vramBuffer = (gpu: PassthroughGpu, pages = 4): GpuBuffer => must(gpu.createBuffer(pages * PAGE, 'vram', '4k'));

function fill(buffer: GpuBuffer, seed: number): void {
  for (let i = 0; i < buffer.size; i += 4) write(buffer.pages, i, Math.imul(i + 1, seed | 1));
}
function write(pages: SegmentList, at: number, value: number): void {
  const segment = pages.find(at);
  pages.region[segment].i32[(pages.offset[segment] + at - pages.start[segment]) / 4] = value;
}
function read(pages: SegmentList, at: number): number {
  const segment = pages.find(at);
  return pages.region[segment].i32[(pages.offset[segment] + at - pages.start[segment]) / 4];
}
function holds(buffer: GpuBuffer, seed: number): boolean {
  for (let i = 0; i < buffer.size; i += 4) {
    if (read(buffer.pages, i) !== Math.imul(i + 1, seed | 1)) return false;
  }
  return true;
}
function locked<T>(buffer: GpuBuffer, run: () => T): T {
  buffer.resv.lock();
  const result = run();
  buffer.resv.unlock();
  return result;
}

describe('moving a buffer', () => {
  test('contents survive eviction and restoring, each charged once to migrate', () => {
    const { gpu, ledger, vram, system } = setUp();
    const buffer = vramBuffer(gpu);
    const dmabuf = buffer.export();
    fill(buffer, 99);
    expect(gpu.evict(buffer)).toEqual({ ok: true, value: 'moved' });
    expect([buffer.placement, buffer.generation, gpu.vramUsed, vram.freeBytes]).toEqual(['system', 1, 0, vram.totalBytes]);
    expect(buffer.pages.region[0].kind).toBe('ram');
    expect(dmabuf.pages).toBe(buffer.pages);
    expect(holds(buffer, 99)).toBe(true);
    expect(gpu.restore(buffer)).toEqual({ ok: true, value: 'moved' });
    expect([buffer.placement, buffer.generation, gpu.vramUsed, system.freeBytes]).toEqual(['vram', 2, buffer.size, system.totalBytes]);
    expect(holds(buffer, 99)).toBe(true);
    expect([ledger.copies(CopyStage.migrate), ledger.bytesCopied(CopyStage.migrate)]).toEqual([2, 2 * buffer.size]);
  });

  test('a buffer that lies there already does not move', () => {
    const { gpu, ledger } = setUp();
    expect(gpu.restore(vramBuffer(gpu))).toEqual({ ok: true, value: 'already' });
    expect(ledger.copies(CopyStage.migrate)).toBe(0);
  });

  test('a pinned buffer refuses to move and nobody is told', () => {
    const { gpu, ledger } = setUp();
    const buffer = vramBuffer(gpu);
    const attachment = must(buffer.export().attach(dynamicImporter(() => expect.unreachable())));
    locked(buffer, () => must(attachment.pin()));
    expect(errnoOf(gpu.evict(buffer))).toBe('EBUSY');
    expect([buffer.placement, buffer.generation, buffer.resv.held, ledger.copies(CopyStage.migrate)]).toEqual(['vram', 0, false, 0]);
    locked(buffer, () => attachment.unpin());
  });

  test('move_notify comes first, then the wait for BOOKKEEP fences with the lock held, then the copy', () => {
    const log: string[] = [];
    const fence = new Fence(1, 1);
    const { gpu, ledger } = setUp({
      wait: (done) => {
        log.push(`wait, held ${buffer.resv.held}, copies ${ledger.copies(CopyStage.migrate)}, done ${done()}`);
        expect(buffer.resv.tryLock()).toBe(false);
        fence.signal();
      },
    });
    const buffer: GpuBuffer = vramBuffer(gpu);
    const attachment = must(
      buffer.export().attach(
        dynamicImporter((own) => {
          log.push(`move_notify, held ${buffer.resv.held}, copies ${ledger.copies(CopyStage.migrate)}`);
          own.unmap();
        }),
      ),
    );
    locked(buffer, () => {
      must(attachment.map());
      buffer.resv.addFence(fence, FenceUsage.BOOKKEEP);
    });
    must(gpu.evict(buffer));
    expect(log).toEqual(['move_notify, held true, copies 0', 'wait, held true, copies 0, done false']);
    const table = must(locked(buffer, () => attachment.map()));
    expect(table.address[0]).toBe(buffer.pages.region[0].gpa + buffer.pages.offset[0]);
  });

  test('an importer may wait inside move_notify, the lock held, while the other side signals', () => {
    const { gpu } = setUp();
    const buffer = vramBuffer(gpu);
    const detach = new Fence(1, 1);
    const pump = (): void => detach.signal();
    const attachment = must(
      buffer.export().attach(
        dynamicImporter((own) => {
          buffer.resv.addFence(detach, FenceUsage.BOOKKEEP);
          while (!buffer.resv.idle(FenceUsage.BOOKKEEP)) pump();
          own.unmap();
        }),
      ),
    );
    locked(buffer, () => must(attachment.map()));
    expect(errnoOf(gpu.evict(buffer))).toBe('ok');
  });

  test.each([
    ['a fence that never ends', (buffer: GpuBuffer) => buffer.resv.addFence(new Fence(1, 1), FenceUsage.BOOKKEEP)],
    ['a mapping that stays', (buffer: GpuBuffer) => must(buffer.dmabuf?.attachments[0].map() ?? { ok: false, errno: 'EBADF', why: '' })],
  ])('%s makes the move fail and leaves the buffer where it was', (_, occupy) => {
    const { gpu, system, ledger } = setUp();
    const buffer = vramBuffer(gpu);
    must(buffer.export().attach(dynamicImporter()));
    locked(buffer, () => occupy(buffer));
    expect(errnoOf(gpu.evict(buffer))).toBe('EBUSY');
    expect([buffer.placement, buffer.generation, buffer.resv.held]).toEqual(['vram', 0, false]);
    expect([system.freeBytes, ledger.copies(CopyStage.migrate)]).toEqual([system.totalBytes, 0]);
  });

  test('a buffer pinned while the move waited does not move', () => {
    const fence = new Fence(1, 1);
    const { gpu } = setUp({
      wait: () => {
        fence.signal();
        must(attachment.pin());
      },
    });
    const buffer = vramBuffer(gpu);
    const attachment = must(buffer.export().attach(dynamicImporter()));
    locked(buffer, () => buffer.resv.addFence(fence, FenceUsage.WRITE));
    expect(errnoOf(gpu.evict(buffer))).toBe('EBUSY');
  });

  test('without room in system memory eviction answers ENOMEM before anybody is told', () => {
    const { gpu } = setUp({ system: 3 });
    const buffer = vramBuffer(gpu);
    must(buffer.export().attach(dynamicImporter(() => expect.unreachable())));
    expect(errnoOf(gpu.evict(buffer))).toBe('ENOMEM');
  });

  test('moving a buffer whose reservation the caller holds throws', () => {
    const { gpu } = setUp();
    const buffer = vramBuffer(gpu);
    buffer.resv.lock();
    expect(() => gpu.evict(buffer)).toThrow(LockError);
  });
});

describe('budget', () => {
  test('the least recently used buffer makes room; rendering, pinning and mapping are uses', () => {
    const { gpu } = setUp({ budget: 12 * PAGE });
    const [a, b, c] = [vramBuffer(gpu), vramBuffer(gpu), vramBuffer(gpu)];
    const attachment = must(a.export().attach(dynamicImporter()));
    locked(a, () => {
      must(attachment.pin());
      attachment.unpin();
    });
    gpu.touch(b);
    const d = vramBuffer(gpu);
    expect([a, b, c, d].map((buffer) => buffer.placement)).toEqual(['vram', 'vram', 'system', 'vram']);
    expect(gpu.vramUsed).toBe(12 * PAGE);
    vramBuffer(gpu);
    expect([a, b].map((buffer) => buffer.placement)).toEqual(['system', 'vram']);
  });

  test('pinned, locked and busy buffers are passed over', () => {
    const { gpu } = setUp({ budget: 16 * PAGE });
    const [pinned, held, busy, free] = [vramBuffer(gpu), vramBuffer(gpu), vramBuffer(gpu), vramBuffer(gpu)];
    const attachment = must(pinned.export().attach(dynamicImporter()));
    locked(pinned, () => must(attachment.pin()));
    locked(busy, () => busy.resv.addFence(new Fence(1, 1), FenceUsage.READ));
    held.resv.lock();
    expect(vramBuffer(gpu).placement).toBe('vram');
    expect([pinned, held, busy, free].map((buffer) => buffer.placement)).toEqual(['vram', 'vram', 'vram', 'system']);
    expect(held.resv.held).toBe(true);
  });

  test('when nothing can be evicted a new buffer falls back to system memory', () => {
    const { gpu } = setUp({ budget: 4 * PAGE });
    const pinned = vramBuffer(gpu);
    const attachment = must(pinned.export().attach(dynamicImporter()));
    locked(pinned, () => must(attachment.pin()));
    expect(vramBuffer(gpu).placement).toBe('system');
    expect(pinned.placement).toBe('vram');
  });

  test('a buffer larger than the budget evicts nobody', () => {
    const { gpu } = setUp({ budget: 4 * PAGE });
    const resident = vramBuffer(gpu);
    expect(vramBuffer(gpu, 5).placement).toBe('system');
    expect(resident.placement).toBe('vram');
  });

  test('restoring makes room too, and answers ENOSPC when it cannot', () => {
    const { gpu } = setUp({ budget: 4 * PAGE });
    const [a, b] = [vramBuffer(gpu), vramBuffer(gpu)];
    expect([a.placement, b.placement]).toEqual(['system', 'vram']);
    must(gpu.restore(a));
    expect([a.placement, b.placement]).toEqual(['vram', 'system']);
    const attachment = must(a.export().attach(dynamicImporter()));
    locked(a, () => must(attachment.pin()));
    expect(errnoOf(gpu.restore(b))).toBe('ENOSPC');
  });

  test('without room anywhere creating answers ENOMEM and takes nothing', () => {
    const { gpu, system } = setUp({ budget: 0, system: 4 });
    expect(errnoOf(gpu.createBuffer(5 * PAGE, 'vram', '4k'))).toBe('ENOMEM');
    expect([system.freeBytes, gpu.buffers.length]).toEqual([4 * PAGE, 0]);
    expect(() => gpu.createBuffer(0, 'vram', '4k')).toThrow(RangeError);
  });

  test('a GPU without memory of its own places everything in system memory', () => {
    const system = new PageAllocator(ram(8), 0, new Random(1));
    const gpu = new PassthroughGpu({ name: 'igpu', vram: null, system, vramBudget: 0, copier: new Copier(copyKernels()[0], new Ledger()) });
    expect(vramBuffer(gpu).placement).toBe('system');
  });
});

describe('importers that do not reach VRAM (virtio-gpu §2)', () => {
  const ramOnly: Importer = { name: 'ram only', allowPeer2peer: false, moveNotify: () => {} };

  test.each([ramOnly, staticImporter])('mapping for "$name" moves the buffer to system memory', (importer) => {
    const { gpu } = setUp();
    const buffer = vramBuffer(gpu);
    fill(buffer, 5);
    const attachment = must(buffer.export().attach(importer));
    const table = must(locked(buffer, () => attachment.map()));
    expect(buffer.placement).toBe('system');
    expect(table.address[0]).toBeLessThan(2 ** 30);
    expect(holds(buffer, 5)).toBe(true);
    locked(buffer, () => attachment.unmap());
    expect(errnoOf(gpu.restore(buffer))).toBe('EOPNOTSUPP');
  });

  test('such an importer cannot map what another has pinned in VRAM', () => {
    const { gpu } = setUp();
    const buffer = vramBuffer(gpu);
    const pinner = must(buffer.export().attach(dynamicImporter()));
    locked(buffer, () => must(pinner.pin()));
    const attachment = must(buffer.export().attach(ramOnly));
    expect(errnoOf(locked(buffer, () => attachment.map()))).toBe('EBUSY');
    expect(buffer.placement).toBe('vram');
  });
});

describe('life of a buffer', () => {
  test('exporting twice gives the same dma-buf with one more reference', () => {
    const { gpu } = setUp();
    const buffer = vramBuffer(gpu);
    const first = buffer.export();
    expect(buffer.export()).toBe(first);
    expect([first.refcount, first.resv, first.exporter]).toEqual([2, buffer.resv, gpu.ops]);
    first.put();
    first.put();
    expect(buffer.export()).not.toBe(first);
  });

  test.each(['handle', 'dma-buf'])('the memory stays until both are gone, the %s first', (order) => {
    const { gpu, vram } = setUp();
    const buffer = vramBuffer(gpu);
    const dmabuf = buffer.export();
    const steps = [() => buffer.destroy(), () => dmabuf.put()];
    if (order === 'dma-buf') steps.reverse();
    steps[0]();
    expect(vram.freeBytes).toBe(vram.totalBytes - buffer.size);
    steps[1]();
    expect([vram.freeBytes, gpu.vramUsed, gpu.buffers.length]).toEqual([vram.totalBytes, 0, 0]);
    expect(() => buffer.destroy()).toThrow(UseAfterFreeError);
    expect(() => buffer.export()).toThrow(UseAfterFreeError);
  });

  test('memory with a fence pending is not given to the next buffer before it ends', () => {
    const { gpu, vram } = setUp({ budget: 4 * PAGE });
    const buffer = vramBuffer(gpu);
    const fence = new Fence(1, 1);
    locked(buffer, () => buffer.resv.addFence(fence, FenceUsage.READ));
    buffer.destroy();
    expect(vram.freeBytes).toBe(vram.totalBytes - buffer.size);
    const fallback = vramBuffer(gpu);
    expect(fallback.placement).toBe('system');
    fence.signal();
    expect(vramBuffer(gpu).placement).toBe('vram');
  });

  test('any sequence of creating, moving, pinning and destroying keeps contents and accounts', () => {
    const action = fc.constantFrom('create', 'evict', 'restore', 'pin', 'unpin', 'destroy');
    const step = fc.record({ action, which: fc.nat(5), pages: fc.integer({ min: 1, max: 6 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { gpu, vram, system } = setUp({ vram: 16, system: 48, budget: 14 * PAGE });
        const live: { buffer: GpuBuffer; seed: number }[] = [];
        let seed = 1;
        for (const { action, which, pages } of steps) {
          const entry = live[which];
          if (action === 'create') {
            const made = gpu.createBuffer(pages * PAGE, 'vram', '4k');
            if (!made.ok) continue;
            must(made.value.export().attach(dynamicImporter()));
            seed += 2;
            live.push({ buffer: made.value, seed });
            fill(made.value, seed);
          } else if (entry !== undefined) {
            const { buffer } = entry;
            const dmabuf = buffer.dmabuf ?? expect.unreachable();
            const own = dmabuf.attachments[0];
            if (action === 'evict') gpu.evict(buffer);
            if (action === 'restore') gpu.restore(buffer);
            if (action === 'pin') locked(buffer, () => must(own.pin()));
            if (action === 'unpin' && own.pins > 0) locked(buffer, () => own.unpin());
            if (action === 'destroy') {
              dmabuf.reap(own);
              buffer.destroy();
              dmabuf.put();
              live.splice(which, 1);
            }
          }
          for (const { buffer, seed: expected } of live) expect(holds(buffer, expected)).toBe(true);
          const used = (placement: string) => live.reduce((sum, { buffer }) => sum + (buffer.placement === placement ? buffer.size : 0), 0);
          expect([vram.totalBytes - vram.freeBytes, system.totalBytes - system.freeBytes]).toEqual([used('vram'), used('system')]);
          expect(gpu.vramUsed).toBe(used('vram'));
          expect(gpu.vramUsed).toBeLessThanOrEqual(gpu.vramBudget);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('what a GPU refuses', () => {
  test.each([0, -1, 1.5, Number.NaN])('a buffer of %s bytes', (bytes) => {
    expect(() => setUp().gpu.createBuffer(bytes, 'system', '4k')).toThrow(new RangeError(`gpu0: a buffer of ${bytes} bytes`));
  });

  test('VRAM for a buffer larger than all of it, whatever the budget: nobody is evicted for it', () => {
    const { gpu } = setUp({ vram: 8, budget: 64 * PAGE });
    const small = vramBuffer(gpu, 4);
    expect(vramBuffer(gpu, 16).placement).toBe('system');
    expect(small.placement).toBe('vram');
  });

  test('VRAM where it has none: the buffer lies in system memory', () => {
    const system = new PageAllocator(ram(64), 0, new Random(7));
    const copier = new Copier(copyKernels()[0], new Ledger());
    const gpu = new PassthroughGpu({ name: 'gpu0', vram: null, system, vramBudget: 64 * PAGE, copier });
    expect(vramBuffer(gpu).placement).toBe('system');
  });

  test('a dma-buf that it did not export', () => {
    const { gpu } = setUp();
    const foreign = new DmaBuf(gpu.ops, PAGE, segments(ram(1), 0));
    const attachment = must(foreign.attach(dynamicImporter()));
    foreign.resv.lock();
    expect(() => attachment.pin()).toThrow(/did not export/);
  });

  test('to destroy a buffer under its own lock', () => {
    const buffer = vramBuffer(setUp().gpu);
    buffer.resv.lock();
    expect(() => buffer.destroy()).toThrow(LockError);
    buffer.resv.unlock();
    expect(() => buffer.destroy()).not.toThrow();
  });
});
