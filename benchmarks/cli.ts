import { calibrateCommand } from './commands/calibrate.ts';
import { type Command, EXIT_FAULT, EXIT_INTERRUPTED, EXIT_OUTPUT, EXIT_USAGE, faultText, type Io, runCommand } from './commands/command.ts';
import { compareCommand } from './commands/compare.ts';
import { doctorCommand } from './commands/doctor.ts';
import { exportCommand } from './commands/export.ts';
import { fuzzCommand } from './commands/fuzz.ts';
import { gateCommand } from './commands/gate.ts';
import { guestCommand } from './commands/guest.ts';
import { historyCommand } from './commands/history.ts';
import { hostCommand } from './commands/host.ts';
import { listCommand } from './commands/list.ts';
import { microCommand } from './commands/micro.ts';
import { profileCommand } from './commands/profile.ts';
import { replayCommand } from './commands/replay.ts';
import { runCommand as measureCommand } from './commands/run.ts';
import { soakCommand } from './commands/soak.ts';
import { streamCommand } from './commands/stream.ts';
import { viewCommand } from './commands/view.ts';
import { useInstead } from './nearest.ts';
import { Output } from './output.ts';
import { packageVersion } from './version.ts';

const COMMANDS: readonly Command[] = [
  measureCommand,
  compareCommand,
  gateCommand,
  calibrateCommand,
  historyCommand,
  replayCommand,
  hostCommand,
  guestCommand,
  streamCommand,
  viewCommand,
  microCommand,
  fuzzCommand,
  soakCommand,
  profileCommand,
  listCommand,
  doctorCommand,
  exportCommand,
];

const HELP = `scanout: what does it cost to get a guest's finished frame onto the host's
display, imported where it lies, and copied?

Usage: scanout COMMAND [options]

${COMMANDS.map(({ name, summary }) => `  ${name.padEnd(11)}${summary}`).join('\n')}

  scanout COMMAND --help   explains a command, with examples
  scanout --version        prints the version

Examples:
  scanout run --suite quick --out out
  scanout replay trace.jsonl
  scanout doctor
`;

const STOPPING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** One Ctrl-C may arrive several times: from the terminal and from each program that passes it on. */
const SAME_STOP_MS = 250;

/** The command line. @returns the exit code */
export async function main(argv: string[]): Promise<number> {
  const controller = new AbortController();
  const stop = (): void => controller.abort(new Error('stopped'));
  // Nobody reads any more: nothing is left to do but to keep what there is.
  const stdout = new Output(process.stdout, stop);
  const stderr = new Output(process.stderr, stop);
  let stoppedAt = 0;
  const onSignal = (): void => {
    // Who asks twice wants out now, results or not.
    if (controller.signal.aborted && performance.now() - stoppedAt > SAME_STOP_MS) process.exit(EXIT_INTERRUPTED);
    if (!controller.signal.aborted) stoppedAt = performance.now();
    stop();
  };
  const onFault = (error: unknown): void => {
    stderr.write(faultText(argv[0], error));
    process.exit(EXIT_FAULT);
  };
  for (const signal of STOPPING) process.on(signal, onSignal);
  process.on('uncaughtException', onFault);
  try {
    const code = await dispatch(argv, { stdout: stdout.write, stderr: stderr.write, signal: controller.signal });
    await stdout.flushed();
    if (stdout.error === null) return code;
    stderr.write(`scanout: cannot write to stdout: ${stdout.error.message}\n`);
    return EXIT_OUTPUT;
  } finally {
    for (const signal of STOPPING) process.off(signal, onSignal);
    process.off('uncaughtException', onFault);
  }
}

/** Runs what the arguments name; everything it says and is told goes through `io`. @returns the exit code */
export async function dispatch(argv: string[], io: Io): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined) {
    io.stderr(HELP);
    return EXIT_USAGE;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    io.stdout(HELP);
    return 0;
  }
  if (name === '--version') {
    io.stdout(`${packageVersion()}\n`);
    return 0;
  }
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) {
    const names = COMMANDS.map((one) => one.name);
    io.stderr(`scanout: there is no command ${JSON.stringify(name)}: ${useInstead(name, names)}, or --help\n`);
    return EXIT_USAGE;
  }
  return await runCommand(command, rest, io);
}
