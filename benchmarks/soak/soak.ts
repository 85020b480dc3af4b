/** Runs machine after machine, changing each while it runs, and watches what the process holds. */
import { availableParallelism, cpus } from 'node:os';
import { faultKind } from '../../core/machine/faults.ts';
import type { MachineOptions } from '../../core/machine/options.ts';
import { counted } from '../../reports/format.ts';
import type { Check } from '../../reports/index.ts';
import { SessionRunner } from '../../workers/session.ts';
import { packageVersion } from '../version.ts';
import {
  type EventCounts,
  type Growth,
  type MemorySample,
  PROBLEM_CHECKS,
  type ProblemCheck,
  type SoakDocument,
  type SoakRound,
} from './document.ts';
import { drawMachine, roundRandom } from './draw.ts';
import { judgeMemory, LEAST_JUDGED, SERIES } from './flatness.ts';
import { sampleMemory } from './memory.ts';
import { runRound } from './round.ts';

export interface SoakOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly command: string;
  readonly signal: AbortSignal;
  readonly onProgress: (now: SoakProgress) => void;
  /** File that the workers run; replaced by tests. */
  readonly entry?: string;
  /** Of tests: how long a round is, s, how many there are at most, and what is other than drawn. */
  readonly roundSeconds?: number;
  readonly maxRounds?: number;
  readonly warmUpRounds?: number;
  readonly machine?: Partial<MachineOptions>;
}

export interface SoakProgress {
  /** s */
  readonly elapsed: number;
  readonly frames: number;
  readonly torn: number;
  readonly events: EventCounts;
  readonly moves: number;
  readonly rssBytes: number;
}

/** A soak has about so many rounds at least, and a round so many seconds. */
const ROUNDS = 20;
const MIN_ROUND_S = 1.5;
/**
 * The first machines are short and not followed by a sample: until every thread has run a few, the heap holds megabytes of what
 * starting took (sources, code that is dropped later), and the drop would hide a leak.
 */
const WARM_UP_ROUNDS = 12;
const WARM_UP_S = 0.5;
const MAX_ROUND_S = 15;

/** @throws when memory cannot be measured at all */
export async function runSoak(of: SoakOptions): Promise<SoakDocument> {
  const { seed, signal } = of;
  const startedAt = new Date().toISOString();
  const start = performance.now();
  const total = of.minutes * 60;
  const elapsed = (): number => (performance.now() - start) / 1000;
  const warmUp = of.warmUpRounds ?? WARM_UP_ROUNDS;
  const maxRounds = of.maxRounds ?? Number.POSITIVE_INFINITY;
  const least = of.roundSeconds ?? MIN_ROUND_S;
  const seconds = of.roundSeconds ?? Math.min(MAX_ROUND_S, Math.max(MIN_ROUND_S, total / ROUNDS));
  const sessions = new SessionRunner(of.entry);
  const rounds: SoakRound[] = [];
  const samples: MemorySample[] = [];
  const sums = { frames: 0, torn: 0, moves: 0, events: { resize: 0, unplug: 0, plug: 0, layout: 0 } };
  try {
    for (let round = 0; !signal.aborted && elapsed() < total && round < maxRounds; round++) {
      const random = roundRandom(seed, round);
      const options = { ...drawMachine(random, round), ...of.machine };
      // A thread that is to die takes none of those whose memory is watched along.
      const mortal = options.faults.some(({ name }) => faultKind(name).kills !== null) ? new SessionRunner(of.entry) : null;
      const result = await runRound({
        round,
        random,
        options,
        // The last one ends with the soak.
        seconds: round < warmUp ? Math.min(WARM_UP_S, seconds) : Math.max(least, Math.min(seconds, total - elapsed())),
        sessions: mortal ?? sessions,
        signal,
        onProgress: ({ frames, torn, events }) =>
          of.onProgress({
            elapsed: elapsed(),
            frames: sums.frames + frames,
            torn: sums.torn + torn,
            moves: sums.moves,
            events: added(sums.events, events),
            rssBytes: process.memoryUsage.rss(),
          }),
      });
      await mortal?.close();
      rounds.push(result);
      sums.frames += result.presented;
      sums.torn += result.torn;
      sums.moves += result.moves;
      sums.events = added(sums.events, result.events);
      if (!signal.aborted && round >= warmUp) samples.push(await sampleMemory(sessions, elapsed()));
    }
  } finally {
    await sessions.close();
  }
  const memory = judgeMemory(samples);
  return {
    schemaVersion: 1,
    command: of.command,
    seed,
    minutes: of.minutes,
    elapsed: elapsed(),
    partial: signal.aborted,
    startedAt,
    environment: {
      node: process.versions.node,
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cores: availableParallelism(),
      version: packageVersion(),
    },
    rounds,
    samples,
    memory,
    checks: [...roundChecks(rounds), ...memory.map(memoryCheck)],
  };
}

export function added(a: EventCounts, b: EventCounts): EventCounts {
  return { resize: a.resize + b.resize, unplug: a.unplug + b.unplug, plug: a.plug + b.plug, layout: a.layout + b.layout };
}

/** One check a kind of problem; the first of each is told. */
export function roundChecks(rounds: readonly SoakRound[]): Check[] {
  const frames = rounds.reduce((sum, { verified }) => sum + verified, 0);
  const compared = rounds.reduce((sum, round) => sum + round.compared, 0);
  const disturbed = rounds.filter((round) => round.disturbed).length;
  const apart = disturbed === 0 ? '' : `; of ${disturbed} machines not judged: this computer stalled`;
  const injected = rounds.reduce((sum, { faults }) => sum + faults.length, 0);
  const seen: Record<ProblemCheck, string> = {
    ends: `${rounds.length} machines${apart}`,
    torn: `${frames} frames verified`,
    errors: 'none but for the EDID of a head without a display',
    follows: `${compared} times${apart}`,
    holds: `${compared} times`,
    leaks: `${rounds.length} machines`,
    faults: `${counted(injected, 'fault', 'faults')} injected${apart}`,
  };
  return Object.entries(PROBLEM_CHECKS).map(([key, name]): Check => {
    const found = rounds.flatMap(({ round, options, problems }) =>
      problems.filter(({ check }) => check === key).map(({ what }) => `round ${round} (${options.path}, ${options.ring}): ${what}`),
    );
    const checked = key === 'torn' ? frames > 0 : key === 'follows' || key === 'holds' ? compared > 0 : rounds.length > 0;
    if (found.length > 0)
      return { name, status: 'fail', detail: found.length === 1 ? found[0] : `${found[0]}; and ${found.length - 1} more` };
    return { name, status: checked ? 'pass' : 'inconclusive', detail: seen[key as ProblemCheck] };
  });
}

/**
 * Fails only when the whole interval lies above the bound; with the estimate above it and the interval across it, nobody knows, nor
 * where memory that was only freed is counted.
 */
export function memoryCheck(growth: Growth): Check {
  const words = SERIES.find(({ name }) => name === growth.series)?.words ?? growth.series;
  const name = `flat: ${words}`;
  if (growth.growth === null)
    return { name, status: 'inconclusive', detail: `${growth.samples} samples after warm-up, ${LEAST_JUDGED} are needed: run for longer` };
  const { estimate, low } = growth.growth;
  const detail = `grew by ${amount(estimate, growth.unit)}, bound ${amount(growth.bound, growth.unit)}`;
  if (low > growth.bound && growth.freedToo)
    return {
      name,
      status: 'inconclusive',
      detail: `${detail}, in it freed memory that the C library keeps: glibc and koffi tell it apart`,
    };
  if (low > growth.bound) return { name, status: 'fail', detail };
  if (estimate > growth.bound)
    return { name, status: 'inconclusive', detail: `${detail}, but perhaps by ${amount(low, growth.unit)} only: run for longer` };
  return { name, status: 'pass', detail };
}

export function amount(value: number, unit: Growth['unit']): string {
  if (unit === 'count') return String(Math.round(value * 10) / 10);
  const mib = value / 2 ** 20;
  if (Math.abs(mib) >= 1024) return `${(mib / 1024).toFixed(1)} GiB`;
  return `${mib.toFixed(Math.abs(mib) >= 100 ? 0 : 2)} MiB`;
}
