import { parseArgs, type ParseArgsConfig } from 'node:util';
import { UsageError } from './command.ts';

/** `parseArgs`, whose complaints become a UsageError of one line. */
export function parseFlags<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    if (!(error instanceof TypeError) || !('code' in error) || !String(error.code).startsWith('ERR_PARSE_ARGS')) throw error;
    // What follows the first sentence is advice on '--' that fits no case here.
    throw new UsageError(`${error.message.split(/\.\s/)[0].replaceAll('\n', ' ').replace(/\.$/, '')}; see --help`);
  }
}

/** A flag's whole number. @throws UsageError naming the flag and its bounds */
export function integerFlag(flag: string, text: string, least: number, most: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`--${flag} takes a whole number from ${least} to ${most}, not ${JSON.stringify(text)}`);
}

/** A flag's word. @throws UsageError naming the flag and what it takes */
export function choiceFlag<T extends string>(flag: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === text);
  if (choice !== undefined) return choice;
  throw new UsageError(`--${flag} takes ${choices.join(' or ')}, not ${JSON.stringify(text)}`);
}
