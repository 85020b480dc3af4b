import { describe, expect, it } from 'vitest';
import { type Clock, MonotonicClock, monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { AtomicsDoorbell } from '../../core/ring/doorbell.ts';
import { runLoop, type Side } from '../../workers/loop.ts';

/** What a thread has. @param wrap what it has in place of the clock */
function parts(wrap: (clock: Clock) => Clock = (clock) => clock) {
  const clock = wrap(new MonotonicClock(monotonicNowNs()));
  const counters = new Counters();
  const options = { spinNs: 0, rangCounter: Counter.wakeUps, suppressedCounter: Counter.wakeUpsSuppressed };
  const bell = new AtomicsDoorbell(new Int32Array(new SharedArrayBuffer(8)), 0, clock, counters, options);
  return { clock, counters, bell };
}

/** A clock by which whoever sleeps until 100 ms is woken 50 ms late. */
function late(clock: Clock): Clock {
  const slot = new Float64Array(1);
  const read = (): void => {
    clock.read();
    slot[0] = clock.slot[0] < 99e6 ? clock.slot[0] : clock.slot[0] + 50e6;
  };
  return { slot, read };
}

/** Runs a side that has one piece of work, which appears after 20 ms; `announce` is called with it. @returns the counters */
function runOnce(announce: (bell: AtomicsDoorbell) => void): Counters {
  const { clock, counters, bell } = parts();
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

  it('work published just when the sleeper stops asking for notifications needs none, so none is lost', () => {
    const { clock, counters, bell } = parts();
    let there = false;
    let done = false;
    const side: Side = {
      deadline: new Float64Array([Number.POSITIVE_INFINITY]),
      get finished() {
        return done;
      },
      turn() {
        done = there;
        return there;
      },
      prepareSleep: () => false,
      // The other side publishes right afterwards, sees that no ring is wanted, and rings not.
      endSleep: () => {
        there = true;
      },
    };
    runLoop(side, bell, clock, counters, 0);
    expect(counters.get(Counter.lostNotifications)).toBe(0);
  });

  it('work that came due by itself while the sleeper was woken late is announced by nobody', () => {
    const { clock, counters, bell } = parts(late);
    const due = 145e6;
    let done = false;
    const side: Side = {
      deadline: new Float64Array([due]),
      get finished() {
        return done;
      },
      turn() {
        clock.read();
        done = clock.slot[0] >= due;
        return done;
      },
      prepareSleep: () => false,
      endSleep: () => {},
    };
    runLoop(side, bell, clock, counters, 0);
    expect(counters.get(Counter.lostNotifications)).toBe(0);
  });
});
