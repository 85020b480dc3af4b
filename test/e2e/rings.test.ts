import { afterAll, describe, expect, it } from 'vitest';
import { COPIES, PATHS } from '../../core/machine/options.ts';
import { bytesPerFrame, planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { SessionRunner } from '../../workers/session.ts';
import { runInline, smallOptions, summary } from '../support/inline-run.ts';
import { RING_KINDS } from '../support/ring-kinds.ts';

const sum = (of: Partial<Record<string, number>>): number => Object.values(of).reduce<number>((total, n) => total + (n ?? 0), 0);
const others = RING_KINDS.filter(({ ring, inOrder }) => ring !== 'split' || inOrder);

describe.each(others)('on a ring of %o', (kind) => {
  describe.each(PATHS)('%s inline', (path) => {
    it.each([
      ['60 Hz', 60],
      ['max', null],
    ] as const)('every frame is shown once, verified and whole, at %s, and copied exactly as often as on the split ring', (_, rateHz) => {
      const { machine, result } = runInline({ path, rateHz, ...kind }, 60);
      expect(result.frames).toBeGreaterThanOrEqual(60);
      expect(result).toMatchObject({
        presented: result.frames,
        verified: result.frames,
        torn: 0,
        errors: 0,
        timedOut: 0,
        superseded: 0,
        fallbacks: 0,
      });
      expect(sum(result.bytes)).toBe(result.frames * bytesPerFrame(machine.plan.options));
      expect(sum(result.copies)).toBe(result.frames * COPIES[path]);
    });

    it('with three heads, three buffers, moves and single pages', () => {
      const { result } = runInline(
        { path, rateHz: 60, heads: 3, buffers: 3, width: 320, height: 200, layout: '4k', migrateEvery: path === 'copy' ? 0 : 7, ...kind },
        90,
      );
      expect(result).toMatchObject({ presented: result.frames, torn: 0, errors: 0, timedOut: 0 });
    });
  });

  it('a sink that is slower than the guest: frames wait, none is lost', () => {
    const { result } = runInline({ path: 'udmabuf', scanoutUs: 40_000, heads: 2, ...kind }, 30);
    expect(result).toMatchObject({ presented: result.frames, torn: 0, errors: 0, timedOut: 0 });
  });
});

describe.each(others)('in threads on a ring of %o', (kind) => {
  const sessions = new SessionRunner();
  afterAll(() => sessions.close());

  it.each(PATHS)('%s: every frame is whole and copied as often as the path says', async (path) => {
    const plan = planMachine(smallOptions({ path, ...kind }), monotonicNowNs());
    const window = { warmupMs: 0, warmupFrames: 20, measureMs: 0, measureFrames: 300, usageWindows: 1 };
    const outcome = await sessions.run(plan, window, 20_000);
    if (outcome.kind !== 'done') throw new Error(JSON.stringify(outcome));
    const frames = outcome.guest.totalFrames[0];
    const result = summary(plan, frames);
    expect(frames).toBeGreaterThan(300);
    expect(result).toMatchObject({ presented: frames, verified: frames, torn: 0, errors: 0, fallbacks: 0 });
    expect(sum(result.bytes)).toBe(frames * bytesPerFrame(plan.options));
  });
});
