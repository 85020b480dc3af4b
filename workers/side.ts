import type { MachinePlan } from '../core/machine/plan.ts';
import { MonotonicClock } from '../core/measure/clock.ts';
import { Counter, Counters } from '../core/measure/counters.ts';
import { AtomicsDoorbell } from '../core/ring/doorbell.ts';
import { DeviceRegisters } from '../core/ring/registers.ts';

/** What both sides of a machine open on their thread: the clock, the registers, their own counters, both doorbells. */
export interface SideParts {
  readonly clock: MonotonicClock;
  /** The control block: registers, then the session's own words. */
  readonly cells: Int32Array;
  readonly registers: DeviceRegisters;
  readonly counters: Counters;
  readonly hostBell: AtomicsDoorbell;
  readonly guestBell: AtomicsDoorbell;
}

export function openSide(plan: MachinePlan, ownCounters: SharedArrayBuffer): SideParts {
  const clock = new MonotonicClock(plan.originNs);
  const cells = new Int32Array(plan.control);
  const registers = new DeviceRegisters(cells);
  const counters = new Counters(ownCounters);
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
