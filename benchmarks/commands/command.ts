/** What the command line's commands have in common. */

export interface Io {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
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
   * @throws UsageError before anything was written to stdout; the command line prints it and exits with 2
   */
  run(argv: string[], io: Io): Promise<number>;
}

/** What was asked for cannot be done: a bad flag, an impossible value, a file that cannot be used. The message is one line. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** Exit code after Ctrl-C, as shells report it. */
export const EXIT_INTERRUPTED = 130;
