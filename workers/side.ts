import { threadId } from 'node:worker_threads';
import { type MachinePlan, SessionWord } from '../core/machine/plan.ts';
import { type Clock, MonotonicClock } from '../core/measure/clock.ts';
import { Counter, Counters } from '../core/measure/counters.ts';
import { AtomicsDoorbell } from '../core/ring/doorbell.ts';
import { DeviceRegisters } from '../core/ring/registers.ts';
import type { SideTask } from './task.ts';
import { ownTask } from './thread-usage.ts';

/** What both sides of a machine open on their thread: the clock, the registers, their own counters, both doorbells. */
export interface SideParts {
  readonly clock: Clock;
  /** The control block: registers, then the session's own words. */
  readonly cells: Int32Array;
  readonly registers: DeviceRegisters;
  readonly counters: Counters;
  readonly hostBell: AtomicsDoorbell;
  readonly guestBell: AtomicsDoorbell;
}

/** @param wrapClock what the side has in place of the clock, given the real one */
export function openSide(plan: MachinePlan, role: SideTask['role'], wrapClock: (clock: Clock) => Clock = (clock) => clock): SideParts {
  const clock = wrapClock(new MonotonicClock(plan.originNs));
  const cells = new Int32Array(plan.control);
  const registers = new DeviceRegisters(cells);
  const counters = new Counters(role === 'guest' ? plan.guestCounters : plan.hostCounters);
  Atomics.store(cells, role === 'guest' ? SessionWord.guestThread : SessionWord.hostThread, threadId);
  Atomics.store(cells, role === 'guest' ? SessionWord.guestTask : SessionWord.hostTask, ownTask());
  const bells = { rangCounter: Counter.wakeUps, suppressedCounter: Counter.wakeUpsSuppressed, spinNs: plan.options.spinUs * 1000 };
  return {
    clock,
    cells,
    registers,
    counters,
    hostBell: new AtomicsDoorbell(cells, registers.hostDoorbell, clock, counters, bells),
    guestBell: new AtomicsDoorbell(cells, registers.guestDoorbell, clock, counters, bells),
  };
}
