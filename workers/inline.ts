import { DeviceLost } from '../core/guest/driver.ts';
import { GuestFaults } from '../core/machine/fault-guest.ts';
import { HostFaults } from '../core/machine/fault-host.ts';
import type { FaultHooks } from '../core/machine/fault-trigger.ts';
import { GuestMachine } from '../core/machine/guest-machine.ts';
import { HostMachine } from '../core/machine/host-machine.ts';
import type { MachineOptions } from '../core/machine/options.ts';
import { type MakeCopier, plannedCopier } from '../core/machine/parts.ts';
import { type MachinePlan, planMachine } from '../core/machine/plan.ts';
import { openDriverQueue } from '../core/machine/queues.ts';
import { type Clock, VirtualClock } from '../core/measure/clock.ts';
import { Counters } from '../core/measure/counters.ts';
import type { Doorbell } from '../core/ring/doorbell.ts';
import type { Sink } from '../core/sink/sink.ts';
import { type MakeGuest, openGuest, reopenGuest } from './guest-life.ts';
import { beginSession } from './supervisor.ts';

type Side = 'guest' | 'host';

/** Nothing can happen any more: both sides wait for each other. */
export class InlineDeadlock extends Error {
  constructor() {
    super('both sides are idle and neither waits for a time: nothing can happen any more');
    this.name = 'InlineDeadlock';
  }
}

/** A side's thread would have ended here. */
class InlineDeath extends Error {
  readonly side: Side;

  constructor(side: Side) {
    super(`the ${side} has died`);
    this.side = side;
  }
}

/** A doorbell between two sides on one thread: ringing counts, sleeping lets the other side run. */
class InlineDoorbell implements Doorbell {
  rings = 0;
  #pump: (deadlineNs: number) => boolean = () => false;

  /** @param pump lets the other side run or time pass; false: the deadline has come */
  onSleep(pump: (deadlineNs: number) => boolean): void {
    this.#pump = pump;
  }

  sample(): number {
    return this.rings;
  }

  ring(): void {
    this.rings++;
  }

  sleep(expected: number, deadlineNs: number): boolean {
    while (this.rings === expected) if (!this.#pump(deadlineNs)) return false;
    return true;
  }
}

/** Parts of an inline machine that a test may put in the place of the real ones. */
export interface InlineParts {
  /** Changes the plan before the sides are built on it. */
  readonly adjust?: (plan: MachinePlan) => MachinePlan;
  /** Of both sides. */
  readonly makeCopier?: MakeCopier;
  /** What the device presents to, given the machine's own sink. */
  readonly wrapSink?: (sink: Sink) => Sink;
  /** Default true: a side that an injected fault has ended is replaced at once. False: it stays dead until `replace`. */
  readonly replaces?: boolean;
}

/**
 * Guest and host on one thread under a virtual clock: alternates their polls and moves the clock when both are
 * idle. The same options give the same run, to the byte.
 */
export class InlineMachine {
  readonly plan: MachinePlan;
  readonly clock: VirtualClock;
  /** Another one after a restart. */
  host: HostMachine;
  guest: GuestMachine;
  readonly alive: Record<Side, boolean> = { guest: true, host: true };
  /** What happened to the sides, in order. */
  readonly deaths: Side[] = [];
  readonly #replaces: boolean;
  readonly #makeHost: () => HostMachine;
  readonly #makeGuest: MakeGuest;
  /** Which side has its turn: a death of the other one waits for it to end. */
  #turn: Side = 'guest';
  #dying = false;

  constructor(options: MachineOptions, parts: InlineParts = {}) {
    this.clock = new VirtualClock();
    // 0 in the frame log means that something did not happen.
    this.clock.advance(1e6);
    const plan = planMachine(options, 0);
    this.plan = parts.adjust === undefined ? plan : parts.adjust(plan);
    const makeCopier = parts.makeCopier ?? plannedCopier;
    const hostBell = new InlineDoorbell();
    const guestBell = new InlineDoorbell();
    const clock: Clock = this.clock;
    this.#replaces = parts.replaces ?? true;
    const { faults } = this.plan.options;
    const hooks: FaultHooks = { end: (side) => this.#end(side) };
    this.#makeHost = () => {
      const injected = faults.length === 0 ? null : new HostFaults(faults, new Counters(this.plan.hostCounters), hooks);
      return new HostMachine(this.plan, clock, guestBell, makeCopier, parts.wrapSink, injected);
    };
    this.#makeGuest = () => {
      const injected = faults.length === 0 ? null : new GuestFaults(faults, new Counters(this.plan.guestCounters), hooks);
      return new GuestMachine(this.plan, clock, hostBell, guestBell, openDriverQueue, makeCopier, injected);
    };
    this.host = this.#makeHost();
    guestBell.onSleep((deadline) => this.#hostTurn(deadline));
    this.guest = this.#makeGuest();
    this.guest.compositor.start();
  }

  /** One alternation. @returns false when both were idle and the clock moved instead */
  step(): boolean {
    try {
      return this.#step();
    } catch (error) {
      if (error instanceof DeviceLost) this.#reopen();
      else if (error instanceof InlineDeath) this.#died(error.side);
      else throw error;
      return true;
    }
  }

  /**
   * Ends a side where it stands between two steps, as its thread may end at any time. Nothing polls it any more.
   * @param replaced a new one takes its place at once, as the supervisor sees to it; else `replace` does
   */
  kill(side: Side, replaced = true): void {
    this.alive[side] = false;
    this.deaths.push(side);
    if (replaced) this.replace(side);
  }

  /** A new side in a dead one's place: a new session after a host, a reset before a guest. */
  replace(side: Side): void {
    if (side === 'host') {
      beginSession(this.plan);
      this.host = this.#makeHost();
      this.alive.host = true;
      return;
    }
    this.host.registers.status = 0;
    this.host.device.poll();
    this.guest = openGuest(this.#makeGuest, this.guest.counters);
    this.guest.compositor.start();
    this.alive.guest = true;
  }

  #step(): boolean {
    const { guest, host } = this.alive;
    let progressed = guest && this.guest.poll();
    if (host && this.#pollHost()) progressed = true;
    if (progressed) return true;
    if ((guest && this.guest.driver.prepareSleep()) || (host && this.host.device.prepareSleep())) {
      this.#endSleep();
      return true;
    }
    const next = Math.min(
      guest ? this.guest.compositor.deadline[0] : Number.POSITIVE_INFINITY,
      host ? this.host.device.deadline[0] : Number.POSITIVE_INFINITY,
    );
    this.#endSleep();
    if (next === Number.POSITIVE_INFINITY) throw new InlineDeadlock();
    this.clock.advanceTo(next);
    return false;
  }

  /** Steps until `frames` more commits have ended. @throws InlineDeadlock, or RangeError if virtual time runs `maxNs` further without that */
  runFrames(frames: number, maxNs = 60e9): void {
    const until = this.guest.compositor.committed + frames;
    this.runUntil(() => this.guest.compositor.committed >= until, maxNs);
  }

  runUntil(done: () => boolean, maxNs = 60e9): void {
    this.clock.read();
    const giveUp = this.clock.slot[0] + maxNs;
    while (!done()) {
      this.step();
      this.clock.read();
      if (this.clock.slot[0] > giveUp) throw new RangeError(`not done after ${maxNs / 1e9} s of virtual time`);
    }
  }

  /** Draws no more, ends what is in commit and waits until the host has answered everything. */
  drain(): void {
    const { compositor, driver } = this.guest;
    compositor.running = false;
    this.runUntil(() => compositor.idle && driver.commands.inFlight === 0);
  }

  /** Drains and takes the guest down. */
  finish(): void {
    this.drain();
    this.guest.shutDown();
  }

  /** The guest sleeps: the host runs, or time passes to its next deadline, but not past the guest's. */
  #hostTurn(deadlineNs: number): boolean {
    if (!this.alive.host) {
      this.clock.advanceTo(deadlineNs);
      return false;
    }
    try {
      if (this.#pollHost()) return true;
    } catch (error) {
      // The guest that sleeps goes on: it is not the one that died.
      if (!(error instanceof InlineDeath) || error.side === 'guest') throw error;
      this.#died('host');
      return true;
    }
    if (this.host.device.prepareSleep()) {
      this.host.device.endSleep();
      return true;
    }
    this.host.device.endSleep();
    const next = Math.min(this.host.device.deadline[0], deadlineNs);
    if (next === Number.POSITIVE_INFINITY) throw new InlineDeadlock();
    this.clock.advanceTo(next);
    return next < deadlineNs;
  }

  #endSleep(): void {
    if (this.alive.guest) this.guest.driver.endSleep();
    if (this.alive.host) this.host.device.endSleep();
  }

  #pollHost(): boolean {
    this.#turn = 'host';
    const progressed = this.host.device.poll();
    this.#turn = 'guest';
    if (!this.#dying) return progressed;
    this.#dying = false;
    throw new InlineDeath('guest');
  }

  /** An injected fault ends a side: at once when it has its turn, else after the other one's. */
  #end(side: Side): void {
    if (side !== this.#turn) this.#dying = true;
    else {
      this.#turn = 'guest';
      throw new InlineDeath(side);
    }
  }

  #died(side: Side): void {
    this.kill(side, this.#replaces);
  }

  #reopen(): void {
    const { running } = this.guest.compositor;
    this.guest = reopenGuest(this.guest, this.#makeGuest, this.guest.counters);
    this.guest.compositor.running = running;
    this.guest.compositor.start();
  }
}
