/**
 * Runs in a guest whose kernel has /dev/udmabuf: a machine of two threads, as `scanout run --memory memfd` runs it, whose scattered
 * buffers the kernel makes one range. Says what it saw for udmabuf.test.ts to judge.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { DEFAULT_OPTIONS } from '../../../core/machine/options.ts';
import { planMachine } from '../../../core/machine/plan.ts';
import { monotonicNowNs } from '../../../core/measure/clock.ts';
import { Counter, Counters } from '../../../core/measure/counters.ts';
import { SessionRunner } from '../../../workers/session.ts';

/** Enough to be looked at while they are shown. */
const FRAMES = 200;
/** Against a hang only. */
const PATIENCE_MS = 280_000;

const dmabufs = (): number => readFileSync('/proc/self/maps', 'utf8').split('/dmabuf:').length - 1;
const links = (): number => readdirSync('/proc/self/fd').length;

const options = {
  ...DEFAULT_OPTIONS,
  width: 320,
  height: 240,
  layout: '4k',
  sink: 'verify',
  crcEvery: 4,
  memory: 'memfd',
  importBy: 'udmabuf',
  // The guest waits for each: a machine that is busy shows them all.
  rateHz: null,
} as const;
const sessions = new SessionRunner();
const window = { warmupMs: 0, warmupFrames: 1, measureMs: 0, measureFrames: FRAMES, usageWindows: 1 };
// The threads are there then.
await sessions.run(planMachine(options, monotonicNowNs()), window, PATIENCE_MS);
const before = links();
const plan = planMachine(options, monotonicNowNs());
const counters = new Counters(plan.hostCounters);
let most = 0;
let ended = false;
const run = sessions.run(plan, window, PATIENCE_MS).finally(() => {
  ended = true;
});
while (!ended) {
  most = Math.max(most, dmabufs());
  await setImmediate();
}
const { kind } = await run;
const shown = counters.get(Counter.framesVerified) >= FRAMES ? `${FRAMES} frames or more` : 'too few frames';
const torn = counters.get(Counter.framesTorn);
console.log(`RUN ${kind}: ${shown} verified, ${torn} torn; ${most} dma-bufs mapped, then ${dmabufs()}; ${links() - before} files more`);
await sessions.close();
