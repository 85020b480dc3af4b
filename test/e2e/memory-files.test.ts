import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DEFAULT_OPTIONS } from '../../core/machine/options.ts';
import { planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { Libc } from '../../workers/native/libc.ts';
import { SessionRunner } from '../../workers/session.ts';

const loaded = Libc.load();
const FRAMES = 40;

describe.skipIf(typeof loaded === 'string')('a machine whose memory is files', () => {
  let sessions: SessionRunner;
  beforeEach(() => {
    sessions = new SessionRunner();
  });
  afterEach(() => sessions.close());

  test.each(['vfio', 'udmabuf', 'copy', 'readback-copy'] as const)(
    'shows the frames of %s as any other, and leaves no file',
    async (path) => {
      const options = { ...DEFAULT_OPTIONS, path, width: 640, height: 480, sink: 'verify', crcEvery: 4, memory: 'memfd' } as const;
      const plan = planMachine(options, monotonicNowNs());
      const before = readdirSync('/proc/self/fd').length;
      const during: string[] = [];
      const counters = new Counters(plan.hostCounters);
      const window = { warmupMs: 0, warmupFrames: 2, measureMs: 0, measureFrames: FRAMES, usageWindows: 1 };
      const run = sessions.run(plan, window, 20_000);
      for (const line of readFileSync('/proc/self/maps', 'utf8').split('\n')) if (line.includes('memfd:scanout-')) during.push(line);
      const outcome = await run;
      expect(outcome.kind).toBe('done');
      expect(counters.get(Counter.framesVerified)).toBeGreaterThanOrEqual(FRAMES);
      expect(counters.get(Counter.framesTorn)).toBe(0);
      expect(during.length).toBe(plan.regions.length);
      expect(readFileSync('/proc/self/maps', 'utf8')).not.toContain('memfd:scanout-');
      await sessions.close();
      expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before);
    },
  );
});
