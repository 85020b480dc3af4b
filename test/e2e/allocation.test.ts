import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { DEFAULT_OPTIONS } from '../../core/machine/options.ts';
import { planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { median } from '../../reports/index.ts';
import { probeFile } from '../../workers/content/content-thread.ts';
import { loadNodeAv } from '../../workers/encode/node-av.ts';
import { SessionRunner } from '../../workers/session.ts';
import type { SideReport } from '../../workers/task.ts';
import { writeFilm } from '../support/content-files.ts';

const WARM_UP_FRAMES = 200_000;
const WINDOWS = 10;
const WINDOW_FRAMES = 10_000;
/** Bytes a frame. */
const MOST = 64;

describe('the frame loop', () => {
  const sessions = new SessionRunner();
  afterAll(() => sessions.close());

  const held = ({ role, usage }: SideReport, windows: number, frames: number): void => {
    const whole = usage.slice(0, windows);
    expect(whole, `windows of the ${role}`).toHaveLength(windows);
    expect(
      whole.map(({ collections }) => collections),
      `collections of the ${role}`,
    ).toEqual(new Array(windows).fill(0));
    const bytes = whole.map(({ heapBytes }) => (heapBytes ?? Number.POSITIVE_INFINITY) / frames);
    expect(median(bytes), `bytes a frame of the ${role}: ${bytes.map((b) => b.toFixed(1)).join(' ')}`).toBeLessThanOrEqual(MOST);
  };

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
    for (const side of [outcome.guest, outcome.host]) held(side, WINDOWS, WINDOW_FRAMES);
  });

  const av = loadNodeAv();
  test.skipIf(typeof av === 'string')('neither does a guest that shows a film', { timeout: 180_000 }, async () => {
    if (typeof av === 'string') return;
    const folder = mkdtempSync(join(tmpdir(), 'scanout-allocation-'));
    try {
      const file = join(folder, 'film.mp4');
      writeFilm(av, file);
      const content = { ...(await probeFile(file)), file, name: 'film.mp4', digest: '00' };
      const size = { width: 320, height: 192 };
      const plan = planMachine({ ...DEFAULT_OPTIONS, ...size, renderer: 'content', content }, monotonicNowNs());
      const window = { warmupMs: 0, warmupFrames: 60_000, measureMs: 0, measureFrames: WINDOWS * 5_000, usageWindows: WINDOWS };
      const outcome = await sessions.run(plan, window, 170_000);
      if (outcome.kind !== 'done') throw new Error(`the session ended: ${JSON.stringify(outcome)}`);
      for (const side of [outcome.guest, outcome.host]) held(side, WINDOWS, 5_000);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
