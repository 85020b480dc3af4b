import { describe, expect, it } from 'vitest';
import { BUSY_COUNTERS, faultChecks, scenarioFaults } from '../../benchmarks/faults.ts';
import { scenario } from '../../benchmarks/scenarios.ts';
import { FAULT_COUNTERS, type FaultCounter, parseFaults } from '../../core/machine/faults.ts';
import type { MachineOptions } from '../../core/machine/options.ts';
import { type Clock, MonotonicClock, monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { ClockCheck } from '../../workers/clock-check.ts';

/** CLOCK_MONOTONIC, and what a test adds. */
class BentClock implements Clock {
  readonly #clock = new MonotonicClock(monotonicNowNs());
  readonly slot = this.#clock.slot;
  bend: (ns: number) => number = (ns) => ns;

  read(): void {
    this.#clock.read();
    this.slot[0] = this.bend(this.slot[0]);
  }
}

function stepsOf(bend: (ns: number) => number): number {
  const clock = new BentClock();
  const counters = new Counters();
  const check = new ClockCheck(clock, counters);
  clock.bend = bend;
  // Time has to pass for a clock that stands to be seen.
  const until = monotonicNowNs() + 20e6;
  while (monotonicNowNs() < until);
  check.end();
  return counters.get(Counter.clockSteps);
}

describe('a clock', () => {
  it.each([
    ['goes on', (ns: number) => ns, 0],
    ['steps ahead', (ns: number) => ns + 1e9, 1],
    ['steps back', (ns: number) => ns - 50e6, 1],
    ['stands', () => 1000, 1],
    ['has saturated', () => Number.POSITIVE_INFINITY, 1],
    ['is no number', () => Number.NaN, 1],
  ] as const)('that %s', (_, bend, steps) => {
    expect(stepsOf(bend)).toBe(steps);
  });
});

const NOTHING = Object.fromEntries(FAULT_COUNTERS.map((name) => [name, 0])) as Record<FaultCounter, number>;

function checksOf(
  counters: Partial<Record<FaultCounter, number>>,
  options: Partial<MachineOptions> = {},
  happened = 0,
  left = 0,
  verified = false,
) {
  const figures = [{ injected: happened, verified, counters: { ...NOTHING, ...counters }, left }];
  return faultChecks(scenario({ path: 'vfio', rateHz: 60, ...options }), figures).map(({ name, status }) => [
    name.replace(/^\S+ /, ''),
    status,
  ]);
}

describe('the checks of a run', () => {
  it('without a fault and without a counter there is nothing to say', () => {
    expect(checksOf({})).toEqual([]);
  });

  it('a clock step makes a run invalid, injected or not', () => {
    expect(checksOf({ clockSteps: 1 }, { faults: parseFaults('clock-step') }, 1)).toContainEqual(['has a steady clock', 'fail']);
    expect(checksOf({ clockSteps: 1 })).toContainEqual(['has a steady clock', 'fail']);
  });

  it.each(FAULT_COUNTERS.filter((name) => !BUSY_COUNTERS.includes(name)))('%s that nothing explains makes a run invalid', (name) => {
    expect(checksOf({ [name]: 1 })).toContainEqual(['has no unexplained fault', 'fail']);
    expect(checksOf({ [name]: 1 }, { faults: parseFaults('doubled-kick') }, 1)).toContainEqual(['has no unexplained fault', 'fail']);
  });

  it('what a busy machine may count by itself leaves it open', () => {
    expect(checksOf({ lostNotifications: 1 })).toEqual([['has no unexplained fault', 'inconclusive']]);
    expect(checksOf({ lostNotifications: 1, ringErrors: 1 })).toEqual([['has no unexplained fault', 'fail']]);
  });

  it('frames that are 50 ms late leave it open, where neither the rate nor the sink is so slow', () => {
    expect(checksOf({ fencesTimedOut: 1 })).toEqual([['has no unexplained fault', 'inconclusive']]);
    expect(checksOf({ fencesTimedOut: 1 }, { rateHz: 24 })).toEqual([]);
    expect(checksOf({ fencesTimedOut: 1 }, { scanoutUs: 60_000 })).toEqual([]);
  });

  it('frames that are late because a sink sums up their pixels say nothing; whatever else is counted then does', () => {
    expect(checksOf({ fencesTimedOut: 1 }, {}, 0, 0, true)).toEqual([]);
    expect(checksOf({ ringErrors: 1 }, {}, 0, 0, true)).toEqual([['has no unexplained fault', 'fail']]);
  });

  it('of several repetitions all are counted, and one that tells something is enough', () => {
    const late = (verified: boolean) => ({ injected: 0, verified, counters: { ...NOTHING, fencesTimedOut: 2 }, left: 0 });
    const found = (...verified: boolean[]) => scenarioFaults(scenario({ path: 'vfio', rateHz: 60 }).options, verified.map(late));
    expect(found(true, true)).toMatchObject({ counters: { fencesTimedOut: 4 }, unexplained: [] });
    expect(found(true, false)).toMatchObject({ counters: { fencesTimedOut: 4 }, unexplained: ['fencesTimedOut'] });
  });

  it('an injected fault explains its counters; one that never happened fails', () => {
    const faults = parseFaults('host-dies-holding');
    expect(checksOf({ hostRestarts: 1, reinitialisations: 1 }, { faults }, 1).map(([, status]) => status)).toEqual([
      'pass',
      'pass',
      'pass',
    ]);
    expect(checksOf({}, { faults }, 0)).toContainEqual(['injects host-dies-holding@10', 'fail']);
    expect(checksOf({}, { faults }, 1, 4096)).toContainEqual(['leaves nothing behind', 'fail']);
  });
});
