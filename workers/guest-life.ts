import { DeviceLost } from '../core/guest/driver.ts';
import type { GuestMachine } from '../core/machine/guest-machine.ts';
import type { MachineOptions } from '../core/machine/options.ts';
import type { Clock } from '../core/measure/clock.ts';
import { Counter, type Counters } from '../core/measure/counters.ts';

/** @throws as GuestMachine */
export type MakeGuest = () => GuestMachine;

/** A guest that has probed its device, however often that was lost meanwhile. */
export function openGuest<G>(make: () => G, counters: Counters): G {
  for (;;) {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof DeviceLost)) throw error;
      counters.add(Counter.reinitialisations, 1);
    }
  }
}

/**
 * After the device was lost: resets it, which ends all fences `cancelled`, and sets everything up anew: queues, resources,
 * scanouts. No descriptor and no page of the old driver is used again before the reset was answered; no resource id ever.
 */
export function reopenGuest<G extends { readonly driver: { reset(): void } }>(lost: G, make: () => G, counters: Counters): G {
  counters.add(Counter.reinitialisations, 1);
  lost.driver.reset();
  return openGuest(make, counters);
}

/** The least time without progress after which a guest gives its device up, ns. */
const STUCK_NS = 2e9;
/** A longer time between two looks counts as this: then the guest itself did not run, nor perhaps the host, ns. */
const MOST_BETWEEN_NS = 250e6;

/**
 * Whether the device still answers. Frames whose fence never comes end after 50 ms each and leave their buffers in quarantine;
 * with all buffers there nothing would ever happen again.
 */
export class StuckCheck {
  readonly #clock: Clock;
  readonly #limitNs: number;
  /** When the last look was; how long nothing has been seen to progress. Slots: a double that is passed on would be boxed. */
  readonly #times = new Float64Array(2);
  #committed = -1;

  constructor(options: MachineOptions, clock: Clock) {
    this.#clock = clock;
    const periodNs = options.rateHz === null ? 0 : 1e9 / options.rateHz;
    this.#limitNs = STUCK_NS + 4 * (options.scanoutUs * 1000 + periodNs);
  }

  reset(): void {
    this.#committed = -1;
  }

  /** To be called before each sleep. @throws DeviceLost when nothing was committed or answered for too long */
  look(committed: number, inFlight: number): void {
    this.#clock.read();
    const times = this.#times;
    const passed = Math.min(this.#clock.slot[0] - times[0], MOST_BETWEEN_NS);
    times[0] = this.#clock.slot[0];
    if (committed !== this.#committed || inFlight === 0) {
      this.#committed = committed;
      times[1] = 0;
      return;
    }
    times[1] += passed;
    if (times[1] > this.#limitNs) throw new DeviceLost(`${inFlight} commands are not answered`);
  }
}

/** Runs `run` to its end. @returns false when the device was lost meanwhile */
export function keepsDevice(run: () => void): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (error instanceof DeviceLost) return false;
    throw error;
  }
}
