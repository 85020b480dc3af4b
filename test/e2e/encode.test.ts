import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DEFAULT_OPTIONS, type MachineOptions, PATHS } from '../../core/machine/options.ts';
import { type MachinePlan, planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { CopyStage, Ledger } from '../../core/memory/ledger.ts';
import { EncodeColumn, EncodeLog } from '../../workers/encode/encode-log.ts';
import type { EncodeShare } from '../../workers/encode/link.ts';
import { loadNodeAv } from '../../workers/encode/node-av.ts';
import { Libc } from '../../workers/native/libc.ts';
import { type SessionOutcome, SessionRunner } from '../../workers/session.ts';

const loaded = typeof loadNodeAv() === 'string' ? 'no node-av' : Libc.load();
const SIZE = { width: 320, height: 192 };
const FRAMES = 60;

describe.skipIf(typeof loaded === 'string')('a machine whose frames are encoded', () => {
  let sessions: SessionRunner;
  beforeEach(() => {
    sessions = new SessionRunner();
  });
  afterEach(() => sessions.close());

  const planOf = (options: Partial<MachineOptions>): MachinePlan =>
    planMachine({ ...DEFAULT_OPTIONS, ...SIZE, sink: 'encode', memory: 'memfd', ...options }, monotonicNowNs());
  const run = async (plan: MachinePlan, frames = FRAMES): Promise<SessionOutcome & { kind: 'done' }> => {
    const outcome = await sessions.run(
      plan,
      { warmupMs: 0, warmupFrames: 2, measureMs: 0, measureFrames: frames, usageWindows: 1 },
      20_000,
    );
    if (outcome.kind !== 'done') throw new Error(JSON.stringify(outcome));
    return outcome;
  };
  const framesOf = (share: EncodeShare | undefined): number[] => {
    if (share === undefined) throw new Error('no encode thread');
    const log = new EncodeLog(share.log);
    return Array.from({ length: log.count }, (_, i) => {
      const row = log.row(i);
      expect(log.cells[row + EncodeColumn.released]).toBeLessThan(log.cells[row + EncodeColumn.packet]);
      return log.cells[row + EncodeColumn.frame];
    });
  };

  test.each(PATHS)(
    'by %s every frame becomes a packet, in order; nothing is copied but what the path and the encoder copy',
    async (path) => {
      const plan = planOf({ path, layout: '4k', maxRefreshHz: null });
      const { guest, host, encode } = await run(plan);
      const frames = framesOf(encode?.share);
      expect(frames).toEqual(Array.from({ length: guest.totalFrames[0] }, (_, i) => i));
      const ledger = new Ledger(encode?.share.ledger);
      expect([ledger.copies(CopyStage.gather), ledger.copies(CopyStage.encoder)]).toEqual([0, frames.length]);
      expect([guest.failedFrames, host.budgetAfterReset, host.resourcesAfterReset, guest.heldAfterFree]).toEqual([0, 0, 0, 0]);
      expect(new Counters(plan.hostCounters).get(Counter.superseded)).toBe(0);
    },
  );

  test('pages of memory that is no file are put together, and that is charged', async () => {
    const { encode } = await run(planOf({ path: 'udmabuf', layout: '4k', memory: 'shared', maxRefreshHz: null }));
    const frames = framesOf(encode?.share).length;
    const ledger = new Ledger(encode?.share.ledger);
    expect([ledger.copies(CopyStage.gather), ledger.bytesCopied(CopyStage.gather)]).toEqual([
      frames,
      frames * SIZE.width * 4 * SIZE.height,
    ]);
  });

  test('an encoder that takes one frame a second takes the latest ones: none fails, and their order stays', async () => {
    const plan = planOf({ rateHz: 120, maxRefreshHz: 1 });
    const { guest, encode } = await run(plan);
    const frames = framesOf(encode?.share);
    const counters = new Counters(plan.hostCounters);
    expect(guest.frames).toBe(FRAMES);
    expect(guest.failedFrames).toBe(0);
    expect(counters.get(Counter.superseded) + counters.get(Counter.framesPresented)).toBe(guest.totalFrames[0]);
    expect(frames.length).toBeLessThan(guest.totalFrames[0] / 2);
    expect(frames).toEqual(frames.toSorted((a, b) => a - b));
  });

  test('a machine that is stopped while it encodes ends, and the next one encodes', async () => {
    const stop = new AbortController();
    const plan = planOf({ width: 1920, height: 1080, maxRefreshHz: null });
    const counters = new Counters(plan.hostCounters);
    const ended = sessions.run(
      plan,
      { warmupMs: 0, warmupFrames: 2, measureMs: 0, measureFrames: 1e9, usageWindows: 1 },
      20_000,
      stop.signal,
    );
    while (counters.get(Counter.framesPresented) < 5) await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    expect(await ended).toEqual({ kind: 'aborted' });
    const { guest, encode } = await run(planOf({ maxRefreshHz: null }));
    expect(framesOf(encode?.share).length).toBe(guest.totalFrames[0]);
  });

  test('several heads have streams of their own', async () => {
    const plan = planOf({ heads: 3, maxRefreshHz: null });
    const { guest, encode } = await run(plan);
    if (encode === undefined) throw new Error('no encode thread');
    const log = new EncodeLog(encode.share.log);
    const counts = [0, 0, 0];
    for (let i = 0; i < log.count; i++) {
      const row = log.row(i);
      expect(log.cells[row + EncodeColumn.frame]).toBe(counts[log.cells[row + EncodeColumn.head]]++);
    }
    expect(counts).toEqual(guest.totalFrames);
  });
});
