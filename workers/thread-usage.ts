import { readFileSync, readlinkSync } from 'node:fs';
import v8 from 'node:v8';

/** What a thread used between two points, from the thread itself. */
export interface ThreadUsage {
  /** CPU time, user and system, µs. */
  cpuUs: number;
  /** Time runnable but not running, ns (/proc/thread-self/schedstat); null where the system does not say. */
  runQueueWaitNs: number | null;
  /** Garbage collections. */
  collections: number;
  /** `used_heap_size` difference less the measurement's own cost, bytes; null when a collection ran between. */
  heapBytes: number | null;
}

/** `used_heap_size` differences count the reading itself: what two readings in a row differ by. */
function ownCost(): number {
  let cost = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    const before = v8.getHeapStatistics().used_heap_size;
    cost = Math.min(cost, Math.max(0, v8.getHeapStatistics().used_heap_size - before));
  }
  return cost;
}

/** Measures one window of the calling thread. Allocates outside the window only. */
export class UsageMeter {
  readonly #cost = ownCost();
  #profiler: v8.GCProfiler | null = null;
  #cpu = 0;
  #wait: number | null = null;
  #heap = 0;

  begin(): void {
    this.#profiler = new v8.GCProfiler();
    this.#profiler.start();
    this.#wait = runQueueWait();
    this.#cpu = cpuUs();
    this.#heap = v8.getHeapStatistics().used_heap_size;
  }

  end(): ThreadUsage {
    const heap = v8.getHeapStatistics().used_heap_size;
    const cpu = cpuUs();
    const wait = runQueueWait();
    const collections = this.#profiler?.stop()?.statistics.length ?? 0;
    this.#profiler = null;
    return {
      cpuUs: cpu - this.#cpu,
      runQueueWaitNs: wait === null || this.#wait === null ? null : wait - this.#wait,
      collections,
      heapBytes: collections > 0 ? null : Math.max(0, heap - this.#heap - this.#cost),
    };
  }
}

function cpuUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

function runQueueWait(): number | null {
  try {
    const fields = readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ');
    return Number(fields[1]);
  } catch {
    return null;
  }
}

/** The system's id of the calling thread; 0: it does not say. */
export function ownTask(): number {
  try {
    return Number(readlinkSync('/proc/thread-self').split('/').at(-1));
  } catch {
    return 0;
  }
}

/** CPU time of a thread of this process, ns (/proc/…/schedstat); null where the system does not say, or it is gone. */
export function cpuOfTask(task: number): number | null {
  try {
    return Number(readFileSync(`/proc/self/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  } catch {
    return null;
  }
}

/** ns of a tick of USER_HZ, in which the system tells a process's CPU time. */
const TICK_NS = 1e7;

/** CPU time of a process with all its threads, ns (/proc/PID/stat); null where the system does not say, or it is gone. */
export function cpuOfProcess(process: number): number | null {
  try {
    const text = readFileSync(`/proc/${process}/stat`, 'utf8');
    // Behind its name, which may hold anything: fields 14 and 15 of proc_pid_stat(5), the first there being field 3.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_NS;
  } catch {
    return null;
  }
}
