/**
 * The copier against C memcpy, on the same pages: 4K frames in shared memory, copied in turns. One measurement
 * of each decides nothing here (single ratios scatter by a factor of two on a busy machine), so the ratio is
 * the median over pairs, with an interval.
 */
import { setImmediate } from 'node:timers/promises';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import type { CopyKernel } from '../../core/memory/copier.ts';
import { createSharedMemory, MemoryRegion } from '../../core/memory/region.ts';
import type { Measured } from './available.ts';
import { type MedianInterval, median, medianInterval } from './bootstrap.ts';
import type { Libc } from './libc.ts';

const FRAME_4K = 3840 * 2160 * 4;
export const MIN_PAIRS = 30;
const MAX_PAIRS = 400;
const WARM_UP = 3;

export interface CopyComparison {
  /** 10^9 bytes a second, median. */
  jsCopyGBps: number;
  memcpy: Measured<{ gigabytesPerSecond: number; jsToMemcpy: MedianInterval & { pairs: number } }>;
}

/**
 * @param seconds after this much time no further pair is begun, once there are `MIN_PAIRS`
 * @param bytes of a buffer
 */
export async function compareCopies(
  kernel: CopyKernel,
  libc: Measured<Libc>,
  seconds: number,
  signal?: AbortSignal,
  bytes: number = FRAME_4K,
): Promise<CopyComparison> {
  const to = frame(0, bytes);
  const from = frame(1, bytes);
  const js = () => kernel.copy(to, 0, from, 0, bytes);
  const c = 'value' in libc ? () => libc.value.memcpy(to.u8, from.u8, bytes) : null;
  for (let i = 0; i < WARM_UP; i++) {
    js();
    c?.();
  }
  const jsNs: number[] = [];
  const cNs: number[] = [];
  const end = monotonicNowNs() + seconds * 1e9;
  while (jsNs.length < MAX_PAIRS && (jsNs.length < MIN_PAIRS || monotonicNowNs() < end)) {
    signal?.throwIfAborted();
    // A B B A: what drifts during a pair favours neither.
    const jsFirst = jsNs.length % 2 === 0;
    if (jsFirst) jsNs.push(timed(js));
    if (c) cNs.push(timed(c));
    if (!jsFirst) jsNs.push(timed(js));
    await setImmediate();
  }
  const jsCopyGBps = bytes / median(jsNs);
  if (!('value' in libc)) return { jsCopyGBps, memcpy: libc };
  const jsToMemcpy = medianInterval(jsNs.map((ns, i) => cNs[i] / ns));
  return { jsCopyGBps, memcpy: { value: { gigabytesPerSecond: bytes / median(cNs), jsToMemcpy: { ...jsToMemcpy, pairs: jsNs.length } } } };
}

function timed(copy: () => void): number {
  const start = monotonicNowNs();
  copy();
  return Math.max(1, monotonicNowNs() - start);
}

/** A region with every page present. */
function frame(id: number, bytes: number): MemoryRegion {
  const memory = createSharedMemory(bytes);
  const region = new MemoryRegion({ id, name: `limits ${id}`, kind: 'ram', gpa: 0, size: bytes, device: null, bar: null, memory });
  region.u8.fill(id + 1);
  return region;
}
