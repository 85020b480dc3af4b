import { GuestFaults } from '../core/machine/fault-guest.ts';
import { HostFaults } from '../core/machine/fault-host.ts';
import type { FaultHooks } from '../core/machine/fault-trigger.ts';
import { type MachinePlan, SessionWord } from '../core/machine/plan.ts';
import type { Counters } from '../core/measure/counters.ts';
import type { SideTask } from './task.ts';

type Role = SideTask['role'];

/** Bits of SessionWord.kill. */
export const KILL: Readonly<Record<Role, number>> = { guest: 1, host: 2 };

/** The faults of a guest's thread; null: none are planned. */
export function guestFaults(plan: MachinePlan, counters: Counters): GuestFaults | null {
  const { faults } = plan.options;
  return faults.length === 0 ? null : new GuestFaults(faults, counters, new ThreadFaults('guest', plan));
}

/** The faults of a host's thread; null: none are planned. */
export function hostFaults(plan: MachinePlan, counters: Counters): HostFaults | null {
  const { faults } = plan.options;
  return faults.length === 0 ? null : new HostFaults(faults, counters, new ThreadFaults('host', plan));
}

/** Ends worker threads: the caller's own where it stands, the other side's wherever it is. */
class ThreadFaults implements FaultHooks {
  readonly #role: Role;
  readonly #cells: Int32Array;

  constructor(role: Role, plan: MachinePlan) {
    this.#role = role;
    this.#cells = new Int32Array(plan.control);
  }

  end(side: Role, how: 'terminate' | 'exit' | 'out of memory'): void {
    if (how === 'exit') process.exit(0);
    if (how === 'out of memory') fillMemory();
    Atomics.or(this.#cells, SessionWord.kill, KILL[side]);
    Atomics.notify(this.#cells, SessionWord.kill);
    if (side === this.#role) standStill();
  }
}

/** Stands exactly here until the supervisor has terminated the thread. */
export function standStill(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

function fillMemory(): void {
  const kept: unknown[] = [];
  for (;;) kept.push(Array.from({ length: 10_000 }, (_, i) => ({ i })));
}
