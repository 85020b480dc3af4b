import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../../reports/index.ts';
import { readText } from '../../reports/json.ts';
import { callTree, type FunctionTime, functionTimes } from './call-tree.ts';
import { type CpuProfile, parseCpuProfile } from './cpu-profile.ts';
import type { ScenarioProfile, ThreadName } from './record.ts';

/** Own time of a function for a frame, before and now, µs; null: it was not seen. */
export interface Change {
  readonly thread: ThreadName;
  readonly name: string;
  readonly file: string;
  readonly beforeUs: number | null;
  readonly nowUs: number | null;
  readonly changeUs: number;
  /** Half of the 99.7% interval that the number of samples leaves, µs: a smaller change was not seen. */
  readonly noiseUs: number;
}

export interface Difference {
  readonly base: string;
  readonly scenario: string;
  /** Beyond the noise, the largest first. */
  readonly changes: readonly Change[];
  /** Work of a frame by samples, µs, of the threads compared. */
  readonly beforeUs: number;
  readonly nowUs: number;
}

/** Functions that took less than this part of the work in both are left out. */
const LEAST_SHARE = 0.005;
const SIGMAS = 3;
const THREADS = ['guest', 'host'] as const;

/**
 * Profiles to compare with: a .cpuprofile that `scanout profile` wrote, or a folder of them.
 * @throws InputError
 */
export function readBase(path: string): CpuProfile[] {
  const files = existsSync(path) && statSync(path).isDirectory() ? THREADS.map((thread) => join(path, `${thread}.cpuprofile`)) : [path];
  const profiles = files.map((file) => {
    const profile = parseCpuProfile(readText(file), file);
    if (profile.scanout === undefined || !(profile.scanout.frames > 0) || !THREADS.includes(profile.scanout.thread))
      throw new InputError(`${file}: not written by scanout profile: its thread and frames are unknown; profile the base with it first`);
    return profile;
  });
  return profiles;
}

/** Refuses before a run what could not be compared after it. @throws InputError */
export function checkBase(base: readonly CpuProfile[], scenario: string, path: string): void {
  const other = base.find((profile) => profile.scanout?.scenario !== scenario);
  if (other !== undefined) throw new InputError(`${path}: a profile of ${other.scanout?.scenario ?? 'something else'}, not of ${scenario}`);
}

/** Which functions changed, of the threads that the base has. Waiting (spinning, sleeping) is left out: it changes with everything. */
export function difference(base: readonly CpuProfile[], path: string, profile: ScenarioProfile): Difference {
  const changes: Change[] = [];
  let beforeUs = 0;
  let nowUs = 0;
  for (const before of base) {
    const { thread, frames } = before.scanout ?? { thread: 'guest', frames: 1 };
    const a = perFrame(before, frames);
    const b = perFrame(profile[thread].cpu, profile.frames);
    beforeUs += a.totalUs;
    nowUs += b.totalUs;
    const least = LEAST_SHARE * Math.max(a.totalUs, b.totalUs);
    for (const key of new Set([...a.functions.keys(), ...b.functions.keys()])) {
      const was = a.functions.get(key);
      const is = b.functions.get(key);
      const named = is ?? was;
      if (named === undefined) continue;
      const changeUs = (is?.us ?? 0) - (was?.us ?? 0);
      const noiseUs = SIGMAS * Math.hypot(was?.error ?? a.oneSampleUs, is?.error ?? b.oneSampleUs);
      if (Math.max(was?.us ?? 0, is?.us ?? 0) < least || Math.abs(changeUs) <= noiseUs) continue;
      changes.push({ thread, name: named.name, file: named.file, beforeUs: was?.us ?? null, nowUs: is?.us ?? null, changeUs, noiseUs });
    }
  }
  changes.sort((x, y) => Math.abs(y.changeUs) - Math.abs(x.changeUs));
  return { base: path, scenario: profile.scenario, changes, beforeUs, nowUs };
}

interface PerFrame {
  readonly functions: Map<string, { name: string; file: string; us: number; error: number }>;
  readonly totalUs: number;
  readonly oneSampleUs: number;
}

/** A function is known by its name and file: lines move when something above them does. */
function perFrame(profile: CpuProfile, frames: number): PerFrame {
  const times = functionTimes(callTree(profile, '')).filter(({ kind }) => kind !== 'spin' && kind !== 'sleep' && kind !== 'other');
  const together = new Map<string, FunctionTime>();
  for (const time of times) {
    const key = `${time.name} ${nameless(time.file)}`;
    const before = together.get(key);
    together.set(
      key,
      before === undefined
        ? time
        : {
            ...time,
            selfUs: before.selfUs + time.selfUs,
            samples: before.samples + time.samples,
            variance: before.variance + time.variance,
          },
    );
  }
  const functions: PerFrame['functions'] = new Map();
  let totalUs = 0;
  let samples = 0;
  for (const [key, { name, file, selfUs, samples: count, variance }] of together) {
    functions.set(key, { name, file, us: selfUs / frames, error: Math.sqrt(variance) / frames });
    totalUs += selfUs / frames;
    samples += count;
  }
  return { functions, totalUs, oneSampleUs: samples === 0 ? 0 : totalUs / samples };
}

/** Sources and their compiled form are the same file; a WebAssembly module's name is a hash of it. */
const nameless = (file: string): string => file.replace(/\.[jt]s$/, '').replace(/^wasm:.*/, 'wasm');
