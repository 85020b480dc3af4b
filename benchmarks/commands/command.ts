/** What the command line's commands have in common. */
import type { Readable } from 'node:stream';
import { plain } from '../../reports/format.ts';
import { InputError } from '../../reports/index.ts';
import { ScenarioError } from '../scenarios.ts';

export interface Io {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Absent: the process's own. */
  readonly stdin?: Readable;
  /** Aborted by Ctrl-C: the command ends within a second, keeping what it has. */
  readonly signal: AbortSignal;
}

/** One command of `scanout`. */
export interface Command {
  readonly name: string;
  /** One line, for the list of commands. */
  readonly summary: string;
  /** What `--help` prints, ended by a newline. */
  readonly help: string;
  /**
   * @param argv what follows the command's name
   * @returns the exit code
   * @throws UsageError before anything was written to stdout
   */
  run(argv: string[], io: Io): Promise<number>;
}

/** What was asked for cannot be done: a bad flag, an impossible value, a file that cannot be used. The message is one line. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** Exit code of a comparison or gate that found HEAD slower. */
export const EXIT_REGRESSED = 1;
/** Exit code after a UsageError. */
export const EXIT_USAGE = 2;
/** Exit code of a comparison or gate that could not tell, with --strict only. */
export const EXIT_INCONCLUSIVE = 3;
/** Exit code of a run that is not to be believed. */
export const EXIT_INVALID = 4;
/** Exit code after a fault of the program itself (EX_SOFTWARE of sysexits.h). */
export const EXIT_FAULT = 70;
/** Exit code when stdout could not be written (EX_IOERR). */
export const EXIT_OUTPUT = 74;
/** Exit code after Ctrl-C, as shells report it. */
export const EXIT_INTERRUPTED = 130;

/** Runs a command; wrong input becomes one line on stderr and exit code 2, anything unexpected a line and 70. */
export async function runCommand(command: Command, argv: string[], io: Io): Promise<number> {
  try {
    return await command.run(argv, io);
  } catch (error) {
    const usage = error instanceof UsageError || error instanceof ScenarioError || error instanceof InputError;
    io.stderr(usage ? `scanout ${command.name}: ${plain(error.message)}\n` : faultText(command.name, error));
    return usage ? EXIT_USAGE : EXIT_FAULT;
  }
}

/** What is said of an error that nobody foresaw: a line, and with SCANOUT_DEBUG set where it comes from. */
export function faultText(name: string, error: unknown): string {
  const words = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const where = error instanceof Error && process.env['SCANOUT_DEBUG'] !== undefined ? `${error.stack ?? ''}\n` : '';
  return `scanout ${name}: a fault of scanout itself: ${plain(words)}${where === '' ? ' (SCANOUT_DEBUG=1 says where)' : ''}\n${where}`;
}
