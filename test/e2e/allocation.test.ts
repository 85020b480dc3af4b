import { afterAll, describe, expect, test } from 'vitest';
import { DEFAULT_OPTIONS } from '../../core/machine/options.ts';
import { planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { median } from '../../reports/index.ts';
import { SessionRunner } from '../../workers/session.ts';

const WARM_UP_FRAMES = 200_000;
const WINDOWS = 10;
const WINDOW_FRAMES = 10_000;
/** Bytes a frame. */
const MOST = 64;

describe('the frame loop', () => {
  const sessions = new SessionRunner();
  afterAll(() => sessions.close());

  test('runs without a collection and allocates at most 64 bytes a frame on either thread', { timeout: 180_000 }, async () => {
    const plan = planMachine({ ...DEFAULT_OPTIONS, path: 'udmabuf', width: 3840, height: 2160 }, monotonicNowNs());
    const window = {
      warmupMs: 0,
      warmupFrames: WARM_UP_FRAMES,
      measureMs: 0,
      measureFrames: WINDOWS * WINDOW_FRAMES,
      usageWindows: WINDOWS,
    };
    const outcome = await sessions.run(plan, window, 170_000);
    if (outcome.kind !== 'done') throw new Error(`the session ended: ${JSON.stringify(outcome)}`);
    for (const { role, usage } of [outcome.guest, outcome.host]) {
      const whole = usage.slice(0, WINDOWS);
      expect(whole, `windows of the ${role}`).toHaveLength(WINDOWS);
      expect(
        whole.map(({ collections }) => collections),
        `collections of the ${role}`,
      ).toEqual(new Array(WINDOWS).fill(0));
      const bytes = whole.map(({ heapBytes }) => (heapBytes ?? Number.POSITIVE_INFINITY) / WINDOW_FRAMES);
      expect(median(bytes), `bytes a frame of the ${role}: ${bytes.map((b) => b.toFixed(1)).join(' ')}`).toBeLessThanOrEqual(MOST);
    }
  });
});
