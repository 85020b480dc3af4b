import { readdirSync, readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DEFAULT_OPTIONS, IMPORT_BY } from '../../core/machine/options.ts';
import { planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { importsOf, whyNoImports } from '../../workers/native/imports.ts';
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

  test.each(IMPORT_BY.filter((by) => whyNoImports(by) === null))(
    'shows scattered pages by %s: the frames are whole, and a machine that is stopped leaves no mapping',
    async (importBy) => {
      const options = { ...DEFAULT_OPTIONS, width: 640, height: 480, layout: '4k', sink: 'verify', crcEvery: 4, memory: 'memfd' } as const;
      const plan = planMachine({ ...options, importBy }, monotonicNowNs());
      const counters = new Counters(plan.hostCounters);
      const window = { warmupMs: 0, warmupFrames: 2, measureMs: 0, measureFrames: 1e9, usageWindows: 1 };
      const stop = new AbortController();
      const run = sessions.run(plan, window, 20_000, stop.signal);
      // 300 pages a buffer, each a mapping of its own where they are remapped.
      const least = importsOf(plan.options) === 'remap' ? 300 : 0;
      let most = 0;
      while (counters.get(Counter.framesVerified) < FRAMES || most < least) {
        most = Math.max(most, mappings());
        await setImmediate();
      }
      stop.abort();
      expect(await run).toEqual({ kind: 'aborted' });
      expect(counters.get(Counter.framesTorn)).toBe(0);
      if (least === 0) expect(most).toBeLessThanOrEqual(plan.regions.length);
      expect(mappings()).toBe(0);
    },
  );
});

/** Of files in memory. */
const mappings = (): number => readFileSync('/proc/self/maps', 'utf8').split('memfd:scanout-').length - 1;
