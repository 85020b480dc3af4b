import type { Libc } from '../../workers/native/libc.ts';

/**
 * Calls `start` with this thread on one CPU, the last one that it may use: threads and processes that are started meanwhile stay there.
 * Where each of several waits for the one before, more CPUs are only more wake-ups of CPUs that sleep.
 */
export function onOneCpu<T>(libc: Libc, start: () => T): T {
  const all = libc.affinity();
  const byte = all.findLastIndex((bits) => bits !== 0);
  const one = new Uint8Array(all.length);
  one[byte] = 1 << (31 - Math.clz32(all[byte]));
  libc.setAffinity(one);
  try {
    return start();
  } finally {
    libc.setAffinity(all);
  }
}
