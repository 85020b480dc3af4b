/** What the commands that compare take besides flags of their own. */
import { UsageError } from './command.ts';

/** What stands before `--` and what follows it; undefined: there is no `--`. */
export function splitArguments(argv: readonly string[]): [own: string[], run: string[] | undefined] {
  const at = argv.indexOf('--');
  return at < 0 ? [[...argv], undefined] : [argv.slice(0, at), argv.slice(at + 1)];
}

/** @throws UsageError */
export function twoSides(positionals: readonly string[]): [base: string, head: string] {
  if (positionals.length !== 2 || positionals.includes(''))
    throw new UsageError(`needs two sides, BASE and HEAD, not ${positionals.length}; see --help`);
  return [positionals[0], positionals[1]];
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
