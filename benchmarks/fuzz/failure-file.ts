import { readFileSync } from 'node:fs';
import { writeFileAtomically } from '../../reports/index.ts';
import { type Found, INPUTS, PARTS, RING_KINDS, type Round } from './plan.ts';

/** Episodes that a replayed race gets: whether the threads meet as they did is not in our hands. */
const RACES = 3000;

/** A way to an input: its number, then turns. A number past all rounds has the search go on for ever, which looks like a hang. */
const WAY = /^\d{1,5}(:\d{1,9})*$/;

/** A file that holds no failure of the fuzzer. */
export class FailureFileError extends Error {
  override name = 'FailureFileError';
}

/** Writes what is needed to play a failing input again. @throws InputError the file cannot be written */
export function writeFailure(file: string, round: Round, found: Found): void {
  const { ring, inOrder } = RING_KINDS[round.kind];
  const { part, seed, inputs } = round;
  const { message, path, replayPath, input, stack } = found;
  const document = {
    fuzz: 1,
    part,
    ring,
    inOrder,
    seed,
    inputs,
    path,
    replayPath,
    message,
    input: input.split('\n'),
    stack: stack.split('\n'),
  };
  writeFileAtomically(file, `${JSON.stringify(document, null, 2)}\n`);
}

/** The one input of a file that `writeFailure` wrote, as a round. @throws FailureFileError */
export function readFailure(file: string): Round {
  let document: Record<string, unknown>;
  try {
    document = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    throw new FailureFileError(`${file}: cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  const refuse = (what: string): never => {
    throw new FailureFileError(`${file}: not a failing input of scanout fuzz: ${what}`);
  };
  if (typeof document !== 'object' || document === null || document['fuzz'] !== 1) return refuse('"fuzz" is not 1');
  const part = PARTS.find((candidate) => candidate === document['part']) ?? refuse('"part" is none');
  const kind = RING_KINDS.findIndex(({ ring, inOrder }) => ring === document['ring'] && inOrder === document['inOrder']);
  if (kind < 0) return refuse('"ring" and "inOrder" are none');
  const { seed, path, replayPath } = document;
  if (typeof seed !== 'number' || seed !== (seed | 0)) return refuse('"seed" is no whole number of 32 bits');
  if (typeof path !== 'string' || !WAY.test(path)) return refuse('"path" is none');
  if (replayPath !== null && typeof replayPath !== 'string') return refuse('"replayPath" is none');
  const inputs = part === 'race' ? RACES : INPUTS[part];
  return { part, kind, seed, inputs, path, ...(replayPath === null ? {} : { replayPath }) };
}
