/**
 * Worker: for `rounds` rounds waits until the other side's round number moves, then answers with the same number.
 * A round is announced by its cell and a ring; a lost wake-up leaves both sides asleep until their deadlines.
 */
import { workerData } from 'node:worker_threads';
import { MonotonicClock } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { AtomicsDoorbell } from '../../core/ring/doorbell.ts';

export interface EchoData {
  cells: Int32Array;
  originNs: number;
  spinNs: number;
  rounds: number;
}

/** Cells: own doorbell, peer's doorbell, round asked, round answered, deadlines missed. */
export const ECHO = { mine: 0, peer: 32, asked: 64, answered: 96, missed: 128, words: 160 } as const;

if (workerData !== null) {
  const { cells, originNs, spinNs, rounds } = workerData as EchoData;
  const clock = new MonotonicClock(originNs);
  const options = { spinNs, rangCounter: Counter.interrupts, suppressedCounter: Counter.interruptsSuppressed };
  const mine = new AtomicsDoorbell(cells, ECHO.mine, clock, new Counters(), options);
  const peer = new AtomicsDoorbell(cells, ECHO.peer, clock, new Counters(), options);
  for (let round = 1; round <= rounds; round++) {
    for (;;) {
      const sample = mine.sample();
      if (Atomics.load(cells, ECHO.asked) >= round) break;
      clock.read();
      if (!mine.sleep(sample, clock.slot[0] + 5e9)) {
        Atomics.add(cells, ECHO.missed, 1);
        round = rounds;
        break;
      }
    }
    Atomics.store(cells, ECHO.answered, round);
    peer.ring();
  }
  Atomics.add(cells, ECHO.missed, mine.lostWakeUps);
}
