import type { Call, Kind } from './call-tree.ts';
import type { ThreadProfile } from './record.ts';

/** A thread's time, as its counters say, µs. */
export interface Split {
  readonly computeUs: number;
  readonly spinUs: number;
  readonly sleepUs: number;
}

/** Compute is what is neither spinning nor sleeping: waiting for a CPU is in it, too. */
export function splitOf({ wallUs, spinUs, sleepUs }: ThreadProfile): Split {
  return { computeUs: Math.max(0, wallUs - spinUs - sleepUs), spinUs, sleepUs };
}

/** The same of a profile's samples, to be held against the counters. */
export function sampledSplit(root: Call): Split {
  const byKind = new Map<Kind, number>();
  const visit = (call: Call): void => {
    byKind.set(call.kind, (byKind.get(call.kind) ?? 0) + call.selfUs);
    for (const child of call.children) visit(child);
  };
  visit(root);
  const spinUs = byKind.get('spin') ?? 0;
  const sleepUs = byKind.get('sleep') ?? 0;
  return { computeUs: root.totalUs - spinUs - sleepUs, spinUs, sleepUs };
}
