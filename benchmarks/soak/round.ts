/** One machine's life in a soak: it runs for a while, is changed again and again, and is compared with what it should hold. */
import { plannedDisplays } from '../../core/machine/host-machine.ts';
import type { MachineOptions } from '../../core/machine/options.ts';
import { type MachinePlan, planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import type { Random } from '../../core/memory/random.ts';
import { type Gauges, Remote } from '../../workers/remote.ts';
import type { SessionOutcome, SessionRunner } from '../../workers/session.ts';
import { settled } from '../../workers/settle.ts';
import { faultFigures, scenarioFaults } from '../faults.ts';
import type { EventCounts, ProblemCheck, SoakRound } from './document.ts';
import { drawEvent, drawPauseMs, type SoakEvent } from './draw.ts';

export interface RoundOptions {
  readonly round: number;
  readonly random: Random;
  readonly options: MachineOptions;
  readonly seconds: number;
  readonly sessions: SessionRunner;
  readonly signal: AbortSignal;
  /** Called after each change, and often enough for a progress line. */
  readonly onProgress: (now: { readonly frames: number; readonly torn: number; readonly events: EventCounts }) => void;
}

/** How long a machine may take to follow a change, and to show frames after it, ms. */
const FOLLOW_MS = 15_000;
/** A machine may take so much longer than its round: start, last change, end; ms. */
const MARGIN_MS = 30_000;
/** Frames that every head must show after each change. */
const FRAMES_AFTER = 2;
/** How often the sides are asked again when they do not agree, and after how long, ms. */
const COMPARE_ATTEMPTS = 4;
const COMPARE_PAUSE_MS = 300;
/** Between two looks at the main thread's own lateness, ms. */
const LATENESS_MS = 20;
/**
 * A thread that does not run for so long looks like one that has stopped answering, ms. The guest gives a device up after 2 s; the main
 * thread is not always the one that waits longest.
 */
const DISTURBED_MS = 500;
/** Counters that rise when a side was merely slow: the timed re-check found what its ring was about to announce, a silent device was reset. */
const SLOW_COUNTERS = /^(lostNotifications|reinitialisations|fencesCancelled) /;
/** A machine that came to no end in its time (workers/session.ts). */
const NO_END = 'the session: no end after';
/** Problems kept of each round: the first say most. */
const MAX_PROBLEMS = 20;

interface Display {
  readonly width: number;
  readonly height: number;
}

/** One that is aborted says what it came to by then. */
export async function runRound(of: RoundOptions): Promise<SoakRound> {
  const { options, sessions, signal, seconds } = of;
  const plan = planMachine(options, monotonicNowNs());
  const planned = plannedDisplays(options);
  const remote = new Remote(plan.control, planned);
  const host = new Counters(plan.hostCounters);
  const guest = new Counters(plan.guestCounters);
  const window = { warmupMs: 0, warmupFrames: 0, measureMs: seconds * 1000, measureFrames: 0, usageWindows: 1 };
  const begun = performance.now();
  let outcome: SessionOutcome | null = null;
  const running = sessions.run(plan, window, seconds * 1000 + MARGIN_MS, signal, remote.buffer).then((result) => {
    outcome = result;
    return result;
  });
  const ended = (): boolean => outcome !== null;
  const lateness = new Lateness();

  const problems: { check: ProblemCheck; what: string }[] = [];
  const problem = (check: ProblemCheck, what: string): void => {
    if (problems.length < MAX_PROBLEMS) problems.push({ check, what });
  };
  const events: EventCounts = { resize: 0, unplug: 0, plug: 0, layout: 0 };
  const displays: (Display | null)[] = [...planned];
  let compared = 0;
  const progress = (): void =>
    of.onProgress({ frames: host.get(Counter.framesPresented), torn: host.get(Counter.framesTorn), events: { ...events } });

  const follow = async (words: string): Promise<void> => {
    let gauges: Gauges | null = null;
    let found: string[] = [];
    // A side that was ended and replaced meanwhile answers of another life than the other one: asked again.
    for (let attempt = 0; attempt < COMPARE_ATTEMPTS && (attempt === 0 || found.length > 0); attempt++) {
      if (attempt > 0) await pause(COMPARE_PAUSE_MS, ended);
      gauges = await settled(remote, FOLLOW_MS, ended);
      if (gauges === null) {
        if (!ended()) problem('follows', `${words}: not followed within ${FOLLOW_MS / 1000} s`);
        return;
      }
      found = differences(options, displays, gauges);
    }
    if (gauges === null) return;
    compared++;
    for (const what of found) problem('holds', `${words}: ${what}`);
    const still = await framesGoOn(remote, gauges, ended, progress);
    if (still !== null) problem('follows', `${words}: head ${still} shows no frame after it`);
  };

  const until = begun + seconds * 1000;
  await follow('start');
  while (!ended() && performance.now() < until) {
    const event = drawEvent(
      of.random,
      options,
      displays.map((display) => display !== null),
    );
    apply(remote, displays, event);
    events[event.kind]++;
    // One change in three comes before the last one has been followed.
    if (of.random.below(3) > 0) await follow(eventWords(event));
    progress();
    await pause(drawPauseMs(of.random), ended);
  }
  const result = await running;

  const latestMs = lateness.end();
  const disturbed = latestMs >= DISTURBED_MS;
  const torn = host.get(Counter.framesTorn);
  const faults = options.faults
    .map(({ name }) => name)
    .filter((_, i) => (((guest.get(Counter.faultsFired) | host.get(Counter.faultsFired)) >>> i) & 1) !== 0);
  const refused = guest.get(Counter.edidsRefused) + (faults.includes('host-no-memory') ? 1 : 0);
  const errors = guest.get(Counter.errorResponses) - refused;
  if (torn > 0) problem('torn', `${torn} frames`);
  if (errors > 0) problem('errors', `${errors} error responses`);
  if (result.kind === 'failed') problem('ends', `the ${result.side}: ${result.reason}`);
  if (result.kind === 'done') {
    for (const what of leftovers(result)) problem('leaks', what);
    for (const what of unexplained(options, plan, result)) problem('faults', what);
  }
  return {
    round: of.round,
    options,
    seconds: (performance.now() - begun) / 1000,
    presented: host.get(Counter.framesPresented),
    verified: host.get(Counter.framesVerified),
    torn,
    events,
    modeSets: guest.get(Counter.modeSets),
    moves: guest.get(Counter.moves),
    movesRefused: guest.get(Counter.movesRefused),
    fallbacks: host.get(Counter.importFallbacks),
    timedOut: guest.get(Counter.fencesTimedOut),
    latestMs,
    disturbed,
    errors,
    compared,
    faults,
    problems: disturbed ? problems.filter((one) => !dueToTime(one)) : problems,
  };
}

function apply(remote: Remote, displays: (Display | null)[], event: SoakEvent): void {
  if (event.kind === 'layout') {
    remote.remake(event.head, event.layout);
    return;
  }
  const display = event.kind === 'unplug' ? null : { width: event.width, height: event.height };
  displays[event.head] = display;
  remote.setDisplay(event.head, display === null ? null : { ...display, refreshHz: 60 });
}

export function eventWords(event: SoakEvent): string {
  if (event.kind === 'layout') return `head ${event.head} to layout ${event.layout}`;
  return event.kind === 'unplug' ? `head ${event.head} unplugged` : `head ${event.head} to ${event.width}x${event.height}`;
}

/** What a settled machine holds against what its displays ask for. */
export function differences(options: MachineOptions, displays: readonly (Display | null)[], gauges: Gauges): string[] {
  const found: string[] = [];
  for (const [head, display] of displays.entries()) {
    const { width, height } = gauges.heads[head];
    if (width !== (display?.width ?? 0) || height !== (display?.height ?? 0))
      found.push(`head ${head} is ${width}x${height}, its display ${display === null ? 'gone' : `${display.width}x${display.height}`}`);
  }
  const buffers = displays.filter((display) => display !== null).length * options.buffers;
  if (gauges.buffers !== buffers) found.push(`the guest has ${gauges.buffers} buffers, not ${buffers}`);
  if (gauges.resources !== buffers) found.push(`the host has ${gauges.resources} resources, the guest ${buffers} buffers`);
  const ofGpu = options.path === 'copy' ? 0 : buffers;
  if (gauges.gpuBuffers !== ofGpu) found.push(`the guest's GPU has ${gauges.gpuBuffers} buffers, not ${ofGpu}`);
  return found;
}

/** What a machine kept after it had freed everything. */
export function leftovers({ guest, host }: Extract<SessionOutcome, { kind: 'done' }>): string[] {
  const left: string[] = [];
  if (guest.heldAfterFree !== 0) left.push(`${guest.heldAfterFree} bytes of guest memory not given back`);
  if (guest.gpuBuffersAfterFree !== 0) left.push(`${guest.gpuBuffersAfterFree} buffers of the guest's GPU`);
  if (host.resourcesAfterReset !== 0) left.push(`${host.resourcesAfterReset} resources`);
  if (host.budgetAfterReset !== 0) left.push(`${host.budgetAfterReset} bytes of the host's budget`);
  if (host.segmentsAfterReset !== 0) left.push(`${host.segmentsAfterReset} segments`);
  if (host.needsReset) left.push('a device that needs a reset');
  return left;
}

/** Counters that nothing injected explains. Frames late by 50 ms are a busy machine's doing more often than a fault's. */
function unexplained(options: MachineOptions, plan: MachinePlan, { guest, host }: Extract<SessionOutcome, { kind: 'done' }>): string[] {
  const found = scenarioFaults(options, [faultFigures(plan, guest, host)]);
  if (found === null) return [];
  return found.unexplained.filter((name) => name !== 'fencesTimedOut').map((name) => `${name} ${found.counters[name] ?? 0}`);
}

const dueToTime = ({ check, what }: { check: ProblemCheck; what: string }): boolean =>
  check === 'follows' || (check === 'ends' && what.startsWith(NO_END)) || (check === 'faults' && SLOW_COUNTERS.test(what));

/** How late the main thread's timers are at most. */
class Lateness {
  #latest = 0;
  #due = performance.now() + LATENESS_MS;
  readonly #timer = setInterval(() => this.#look(), LATENESS_MS);

  /** ms */
  end(): number {
    clearInterval(this.#timer);
    this.#look();
    return Math.round(this.#latest);
  }

  #look(): void {
    const now = performance.now();
    this.#latest = Math.max(this.#latest, now - this.#due);
    this.#due = now + LATENESS_MS;
  }
}

/** @returns a head that is on and shows no frames; null: all do, or the machine has ended */
async function framesGoOn(remote: Remote, from: Gauges, ended: () => boolean, progress: () => void): Promise<number | null> {
  const giveUp = performance.now() + FOLLOW_MS;
  for (;;) {
    progress();
    const now = await settled(remote, FOLLOW_MS, ended);
    if (now === null) return null;
    const still = now.heads.findIndex(
      ({ width, committed }, head) =>
        width > 0 && committed < from.heads[head].committed + FRAMES_AFTER && committed >= from.heads[head].committed,
    );
    if (still < 0) return null;
    if (performance.now() > giveUp) return still;
  }
}

async function pause(ms: number, ended: () => boolean): Promise<void> {
  const until = performance.now() + ms;
  while (!ended() && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(50, Math.max(1, until - performance.now()))));
  }
}
