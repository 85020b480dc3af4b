/** Which CPU a thread runs on. Node has no call for it; koffi, where it is installed, calls the C library's. */
import { readFileSync } from 'node:fs';
import { type Measured, reasonOf, unavailable } from '../limits/available.ts';

/** CPUs of the driver's and of the device's thread. */
export type CpuPair = readonly [driver: number, device: number];

/** Bytes of a cpu_set_t for 1024 CPUs. */
const CPU_SET_BYTES = 128;

/** Two CPUs that this process may use, on different cores where there are two; or why there are none (Linux only). */
export function pickCpus(): Measured<CpuPair> {
  let cpus: number[];
  try {
    const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    cpus = parseCpuList(list ?? '');
  } catch {
    return unavailable('threads are pinned on Linux only');
  }
  if (cpus.length < 2) return unavailable('this process may use one CPU only');
  const first = cpus[0];
  const siblings = siblingsOf(first);
  return { value: [first, cpus.slice(1).find((cpu) => !siblings.includes(cpu)) ?? cpus[1]] };
}

/** CPUs of a kernel list such as `0-3,8`. */
export function parseCpuList(list: string): number[] {
  const cpus: number[] = [];
  for (const part of list.trim().split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (match === null) continue;
    for (let cpu = Number(match[1]); cpu <= Number(match[2] ?? match[1]); cpu++) cpus.push(cpu);
  }
  return cpus;
}

/** Moves the calling thread to a CPU. @returns null when done, else why not */
export async function pinThread(cpu: number): Promise<string | null> {
  try {
    const { default: koffi } = await import('koffi');
    const setAffinity = koffi.load(null).func('int sched_setaffinity(int pid, size_t bytes, const void *mask)');
    const mask = new Uint8Array(CPU_SET_BYTES);
    mask[cpu >> 3] = 1 << (cpu & 7);
    // 0: the calling thread, not the process.
    return Number(setAffinity(0, CPU_SET_BYTES, mask)) === 0 ? null : `sched_setaffinity refused CPU ${cpu}`;
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
    return missing ? 'koffi is not installed' : `koffi: ${reasonOf(error)}`;
  }
}

function siblingsOf(cpu: number): number[] {
  try {
    return parseCpuList(readFileSync(`/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`, 'utf8'));
  } catch {
    return [cpu];
  }
}
