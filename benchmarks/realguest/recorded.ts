import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { DEFAULT_OPTIONS, type MachineOptions } from '../../core/machine/options.ts';
import { type MachinePlan, planMachine } from '../../core/machine/plan.ts';
import { type Workload, workloadPath, workloadRate } from '../../core/machine/workload.ts';
import { planWorkloadMachine } from '../../core/machine/workload-guest.ts';
import { planWorkload } from '../../core/machine/workload-plan.ts';
import { parseTrace } from '../../core/trace/trace.ts';
import { type Scenario, ScenarioError, usualScanoutUs } from '../scenarios.ts';

/** A recorded guest that a scenario plays in the place of this project's own. */
export interface RecordedGuest {
  /** Names the recording in reports: its file, and a digest, so that two of a name are not taken for one. */
  readonly name: string;
  readonly workload: Workload;
}

/** The display that recorded guests are shown on has the rate of the one that they were recorded with, Hz. */
const DISPLAY_HZ = 60;
const DIGEST_DIGITS = 8;

/** Without folder and ending, and without what an id had better not have. */
export const nameOf = (file: string): string =>
  basename(file)
    .replace(/\.jsonl?$/, '')
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .slice(0, 60) || 'trace';

/**
 * A scenario of a trace's text.
 * @param name of the file @param host what the host is like, as its list limit
 * @throws TraceError when it is no trace, or one that cannot be repeated
 */
export function recordedScenario(id: string, name: string, text: string, host: Partial<MachineOptions>): Scenario {
  const workload = planWorkload(parseTrace(text));
  const digest = createHash('sha256').update(text).digest('hex').slice(0, DIGEST_DIGITS);
  const [{ width, height }] = workload.images;
  const rateHz = host.rateHz ?? DISPLAY_HZ;
  const options: MachineOptions = {
    ...DEFAULT_OPTIONS,
    scanoutUs: usualScanoutUs(rateHz),
    ...host,
    path: workloadPath(workload),
    width,
    height,
    rateHz,
    buffers: workload.buffers.length,
  };
  return { id, options, recorded: { name: `${name} ${digest}`, workload } };
}

/** Settings that are the guest's: a recorded one has its own. By the flag that asks for them. */
const OWN = {
  layout: '--layout',
  buffers: '--buffers',
  heads: '--heads',
  renderer: '--renderer',
  content: '--content',
  damage: '--damage',
  ring: '--ring',
  memory: '--memory',
  inOrder: '--in-order',
  migrateEvery: '--migrate',
  linuxPacing: '--linux-pacing',
  faults: '--fault',
} as const;

/** The scenario on a host of other settings. @throws ScenarioError naming the flag for one that a recorded guest has of its own */
export function onHost(one: Scenario, settings: Partial<MachineOptions>): Scenario {
  for (const [name, flag] of Object.entries(OWN)) {
    if (name in settings) throw new ScenarioError(`${flag} does not go with a recorded guest, which has its own: leave it out`);
  }
  const options = { ...one.options, ...settings };
  const words = [
    settings.sink === undefined || settings.sink === 'latch' ? '' : settings.sink,
    settings.encoder === undefined || settings.encoder === 'software' ? '' : settings.encoder,
    settings.scanoutUs === undefined ? '' : `scanout${settings.scanoutUs}us`,
    settings.fences === false ? 'nofences' : '',
    settings.handicapPercent === undefined ? '' : `handicap${settings.handicapPercent}`,
  ];
  return { ...one, id: [one.id, ...words.filter((word) => word !== '')].join('-'), options };
}

/** The shared memory of a scenario's machine. @throws RangeError when it cannot be had */
export function planScenario({ recorded }: Scenario, options: MachineOptions, originNs: number): MachinePlan {
  return recorded === undefined ? planMachine(options, originNs) : planWorkloadMachine(options, recorded.workload, originNs);
}

/** Frames a second that the guest of a paced scenario shows at most: those of the display, or of a recorded guest that was slower. */
export function guestRate({ options, recorded }: Scenario): number {
  const rateHz = options.rateHz ?? Number.POSITIVE_INFINITY;
  return recorded === undefined ? rateHz : Math.min(rateHz, workloadRate(recorded.workload));
}

/** Frames that the guest shows in the time that the display takes for `frames`, at least two. */
export function guestFrames(one: Scenario, frames: number): number {
  const { rateHz } = one.options;
  return rateHz === null ? frames : Math.max(Math.min(2, frames), Math.round((frames * guestRate(one)) / rateHz));
}

/** What sets a recorded guest's record apart from another's; nothing of this project's own guest. */
export function recordedSettings({ recorded }: Scenario): Record<string, string> {
  if (recorded === undefined) return {};
  return { recording: recorded.name };
}
