import { byteSize } from './format.ts';
import { rowName } from './row-name.ts';
import type { Scenario, StageBytes } from './run-document.ts';
import type { Group } from './summary.ts';
import type { Table } from './table.ts';

/** Where a frame's pixels can lie on their way, in order. */
export const PLACES = ['guest GPU memory', 'guest RAM', 'host memory', 'sink'] as const;
export const WAY_TITLE = 'Where pixels are copied';
export const SINK = PLACES.length - 1;

/** One copy of a frame's pixels from a place to a later one. */
export interface Hop {
  from: number;
  to: number;
  stage: keyof StageBytes;
  /** Whose CPU copies. */
  by: 'guest' | 'host';
  /** Bytes a frame. */
  bytes: number;
}

/** How a frame comes to the sink: its copies in order, then where the sink reads it (SINK: what was uploaded to it). */
export interface Way {
  start: number;
  hops: Hop[];
  readAt: number;
}

const FRAME_STAGES = ['readback', 'transfer', 'fallback', 'upload'] as const;

/** From the ledger's bytes, not from what the path promises: a fallback shows as the copy it was. */
export function wayOf(scenario: Scenario): Way {
  const { bytesCopiedByStage, bytesCopiedPerFrame } = scenario.results;
  const total = FRAME_STAGES.reduce((sum, stage) => sum + bytesCopiedByStage[stage], 0);
  const start = scenario.path === 'vfio' || scenario.path.startsWith('readback') ? 0 : 1;
  const hops: Hop[] = [];
  let at = start;
  for (const stage of FRAME_STAGES) {
    if (bytesCopiedByStage[stage] === 0 || total === 0) continue;
    const to = stage === 'readback' ? 1 : stage === 'upload' ? SINK : 2;
    hops.push({
      from: at,
      to,
      stage,
      by: stage === 'readback' ? 'guest' : 'host',
      bytes: (bytesCopiedByStage[stage] / total) * bytesCopiedPerFrame,
    });
    at = to;
  }
  return { start, hops, readAt: at };
}

/** `guest GPU memory, copied to guest RAM (33.2 MB, guest CPU), read there by the sink` */
export function wayWords(way: Way): string {
  const copies = way.hops.map(
    (hop) => `copied to ${hop.to === SINK ? 'the sink' : PLACES[hop.to]} (${byteSize(hop.bytes)}, ${hop.by} CPU)`,
  );
  return [PLACES[way.start], ...copies, ...(way.readAt === SINK ? [] : ['read there by the sink'])].join(', ');
}

/** The group with the most paths, of these the first: all groups' frames go the same ways. */
export function wayGroup(groups: readonly Group[]): Group | undefined {
  return [...groups].sort((a, b) => b.scenarios.length - a.scenarios.length)[0];
}

export function wayTable(group: Group): Table {
  const rows = group.scenarios.map((scenario) => {
    const way = wayOf(scenario);
    const bytes = way.hops.reduce((sum, hop) => sum + hop.bytes, 0);
    return [rowName(scenario), wayWords(way), String(way.hops.length), byteSize(bytes)];
  });
  return { heads: ['path', 'way', 'copies', 'bytes copied a frame'], rows, words: 2 };
}
