/** Benchmarks of core/memory: coalescing, look-up, copying. */
import { MonotonicClock, monotonicNowNs } from '../../core/measure/clock.ts';
import { AddressSpace } from '../../core/memory/address-space.ts';
import { Copier, pickCopyKernel } from '../../core/memory/copier.ts';
import { CopyStage, Ledger } from '../../core/memory/ledger.ts';
import { SegmentList } from '../../core/memory/segments.ts';
import type { MicroBenchmark, Work } from './benchmark.ts';
import { FRAME_PAGES, frameRuns, PAGE, ramRegion, SEGMENT_COUNTS } from './frames.ts';

/** Copied sizes, bytes. */
const COPY_SIZES: readonly (readonly [name: string, bytes: number])[] = [
  ['4-KiB', 4096],
  ['64-KiB', 65536],
  ['1-MiB', 1 << 20],
  ['1080p', 1920 * 1080 * 4],
  ['4K', 3840 * 2160 * 4],
];
/** Guest-physical addresses of the regions looked through: RAM below the hole, RAM above it, a BAR. */
const REGION_BASES = [0, 0x1_0000_0000, 0x40_0000_0000] as const;

export const MEMORY_BENCHMARKS: readonly MicroBenchmark[] = [
  ...SEGMENT_COUNTS.map((count) => single(`memory/coalesce/segments-${count}`, () => coalesce(count))),
  ...SEGMENT_COUNTS.map((count) => single(`memory/translate/segments-${count}`, () => translate(count))),
  ...SEGMENT_COUNTS.map((count) => single(`memory/find/segments-${count}`, () => find(count))),
  ...COPY_SIZES.map(([name, bytes]) => single(`memory/copy/${name}`, () => copy(bytes, 1))),
  single(`memory/copy/4K/segments-${FRAME_PAGES}`, () => copy(FRAME_PAGES * PAGE, FRAME_PAGES)),
];

function single(name: string, work: () => Work): MicroBenchmark {
  return { name, unit: 'ns/call', limit: null, threads: 1, setUp: () => ({ run: work() }) };
}

/** The pages of a 4K frame, one by one, become a list of `segments`. */
function coalesce(segments: number): Work {
  const { region, pages } = frameRuns(segments);
  const list = new SegmentList(segments);
  return (count) => {
    for (let i = 0; i < count; i++) {
      list.clear();
      for (let page = 0; page < FRAME_PAGES; page++) list.append(region, pages[page] * PAGE, PAGE);
    }
    if (list.count !== segments) throw new Error(`${list.count} segments, not ${segments}`);
  };
}

/** The region of every entry of a list is looked up, as the host does with memory entries. */
function translate(segments: number): Work {
  const space = new AddressSpace();
  REGION_BASES.forEach((gpa, id) => void space.add(ramRegion(segments * 2, id, gpa)));
  const address = Float64Array.from({ length: segments }, (_, i) => REGION_BASES[i % REGION_BASES.length] + 2 * i * PAGE);
  return (count) => {
    for (let i = 0; i < count; i++) {
      for (let entry = 0; entry < segments; entry++) {
        if (!space.translate(address[entry], PAGE)) throw new Error('an entry is not in memory');
      }
    }
  };
}

/** The segment of one byte of a 4K frame. */
function find(segments: number): Work {
  const { region, pages } = frameRuns(segments);
  const list = new SegmentList(segments);
  for (let page = 0; page < FRAME_PAGES; page++) list.append(region, pages[page] * PAGE, PAGE);
  let at = 0;
  let sum = 0;
  return (count) => {
    for (let i = 0; i < count; i++) {
      // A step that is coprime to the length visits everywhere.
      at += 15_485_863;
      if (at >= list.length) at -= list.length;
      sum += list.find(at);
    }
    if (sum < 0) throw new Error('never');
  };
}

/** @param segments of the source, a multiple of pages each */
function copy(bytes: number, segments: number): Work {
  const pages = Math.ceil(bytes / PAGE);
  const to = new SegmentList(1);
  to.append(ramRegion(pages, 1), 0, pages * PAGE);
  const source = ramRegion(2 * pages, 0);
  const from = new SegmentList(segments);
  const run = pages / segments;
  for (let i = 0; i < segments; i++) from.append(source, (segments === 1 ? 0 : 2 * i * run) * PAGE, run * PAGE);
  // Pages are made at first touch.
  source.u8.fill(1);
  to.region[0].u8.fill(2);
  const { kernel } = pickCopyKernel(new MonotonicClock(monotonicNowNs()));
  const copier = new Copier(kernel, new Ledger());
  return (count) => {
    for (let i = 0; i < count; i++) copier.copy(to, 0, from, 0, bytes, CopyStage.transfer);
  };
}
