/** Whether a series of measurements grows. */
import { bootstrapInterval, hodgesLehmann, median, seededRandom } from '../../reports/index.ts';
import type { Growth, MemorySample, SeriesName } from './document.ts';

const MIB = 1024 * 1024;

/**
 * Growth over the judged part of a run that is still called flat. For the whole run, whatever its length: the longer the run, the
 * smaller the leak a round that is found. Heaps: code is compiled and caches fill for minutes. Native memory: as heaps.
 * The resident set: of the workers' semi-spaces, four of 64 MiB, as much as was ever touched, and pages of isolates that have ended
 * stay with V8 for a while; what is in use is judged by the series before. The address space: one memory of one machine that is left takes more than 8 GiB.
 */
export const SERIES: readonly {
  readonly name: SeriesName;
  readonly unit: Growth['unit'];
  readonly bound: number;
  readonly words: string;
}[] = [
  { name: 'heapBytes', unit: 'bytes', bound: 1 * MIB, words: 'heap, main' },
  { name: 'workerHeapBytes', unit: 'bytes', bound: 2 * MIB, words: 'heap, workers' },
  { name: 'externalBytes', unit: 'bytes', bound: 4 * MIB, words: 'external, main' },
  { name: 'workerExternalBytes', unit: 'bytes', bound: 4 * MIB, words: 'external, workers' },
  { name: 'nativeBytes', unit: 'bytes', bound: 4 * MIB, words: 'native' },
  { name: 'rssBytes', unit: 'bytes', bound: 256 * MIB, words: 'resident' },
  { name: 'mappedBytes', unit: 'bytes', bound: 4096 * MIB, words: 'address space' },
  { name: 'fds', unit: 'count', bound: 0.5, words: 'open files' },
  { name: 'threads', unit: 'count', bound: 0.5, words: 'threads' },
];

/** Samples left out at the start: an eighth, two at least. */
export const warmUpOf = (samples: number): number => Math.max(2, Math.ceil(samples / 8));
/** Fewer judged samples than this say nothing. */
export const LEAST_JUDGED = 8;

/** A long run's samples are first reduced to so many medians of neighbours: an interval of more costs seconds and says no more. */
const MOST_JUDGED = 60;

/**
 * Growth of evenly spaced samples from the first to the last: each sample of the second half less the one half a run before it (Theil's
 * incomplete method), their Hodges–Lehmann estimate scaled to the whole, with its bootstrap interval. One strange sample moves it little.
 * @returns null for fewer than LEAST_JUDGED samples
 */
export function growthOf(samples: readonly number[]): { estimate: number; low: number; high: number } | null {
  if (samples.length < LEAST_JUDGED) return null;
  const size = Math.ceil(samples.length / MOST_JUDGED);
  const values = Array.from({ length: Math.floor(samples.length / size) }, (_, i) => median(samples.slice(i * size, (i + 1) * size)));
  const n = values.length;
  const apart = Math.ceil(n / 2);
  const differences = new Float64Array(n - apart);
  for (let i = 0; i < differences.length; i++) differences[i] = values[i + apart] - values[i];
  const scale = (samples.length - 1) / (apart * size);
  const { low, high } = bootstrapInterval(differences, hodgesLehmann, 0.95, seededRandom(1), 1000);
  return { estimate: hodgesLehmann(differences) * scale, low: low * scale, high: high * scale };
}

/** Every series that could be measured here. */
export function judgeMemory(samples: readonly MemorySample[]): Growth[] {
  const warmUp = Math.min(samples.length, warmUpOf(samples.length));
  const growths: Growth[] = [];
  for (const { name, unit, bound } of SERIES) {
    const values = samples.slice(warmUp).map((sample) => sample[name]);
    const all = values.filter((value) => value !== null);
    if (samples.some((sample) => sample[name] === null)) continue;
    growths.push({
      series: name,
      unit,
      first: all[0] ?? 0,
      last: all.at(-1) ?? 0,
      growth: growthOf(all),
      samples: all.length,
      warmUp,
      bound,
      freedToo: name === 'rssBytes' && samples.some(({ freedGivenBack }) => !freedGivenBack),
    });
  }
  return growths;
}
