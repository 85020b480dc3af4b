import { DEFAULT_OPTIONS, type MachineOptions } from '../../core/machine/options.ts';
import { planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import type { Window } from '../../workers/task.ts';
import type { ScriptedPlan } from './scripted-side.ts';

/** A few frames. */
export const SHORT: Window = { warmupMs: 1, warmupFrames: 1, measureMs: 10, measureFrames: 0, usageWindows: 1 };
/** Longer than any test. */
export const LONG: Window = { ...SHORT, measureMs: 600_000 };

/** A small machine whose sides do as told; see `Act`. */
export function scriptedPlan(script: ScriptedPlan['script'], options: Partial<MachineOptions> = {}): ScriptedPlan {
  const plan = planMachine({ ...DEFAULT_OPTIONS, width: 64, height: 64, logCapacity: 1024, ...options }, monotonicNowNs());
  return { ...plan, script, threads: new SharedArrayBuffer(8) };
}
