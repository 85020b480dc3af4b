import type { Scenario, StageBytes } from './run-document.ts';

/** Where a frame's pixels can lie on their way, in order. */
export const PLACES = ['guest GPU memory', 'guest RAM', 'host memory', 'sink'] as const;
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
