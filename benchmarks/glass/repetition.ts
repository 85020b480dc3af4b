import { cpus } from 'node:os';
import { planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import type { SessionOutcome, SessionRunner } from '../../workers/session.ts';
import { Stream } from '../../workers/stream/stream.ts';
import type { Window } from '../../workers/task.ts';
import { beforeEncoding, withEncode } from '../encode/repetitions.ts';
import { type MeasuredRepetition, measureRepetition } from '../metrics.ts';
import { OtherLoad } from '../other-load.ts';
import type { Scenario } from '../scenarios.ts';
import type { Timing } from '../timing.ts';
import type { Browser, Page } from './browser.ts';
import { FIRST_SHOWN, GlassFigures, offsetError, ShownFrames } from './figures.ts';
import type { Watcher } from './watcher.ts';

/** How long a page may take until it is connected and has compared the clocks, ms. */
const CONNECT_MS = 20_000;
/** How long the last frames may take to be shown once the guest has ended, ms. */
const LAST_MS = 500;
const LOOK_MS = 10;
/** Seconds of frames beyond those that are to be shown before any is measured. */
const WARM_UP_SECONDS = 1;
const GRACE_MS = 30_000;
const TRIP = "document.querySelector('#trip')?.textContent";

/** Measures a scenario whose stream a browser shows. @returns the repetition; null: aborted; a string: why it failed */
export async function runGlassRepetition(
  watcher: Watcher,
  sessions: SessionRunner,
  options: Scenario['options'],
  window: Window,
  timing: Timing,
  signal: AbortSignal,
): Promise<MeasuredRepetition | string | null> {
  try {
    const before = await beforeEncoding(options, 'timed', timing);
    if (before === null || typeof before === 'string') return before ?? 'nothing is encoded that could be watched';
    const browser = await watcher.browser();
    const plan = planMachine(options, monotonicNowNs());
    const stream = await Stream.open(plan, '127.0.0.1', 0);
    const shown = new ShownFrames(plan);
    let offsetErrorUs: number | null = null;
    let page: Page | null = null;
    try {
      const opened = await browser.open(stream.server.url);
      page = opened;
      const known = await until(CONNECT_MS, signal, async () => {
        offsetErrorUs = offsetError(await opened.evaluate(TRIP).catch((error) => notYet(browser, error)));
        return offsetErrorUs !== null && stream.hub.clients > 0;
      });
      if (signal.aborted) return null;
      if (!known) return 'the browser did not connect to the stream';
      stream.glass.onShown = (head, code, frame, atMs) => {
        shown.add(head, code, frame, atMs);
        // The estimate only gets better from here on.
        if (shown.count === FIRST_SHOWN)
          void opened.evaluate(TRIP).then(
            (trip) => {
              offsetErrorUs = offsetError(trip) ?? offsetErrorUs;
            },
            () => {},
          );
      };
      const others = new OthersThan(browser);
      const whole = watched(window, options);
      const outcome = await sessions.run(plan, whole, lengthMs(whole, options) * 4 + GRACE_MS, signal, undefined, stream.tap);
      if (outcome.kind === 'aborted') return null;
      if (outcome.kind === 'failed') return `the ${outcome.side} failed: ${outcome.reason}`;
      const measured = measureRepetition(plan, outcome.guest, outcome.host, 'timed', new Date());
      // A browser on the same CPUs makes threads wait: that is measured, no disturbance.
      const calm = { ...measured, repetition: { ...measured.repetition, disturbed: false, disturbedReason: null } };
      const encoded = withEncode(calm, plan, outcome, { ...before, others });
      await until(LAST_MS, signal, async () => outcome.guest.endFrame.every((end, head) => shown.last(head) >= end - 1));
      return withGlass(encoded, shown, outcome, stream.hub.lost + (stream.hub.clients > 0 ? stream.hub.lostBy(0) : 0), offsetErrorUs ?? 0);
    } finally {
      await stream.close();
      await page?.close();
    }
  } catch (error) {
    if (signal.aborted) return null;
    return error instanceof Error ? error.message : String(error);
  }
}

function withGlass(
  measured: MeasuredRepetition,
  shown: ShownFrames,
  { guest }: SessionOutcome & { kind: 'done' },
  lost: number,
  offsetErrorUs: number,
): MeasuredRepetition | string {
  const glass = new GlassFigures();
  for (const ns of shown.measured(guest)) glass.ns.push(ns);
  if (glass.ns.length === 0) return `the browser showed ${shown.count} frames, and none of those measured`;
  glass.guestFrames = guest.endFrame.reduce((sum, end, head) => sum + end - guest.firstFrame[head], 0);
  glass.wallNs = guest.endNs - guest.startNs;
  glass.lost = lost;
  glass.backwards = shown.backwards;
  glass.offsetErrorUs = offsetErrorUs;
  const repetition = { ...measured.repetition, glass: glass.metrics() };
  const before = shown.before(guest);
  if (before >= FIRST_SHOWN || repetition.disturbed) return { ...measured, glass, repetition };
  const disturbedReason = `the browser had shown ${before} frames when measuring began, not ${FIRST_SHOWN}`;
  return { ...measured, glass, repetition: { ...repetition, disturbed: true, disturbedReason } };
}

/** Long enough before its measured part that the first frames have been shown. */
function watched(window: Window, { rateHz, heads }: Scenario['options']): Window {
  return { ...window, warmupFrames: (FIRST_SHOWN + Math.ceil(WARM_UP_SECONDS * (rateHz ?? 0))) * heads };
}

const lengthMs = ({ warmupMs, warmupFrames, measureMs, measureFrames }: Window, { rateHz, heads }: Scenario['options']): number =>
  warmupMs + measureMs + ((warmupFrames + measureFrames) / heads / (rateHz ?? 1)) * 1000;

/** What programs other than this one and the browser take of the CPUs. */
class OthersThan extends OtherLoad {
  readonly #browser: Browser;
  readonly #from: number;
  readonly #startMs = performance.now();

  constructor(browser: Browser) {
    super();
    this.#browser = browser;
    this.#from = browser.cpuMs();
  }

  override percent(): number {
    const own = this.#browser.cpuMs() - this.#from;
    return Math.max(0, super.percent() - (100 * own) / ((performance.now() - this.#startMs) * cpus().length));
  }
}

/** A page that is being loaded cannot be asked. @throws the error when the browser has ended */
function notYet({ isOver }: Browser, error: unknown): null {
  if (isOver) throw error;
  return null;
}

/** Waits for something that a browser does. @returns whether it came in time */
async function until(withinMs: number, signal: AbortSignal, done: () => Promise<boolean>): Promise<boolean> {
  const end = performance.now() + withinMs;
  while (!(await done())) {
    if (signal.aborted || performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return true;
}
