import type { Gauges, Remote } from './remote.ts';

/** How often an answer is looked for, ms. */
const LOOK_MS = 3;
/** Answers in a row that must say so: the one before the last is known to follow the last change of a display. */
const IN_A_ROW = 3;

/**
 * Waits until a machine has dealt with everything that was asked of it.
 * @param ended says that the machine answers no more
 * @returns what both sides hold then; null: not within `timeoutMs`, or it has ended
 */
export async function settled(remote: Remote, timeoutMs = 10_000, ended: () => boolean = () => false): Promise<Gauges | null> {
  const giveUp = performance.now() + timeoutMs;
  let inARow = 0;
  remote.askGauges();
  while (performance.now() < giveUp && !ended()) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const gauges = remote.gauges();
    if (gauges === null) continue;
    inARow = gauges.settled ? inARow + 1 : 0;
    if (inARow === IN_A_ROW) return gauges;
    remote.askGauges();
  }
  return null;
}
