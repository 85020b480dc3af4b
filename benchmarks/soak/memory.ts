import { readdirSync, readFileSync } from 'node:fs';
import { ownMemory } from '../../workers/memory.ts';
import type { SessionRunner } from '../../workers/session.ts';
import type { MemorySample } from './document.ts';

const PAGE = 4096;

/** What the process holds between two machines, after a full collection of each isolate. @param at s since the soak's start */
export async function sampleMemory(sessions: SessionRunner, at: number): Promise<MemorySample> {
  // A shared memory is freed when the last isolate has let go of it: all collect before anything is read.
  ownMemory();
  const workers = await sessions.memory();
  const own = ownMemory();
  const sum = (of: 'heapBytes' | 'externalBytes'): number => workers.reduce((total, worker) => total + worker[of], 0);
  return {
    at,
    heapBytes: own.heapBytes,
    externalBytes: own.externalBytes,
    workerHeapBytes: sum('heapBytes'),
    workerExternalBytes: sum('externalBytes'),
    rssBytes: process.memoryUsage.rss(),
    mappedBytes: mapped(),
    fds: entries('/proc/self/fd'),
    threads: entries('/proc/self/task'),
  };
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
