import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Calibration } from '../../reports/calibration.ts';
import { calibrationFault, calibrationText } from '../../reports/calibration-text.ts';
import { checkMetric } from '../../reports/compare/metrics.ts';
import { checkWritable, writeFileAtomically } from '../../reports/index.ts';
import { calibrate } from '../compare/calibrate.ts';
import { withFolder } from '../compare/process.ts';
import { InvalidRunError, measureSide } from '../compare/side.ts';
import { Progress } from '../progress.ts';
import { packageRoot } from '../version.ts';
import { type Command, EXIT_INTERRUPTED, EXIT_INVALID, UsageError } from './command.ts';
import { checkRunArguments, listFlag, splitArguments } from './compare-flags.ts';
import { HELP_FLAG, integerFlag, parseFlags, quoted } from './flags.ts';

const DEFAULTS = { comparisons: 100, trials: 20, maxPairs: 16, seed: 1, out: 'calibration.json' } as const;
const RUN_ARGS = ['--suite', 'quick', '--path', 'copy', '--resolution', '4k', '--rate', 'max'];
/** The first judges the positive control. */
const METRICS = [
  'hostServiceUs.p50',
  'hostServiceUs.p99',
  'guestServiceUs.p50',
  'fps',
  'latencyUs.submitToPresent.p50',
  'latencyUs.submitToPresent.p99',
];

const HELP = `Usage: scanout calibrate [flags] [-- RUN FLAGS]

What can comparisons on this machine tell? Compares this program with itself
again and again, as 'scanout compare --live' does: no verdict may come of it
(at most 5 in 100), and the noise gives the smallest change that is found 19
times of 20, for each metric. Then a positive control: a side that copies some
of each frame again, by max(5%, 1.5 x the smallest change), must be found in 19
of 20 trials. Writes a file that 'scanout gate --calibration' reads.

Flags:
  --comparisons N   with itself (${DEFAULTS.comparisons})
  --trials N        with the handicap; 0: none (${DEFAULTS.trials})
  --max-pairs N     of each comparison (${DEFAULTS.maxPairs})
  --metrics LIST    dotted names of run.json, the first for the control
  --seed N          of page layouts (${DEFAULTS.seed})
  --out FILE        default: ${DEFAULTS.out}
  --json            prints the file's content instead of the table
  --help            this text

What follows -- goes to 'scanout run' and must name one scenario; default:
${RUN_ARGS.join(' ')}.

Exit code: 0 measured; 2 wrong input; ${EXIT_INVALID} a run is invalid, or verdicts on this
machine are not to be believed; ${EXIT_INTERRUPTED} stopped by Ctrl-C or SIGTERM: the file has
what was complete.

Examples:
  scanout calibrate --out calibration.json
  scanout calibrate --comparisons 20 --trials 5 --max-pairs 10
`;

export const calibrateCommand: Command = {
  name: 'calibrate',
  summary: 'what changes can comparisons on this machine find?',
  help: HELP,
  async run(argv, io) {
    const [own, runArgs = RUN_ARGS] = splitArguments(argv);
    const { values } = parseFlags({
      args: own,
      options: {
        comparisons: { type: 'string', default: String(DEFAULTS.comparisons) },
        trials: { type: 'string', default: String(DEFAULTS.trials) },
        'max-pairs': { type: 'string', default: String(DEFAULTS.maxPairs) },
        metrics: { type: 'string', default: METRICS.join(',') },
        seed: { type: 'string', default: String(DEFAULTS.seed) },
        out: { type: 'string', default: DEFAULTS.out },
        json: { type: 'boolean', default: false },
        help: HELP_FLAG,
      },
    });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const comparisons = integerFlag('comparisons', values.comparisons, 1, 10_000);
    const trials = integerFlag('trials', values.trials, 0, 10_000);
    // Fewer pairs can show nothing at 1%.
    const maxPairs = integerFlag('max-pairs', values['max-pairs'], 8, 1000);
    const seed = integerFlag('seed', values.seed, 0, 2 ** 32 - 1);
    const metrics = (listFlag('metrics', values.metrics) ?? METRICS).map(checkMetric);
    if (values.out === '') throw new UsageError('--out needs the name of a file');
    if (statSync(values.out, { throwIfNoEntry: false })?.isDirectory()) throw new UsageError(`--out ${values.out}: a folder, not a file`);
    checkWritable(dirname(values.out));
    checkRunArguments(runArgs);
    const root = packageRoot();
    if (root === null) throw new UsageError('this program does not find its own package, which it would have to start');
    const progress = new Progress(io.stderr, process.stderr.isTTY === true);
    let calibration: Calibration;
    try {
      calibration = await withFolder(
        'scanout-calibrate-',
        async (compileCache) =>
          await calibrate({
            side: { label: 'this program', root, compileCache },
            runArgs: [...runArgs, '--bare'],
            metrics,
            comparisons,
            trials,
            maxPairs,
            seed,
            command: ['npx scanout calibrate', ...argv.map(quoted)].join(' '),
            signal: io.signal,
            measure: measureSide,
            keep: (complete) => writeFileAtomically(values.out, `${JSON.stringify(complete, null, 2)}\n`),
            now: () => performance.now(),
            progress: ({ done, total, text }) => progress.step(done, total, text),
          }),
      );
    } catch (error) {
      progress.end();
      if (error instanceof InvalidRunError) {
        io.stderr(`scanout calibrate: a run is invalid: ${error.message}\n`);
        return EXIT_INVALID;
      }
      if (!io.signal.aborted) throw error;
      io.stderr('scanout calibrate: stopped before a comparison was complete; nothing is written\n');
      return EXIT_INTERRUPTED;
    }
    progress.end();
    const text = `${JSON.stringify(calibration, null, 2)}\n`;
    writeFileAtomically(values.out, text);
    io.stdout(values.json ? text : `${calibrationText(calibration)}\nCalibration: ${values.out}\n`);
    if (calibration.partial) return EXIT_INTERRUPTED;
    const fault = calibrationFault(calibration);
    if (fault === null) return 0;
    io.stderr(`scanout calibrate: ${fault}\n`);
    return EXIT_INVALID;
  },
};
