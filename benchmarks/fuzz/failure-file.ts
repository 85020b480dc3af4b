import { writeFileAtomically } from '../../reports/index.ts';
import { parseJson, readText } from '../../reports/json.ts';
import { type Found, INPUTS, PARTS, RING_KINDS, type Round } from './plan.ts';

/** Episodes that a replayed race gets: whether the threads meet as they did is not in our hands. */
const RACES = 3000;

/** A way to an input: its number in the round, then turns. */
const WAY = /^(\d{1,5})((?::\d{1,9}){0,999})$/;
/** Which commands a failing sequence kept, as fast-check writes it: how often, and what (in base 64). */
const KEPT = /^[A-Za-z0-9+/]{0,9999}:[A-Za-z0-9+/]{0,9999}$/;

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

/** The one input of a file that `writeFailure` wrote, as a round. @throws FailureFileError, InputError the file cannot be read */
export function readFailure(file: string): Round {
  const document = parseJson(readText(file), file) as Record<string, unknown>;
  const refuse = (what: string): never => {
    throw new FailureFileError(`${file}: not a failing input of scanout fuzz: ${what}`);
  };
  if (typeof document !== 'object' || document === null || document['fuzz'] !== 1) return refuse('"fuzz" is not 1');
  const part = PARTS.find((candidate) => candidate === document['part']) ?? refuse('"part" is none');
  const kind = RING_KINDS.findIndex(({ ring, inOrder }) => ring === document['ring'] && inOrder === document['inOrder']);
  if (kind < 0) return refuse('"ring" and "inOrder" are none');
  const { seed, path, replayPath } = document;
  if (typeof seed !== 'number' || seed !== (seed | 0)) return refuse('"seed" is no whole number of 32 bits');
  const way = typeof path === 'string' ? WAY.exec(path) : null;
  if (way === null) return refuse('"path" is none');
  // Of a race an input is its number alone.
  if (Number(way[1]) >= INPUTS[part] || (part === 'race' && way[2] !== '')) return refuse(`"path" leads to no input of a round of ${part}`);
  if (replayPath !== null && (part !== 'model' || typeof replayPath !== 'string' || !KEPT.test(replayPath)))
    return refuse('"replayPath" is none');
  const inputs = part === 'race' ? RACES : INPUTS[part];
  return { part, kind, seed, inputs, path: way[0], ...(replayPath === null ? {} : { replayPath }) };
}
