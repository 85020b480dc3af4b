import { readdirSync, readFileSync } from 'node:fs';
import { monotonicNowNs } from '../../core/measure/clock.ts';

/** Between two readings, ms: what a reading costs is far below what it measures. */
const EVERY_MS = 25;

interface Reading {
  readonly atNs: number;
  readonly cpuNs: number;
}

/** What a process used between two points in time. */
export interface ProcessUsage {
  /** CPU time of all its threads, ns. */
  readonly cpuNs: number;
}

/**
 * CPU time of another process: of all its threads, those that have ended too, by /proc/PID/task/TID/schedstat. Read all the
 * time and interpolated: the measured part of a repetition begins and ends in another thread.
 */
export class CpuMeter {
  readonly #pids: readonly number[];
  readonly #threads = new Map<string, number>();
  readonly #readings: Reading[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(pids: readonly number[]) {
    this.#pids = pids;
    this.#read();
    this.#timer = setInterval(() => this.#read(), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#read();
  }

  /** @param fromNs, toNs CLOCK_MONOTONIC, between the meter's start and its stop */
  between(fromNs: number, toNs: number): ProcessUsage {
    return { cpuNs: this.#at(toNs) - this.#at(fromNs) };
  }

  #at(ns: number): number {
    const readings = this.#readings;
    const next = readings.findIndex(({ atNs }) => atNs >= ns);
    if (next <= 0) return (next < 0 ? readings.at(-1) : readings[0])?.cpuNs ?? 0;
    const [before, after] = [readings[next - 1], readings[next]];
    return before.cpuNs + ((after.cpuNs - before.cpuNs) * (ns - before.atNs)) / (after.atNs - before.atNs);
  }

  #read(): void {
    const atNs = monotonicNowNs();
    for (const pid of this.#pids) {
      for (const thread of threadsOf(pid)) {
        const cpuNs = schedstat(`/proc/${pid}/task/${thread}/schedstat`);
        if (cpuNs !== null) this.#threads.set(`${pid}/${thread}`, cpuNs);
      }
    }
    let cpuNs = 0;
    for (const one of this.#threads.values()) cpuNs += one;
    this.#readings.push({ atNs, cpuNs });
  }
}

/** CPU time of a process's threads that there are, ns. */
export function processCpuNs(pid: number): number {
  let sum = 0;
  for (const thread of threadsOf(pid)) sum += schedstat(`/proc/${pid}/task/${thread}/schedstat`) ?? 0;
  return sum;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** Time on a CPU, ns; null: the thread is gone. */
function schedstat(path: string): number | null {
  try {
    return Number(readFileSync(path, 'utf8').split(' ')[0]);
  } catch {
    return null;
  }
}
