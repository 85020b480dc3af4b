import { faultKind } from '../core/machine/faults.ts';
import { type MachinePlan, SessionWord } from '../core/machine/plan.ts';
import { Counter, Counters } from '../core/measure/counters.ts';
import { Alive, DeviceRegisters, Interrupt, Status } from '../core/ring/registers.ts';
import { KILL } from './faults.ts';
import { beginLife, claimKill, hasStopped } from './guest-end.ts';
import type { SideTask } from './task.ts';

type Role = SideTask['role'];

/** How long a host may take to carry out a reset, ms. */
const RESET_MS = 1000;
/** A status that no driver writes: nothing has been seen yet. */
const UNSEEN = -1;

/** What is supervised, as far as threads go (Piscina's part of it). */
export interface Threads {
  readonly threads: readonly { readonly threadId: number; terminate(): Promise<number> }[];
}

/** Says what a worker's end was; null: the task threw, its worker lives. */
export function deathOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  if ('code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY') return 'its worker ran out of JavaScript memory';
  // Piscina's words for an exit event that no error event went before.
  const exited = /^worker exited with code: (\d+)$/.exec(error.message);
  return exited === null ? null : `its worker ended without an error (exit code ${exited[1]})`;
}

/**
 * Ends the threads that a planned fault wants ended, and prepares the machine for the one that takes a dead one's place
 * (hostile-guest "Faults"): a dead guest's device is reset; after a dead host a new session of the registers begins.
 * A thread that dies without being planned to is not replaced.
 */
export class Supervisor {
  readonly #plan: MachinePlan;
  readonly #threads: Threads;
  readonly #cells: Int32Array;
  readonly #registers: DeviceRegisters;
  readonly #left: Record<Role, number>;
  #watching = false;

  constructor(plan: MachinePlan, threads: Threads) {
    this.#plan = plan;
    this.#threads = threads;
    this.#cells = new Int32Array(plan.control);
    this.#registers = new DeviceRegisters(this.#cells);
    const planned = (role: Role): number => plan.options.faults.filter(({ name }) => faultKind(name).kills === role).length;
    this.#left = { guest: planned('guest'), host: planned('host') };
    if (this.#left.guest + this.#left.host > 0) {
      this.#watching = true;
      void this.#watch();
    }
  }

  /** Looks at nothing any more. */
  stop(): void {
    this.#watching = false;
    Atomics.notify(this.#cells, SessionWord.kill);
  }

  /** After a side's task has ended with `error`. @returns true when a new thread may take its place */
  async mayReplace(role: Role, error: unknown): Promise<boolean> {
    if (this.#ending || deathOf(error) === null || this.#left[role] === 0) return false;
    // What it had to do is done, and the host ends because of it.
    if (role === 'guest' && hasStopped(this.#cells)) return false;
    this.#left[role]--;
    if (role === 'host') beginSession(this.#plan);
    else await this.#resetDevice();
    // The host took its time for the reset: the session may have been stopped meanwhile.
    if (this.#ending) return false;
    const counters = role === 'guest' ? this.#plan.guestCounters : this.#plan.hostCounters;
    // Its thread is dead: the block has no other writer now.
    new Counters(counters).add(Counter.restarts, 1);
    return true;
  }

  /** The session is over, or about to be. */
  get #ending(): boolean {
    return !this.#watching || this.#registers.stopRequested;
  }

  async #watch(): Promise<void> {
    while (this.#watching) {
      const wait = Atomics.waitAsync(this.#cells, SessionWord.kill, 0);
      if (wait.async) await wait.value;
      const wanted = Atomics.exchange(this.#cells, SessionWord.kill, 0);
      if (!this.#watching) return;
      for (const role of ['guest', 'host'] as const) if ((wanted & KILL[role]) !== 0) await this.#terminate(role);
    }
  }

  async #terminate(role: Role): Promise<void> {
    const id = Atomics.load(this.#cells, role === 'guest' ? SessionWord.guestThread : SessionWord.hostThread);
    const thread = this.#threads.threads.find(({ threadId }) => threadId === id);
    if (thread === undefined || (role === 'guest' && !claimKill(this.#cells))) return;
    await thread.terminate();
  }

  /** What the dead guest left behind is dropped before anything new is set up: budgets return to zero. */
  async #resetDevice(): Promise<void> {
    const registers = this.#registers;
    registers.guestAlive = Alive.absent;
    beginLife(this.#cells);
    // The host looks for changes: it may have taken the last 0 and not yet what the guest wrote afterwards.
    await this.#write(Status.FAILED);
    await this.#write(0);
  }

  /** Writes the status in the dead guest's stead and waits for the host. One that takes too long is waited for by the next driver. */
  async #write(status: number): Promise<void> {
    const registers = this.#registers;
    registers.statusSeen = UNSEEN;
    registers.status = status;
    ring(this.#cells, registers.hostDoorbell);
    const giveUp = performance.now() + RESET_MS;
    while (registers.statusSeen !== status && performance.now() < giveUp && !registers.stopRequested) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

/**
 * Before a new host takes a dead one's place: another session id, by which the driver knows that its device is gone; and the
 * device needs a reset, so that the new host takes nothing that was set up with the old one.
 */
export function beginSession(plan: MachinePlan): void {
  const cells = new Int32Array(plan.control);
  const registers = new DeviceRegisters(cells);
  registers.hostAlive = Alive.absent;
  registers.statusSeen = UNSEEN;
  // In this order: a driver that sees that a reset is needed sees why.
  registers.generation = (registers.generation + 1) | 0;
  registers.deviceStatus = Status.NEEDS_RESET;
  registers.raiseInterrupt(Interrupt.CONFIG_CHANGE);
  ring(cells, registers.guestDoorbell);
}

function ring(cells: Int32Array, doorbell: number): void {
  Atomics.add(cells, doorbell, 1);
  Atomics.notify(cells, doorbell);
}
