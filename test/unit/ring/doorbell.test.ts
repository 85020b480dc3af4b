import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { MonotonicClock, monotonicNowNs, VirtualClock } from '../../../core/measure/clock.ts';
import { Counter, Counters } from '../../../core/measure/counters.ts';
import { AtomicsDoorbell } from '../../../core/ring/doorbell.ts';

// The worker's module runs on Node alone, so its cell numbers are repeated here.
const ECHO = { mine: 0, peer: 32, asked: 64, answered: 96, missed: 128, words: 160 };
const cellsOf = (words: number): Int32Array => new Int32Array(new SharedArrayBuffer(words * 4));
const options = { spinNs: 0, rangCounter: Counter.kicks, suppressedCounter: Counter.kicksSuppressed };

describe('doorbell', () => {
  test('a ring before the sleep makes it return at once, without a system call', () => {
    const counters = new Counters();
    const bell = new AtomicsDoorbell(cellsOf(2), 0, new VirtualClock(), counters, options);
    const sample = bell.sample();
    bell.ring();
    expect(bell.sleep(sample, Number.POSITIVE_INFINITY)).toBe(true);
    expect([counters.get(Counter.kicks), counters.get(Counter.kicksSuppressed), counters.get(Counter.sleeps)]).toEqual([0, 1, 0]);
  });

  test('a ring to a sleeper is counted as a system call', () => {
    const cells = cellsOf(2);
    const counters = new Counters();
    const bell = new AtomicsDoorbell(cells, 0, new VirtualClock(), counters, options);
    cells[1] = 1;
    bell.ring();
    expect([counters.get(Counter.kicks), counters.get(Counter.kicksSuppressed)]).toEqual([1, 0]);
  });

  test.each([
    [0, 2e6],
    [0, 100_000],
    [1e9, 1e6],
    [0, -1],
  ])('spin budget %i ns: a deadline %i ns ahead ends the sleep, never early', (spinNs, ahead) => {
    const clock = new MonotonicClock(monotonicNowNs());
    const cells = cellsOf(2);
    const bell = new AtomicsDoorbell(cells, 0, clock, new Counters(), { ...options, spinNs });
    clock.read();
    const deadline = clock.slot[0] + ahead;
    expect(bell.sleep(bell.sample(), deadline)).toBe(false);
    clock.read();
    expect(clock.slot[0]).toBeGreaterThanOrEqual(deadline);
    expect(cells[1]).toBe(0);
  });

  test('the time slept and spun is counted apart', () => {
    const clock = new MonotonicClock(monotonicNowNs());
    const counters = new Counters();
    const bell = new AtomicsDoorbell(cellsOf(2), 0, clock, counters, { ...options, spinNs: 500_000 });
    clock.read();
    // Long against what a busy machine takes away from the thread while it spins.
    bell.sleep(bell.sample(), clock.slot[0] + 80e6);
    expect(counters.get(Counter.sleeps)).toBeGreaterThanOrEqual(1);
    expect(counters.get(Counter.spins)).toBeGreaterThanOrEqual(1);
    expect(counters.get(Counter.sleepNs)).toBeGreaterThan(1e6);
    expect(counters.get(Counter.spinNs)).toBeGreaterThan(400_000);
  });

  test('impossible places and budgets are refused', () => {
    const counters = new Counters();
    const clock = new VirtualClock();
    expect(() => new AtomicsDoorbell(cellsOf(2), 1, clock, counters, options)).toThrow(RangeError);
    expect(() => new AtomicsDoorbell(cellsOf(2), -1, clock, counters, options)).toThrow(RangeError);
    expect(() => new AtomicsDoorbell(new Int32Array(4), 0, clock, counters, options)).toThrow(RangeError);
    expect(() => new AtomicsDoorbell(cellsOf(2), 0, clock, counters, { ...options, spinNs: Number.NaN })).toThrow(RangeError);
  });
});

describe('two threads', () => {
  test.each([
    [0, 3000],
    [2000, 3000],
    [200_000, 10_000],
  ])(
    'spin budget %i ns: no wake-up is lost in %i rounds',
    async (spinNs, rounds) => {
      const cells = cellsOf(ECHO.words);
      const originNs = monotonicNowNs();
      const worker = new Worker(new URL('../../support/doorbell-echo.ts', import.meta.url), {
        workerData: { cells, originNs, spinNs, rounds },
      });
      const ended = once(worker, 'exit');
      const clock = new MonotonicClock(originNs);
      const counters = new Counters();
      // The worker's own bell is `mine`; ours is its `peer`.
      const theirs = new AtomicsDoorbell(cells, ECHO.mine, clock, counters, { ...options, spinNs });
      const ours = new AtomicsDoorbell(cells, ECHO.peer, clock, counters, { ...options, spinNs });
      let missed = 0;
      for (let round = 1; round <= rounds && missed === 0; round++) {
        Atomics.store(cells, ECHO.asked, round);
        theirs.ring();
        for (;;) {
          const sample = ours.sample();
          if (Atomics.load(cells, ECHO.answered) >= round) break;
          clock.read();
          if (!ours.sleep(sample, clock.slot[0] + 5e9)) {
            missed++;
            break;
          }
        }
      }
      if (missed > 0) await worker.terminate();
      await ended;
      expect([missed, ours.lostWakeUps, Atomics.load(cells, ECHO.missed), cells[ECHO.answered]]).toEqual([0, 0, 0, rounds]);
      expect(counters.get(Counter.kicks) + counters.get(Counter.kicksSuppressed)).toBe(rounds);
    },
    20_000,
  );
});
