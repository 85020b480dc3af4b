import type { Worker } from 'node:worker_threads';
import { type MachinePlan, SessionWord } from '../../core/machine/plan.ts';
import { MonotonicClock, monotonicNowNs } from '../../core/measure/clock.ts';
import { pickCopyKernel } from '../../core/memory/copier.ts';
import { type SessionOutcome, SessionRunner } from '../../workers/session.ts';
import type { GuestReport, HostReport, Window } from '../../workers/task.ts';
import { planScenario } from '../realguest/recorded.ts';
import type { Scenario } from '../scenarios.ts';
import { alignEnd, type CpuProfile, clip, parseCpuProfile } from './cpu-profile.ts';
import { type HeapSite, heapSites } from './heap-profile.ts';

export type ThreadName = 'guest' | 'host';

/** What one thread did in the profiled time. */
export interface ThreadProfile {
  readonly thread: ThreadName;
  readonly cpu: CpuProfile;
  /** As V8 gave it, for DevTools; null: not taken. */
  readonly heap: string | null;
  /** Where memory was allocated in the profiled time, the most first. */
  readonly heapSites: readonly HeapSite[];
  /** From counters and the thread's own clocks, µs. */
  readonly wallUs: number;
  readonly spinUs: number;
  readonly sleepUs: number;
  readonly cpuUs: number;
  /** Null: the system does not say. */
  readonly runQueueWaitUs: number | null;
  readonly collections: number;
  /** Null: a collection ran. */
  readonly allocatedBytes: number | null;
}

export interface ScenarioProfile {
  readonly scenario: string;
  /** Frames of the profiled time, of the CPU profile's run. */
  readonly frames: number;
  readonly guest: ThreadProfile;
  readonly host: ThreadProfile;
}

export interface ProfileOptions {
  readonly scenario: Scenario;
  /** Of the profiled part. */
  readonly seconds: number;
  /** Also a run that samples allocations. */
  readonly heap: boolean;
  readonly signal: AbortSignal;
  readonly progress?: (step: { done: number; total: number; text: string }) => void;
}

/** A machine that did not come to its end. */
export class ProfileError extends Error {
  override name = 'ProfileError';
}

const WARM_UP_MS = 400;
const GRACE_MS = 15_000;
/** Bytes between two samples of the heap: a frame allocates next to nothing. */
const HEAP_SAMPLE_BYTES = 512;

/**
 * Runs a scenario with both threads' profilers on. Allocations are sampled in a run of their own: sampling them costs time.
 * @returns null when it was aborted
 * @throws ProfileError
 */
export async function profileScenario(options: ProfileOptions): Promise<ScenarioProfile | null> {
  const { scenario, signal, heap } = options;
  const total = heap ? 2 : 1;
  const sessions = new SessionRunner();
  // A worker that waits keeps no process alive.
  const alive = setInterval(() => {}, 1000);
  try {
    options.progress?.({ done: 0, total, text: `${scenario.id}: where the time goes` });
    const copier = pickCopyKernel(new MonotonicClock(monotonicNowNs())).kernel.name;
    const plan = (): MachinePlan => planScenario(scenario, { ...scenario.options, copier }, monotonicNowNs());
    const timed = await cpuRun(sessions, plan(), options);
    if (timed === null) return null;
    let heaps: Heaps = { guest: null, host: null };
    if (heap) {
      options.progress?.({ done: 1, total, text: `${scenario.id}: where memory is allocated` });
      const sampled = await heapRun(sessions, plan(), options);
      if (sampled === null) return null;
      heaps = sampled;
    }
    if (signal.aborted) return null;
    const { guest, host, cpu } = timed;
    const wallUs = (guest.endNs - guest.startNs) / 1000;
    const frames = guest.frames;
    const origin = (thread: ThreadName): CpuProfile => ({
      ...cpu[thread],
      scanout: { scenario: scenario.id, thread, frames, node: process.versions.node },
    });
    const side = (thread: ThreadName, report: GuestReport | HostReport): ThreadProfile => ({
      thread,
      cpu: origin(thread),
      heap: heaps[thread],
      heapSites: heapSites(heaps[thread]),
      wallUs,
      spinUs: report.spinNs / 1000,
      sleepUs: report.sleepNs / 1000,
      cpuUs: report.usage.reduce((sum, usage) => sum + usage.cpuUs, 0),
      runQueueWaitUs: sumOf(
        report.usage.map(({ runQueueWaitNs }) => runQueueWaitNs),
        1 / 1000,
      ),
      collections: report.usage.reduce((sum, usage) => sum + usage.collections, 0),
      allocatedBytes: sumOf(
        report.usage.map(({ heapBytes }) => heapBytes),
        1,
      ),
    });
    options.progress?.({ done: total, total, text: 'done' });
    return { scenario: scenario.id, frames, guest: side('guest', guest), host: side('host', host) };
  } finally {
    clearInterval(alive);
    await sessions.close();
  }
}

function sumOf(values: readonly (number | null)[], scale: number): number | null {
  let sum = 0;
  for (const value of values) {
    if (value === null) return null;
    sum += value * scale;
  }
  return sum;
}

const windowOf = (seconds: number): Window => ({
  warmupMs: WARM_UP_MS,
  warmupFrames: 3,
  measureMs: seconds * 1000,
  measureFrames: 0,
  usageWindows: 1,
});

/** @throws ProfileError @returns null: aborted */
function reportsOf(outcome: SessionOutcome): { guest: GuestReport; host: HostReport } | null {
  if (outcome.kind === 'aborted') return null;
  if (outcome.kind === 'failed') throw new ProfileError(`the ${outcome.side} failed: ${outcome.reason}`);
  return outcome;
}

async function cpuRun(
  sessions: SessionRunner,
  plan: MachinePlan,
  { seconds, signal }: ProfileOptions,
): Promise<{ guest: GuestReport; host: HostReport; cpu: Record<ThreadName, CpuProfile> } | null> {
  // Starts the workers, too: a profile begins before the machine and is cut to its measured part.
  await sessions.memory();
  const workers = sessions.threads;
  const handles = await Promise.all(workers.map((worker) => worker.startCpuProfile()));
  const outcome = await sessions.run(plan, windowOf(seconds), seconds * 1000 + WARM_UP_MS + GRACE_MS, signal);
  const reports = reportsOf(outcome);
  if (reports === null) return null;
  const askedUs = monotonicNowNs() / 1000;
  const texts = await Promise.all(handles.map((handle) => handle.stop()));
  const { startNs, endNs } = reports.guest;
  const of = (thread: ThreadName): CpuProfile => {
    const text = texts[indexOf(workers, plan, thread)];
    const profile = alignEnd(parseCpuProfile(text, `the ${thread}'s profile`), askedUs);
    return clip(profile, (plan.originNs + startNs) / 1000, (plan.originNs + endNs) / 1000);
  };
  return { ...reports, cpu: { guest: of('guest'), host: of('host') } };
}

type Heaps = Record<ThreadName, string | null>;

/** Samples allocations of the second half of a run: what is set up before is over then. */
async function heapRun(sessions: SessionRunner, plan: MachinePlan, { seconds, signal }: ProfileOptions): Promise<Heaps | null> {
  const length = Math.min(seconds, 1);
  const ended = sessions.run(plan, windowOf(2 * length), 2000 * length + WARM_UP_MS + GRACE_MS, signal);
  const cells = new Int32Array(plan.control);
  let over = false;
  void ended.then(() => {
    over = true;
  });
  while (!over && Atomics.load(cells, SessionWord.phase) === 0) await pause(5);
  await pause(length * 500);
  const workers = sessions.threads;
  const handles = over ? [] : await Promise.all(workers.map((worker) => worker.startHeapProfile(HEAP_OPTIONS)));
  if (!over) await pause(length * 1000);
  // A run that was stopped has lost its workers.
  const texts = over ? [] : await Promise.all(handles.map((handle) => handle.stop()));
  if (reportsOf(await ended) === null) return null;
  const of = (thread: ThreadName): string | null => texts[indexOf(workers, plan, thread)] ?? null;
  return { guest: of('guest'), host: of('host') };
}

const HEAP_OPTIONS = {
  sampleInterval: HEAP_SAMPLE_BYTES,
  includeObjectsCollectedByMajorGC: true,
  includeObjectsCollectedByMinorGC: true,
};

/** Which of the workers ran a side: a machine leaves their ids in its control block. */
function indexOf(workers: readonly Worker[], plan: MachinePlan, thread: ThreadName): number {
  const id = Atomics.load(new Int32Array(plan.control), thread === 'guest' ? SessionWord.guestThread : SessionWord.hostThread);
  return workers.findIndex(({ threadId }) => threadId === id);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
