import type { Clock } from '../measure/clock.ts';
import { type CopyKernel, copyKernels } from './copy-kernels.ts';
import { createSharedMemory, MemoryRegion } from './region.ts';

const FRAME_4K = 3840 * 2160 * 4;
const FRAME_1080P = 1920 * 1080 * 4;
const ROUNDS = 7;
/** A kernel takes an earlier one's place only by this much: on a busy machine smaller differences are chance. */
const CLEARLY = 0.95;
/** Measuring stops after the round in which this has passed. */
const BUDGET_NS = 100e6;
/** Rounds that are made whatever the time: one disturbed round must not decide. */
const LEAST_ROUNDS = 5;

/**
 * Measures the kernels in turns on a 4K and a 1080p frame and takes the one with the least time for both, an earlier one
 * where the difference is small.
 * A clock that stands still measures nothing: the first kernel is taken then and every rate is 0.
 * Making 66 MB of scratch pages present comes on top of the measurement and can take longer than it: measure once
 * a process, give others the name.
 * @returns the kernel, and each kernel's rate by its best round in bytes a nanosecond
 */
export function pickCopyKernel(
  clock: Clock,
  kernels: CopyKernel[] = copyKernels(),
): { kernel: CopyKernel; measured: { name: string; gigabytesPerSecond: number }[] } {
  if (kernels.length === 0) throw new RangeError('no copy kernel to pick from');
  const to = scratch(0, 'copier scratch: to');
  const from = scratch(1, 'copier scratch: from');
  const best4k = new Float64Array(kernels.length).fill(Number.POSITIVE_INFINITY);
  const best1080p = new Float64Array(kernels.length).fill(Number.POSITIVE_INFINITY);
  clock.read();
  const end = clock.slot[0] + BUDGET_NS;
  for (let round = 0; round < ROUNDS && (round < LEAST_ROUNDS || clock.slot[0] < end); round++) {
    for (let k = 0; k < kernels.length; k++) {
      // Forth and back: a machine that slows down meanwhile treats all alike.
      const i = round % 2 === 0 ? k : kernels.length - 1 - k;
      best4k[i] = Math.min(best4k[i], time(clock, kernels[i], to, from, FRAME_4K));
      best1080p[i] = Math.min(best1080p[i], time(clock, kernels[i], to, from, FRAME_1080P));
    }
  }
  const total = best4k.map((ns, i) => ns + best1080p[i]);
  let winner = 0;
  for (let i = 1; i < total.length; i++) if (total[i] < total[winner] * CLEARLY) winner = i;
  const measured = kernels.map(({ name }, i) => ({
    name,
    gigabytesPerSecond: total[i] > 0 ? (FRAME_4K + FRAME_1080P) / total[i] : 0,
  }));
  return { kernel: kernels[winner], measured };
}

function time(clock: Clock, kernel: CopyKernel, to: MemoryRegion, from: MemoryRegion, bytes: number): number {
  clock.read();
  const start = clock.slot[0];
  kernel.copy(to, 0, from, 0, bytes);
  clock.read();
  return clock.slot[0] - start;
}

/** A region with its pages present: unwritten ones would all read from one zero page. */
function scratch(id: number, name: string): MemoryRegion {
  const memory = createSharedMemory(FRAME_4K);
  const region = new MemoryRegion({ id, name, kind: 'ram', gpa: 0, size: FRAME_4K, device: null, bar: null, memory });
  region.u8.fill(id + 1);
  return region;
}
