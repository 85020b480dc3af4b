/** Profiles of the scenarios that failed a gate, so that its reader sees at once where their time went. */
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Checkout } from './checkout.ts';
import { type Ended, tellingLine } from './process.ts';
import { runCli } from './side.ts';

/** More would keep a job waiting that has failed already. */
const MOST = 2;

/** This program, as a side. */
export const OWN_SIDE: Checkout = {
  label: 'this program',
  root: fileURLToPath(new URL(extname(import.meta.url) === '.ts' ? '../../' : '../../../', import.meta.url)),
};

export type RunSide = (...args: Parameters<typeof runCli>) => Promise<Pick<Ended, 'code' | 'stderr'>>;

/**
 * Runs `scanout profile` of both sides, the head's with what changed since the base's, each into a folder of its own.
 * @param base null: there is no such side to run
 * @param into DIR/SCENARIO/base and DIR/SCENARIO/head are made in it
 * @returns where the pages are, or why there is none: a line a scenario
 */
export async function profileFailures(
  scenarios: readonly string[],
  into: string,
  base: Checkout | null,
  head: Checkout,
  signal: AbortSignal,
  run: RunSide = runCli,
): Promise<string[]> {
  const notes: string[] = [];
  const chosen = [...new Set(scenarios)];
  for (const id of chosen.slice(0, MOST)) {
    const folder = (side: string): string => join(into, id, side);
    try {
      const before = base === null ? null : await run(base, ['profile', id, '--out', folder('base')], signal);
      const diff = before?.code === 0 ? ['--diff', folder('base')] : [];
      const after = await run(head, ['profile', id, '--out', folder('head'), ...diff], signal);
      const said = tellingLine(after.stderr);
      notes.push(after.code === 0 ? `profile of ${id}: ${join(folder('head'), 'profile.html')}` : `no profile of ${id}: ${said}`);
    } catch (error) {
      if (!signal.aborted) throw error;
      notes.push(`no profile of ${id}: stopped`);
      break;
    }
  }
  if (chosen.length > MOST && !signal.aborted) notes.push(`not profiled: ${chosen.slice(MOST).join(', ')}`);
  return notes;
}
