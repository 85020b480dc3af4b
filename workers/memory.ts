import v8 from 'node:v8';
import vm from 'node:vm';
import { Libc } from './native/libc.ts';

/** What one thread's isolate holds after a full collection, bytes. */
export interface ThreadMemory {
  readonly heapBytes: number;
  /** Outside the heap and kept by objects in it, shared memories among them. */
  readonly externalBytes: number;
}

/** Asks a pool worker for its memory; one such task runs on each worker. */
export interface MemoryTask {
  readonly role: 'memory';
  /** One i32: workers that have come. Each waits for the others, so that none of them takes two of the tasks. */
  readonly meeting: SharedArrayBuffer;
  readonly threads: number;
}

const MEETING_MS = 2000;

let collect: (() => void) | null = null;

/** A full collection of the calling thread's isolate: what is measured after it is held, not merely not collected yet. */
export function collectGarbage(): void {
  if (collect === null) {
    // Contexts made after this have the function; the flag holds for all isolates of the process.
    v8.setFlagsFromString('--expose-gc');
    collect = vm.runInNewContext('gc') as () => void;
  }
  collect();
}

/**
 * Has the C library give back what the whole process has freed: it keeps tens of MiB of threads that have ended (malloc(3), arenas).
 * @returns false: nobody could ask it to, for want of koffi or of glibc
 */
export function giveBackFreed(): boolean {
  const libc = Libc.load();
  return typeof libc !== 'string' && libc.trim();
}

/** Bytes that native code of the whole process holds: V8 outside its heaps, Node, libraries. @returns null: as above */
export function allocatedBytes(): number | null {
  const libc = Libc.load();
  return typeof libc === 'string' ? null : libc.allocated();
}

/** @throws Error when another worker of the meeting does not come */
export function measureMemory(task: MemoryTask): ThreadMemory {
  const meeting = new Int32Array(task.meeting);
  if (Atomics.add(meeting, 0, 1) + 1 === task.threads) Atomics.notify(meeting, 0);
  const until = performance.now() + MEETING_MS;
  for (;;) {
    const come = Atomics.load(meeting, 0);
    if (come >= task.threads) break;
    if (performance.now() > until || Atomics.wait(meeting, 0, come, MEETING_MS) === 'timed-out')
      throw new Error(`${come} of ${task.threads} workers came to measure their memory`);
  }
  return ownMemory();
}

/** Of the calling thread. */
export function ownMemory(): ThreadMemory {
  collectGarbage();
  const { used_heap_size: heapBytes, external_memory: externalBytes } = v8.getHeapStatistics();
  return { heapBytes, externalBytes };
}
