import { FAULT_COUNTERS, type FaultCounter, faultKind, faultText } from '../core/machine/faults.ts';
import type { MachineOptions } from '../core/machine/options.ts';
import type { MachinePlan } from '../core/machine/plan.ts';
import { Counter, Counters } from '../core/measure/counters.ts';
import type { Check, ScenarioFaults } from '../reports/run-document.ts';
import type { GuestReport, HostReport } from '../workers/task.ts';
import type { Scenario } from './scenarios.ts';

/** What one repetition came to, as far as faults go. */
export interface FaultFigures {
  /** Faults that happened on purpose. */
  readonly injected: number;
  /** The sink looked at pixels. */
  readonly verified: boolean;
  readonly counters: Readonly<Record<FaultCounter, number>>;
  /** Bytes, resources and buffers that either side still holds after the end: 0 unless something leaked. */
  readonly left: number;
}

/** A busy machine counts these by itself: a thread that loses its CPU for 50 ms, or between publishing and ringing. */
export const BUSY_COUNTERS: readonly string[] = ['fencesTimedOut', 'lostNotifications'];
/** The guest's bounded wait for a fence, µs: a sink that reads for nearly so long makes it run out. */
const FENCE_WAIT_US = 50_000;

export function faultFigures(plan: MachinePlan, guest: GuestReport, host: HostReport): FaultFigures {
  const ofGuest = new Counters(plan.guestCounters);
  const ofHost = new Counters(plan.hostCounters);
  const sum = (counter: number): number => ofGuest.get(counter) + ofHost.get(counter);
  const counters: Record<FaultCounter, number> = {
    fencesTimedOut: sum(Counter.fencesTimedOut),
    fencesCancelled: sum(Counter.fencesCancelled),
    lostNotifications: sum(Counter.lostNotifications),
    clockSteps: sum(Counter.clockSteps),
    reinitialisations: sum(Counter.reinitialisations),
    staleDrivers: sum(Counter.staleDrivers),
    ringErrors: sum(Counter.ringErrors),
    hostRestarts: ofHost.get(Counter.restarts),
    guestRestarts: ofGuest.get(Counter.restarts),
  };
  const left = host.budgetAfterReset + host.resourcesAfterReset + host.segmentsAfterReset + guest.heldAfterFree + guest.gpuBuffersAfterFree;
  return { injected: sum(Counter.faultsInjected), verified: plan.options.sink === 'verify', counters, left };
}

/** The document's entry for a scenario; null: nothing was injected and nothing was counted. */
export function scenarioFaults(options: MachineOptions, figures: readonly FaultFigures[]): ScenarioFaults | null {
  const counters: Partial<Record<FaultCounter, number>> = {};
  const unexplained: FaultCounter[] = [];
  for (const name of FAULT_COUNTERS) {
    let total = 0;
    let tells = false;
    for (const one of figures) {
      const count = one.counters[name];
      total += count;
      // A sink that sums up a large frame keeps the host longer than the guest waits for a fence: that says nothing of the path.
      if (count > 0 && !(name === 'fencesTimedOut' && one.verified)) tells = true;
    }
    if (total > 0) counters[name] = total;
    if (tells && !explained(name, options)) unexplained.push(name);
  }
  const { faults } = options;
  if (faults.length === 0 && Object.keys(counters).length === 0) return null;
  return {
    injected: faults.map(faultText),
    times: figures.reduce((n, { injected }) => n + injected, 0),
    counters,
    unexplained,
  };
}

function explained(counter: FaultCounter, options: MachineOptions): boolean {
  if (counter === 'fencesTimedOut') {
    const periodUs = options.rateHz === null ? 0 : 1e6 / options.rateHz;
    // At such a rate, or with such a sink, a frame legitimately takes longer than the guest waits.
    if (options.scanoutUs + 2 * periodUs > FENCE_WAIT_US * 0.8) return true;
  }
  return options.faults.some(({ name }) => faultKind(name).explains.includes(counter));
}

/** What a scenario must show of its faults, or of having none. */
export function faultChecks(scenario: Scenario, figures: readonly FaultFigures[]): Check[] {
  const { id, options } = scenario;
  const found = scenarioFaults(options, figures);
  if (found === null) return [];
  const checks: Check[] = [];
  const asked = options.faults.length;
  if (asked > 0) {
    const whole = figures.filter(({ injected }) => injected === asked).length;
    checks.push({
      name: `${id} injects ${found.injected.join(', ')}`,
      status: whole > 0 ? 'pass' : 'fail',
      detail: whole > 0 ? `in ${whole} of ${figures.length} repetitions` : 'no repetition came so far, or had no occasion for it',
    });
    const left = figures.reduce((n, one) => n + one.left, 0);
    checks.push({
      name: `${id} leaves nothing behind`,
      status: left === 0 ? 'pass' : 'fail',
      detail: `${left} bytes and objects held at the end`,
    });
  }
  const { clockSteps } = found.counters;
  if (clockSteps !== undefined)
    checks.push({
      name: `${id} has a steady clock`,
      status: 'fail',
      detail: `${clockSteps} sides saw it step or stand: no time is to be believed`,
    });
  const { unexplained } = found;
  const told = unexplained.map((name) => `${name} ${found.counters[name] ?? 0}`).join(', ');
  if (unexplained.length > 0 || asked > 0) {
    checks.push({
      name: `${id} has no unexplained fault`,
      status: unexplained.length === 0 ? 'pass' : unexplained.every((name) => BUSY_COUNTERS.includes(name)) ? 'inconclusive' : 'fail',
      detail: unexplained.length > 0 ? told : counted(found.counters),
    });
  }
  return checks;
}

const counted = (counters: ScenarioFaults['counters']): string =>
  Object.entries(counters)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ') || 'nothing was counted';
