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
   * @throws UsageError before anything was written to stdout
   */
  run(argv: string[], io: Io): Promise<number>;
}

/** What was asked for cannot be done: a bad flag, an impossible value, a file that cannot be used. The message is one line. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** Exit code after a UsageError. */
export const EXIT_USAGE = 2;
/** Exit code after Ctrl-C, as shells report it. */
export const EXIT_INTERRUPTED = 130;

/** Runs a command; a UsageError becomes one line on stderr and exit code 2. */
export async function runCommand(command: Command, argv: string[], io: Io): Promise<number> {
  try {
    return await command.run(argv, io);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    io.stderr(`scanout ${command.name}: ${error.message}\n`);
    return EXIT_USAGE;
  }
}
