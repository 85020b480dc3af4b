import { statSync } from 'node:fs';
import { join } from 'node:path';
import { checkWritable, writeFileAtomically } from '../../reports/index.ts';
import { Progress } from '../progress.ts';
import { runSoak, type SoakProgress } from '../soak/soak.ts';
import { progressText, soakText } from '../soak/table.ts';
import { type Command, EXIT_INTERRUPTED, EXIT_INVALID, UsageError } from './command.ts';
import { HELP_FLAG, integerFlag, parseFlags } from './flags.ts';

const DEFAULT_MINUTES = 2;
/** s between two lines where the output is not a terminal. */
const QUIET_S = 10;

const HELP = `Usage: scanout soak [flags]

Runs machine after machine on the same two threads and changes each while its
frames run: displays that take another size, go away and come back (config
events, which the guest follows with mode sets), buffers given new places and
moved between VRAM and system memory, other paths, rings and page layouts.
Every frame's pixels are verified. After each change both sides must hold the
same buffers, after each machine nothing, and what the process holds must not
grow: samples after each round and a collection, judged by a robust slope
whose 95% interval must not lie above the bound as a whole.

Flags:
  --minutes M   how long, 0.1 to 10080 (default ${DEFAULT_MINUTES}); under about half a minute
                there are too few samples to judge memory
  --seed N      of everything that is drawn (default: from the clock; printed)
  --out DIR     writes soak.json there
  --json        prints the soak document instead of the tables
  --help        this text

Exit code: 0 every check held (one that could not be judged is said and does
not count); 2 a bad flag; ${EXIT_INVALID} a check failed; ${EXIT_INTERRUPTED} stopped by Ctrl-C or SIGTERM,
the result so far is printed, written and marked partial.

Examples:
  scanout soak --minutes 2
  scanout soak --minutes 60 --seed 1 --out out
`;

export const soakCommand: Command = {
  name: 'soak',
  summary: 'run changing machines for long: nothing torn, nothing leaked',
  help: HELP,
  async run(argv, io) {
    const { values } = parseFlags({
      args: argv,
      options: {
        minutes: { type: 'string', default: String(DEFAULT_MINUTES) },
        seed: { type: 'string' },
        out: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: HELP_FLAG,
      },
    });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const minutes = minutesFlag(values.minutes);
    const seed = values.seed === undefined ? Date.now() % 2 ** 32 : integerFlag('seed', values.seed, 0, 2 ** 32 - 1);
    if (values.out === '') throw new UsageError('--out needs the name of a folder');
    if (values.out !== undefined) {
      checkWritable(values.out);
      const path = join(values.out, 'soak.json');
      const found = statSync(path, { throwIfNoEntry: false });
      if (found?.isDirectory() === true) throw new UsageError(`${path}: a folder, but the document is to have that name`);
    }
    const terminal = process.stderr.isTTY === true;
    const progress = new Progress(io.stderr, terminal);
    const command = `npx scanout soak --minutes ${minutes} --seed ${seed}`;
    // Whoever stops it, or sees it stop, can begin it again.
    io.stderr(`seed ${seed}\n`);
    let next = 0;
    const onProgress = (now: SoakProgress): void => {
      if (now.elapsed < next) return;
      next = now.elapsed + (terminal ? 0.5 : QUIET_S);
      progress.step(Math.floor(now.elapsed), Math.round(minutes * 60), progressText(now));
    };
    const document = await runSoak({ minutes, seed, command, signal: io.signal, onProgress });
    progress.end();
    const text = `${JSON.stringify(document, null, 2)}\n`;
    io.stdout(values.json ? text : soakText(document));
    if (values.out !== undefined) {
      const path = join(values.out, 'soak.json');
      writeFileAtomically(path, text);
      if (!values.json) io.stdout(`\nDocument: ${path}\n`);
    }
    if (document.partial) return EXIT_INTERRUPTED;
    const failed = document.checks.find(({ status }) => status === 'fail');
    if (failed === undefined) return 0;
    io.stderr(`scanout soak: failed: ${failed.name}: ${failed.detail}; again with: ${command}\n`);
    return EXIT_INVALID;
  },
};

/** @throws UsageError */
function minutesFlag(text: string): number {
  const minutes = /^\d{0,5}(\.\d{1,3})?$/.test(text) && text !== '' ? Number(text) : Number.NaN;
  if (minutes >= 0.1 && minutes <= 10080) return minutes;
  throw new UsageError(`--minutes takes a number from 0.1 to 10080, not ${JSON.stringify(text)}`);
}
