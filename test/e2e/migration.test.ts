import { afterAll, describe, expect, it } from 'vitest';
import { type MachineOptions, PATHS } from '../../core/machine/options.ts';
import { planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { FRAME_COLUMNS, FrameColumn, FrameFlag, FrameLog } from '../../core/measure/frame-log.ts';
import { SessionRunner } from '../../workers/session.ts';
import { framesWith, runInline, smallOptions, summary } from '../support/inline-run.ts';

const EVERY = 10;
const UHD = { width: 3840, height: 2160, rateHz: 60, crcEvery: 0, migrateEvery: EVERY, logCapacity: 256, listLimit: 8192 } as const;
const UHD_BYTES = 3840 * 2160 * 4;

/** The frames of head 0 that were never shown. */
function neverShown(plan: Parameters<typeof summary>[0], frames: number): number[] {
  const log = new FrameLog(plan.frameLog, plan.options.heads, plan.options.logCapacity);
  return Array.from({ length: frames }, (_, frame) => frame).filter(
    (frame) => log.cells[frame * FRAME_COLUMNS + FrameColumn.present] === 0,
  );
}

describe('buffers evicted from VRAM to system memory and back during 4K60 play', () => {
  it.each(['vfio', 'udmabuf'] as const)(
    '%s inline: no torn and no lost frame, each move is followed by a re-attach in the frame log',
    (path) => {
      const { machine, result } = runInline({ ...UHD, path }, 6 * EVERY);
      expect(result.moves).toBe(Math.floor((result.frames - 1) / EVERY));
      expect(result).toMatchObject({
        torn: 0,
        errors: 0,
        timedOut: 0,
        movesRefused: 0,
        presented: result.frames,
        verified: result.frames,
        fallbacks: 0,
      });
      expect(neverShown(machine.plan, result.frames)).toEqual([]);
      expect(framesWith(machine.plan, FrameColumn.guestFlags, FrameFlag.reattached)).toEqual(
        Array.from({ length: result.moves }, (_, i) => (i + 1) * EVERY),
      );
      // The exporter copies once a move; the way to the display copies nothing.
      expect(result.bytes).toEqual({ migrate: result.moves * UHD_BYTES });
    },
  );

  it('inline in virtual time not one vblank is missed', () => {
    const { machine, result } = runInline({ ...UHD, path: 'vfio' }, 3 * EVERY);
    const log = new FrameLog(machine.plan.frameLog, 1, UHD.logCapacity);
    const vblanks = Array.from({ length: result.frames }, (_, frame) => log.cells[frame * FRAME_COLUMNS + FrameColumn.vblank]);
    for (let i = 1; i < vblanks.length; i++) expect(vblanks[i]).toBe(vblanks[i - 1] + 1);
  });

  it.each(PATHS.filter((path) => path !== 'copy'))('%s: moving at every frame, three buffers, two heads, as fast as it goes', (path) => {
    const { result } = runInline({ path, migrateEvery: 1, buffers: 3, heads: 2, width: 320, height: 200, scanoutUs: 500 }, 100);
    expect(result).toMatchObject({ torn: 0, errors: 0, movesRefused: 0, presented: result.frames, verified: result.frames });
    expect(result.moves).toBeGreaterThan(90);
    // A buffer that is only read back is never known to the host: nothing is attached anew.
    expect(result.reattached > 0).toBe(path === 'vfio' || path === 'udmabuf');
  });

  it('the memory of old places is given back: a thousand moves in VRAM and RAM of one and a half times the buffers', () => {
    const { result } = runInline({ path: 'vfio', migrateEvery: 1, width: 320, height: 200 }, 1000);
    expect(result.moves).toBe(result.frames - 1);
    expect(result.movesRefused).toBe(0);
  });
});

describe('in threads', () => {
  const runner = new SessionRunner();
  afterAll(() => runner.close());

  it('4K60 with moves: no torn frame, none lost but those in flight at a move, re-attach seen, no error response', async () => {
    const options: MachineOptions = smallOptions({ ...UHD, path: 'vfio' });
    const plan = planMachine(options, monotonicNowNs());
    const window = { warmupMs: 0, warmupFrames: 5, measureMs: 0, measureFrames: 90, usageWindows: 1 };
    const outcome = await runner.run(plan, window, 25_000);
    if (outcome.kind !== 'done') throw new Error(outcome.kind === 'failed' ? outcome.reason : outcome.kind);
    const frames = outcome.guest.totalFrames[0];
    const result = summary(plan, frames);
    expect(result).toMatchObject({ torn: 0, errors: 0, fallbacks: 0, movesRefused: 0 });
    expect(result.moves).toBe(Math.floor((frames - 1) / EVERY));
    expect(result.reattached).toBe(result.moves);
    expect(result.verified).toBe(result.presented);
    // In flight at a move: the frame before the one whose buffer moved.
    const lost = neverShown(plan, frames).filter((frame) => frame % EVERY !== 0 && frame % EVERY !== EVERY - 1);
    expect(lost).toEqual([]);
    expect(outcome.host.budgetAfterReset).toBe(0);
    expect(outcome.host.needsReset).toBe(false);
    expect(result.bytes).toEqual({ migrate: result.moves * UHD_BYTES });
  });
});
