import { expect, test } from 'vitest';
import { cpuOfProcess } from '../../../workers/thread-usage.ts';

/** The system tells it in ticks, ns. */
const TICK = 1e7;

test.skipIf(process.platform !== 'linux')(
  "a process's CPU time is that of all its threads; of one that is not there it is not known",
  () => {
    const used = (): number => {
      const { user, system } = process.cpuUsage();
      return (user + system) * 1000;
    };
    const before = used();
    const told = cpuOfProcess(process.pid);
    // User and system time are cut to ticks apart.
    expect(told).toBeGreaterThanOrEqual(before - 2 * TICK);
    expect(told).toBeLessThanOrEqual(used() + 2 * TICK);
    expect(cpuOfProcess(2 ** 30)).toBe(null);
  },
);
