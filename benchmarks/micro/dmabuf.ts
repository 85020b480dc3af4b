/** Benchmarks of core/dmabuf: making a udmabuf, and move_notify with what an importer does at it. */
import type { DmaBuf } from '../../core/dmabuf/dma-buf.ts';
import type { Result } from '../../core/dmabuf/errno.ts';
import { PassthroughGpu } from '../../core/dmabuf/gpu.ts';
import { createUdmabufList, Memfd, type UdmabufLimits } from '../../core/dmabuf/udmabuf.ts';
import { PageAllocator } from '../../core/memory/allocator.ts';
import { Copier, copyKernels } from '../../core/memory/copier.ts';
import { Ledger } from '../../core/memory/ledger.ts';
import { Random } from '../../core/memory/random.ts';
import type { MicroBenchmark, Work } from './benchmark.ts';
import { FRAME_PAGES, frameRuns, PAGE, ramRegion, SEGMENT_COUNTS } from './frames.ts';

const LIMITS: UdmabufLimits = { listLimit: FRAME_PAGES, sizeLimitMb: 64 };

export const DMABUF_BENCHMARKS: readonly MicroBenchmark[] = [
  ...SEGMENT_COUNTS.map((count) => single(`dmabuf/udmabuf-create/segments-${count}`, () => udmabuf(count))),
  single('dmabuf/move-notify/segments-1', () => moveNotify('contiguous')),
  single(`dmabuf/move-notify/segments-${FRAME_PAGES}`, () => moveNotify('4k')),
];

function single(name: string, work: () => Work): MicroBenchmark {
  return { name, unit: 'ns/call', limit: null, threads: 1, setUp: () => ({ run: work() }) };
}

/** A udmabuf over a 4K frame in `segments` items is made and released. */
function udmabuf(segments: number): Work {
  const { region, pages } = frameRuns(segments);
  const memfds = [new Memfd(region)];
  const index = new Int32Array(segments);
  const offset = new Float64Array(segments);
  const size = new Float64Array(segments);
  for (let page = 0, item = -1; page < FRAME_PAGES; page++) {
    if (page === 0 || pages[page] !== pages[page - 1] + 1) offset[++item] = pages[page] * PAGE;
    size[item] += PAGE;
  }
  return (count) => {
    for (let i = 0; i < count; i++) must(createUdmabufList(LIMITS, memfds, index, offset, size, segments)).put();
  };
}

/** A 4K frame's exporter gives notice of a move; its importer unmaps, and maps again afterwards. */
function moveNotify(layout: 'contiguous' | '4k'): Work {
  const system = new PageAllocator(ramRegion(2 * FRAME_PAGES), 0, new Random(1));
  const copier = new Copier(copyKernels()[0], new Ledger());
  const gpu = new PassthroughGpu({ name: 'gpu', vram: null, system, vramBudget: 0, copier });
  const dmabuf: DmaBuf = must(gpu.createBuffer(FRAME_PAGES * PAGE, 'system', layout)).export();
  const attachment = must(dmabuf.attach({ name: 'importer', allowPeer2peer: true, moveNotify: (told) => told.unmap() }));
  return (count) => {
    for (let i = 0; i < count; i++) {
      dmabuf.resv.lock();
      must(attachment.map());
      dmabuf.moveNotify();
      dmabuf.resv.unlock();
    }
  };
}

function must<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(`${result.errno}: ${result.why}`);
  return result.value;
}
