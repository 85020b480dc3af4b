/** What the commands that compare take besides flags of their own. */
import { MOST_PAIRS } from '../../reports/compare/advice.ts';
import { UsageError } from './command.ts';
import { integerFlag } from './flags.ts';

export const DEFAULT_MAX_PAIRS = 40;

/** Flags that say what the sides are. */
export const SIDE_OPTIONS = {
  live: { type: 'boolean', default: false },
  'max-pairs': { type: 'string' },
  seed: { type: 'string' },
  'across-environments': { type: 'boolean', default: false },
} as const;

export interface SideValues {
  readonly live?: boolean | undefined;
  readonly 'max-pairs'?: string | undefined;
  readonly seed?: string | undefined;
  readonly 'across-environments'?: boolean | undefined;
}

/** Two sides to be measured now, in pairs. */
export interface LiveSides {
  readonly live: true;
  readonly base: string;
  readonly head: string;
  /** Arguments of `scanout run`; undefined: none were given. */
  readonly runArgs: readonly string[] | undefined;
  readonly maxPairs: number;
  readonly seed: number;
}

/** Two runs that are there. `base` null: none was named. */
export interface StoredSides {
  readonly live: false;
  readonly base: string | null;
  readonly head: string;
  readonly acrossEnvironments: boolean;
}

/** What stands before `--` and what follows it; undefined: there is no `--`. */
export function splitArguments(argv: readonly string[]): [own: string[], run: string[] | undefined] {
  const at = argv.indexOf('--');
  return at < 0 ? [[...argv], undefined] : [argv.slice(0, at), argv.slice(at + 1)];
}

/**
 * BASE and HEAD with what belongs to them.
 * @param names positionals; a single one of stored runs is HEAD
 * @throws UsageError too few or too many, or flags of the other kind
 */
export function sidesOf(values: SideValues, names: readonly string[], runArgs: readonly string[] | undefined): LiveSides | StoredSides {
  const acrossEnvironments = values['across-environments'] === true;
  const [first = '', second = ''] = names;
  if (names.includes('')) throw new UsageError('a side has no name; see --help');
  if (values.live === true) {
    if (acrossEnvironments) throw new UsageError('--across-environments is for stored runs: --live measures both sides here; see --help');
    if (names.length !== 2) throw new UsageError(`--live needs two sides, BASE and HEAD, not ${names.length}; see --help`);
    checkRunArguments(runArgs ?? []);
    return { live: true, base: first, head: second, runArgs, ...liveFlags(values) };
  }
  if (runArgs !== undefined) throw new UsageError('what follows -- is for --live; see --help');
  for (const flag of ['max-pairs', 'seed'] as const)
    if (values[flag] !== undefined) throw new UsageError(`--${flag} is for --live; see --help`);
  if (names.length === 1) return { live: false, base: null, head: first, acrossEnvironments };
  if (names.length !== 2) throw new UsageError(`needs two sides, BASE and HEAD, not ${names.length}; see --help`);
  return { live: false, base: first, head: second, acrossEnvironments };
}

/** @throws UsageError */
function liveFlags({ 'max-pairs': maxPairs, seed }: SideValues): Pick<LiveSides, 'maxPairs' | 'seed'> {
  return {
    maxPairs: maxPairs === undefined ? DEFAULT_MAX_PAIRS : integerFlag('max-pairs', maxPairs, 1, MOST_PAIRS),
    seed: seed === undefined ? 1 : integerFlag('seed', seed, 0, 2 ** 32 - 1),
  };
}

/** How a side is run the comparison says itself, and what a side writes would be written by each run of it. */
const OWN_FLAGS: readonly string[] = ['repetitions', 'seed', 'bare', 'json', 'out', 'keep', 'history', 'help'];

/** @param args that follow `--` @throws UsageError one that a side must not get */
export function checkRunArguments(args: readonly string[]): void {
  const taken = args.find((argument) => argument === '-h' || OWN_FLAGS.some((flag) => argument.split('=')[0] === `--${flag}`));
  if (taken === undefined) return;
  const instead = taken.startsWith('--seed') ? 'give it before --' : 'leave it out, each run of a side gets what it needs';
  throw new UsageError(`${JSON.stringify(taken)} cannot follow --: ${instead}`);
}

/** Percent, as a part. @throws UsageError */
export function marginFlag(text: string): number {
  const percent = /^\d{1,2}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (percent > 0) return percent / 100;
  throw new UsageError(`--margin takes a percentage above 0 and below 100, for example 5, not ${JSON.stringify(text)}`);
}

/** @throws UsageError an empty entry */
export function listFlag(flag: string, text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  const list = text.split(',').map((one) => one.trim());
  if (list.includes('')) throw new UsageError(`--${flag} takes names separated by commas, not ${JSON.stringify(text)}`);
  return [...new Set(list)];
}

/** A property that is there only with a value. */
export function optional<K extends string, T>(key: K, value: T | undefined): { [key in K]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { [key in K]?: T });
}
