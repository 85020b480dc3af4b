/** Which schedules are run: all of few preemptions, or random ones. Knows nothing of rings. */
import { ANYWHERE, LOG_DEVICE, LOG_SHIFT, LOG_SWITCHABLE, LOG_WRITE } from './turns.ts';

/** A run of the sides under a schedule. */
export interface Run {
  /** @returns what went wrong, or null. The log is then that of the run. */
  run(schedule: readonly number[]): string | null;
  readonly steps: number;
  logged(step: number): number;
  /** All locations are below. */
  readonly locations: number;
}

export interface Finding {
  readonly text: string;
  /** The schedule, to be run again. */
  readonly schedule: readonly number[];
}

export interface Explored {
  /** Schedules that were run. */
  readonly run: number;
  /** Preemptions passed over, with all that follows from each, because one that was tried comes to the same. */
  readonly passed: number;
  readonly findings: readonly Finding[];
}

export interface ExhaustiveOptions {
  readonly preemptions: number;
  /** False: runs what comes to the same too. */
  readonly reduce: boolean;
  /** End at the first finding. */
  readonly first: boolean;
  /** Called after each run. */
  readonly seen?: (run: Run) => void;
}

/** One level of the search: the log of the run whose successors are being tried, and what the other side did after the last one. */
class Level {
  steps = 0;
  readonly log: number[] = [];
  /** By location: the mark of the last segment that read or wrote it. */
  readonly #read: Int32Array;
  readonly #written: Int32Array;
  #mark = 0;
  #anything = 0;

  constructor(locations: number) {
    this.#read = new Int32Array(locations);
    this.#written = new Int32Array(locations);
  }

  keep(run: Run): void {
    this.steps = run.steps;
    for (let i = 0; i < run.steps; i++) this.log[i] = run.logged(i);
  }

  /** Notes what a run did from `step` on, as long as one side ran. */
  note(run: Run, step: number): void {
    this.#mark++;
    this.#anything = 0;
    const side = run.logged(step) & LOG_DEVICE;
    for (let i = step; i < run.steps && (run.logged(i) & LOG_DEVICE) === side; i++) {
      const entry = run.logged(i);
      const location = entry >>> LOG_SHIFT;
      if (location === ANYWHERE) this.#anything = 2;
      if ((entry & LOG_WRITE) !== 0) this.#written[location] = this.#mark;
      else this.#read[location] = this.#mark;
      this.#anything |= 1;
    }
  }

  /** Whether an access touches what was noted, and not only to read. */
  conflicts(entry: number): boolean {
    const location = entry >>> LOG_SHIFT;
    if (location === ANYWHERE || (this.#anything & 2) !== 0) return true;
    if (this.#written[location] === this.#mark) return true;
    return (entry & LOG_WRITE) !== 0 && this.#read[location] === this.#mark;
  }
}

/**
 * Runs every schedule of at most so many preemptions, whichever side begins.
 *
 * With `reduce` a preemption before an access is passed over if the other side, which then runs until it blocks or
 * ends, touches nothing of what the access does: the preemption right after the access is tried and comes to the same,
 * and so does everything that follows from it, with no more preemptions.
 */
export function exploreAll(run: Run, options: ExhaustiveOptions): Explored {
  const findings: Finding[] = [];
  let runs = 0;
  let passed = 0;
  const levels = Array.from({ length: options.preemptions + 2 }, () => new Level(run.locations));
  const done = (): boolean => options.first && findings.length > 0;

  const attempt = (schedule: readonly number[]): void => {
    const text = run.run(schedule);
    runs++;
    options.seen?.(run);
    if (text !== null) findings.push({ text, schedule: [...schedule] });
  };

  /** Tries everything that follows from the schedule, which was just run. */
  const follow = (schedule: number[], left: number, from: number): void => {
    const level = levels[left];
    level.keep(run);
    const { log } = level;
    let known = false;
    for (let step = level.steps - 1; step >= from && !done(); step--) {
      const entry = log[step];
      if ((entry & LOG_SWITCHABLE) === 0) {
        known = false;
        continue;
      }
      // What is known of the step after holds here only if the same side takes both.
      if (known && ((entry ^ (log[step + 1] ?? entry)) & LOG_DEVICE) === 0 && !level.conflicts(entry)) {
        passed++;
        continue;
      }
      schedule.push(step);
      attempt(schedule);
      for (let i = 0; i < step; i++) {
        if (run.logged(i) !== log[i])
          throw new Error(`step ${i} of ${schedule.join(' ')} is not what it was: the run is not deterministic`);
      }
      if (options.reduce) {
        level.note(run, step);
        known = true;
      }
      if (left > 1) follow(schedule, left - 1, step + 1);
      schedule.pop();
    }
  };

  // Which side begins is no preemption: the switch before step 0 is free.
  attempt([]);
  if (options.preemptions > 0) follow([], options.preemptions, 1);
  if (!done()) {
    attempt([0]);
    if (options.preemptions > 0) follow([0], options.preemptions, 1);
  }
  return { run: runs, passed, findings };
}

/** Mulberry32. @returns numbers in [0, 1) */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Steps over which random preemptions are strewn. */
const RANDOM_STEPS = 400;

/** A schedule with a preemption before every second to thirty-second step on average. */
export function randomSchedule(random: () => number): number[] {
  const share = 1 / 2 ** (1 + Math.floor(random() * 5));
  const schedule: number[] = [];
  for (let step = 0; step < RANDOM_STEPS; step++) if (random() < share) schedule.push(step);
  return schedule;
}
