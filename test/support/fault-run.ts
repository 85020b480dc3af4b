import { type FaultFigures, faultFigures } from '../../benchmarks/faults.ts';
import { type Fault, parseFaults } from '../../core/machine/faults.ts';
import { COPIES, type MachineOptions, type Path } from '../../core/machine/options.ts';
import { bytesPerFrame, type MachinePlan, planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { DeviceRegisters } from '../../core/ring/registers.ts';
import type { SessionRunner } from '../../workers/session.ts';
import type { GuestReport, HostReport } from '../../workers/task.ts';
import { type RunSummary, smallOptions, summary } from './inline-run.ts';

/** What a run in threads with faults came to. */
export interface FaultRun {
  readonly plan: MachinePlan;
  readonly guest: GuestReport;
  readonly host: HostReport;
  readonly result: RunSummary;
  readonly figures: FaultFigures;
  readonly guestCounters: Counters;
  readonly hostCounters: Counters;
  /** Session of the host at the end; 0: the first. */
  readonly generation: number;
}

/** A new worker compiles everything anew, which takes long on a busy machine. */
const TIMEOUT_MS = 60_000;
/** Frames to be measured in all: enough for every fault to have come and gone. */
export const FRAMES = 40;

/** Runs a small machine in threads, three buffers at 120 Hz, with faults as `--fault` takes them. @throws Error when it did not end well */
export async function runFaults(
  sessions: SessionRunner,
  path: Path,
  faults: string,
  options: Partial<MachineOptions> = {},
  frames = FRAMES,
): Promise<FaultRun> {
  const planned: Fault[] = parseFaults(faults);
  const all = smallOptions({ path, rateHz: 120, buffers: 3, width: 320, height: 200, scanoutUs: 1000, faults: planned, ...options });
  const plan = planMachine(all, monotonicNowNs());
  const window = { warmupMs: 0, warmupFrames: 3, measureMs: 0, measureFrames: frames, usageWindows: 1 };
  const outcome = await sessions.run(plan, window, TIMEOUT_MS);
  if (outcome.kind !== 'done') throw new Error(`${faults} on ${path}: ${JSON.stringify(outcome)}`);
  const { guest, host } = outcome;
  return {
    plan,
    guest,
    host,
    result: summary(plan, guest.totalFrames[0]),
    figures: faultFigures(plan, guest, host),
    guestCounters: new Counters(plan.guestCounters),
    hostCounters: new Counters(plan.hostCounters),
    generation: new DeviceRegisters(new Int32Array(plan.control)).generation,
  };
}

/** Rules that no fault breaks. @returns those that are broken, in words */
export function brokenInvariants(run: FaultRun): string[] {
  const { plan, result, figures, hostCounters } = run;
  const broken: string[] = [];
  const rule = (holds: boolean, words: string): void => {
    if (!holds) broken.push(words);
  };
  rule(figures.left === 0, `${figures.left} bytes and objects are still held`);
  rule(!run.host.needsReset, 'the device needs a reset');
  rule(result.torn === 0, `${result.torn} frames are torn`);
  rule(result.verified > 0, 'nothing was verified');
  rule(result.errors <= (plan.options.faults.some(({ name }) => name === 'host-no-memory') ? 1 : 0), `${result.errors} error responses`);
  const shown = hostCounters.get(Counter.framesPresented);
  rule(result.verified === shown, `${result.verified} of ${shown} shown frames were verified`);
  // A frame may be copied and lost, never shown without its copies; nothing else is copied.
  const copied = (result.bytes.readback ?? 0) + (result.bytes.transfer ?? 0) + (result.bytes.fallback ?? 0);
  const perFrame = bytesPerFrame(plan.options);
  rule(copied >= shown * perFrame, `the ledger has ${copied} bytes for ${shown} frames of ${perFrame}`);
  const lost = 2 * plan.options.buffers * COPIES[plan.options.path] + COPIES[plan.options.path] * 4;
  rule(copied <= (shown + lost) * perFrame, `the ledger has ${copied} bytes for ${shown} frames of ${perFrame}: too many`);
  return broken;
}
