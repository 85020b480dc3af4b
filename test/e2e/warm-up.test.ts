import { afterAll, expect, it } from 'vitest';
import { planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { SessionRunner } from '../../workers/session.ts';
import { smallOptions } from '../support/inline-run.ts';

const sessions = new SessionRunner();
afterAll(() => sessions.close());

it('a guest whose warm-up is over by the clock sleeps while frames of it are still due', async () => {
  const rateHz = 40;
  const warmupFrames = 20;
  const options = smallOptions({ path: 'copy', rateHz, buffers: 3, width: 320, height: 200, scanoutUs: 1000, spinUs: 0 });
  const plan = planMachine(options, monotonicNowNs());
  const window = { warmupMs: 0, warmupFrames, measureMs: 0, measureFrames: 1, usageWindows: 1 };
  expect((await sessions.run(plan, window, 20_000)).kind).toBe('done');
  // It has next to nothing to do: half of the time that the frames take is far from all of its sleep, and from none.
  expect(new Counters(plan.guestCounters).get(Counter.sleepNs)).toBeGreaterThan((warmupFrames / rateHz / 2) * 1e9);
});
