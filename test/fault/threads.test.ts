import { afterAll, describe, expect, it } from 'vitest';
import { BUSY_COUNTERS } from '../../benchmarks/faults.ts';
import { FAULTS, type FaultName, faultKind, unfitFault } from '../../core/machine/faults.ts';
import { PATHS, type Path } from '../../core/machine/options.ts';
import { Counter } from '../../core/measure/counters.ts';
import { SessionRunner } from '../../workers/session.ts';
import { brokenInvariants, type FaultRun, FRAMES, runFaults } from '../support/fault-run.ts';

/** hostile-guest "Faults", what each must come to in threads, over what holds for all of them. */
const OUTCOMES: Readonly<Partial<Record<FaultName, (run: FaultRun) => void>>> = {
  'guest-dies-before-idx': diesOnce('guest'),
  'guest-dies-after-idx': diesOnce('guest'),
  'guest-dies-before-answer': diesOnce('guest'),
  'guest-dies-scanning': diesOnce('guest'),
  'guest-exits': diesOnce('guest'),
  'host-dies-holding': diesOnce('host'),
  'host-dies-scanning': diesOnce('host'),
  'host-dies-before-answer': diesOnce('host'),
  'host-dies-after-answer': diesOnce('host'),
  'host-exits': diesOnce('host'),
  'reset-pending': ({ figures }) => {
    expect(figures.counters.reinitialisations).toBe(1);
    expect(figures.counters.fencesCancelled).toBeGreaterThan(0);
  },
  'fence-never': ({ figures }) => {
    expect(figures.counters.fencesTimedOut).toBeGreaterThanOrEqual(3);
    expect(figures.counters.fencesCancelled).toBeGreaterThanOrEqual(3);
    expect(figures.counters.reinitialisations).toBe(1);
  },
  'importer-dies': ({ result }) => expect(result).toMatchObject({ moves: 1, movesRefused: 1 }),
  'move-storm': ({ result, guestCounters }) => {
    expect(result.moves).toBe(64);
    // Coalesced: most notices find the buffer detached already, and a frame maps it anew at most once.
    expect(guestCounters.get(Counter.reattaches)).toBeLessThanOrEqual(8);
  },
  'pinned-move': ({ result }) => expect(result).toMatchObject({ moves: 0, movesRefused: 1 }),
  'guest-no-memory': ({ guest }) => expect(guest.failedFrames).toBe(1),
  'host-no-memory': ({ result }) => expect(result.errors).toBe(1),
  'clock-step': ({ figures }) => expect(figures.counters.clockSteps).toBe(1),
  'clock-back': ({ figures }) => expect(figures.counters.clockSteps).toBe(1),
};

function diesOnce(side: 'guest' | 'host'): (run: FaultRun) => void {
  return ({ figures, generation }) => {
    expect(figures.counters).toMatchObject({ guestRestarts: side === 'guest' ? 1 : 0, hostRestarts: side === 'host' ? 1 : 0 });
    expect(generation).toBe(side === 'host' ? 1 : 0);
    if (side === 'host') expect(figures.counters).toMatchObject({ staleDrivers: 1, reinitialisations: 1 });
  };
}

/** What neither a fault nor a busy machine explains. */
const unexplained = ({ figures, plan }: FaultRun): string[] =>
  Object.entries(figures.counters)
    .filter(([name, value]) => value > 0 && !BUSY_COUNTERS.includes(name))
    .map(([name]) => name)
    .filter((name) => !plan.options.faults.some((fault) => (faultKind(fault.name).explains as readonly string[]).includes(name)));

describe('each fault once in threads: it happens, frames go on, nothing is torn, kept or left unexplained', { timeout: 90_000 }, () => {
  const sessions = new SessionRunner();
  afterAll(() => sessions.close());
  // The out of memory of a worker can take this process along: see worker-exit.test.ts.
  const safe = FAULTS.filter(({ dangerous }) => dangerous === undefined);
  const cases = safe.flatMap(({ name }): [FaultName, Path][] =>
    (['vfio', 'readback-copy'] as const).filter((path) => unfitFault({ name, frame: 0 }, path) === null).map((path) => [name, path]),
  );

  it.each(cases)('%s on %s', async (name, path) => {
    const run = await runFaults(sessions, path, `${name}@8`);
    expect(run.figures.injected).toBe(1);
    expect(brokenInvariants(run)).toEqual([]);
    expect(unexplained(run)).toEqual([]);
    expect(run.guest.totalFrames[0]).toBeGreaterThanOrEqual(FRAMES);
    if (path === 'vfio') OUTCOMES[name]?.(run);
  });

  it.each(PATHS)('on %s: both sides die, one after the other and again, and the frames go on', async (path) => {
    const run = await runFaults(sessions, path, 'host-dies-holding@5,guest-dies-after-idx@15,host-dies-scanning@25,guest-exits@35');
    expect(run.figures.counters).toMatchObject({ guestRestarts: 2, hostRestarts: 2 });
    expect(run.generation).toBe(2);
    expect(brokenInvariants(run)).toEqual([]);
  });

  it.each(['host-dies-before-answer@200', 'guest-dies-scanning@200', 'host-dies-holding@0', 'guest-dies-before-idx@0'])(
    '%s as fast as the host answers, on a packed ring',
    async (fault) => {
      const run = await runFaults(sessions, 'udmabuf', fault, { rateHz: null, scanoutUs: 0, ring: 'packed' }, 400);
      expect(run.figures.injected).toBe(1);
      expect(brokenInvariants(run)).toEqual([]);
    },
  );

  it('a machine without faults counts none', async () => {
    const planned = await runFaults(sessions, 'vfio', 'doubled-kick@1000000');
    expect(planned.figures.injected).toBe(0);
    expect(unexplained(planned)).toEqual([]);
  });
});
