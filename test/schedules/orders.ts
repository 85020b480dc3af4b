/** Which runs come to the same: those in which all conflicting accesses happened in the same order. */
import type { Run } from './explorer.ts';
import { LOG_DEVICE, LOG_SHIFT, LOG_WRITE } from './turns.ts';

const mix = (hash: number, value: number): number => {
  const h = Math.imul(hash ^ value, 0x9e3779b1);
  return (h ^ (h >>> 15)) >>> 0;
};

interface Line {
  hash: number;
  /** Reads since the last write, by side: their order among themselves means nothing. */
  driverReads: number;
  deviceReads: number;
}

/** @returns a number that two runs have in common if they come to the same, and hardly ever else */
export function orderOf(run: Run): number {
  const lines = new Map<number, Line>();
  for (let step = 0; step < run.steps; step++) {
    const entry = run.logged(step);
    const location = entry >>> LOG_SHIFT;
    const device = (entry & LOG_DEVICE) !== 0;
    let line = lines.get(location);
    if (line === undefined) {
      line = { hash: location, driverReads: 0, deviceReads: 0 };
      lines.set(location, line);
    }
    if ((entry & LOG_WRITE) !== 0) {
      line.hash = mix(mix(mix(line.hash, line.driverReads), line.deviceReads + 0x1000), device ? 3 : 1);
      line.driverReads = 0;
      line.deviceReads = 0;
    } else if (device) {
      line.deviceReads++;
    } else {
      line.driverReads++;
    }
  }
  let low = 0;
  let high = 0;
  for (const { hash, driverReads, deviceReads } of lines.values()) {
    const one = mix(mix(hash, driverReads), deviceReads + 0x1000);
    low = (low + one) >>> 0;
    high = (high + mix(one, 0x51ed270b)) >>> 0;
  }
  return (high & 0x1fffff) * 2 ** 32 + low;
}
