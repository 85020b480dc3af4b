import { join } from 'node:path';
import { writeFilesAtomically } from '../../reports/index.ts';
import type { Difference } from './diff.ts';
import { renderProfile } from './page.ts';
import type { ScenarioProfile } from './record.ts';

/**
 * Writes profile.html, and of each thread its .cpuprofile and, where it was taken, its .heapprofile: all or none.
 * @returns their paths, the page first
 * @throws InputError
 */
export function writeProfile(profile: ScenarioProfile, directory: string, command: string, difference: Difference | null = null): string[] {
  const files: [string, string][] = [['profile.html', renderProfile(profile, difference, command)]];
  for (const { thread, cpu, heap } of [profile.guest, profile.host]) {
    files.push([`${thread}.cpuprofile`, JSON.stringify(cpu)]);
    if (heap !== null) files.push([`${thread}.heapprofile`, heap]);
  }
  const placed = files.map(([name, text]) => ({ path: join(directory, name), text }));
  writeFilesAtomically(placed);
  return placed.map(({ path }) => path);
}
