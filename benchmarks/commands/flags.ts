import { type ParseArgsConfig, parseArgs } from 'node:util';
import { nearest } from '../nearest.ts';
import { UsageError } from './command.ts';

/** `--help`, as every command has it. */
export const HELP_FLAG = { type: 'boolean', short: 'h', default: false } as const;

/** `parseArgs`, whose complaints become a UsageError of one line; a flag given twice is one too. */
export function parseFlags<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    const parsed = parseArgs({ ...config, tokens: true });
    const seen = new Set<string>();
    for (const token of parsed.tokens ?? []) {
      if (token.kind !== 'option') continue;
      if (seen.has(token.name)) throw new UsageError(`--${token.name} is given twice; see --help`);
      seen.add(token.name);
    }
    return parsed as unknown as ReturnType<typeof parseArgs<T>>;
  } catch (error) {
    if (!(error instanceof TypeError) || !('code' in error) || !String(error.code).startsWith('ERR_PARSE_ARGS')) throw error;
    throw new UsageError(`${inOurWords(error.message)}${meant(error.message, Object.keys(config.options ?? {}))}`);
  }
}

/** Which flag was meant, where one is near: what ends the complaint. */
function meant(message: string, flags: readonly string[]): string {
  const unknown = /^Unknown option '--([^']*)'/.exec(message)?.[1];
  const near = unknown === undefined ? [] : nearest(unknown, flags);
  return near.length === 0 ? '; see --help' : `: did you mean ${near.map((flag) => `--${flag}`).join(' or ')}? See --help`;
}

function inOurWords(message: string): string {
  const missing = /^Option '(--[\w-]+)[^']*' argument (?:missing|is ambiguous)/.exec(message);
  if (missing !== null) return `${missing[1]} needs a value`;
  // What follows the first sentence is advice on '--' that fits no case here.
  return message.split(/\.\s/)[0].replaceAll('\n', ' ').replace(/\.$/, '');
}

/** A flag's whole number. @throws UsageError naming the flag and its bounds */
export function integerFlag(flag: string, text: string, least: number, most: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`--${flag} takes a whole number from ${least} to ${most}, not ${JSON.stringify(text)}`);
}

/** The path that --vhost-user names. @throws UsageError where there is none */
export function socketFlag(path: string | undefined): string {
  if (path === undefined || path === '') throw new UsageError('--vhost-user needs the path of a socket; see --help');
  return path;
}

/** An argument as a shell takes it, for commands that are printed to be repeated. */
export const quoted = (argument: string): string =>
  /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;

/** A flag's word. @throws UsageError naming the flag and what it takes */
export function choiceFlag<T extends string>(flag: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === text);
  if (choice !== undefined) return choice;
  throw new UsageError(`--${flag} takes ${choices.join(' or ')}, not ${JSON.stringify(text)}`);
}
