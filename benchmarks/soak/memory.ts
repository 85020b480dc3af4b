import { readdirSync, readFileSync } from 'node:fs';
import { allocatedBytes, giveBackFreed, ownMemory } from '../../workers/memory.ts';
import type { SessionRunner } from '../../workers/session.ts';
import type { MemorySample } from './document.ts';

const PAGE = 4096;

/** Collected memory is unmapped by a thread of V8's own, a while after the collection: looks at the address space, this far apart, ms. */
const LOOK_MS = 50;
/** So many looks in a row see the same before it is believed; after so many in all it is taken as it is. */
const SAME_LOOKS = 3;
const MOST_LOOKS = 40;

/** What the process holds between two machines, after a full collection of each isolate. @param at s since the soak's start */
export async function sampleMemory(sessions: SessionRunner, at: number): Promise<MemorySample> {
  // A shared memory is freed when the last isolate has let go of it: all collect before anything is read.
  ownMemory();
  // What a worker was given last it lets go with the next task.
  await sessions.memory();
  const workers = await sessions.memory();
  const own = ownMemory();
  const freedGivenBack = giveBackFreed();
  await unmapped();
  const sum = (of: 'heapBytes' | 'externalBytes'): number => workers.reduce((total, worker) => total + worker[of], 0);
  return {
    at,
    heapBytes: own.heapBytes,
    externalBytes: own.externalBytes,
    workerHeapBytes: sum('heapBytes'),
    workerExternalBytes: sum('externalBytes'),
    nativeBytes: allocatedBytes(),
    rssBytes: process.memoryUsage.rss(),
    freedGivenBack,
    mappedBytes: mapped(),
    fds: entries('/proc/self/fd'),
    threads: entries('/proc/self/task'),
  };
}

async function unmapped(): Promise<void> {
  let last = mapped();
  let same = 1;
  for (let look = 0; look < MOST_LOOKS && same < SAME_LOOKS; look++) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const now = mapped();
    same = now === last ? same + 1 : 1;
    last = now;
  }
}

/** proc(5), statm: the first field, pages. */
function mapped(): number | null {
  try {
    return Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[0]) * PAGE;
  } catch {
    return null;
  }
}

function entries(folder: string): number | null {
  try {
    return readdirSync(folder).length;
  } catch {
    return null;
  }
}
