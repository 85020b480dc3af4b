import { GuestMachine } from '../core/machine/guest-machine.ts';
import { HostMachine } from '../core/machine/host-machine.ts';
import type { MachineOptions } from '../core/machine/options.ts';
import { type MakeCopier, plannedCopier } from '../core/machine/parts.ts';
import { type MachinePlan, planMachine } from '../core/machine/plan.ts';
import { openDriverQueue } from '../core/machine/queues.ts';
import { type Clock, VirtualClock } from '../core/measure/clock.ts';
import type { Doorbell } from '../core/ring/doorbell.ts';
import type { Sink } from '../core/sink/sink.ts';

/** Nothing can happen any more: both sides wait for each other. */
export class InlineDeadlock extends Error {
  constructor() {
    super('both sides are idle and neither waits for a time: nothing can happen any more');
    this.name = 'InlineDeadlock';
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
}

/**
 * Guest and host on one thread under a virtual clock: alternates their polls and moves the clock when both are
 * idle. The same options give the same run, to the byte.
 */
export class InlineMachine {
  readonly plan: MachinePlan;
  readonly clock: VirtualClock;
  readonly host: HostMachine;
  readonly guest: GuestMachine;

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
    this.host = new HostMachine(this.plan, clock, guestBell, makeCopier, parts.wrapSink);
    guestBell.onSleep((deadline) => this.#hostTurn(deadline));
    this.guest = new GuestMachine(this.plan, clock, hostBell, guestBell, openDriverQueue, makeCopier);
    this.guest.compositor.start();
  }

  /** One alternation. @returns false when both were idle and the clock moved instead */
  step(): boolean {
    let progressed = this.guest.poll();
    if (this.host.device.poll()) progressed = true;
    if (progressed) return true;
    if (this.guest.driver.prepareSleep() || this.host.device.prepareSleep()) {
      this.#endSleep();
      return true;
    }
    const next = Math.min(this.guest.compositor.deadline[0], this.host.device.deadline[0]);
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
    if (this.host.device.poll()) return true;
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
    this.guest.driver.endSleep();
    this.host.device.endSleep();
  }
}
