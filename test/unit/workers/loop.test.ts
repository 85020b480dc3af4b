import { expect, it } from 'vitest';
import { VirtualClock } from '../../../core/measure/clock.ts';
import { Counter, Counters } from '../../../core/measure/counters.ts';
import { AtomicsDoorbell } from '../../../core/ring/doorbell.ts';
import { runLoop, type Side } from '../../../workers/loop.ts';

const SPIN_NS = 50_000;
const IDLE_TURN_NS = 100;
const WORK_NS = 4e6;

/** Spins and is given work after so many turns without any; then it has finished. @returns what was counted as spinning, ns */
function spunNs(idleTurns: number): number {
  const clock = new VirtualClock();
  const counters = new Counters();
  const cells = new Int32Array(new SharedArrayBuffer(8));
  const bell = new AtomicsDoorbell(cells, 0, clock, counters, { spinNs: SPIN_NS, rangCounter: 0, suppressedCounter: 0 });
  let turns = 0;
  const side: Side = {
    turn() {
      turns++;
      clock.advance(turns === idleTurns + 1 ? WORK_NS : IDLE_TURN_NS);
      return turns === idleTurns + 1;
    },
    prepareSleep: () => true,
    endSleep() {},
    deadline: Float64Array.of(Number.POSITIVE_INFINITY),
    get finished() {
      return turns > idleTurns;
    },
  };
  runLoop(side, bell, clock, counters, SPIN_NS);
  return counters.get(Counter.spinNs);
}

it.each([2, 16, 40, 200])('what a side does in the turn that ends a spin is no spinning (%i idle turns)', (idleTurns) => {
  const spun = spunNs(idleTurns);
  // The clock is read once in 16 turns; the first turn comes before the spin.
  expect(spun).toBeGreaterThanOrEqual((idleTurns - 1 - 16) * IDLE_TURN_NS);
  expect(spun).toBeLessThanOrEqual((idleTurns - 1) * IDLE_TURN_NS);
});

it('a spin that ends without work counts whole', () => {
  // 600 turns are more than one budget of 50 µs.
  expect(spunNs(600)).toBeGreaterThan(SPIN_NS);
});
