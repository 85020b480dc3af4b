/** Every micro benchmark, in the order in which they are measured and listed. */
import { matchesGlob } from '../../reports/glob.ts';
import type { MicroBenchmark } from './benchmark.ts';
import { DECODE_BENCHMARKS } from './decode.ts';
import { DMABUF_BENCHMARKS } from './dmabuf.ts';
import { MEMORY_BENCHMARKS } from './memory.ts';
import { PEER_BENCHMARKS } from './peers.ts';
import { setUpRing } from './ring-driver.ts';
import { RING_WORKS, UNPADDED_WORKS } from './ring-work.ts';

const RING_BENCHMARKS: readonly MicroBenchmark[] = [...RING_WORKS].map(([name, work]) => ({
  name,
  unit: work.mode === 'throughput' ? 'ns/buffer' : 'ns/round trip',
  limit: `c/${name}`,
  threads: 2,
  setUp: (cpus) => setUpRing(work, cpus),
}));

const UNPADDED_BENCHMARKS: readonly MicroBenchmark[] = [...UNPADDED_WORKS].map(([name, work]) => ({
  name,
  unit: 'ns/buffer',
  limit: null,
  threads: 2,
  setUp: (cpus) => setUpRing(work, cpus),
}));

export const MICRO_BENCHMARKS: readonly MicroBenchmark[] = [
  ...RING_BENCHMARKS,
  ...UNPADDED_BENCHMARKS,
  ...PEER_BENCHMARKS,
  ...DECODE_BENCHMARKS,
  ...MEMORY_BENCHMARKS,
  ...DMABUF_BENCHMARKS,
];

/** @param glob `*` stands for any characters, `/` among them, `?` for one */
export function filterBenchmarks(glob: string): MicroBenchmark[] {
  return MICRO_BENCHMARKS.filter(({ name }) => matchesGlob(glob, name));
}
