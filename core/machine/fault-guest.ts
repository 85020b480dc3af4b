import { DeviceLost, type QueueFactory } from '../guest/driver.ts';
import type { Clock } from '../measure/clock.ts';
import type { Doorbell } from '../ring/doorbell.ts';
import type { DriverQueue } from '../ring/queue.ts';
import { type FaultHooks, SideFaults, type Trigger } from './fault-trigger.ts';

/** A length of step that no wait hides, ns. */
const STEP_AHEAD_NS = 1e9;
const STEP_BACK_NS = 50e6;

/** The faults that happen on the guest's side: the parts of a guest with faults built in. A frame's number is that of its FLUSH. */
export class GuestFaults extends SideFaults {
  clock(clock: Clock): Clock {
    const ahead = this.trigger('clock-step');
    const back = this.trigger('clock-back');
    return ahead.planned || back.planned ? new SteppedClock(clock, ahead, back) : clock;
  }

  /** The doorbell that wakes the host. */
  hostDoorbell(doorbell: Doorbell): Doorbell {
    return faultyDoorbell(doorbell, this.trigger('lost-kick'), this.trigger('doubled-kick'));
  }

  /** The first queue that is opened is the control queue; the cursor's is left as it is. */
  queues(open: QueueFactory): QueueFactory {
    let opened = 0;
    return (space, allocator, size, features) => {
      const { queue, config } = open(space, allocator, size, features);
      opened++;
      return { queue: opened % 2 === 1 ? new FaultyDriverQueue(queue, this, this.hooks) : queue, config };
    };
  }
}

/** A doorbell that loses a ring, or rings twice and once more for nothing. */
export function faultyDoorbell(doorbell: Doorbell, lost: Trigger, doubled: Trigger): Doorbell {
  return lost.planned || doubled.planned ? new FaultyDoorbell(doorbell, lost, doubled) : doorbell;
}

class FaultyDoorbell implements Doorbell {
  readonly #doorbell: Doorbell;
  readonly #lost: Trigger;
  readonly #doubled: Trigger;

  constructor(doorbell: Doorbell, lost: Trigger, doubled: Trigger) {
    this.#doorbell = doorbell;
    this.#lost = lost;
    this.#doubled = doubled;
  }

  sample(): number {
    return this.#doorbell.sample();
  }

  ring(): void {
    if (this.#lost.fires()) return;
    this.#doorbell.ring();
    if (!this.#doubled.fires()) return;
    this.#doorbell.ring();
    this.#doorbell.ring();
  }

  sleep(expected: number, deadlineNs: number): boolean {
    return this.#doorbell.sleep(expected, deadlineNs);
  }
}

/** The control queue's driver side, whose thread ends, or gives the device up, at a stage of a frame. */
class FaultyDriverQueue implements DriverQueue {
  readonly #queue: DriverQueue;
  readonly #hooks: FaultHooks;
  readonly #beforeIndex: Trigger;
  readonly #exits: Trigger;
  readonly #afterIndex: Trigger;
  readonly #beforeAnswer: Trigger;
  readonly #reset: Trigger;

  constructor(queue: DriverQueue, faults: GuestFaults, hooks: FaultHooks) {
    this.#queue = queue;
    this.#hooks = hooks;
    this.#beforeIndex = faults.trigger('guest-dies-before-idx');
    this.#exits = faults.trigger('guest-exits');
    this.#afterIndex = faults.trigger('guest-dies-after-idx');
    this.#beforeAnswer = faults.trigger('guest-dies-before-answer');
    this.#reset = faults.trigger('reset-pending');
  }

  get size(): number {
    return this.#queue.size;
  }
  get free(): number {
    return this.#queue.free;
  }
  get usedToken(): number {
    return this.#queue.usedToken;
  }
  get usedLength(): number {
    return this.#queue.usedLength;
  }

  begin(): void {
    this.#queue.begin();
  }

  readable(address: number, length: number): void {
    this.#queue.readable(address, length);
  }

  writable(address: number, length: number): void {
    this.#queue.writable(address, length);
  }

  submit(token: number): boolean {
    return this.#queue.submit(token);
  }

  publish(): boolean {
    if (this.#beforeIndex.fires()) this.#hooks.end('guest', 'terminate');
    if (this.#exits.fires()) this.#hooks.end('guest', 'exit');
    const kick = this.#queue.publish();
    if (this.#afterIndex.fires()) this.#hooks.end('guest', 'terminate');
    if (this.#reset.fires()) throw new DeviceLost('a reset was injected with a flush in flight');
    return kick;
  }

  popUsed(): boolean {
    if (this.#beforeAnswer.fires()) this.#hooks.end('guest', 'terminate');
    return this.#queue.popUsed();
  }

  enableInterrupts(): boolean {
    return this.#queue.enableInterrupts();
  }

  disableInterrupts(): void {
    this.#queue.disableInterrupts();
  }
}

/** A clock that jumps. */
class SteppedClock implements Clock {
  readonly slot = new Float64Array(1);
  readonly #clock: Clock;
  readonly #ahead: Trigger;
  readonly #back: Trigger;
  readonly #offset = new Float64Array(1);

  constructor(clock: Clock, ahead: Trigger, back: Trigger) {
    this.#clock = clock;
    this.#ahead = ahead;
    this.#back = back;
  }

  read(): void {
    if (this.#ahead.fires()) this.#offset[0] += STEP_AHEAD_NS;
    if (this.#back.fires()) this.#offset[0] -= STEP_BACK_NS;
    this.#clock.read();
    this.slot[0] = this.#clock.slot[0] + this.#offset[0];
  }
}
