import { readFileSync } from 'node:fs';
import type { Scenario } from '../scenarios.ts';
import { DEFAULT, type Timing } from '../timing.ts';
import { nameOf, recordedScenario } from './recorded.ts';

/** The recordings of the suite: in the package too. */
const FOLDER = new URL('../traces/', import.meta.url);

/** Takes buffers of scattered pages; Linux' default, 1024, does not take all of them. */
const ENOUGH = 8192;

const RECORDED: readonly { readonly id: string; readonly file: string; readonly listLimit?: number }[] = [
  { id: 'realguest-import-1080p', file: 'linux-7.2-import-1080p.jsonl', listLimit: ENOUGH },
  { id: 'realguest-import-1080p-list1024', file: 'linux-7.2-import-1080p.jsonl' },
  { id: 'realguest-copy-1080p', file: 'linux-7.2-copy-1080p.jsonl' },
  { id: 'realguest-import-4k', file: 'linux-7.2-import-4k.jsonl', listLimit: ENOUGH },
  { id: 'realguest-copy-4k', file: 'linux-7.2-copy-4k.jsonl' },
];

const made = new Map<string, Scenario>();

/** Of the suite `realguest`. */
export function realGuests(): Scenario[] {
  return RECORDED.map(({ id, file, listLimit }) => {
    const known = made.get(id);
    if (known !== undefined) return known;
    const text = readFileSync(new URL(file, FOLDER), 'utf8');
    const one = recordedScenario(id, nameOf(file), text, listLimit === undefined ? {} : { listLimit });
    made.set(id, one);
    return one;
  });
}

/** Two seconds of each recording a repetition. */
export const REAL_GUEST_TIMING: Timing = {
  ...DEFAULT,
  repetitions: 3,
  pacedFrames: 120,
  verifyFrames: 60,
  maxSeconds: 90,
};
