import { getHeapStatistics } from 'node:v8';
import { expect, test } from 'vitest';
import type { Attachment, DmaBuf } from '../../../core/dmabuf/dma-buf.ts';
import type { Result } from '../../../core/dmabuf/errno.ts';
import { Fence } from '../../../core/dmabuf/fence.ts';
import { PassthroughGpu } from '../../../core/dmabuf/gpu.ts';
import { FenceUsage } from '../../../core/dmabuf/reservation.ts';
import { createUdmabufList, Memfd } from '../../../core/dmabuf/udmabuf.ts';
import { VfioDevice } from '../../../core/dmabuf/vfio.ts';
import { PageAllocator } from '../../../core/memory/allocator.ts';
import { Copier, copyKernels } from '../../../core/memory/copier.ts';
import { Ledger } from '../../../core/memory/ledger.ts';
import { Random } from '../../../core/memory/random.ts';
import { bar, dynamicImporter, must, PAGE, ram } from './fixtures.ts';

const PAGES_4K = 8100;

/** The least of several windows: a collection or the compiler may fall into one of them. */
function leastBytes(windows: number, run: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < windows; i++) {
    const before = getHeapStatistics().used_heap_size;
    const ready = getHeapStatistics().used_heap_size;
    run();
    const bytes = getHeapStatistics().used_heap_size - ready - (ready - before);
    if (bytes >= 0) least = Math.min(least, bytes);
  }
  return least;
}

function frames(count: number, dmabuf: DmaBuf, attachment: Attachment, fence: Fence): void {
  const resv = dmabuf.resv;
  for (let i = 0; i < count; i++) {
    resv.lock();
    if (!attachment.pin().ok) throw new Error('not pinned');
    fence.reset(fence.seqno + 1);
    resv.addFence(fence, FenceUsage.WRITE);
    resv.unlock();
    fence.signal();
    resv.lock();
    attachment.unpin();
    resv.unlock();
  }
}

test("a frame's lock, pin, fence, unlock, signal, lock, unpin, unlock allocate nothing", () => {
  const random = new Random(1);
  const vram = new PageAllocator(bar(64), 0, random);
  const system = new PageAllocator(ram(64), 0, random);
  const gpu = new PassthroughGpu({ name: 'gpu0', vram, system, vramBudget: 64 * PAGE, copier: new Copier(copyKernels()[0], new Ledger()) });
  const dmabuf = must(gpu.createBuffer(8 * PAGE, 'vram', '4k')).export();
  const attachment = must(dmabuf.attach(dynamicImporter()));
  const fence = new Fence(1);
  fence.signal();
  frames(100_000, dmabuf, attachment, fence);
  frames(100_000, dmabuf, attachment, fence);
  expect(leastBytes(5, () => frames(10_000, dmabuf, attachment, fence))).toBeLessThan(4096);
});

test.each(['udmabuf', 'vfio'])('once warm, a %s of 8100 scattered pages allocates little more than its own object', (kind) => {
  const region = bar(2 * PAGES_4K);
  const index = new Int32Array(PAGES_4K);
  const offset = new Float64Array(PAGES_4K).map((_, i) => ((i * 7919 * 2) % (2 * PAGES_4K)) * PAGE);
  const size = new Float64Array(PAGES_4K).fill(PAGE);
  const memfds = [new Memfd(region)];
  const limits = { listLimit: 8192, sizeLimitMb: 64 };
  const vfio = new VfioDevice('gpu0');
  vfio.addRegion(0, region);
  const create = (): Result<DmaBuf> =>
    kind === 'udmabuf'
      ? createUdmabufList(limits, memfds, index, offset, size, PAGES_4K)
      : vfio.featureDmaBufList(0, 0, 0, offset, size, PAGES_4K);
  const once = (): void => {
    const dmabuf = must(create());
    if (dmabuf.pages.count !== PAGES_4K) throw new Error(`${dmabuf.pages.count} segments`);
    dmabuf.put();
  };
  for (let i = 0; i < 20; i++) once();
  expect(leastBytes(10, once)).toBeLessThan(16_384);
});
