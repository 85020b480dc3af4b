/** The ring benchmarks by name: what the driver puts in the ring and how both sides wait. */
import type { CRingWork } from '../limits/c-ring.ts';

/** As in ring-common.h. */
export const RING_SIZE = 256;
export const TABLE_DESCRIPTORS = 4;
/** Bytes of each descriptor's buffer. */
export const BUFFER_BYTES = 64;

/** `unpadded`: the queue's areas follow each other as closely as the specification allows, and share cache lines. */
export type RingWork = CRingWork & { readonly unpadded?: boolean };

export const LAYOUTS = ['split', 'packed'] as const;

/** Short windows: a median over many of them passes over those in which somebody else had a CPU. */
const WINDOW = { throughput: 2048, spin: 256, sleep: 16 } as const;

/** Buffers in flight at once. Direct chains take a ring slot for each descriptor. */
export function mostOutstanding(descriptors: number, indirect: boolean): number {
  return indirect ? RING_SIZE : Math.floor(RING_SIZE / descriptors);
}

/** Every ring benchmark, by name. */
export const RING_WORKS: ReadonlyMap<string, RingWork> = new Map(LAYOUTS.flatMap(worksOf));

/** By name, as RING_WORKS: both sides' areas on shared cache lines. There is no such ring in C. */
export const UNPADDED_WORKS: ReadonlyMap<string, RingWork> = new Map(
  LAYOUTS.flatMap((layout) =>
    [1, 16].map((batch): [string, RingWork] => {
      const work = { layout, mode: 'throughput', batch, descriptors: 1, indirect: false, window: WINDOW.throughput } as const;
      return [`ring/${layout}/threads/batch-${batch}/unpadded`, { ...work, unpadded: true }];
    }),
  ),
);

function worksOf(layout: RingWork['layout']): [string, RingWork][] {
  const works: [string, RingWork][] = [];
  for (const descriptors of [1, 4]) {
    for (const indirect of [false, true]) {
      for (const batch of [1, 16, 'all'] as const) {
        const variant = `${descriptors === 1 ? '' : `/descriptors-${descriptors}`}${indirect ? '/indirect' : ''}`;
        const name = `ring/${layout}/threads/batch-${batch}${variant}`;
        const size = batch === 'all' ? mostOutstanding(descriptors, indirect) : batch;
        works.push([name, { layout, mode: 'throughput', batch: size, descriptors, indirect, window: WINDOW.throughput }]);
      }
    }
  }
  for (const mode of ['spin', 'sleep'] as const) {
    const work = { layout, mode, batch: 1, descriptors: 1, indirect: false, window: WINDOW[mode] } as const;
    works.push([`ring/${layout}/round-trip/${mode}`, work]);
  }
  return works;
}
