import { describe, expect, it } from 'vitest';
import { MonotonicClock, monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { AtomicsDoorbell } from '../../core/ring/doorbell.ts';
import { runLoop, type Side } from '../../workers/loop.ts';

/** Runs a side that has one piece of work, which appears after 20 ms; `announce` is called with it. @returns the counters */
function runOnce(announce: (bell: AtomicsDoorbell) => void): Counters {
  const clock = new MonotonicClock(monotonicNowNs());
  const counters = new Counters();
  const options = { spinNs: 0, rangCounter: Counter.wakeUps, suppressedCounter: Counter.wakeUpsSuppressed };
  const bell = new AtomicsDoorbell(new Int32Array(new SharedArrayBuffer(8)), 0, clock, counters, options);
  let done = false;
  const side: Side = {
    deadline: new Float64Array([Number.POSITIVE_INFINITY]),
    get finished() {
      return done;
    },
    turn() {
      clock.read();
      if (done || clock.slot[0] < 20e6) return false;
      announce(bell);
      done = true;
      return true;
    },
    prepareSleep: () => false,
    endSleep: () => {},
  };
  runLoop(side, bell, clock, counters, 0);
  return counters;
}

describe('a lost notification (hostile-guest "Faults")', () => {
  it('work that nobody has rung for is found by the timed re-check, and counted', () => {
    expect(runOnce(() => {}).get(Counter.lostNotifications)).toBe(1);
  });

  it('a ring that comes a moment after its work is not lost', () => {
    expect(runOnce((bell) => bell.ring()).get(Counter.lostNotifications)).toBe(0);
  });
});
