import { InputError } from '../reports/index.ts';
import { type Command, UsageError } from './commands/command.ts';
import { doctorCommand } from './commands/doctor.ts';
import { listCommand } from './commands/list.ts';
import { replayCommand } from './commands/replay.ts';
import { runCommand } from './commands/run.ts';
import { ScenarioError } from './scenarios.ts';
import { packageVersion } from './version.ts';

const COMMANDS: readonly Command[] = [runCommand, replayCommand, listCommand, doctorCommand];

const HELP = `scanout: what does it cost to get a guest's finished frame onto the host's
display, imported where it lies, and copied?

Usage: scanout COMMAND [options]

${COMMANDS.map(({ name, summary }) => `  ${name.padEnd(9)}${summary}`).join('\n')}

  scanout COMMAND --help   explains a command, with examples
  scanout --version        prints the version

Examples:
  scanout run --suite quick --out out
  scanout replay trace.jsonl
  scanout doctor
`;

/** The command line. @returns the exit code */
export async function main(argv: string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    (name === undefined ? process.stderr : process.stdout).write(HELP);
    return name === undefined ? 2 : 0;
  }
  if (name === '--version') {
    process.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) {
    process.stderr.write(`scanout: there is no command '${name}': use ${COMMANDS.map((c) => c.name).join(', ')}, or --help\n`);
    return 2;
  }
  const controller = new AbortController();
  let stops = 0;
  const stop = (): void => {
    stops++;
    // Who asks twice wants out now, results or not.
    if (stops > 1) process.exit(130);
    controller.abort(new Error('stopped'));
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    return await command.run(rest, {
      stdout: (text) => void process.stdout.write(text),
      stderr: (text) => void process.stderr.write(text),
      signal: controller.signal,
    });
  } catch (error) {
    if (error instanceof UsageError || error instanceof ScenarioError || error instanceof InputError) {
      process.stderr.write(`scanout ${name}: ${error.message}\n`);
      return 2;
    }
    throw error;
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}
