import { EXPORT_FORMATS } from '../../reports/export/formats.ts';
import { readRun, writeFileAtomically } from '../../reports/index.ts';
import { type Command, UsageError } from './command.ts';
import { choiceFlag, HELP_FLAG, parseFlags } from './flags.ts';

const HELP = `Usage: scanout export FILE --format FORMAT [--out FILE]

Writes a run document in a form that other programs read. FILE is a run.json
or the folder that has one.

Formats:
  csv        a row a scenario and a row a repetition, all figures (RFC 4180)
  bmf        Bencher Metric Format: bencher run --adapter json --file FILE
  github-action-benchmark
             that action's own JSON; tool: customSmallerIsBetter
  junit      the checks as JUnit XML: what makes the run invalid fails, what
             is only inconclusive and what did not run is skipped
  markdown   the report's tables, for a pull request or a job's summary

Flags:
  --format FORMAT   one of the above
  --out FILE        written as a whole or not at all; stdout without it
  --help            this text

In bmf and github-action-benchmark smaller is better throughout: frames a
second appear as the time from one frame to the next. Ranges are the least and
the most of the undisturbed repetitions.

Exit code: 0; 2 the run document cannot be used, or the file not written.

Examples:
  scanout export out --format csv --out run.csv
  scanout export out/run.json --format junit --out checks.xml
  scanout export out --format markdown >> "$GITHUB_STEP_SUMMARY"
`;

export const exportCommand: Command = {
  name: 'export',
  summary: 'write a run as CSV, JUnit, Markdown or for Bencher and others',
  help: HELP,
  async run(argv, io) {
    const { values, positionals } = parseFlags({
      args: argv,
      allowPositionals: true,
      options: { format: { type: 'string' }, out: { type: 'string' }, help: HELP_FLAG },
    });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const [file, ...more] = positionals;
    if (file === undefined || more.length > 0) throw new UsageError('takes one run: scanout export FILE --format FORMAT; see --help');
    if (values.format === undefined) throw new UsageError(`--format is missing: ${EXPORT_FORMATS.join(', ')}`);
    if (values.out === '') throw new UsageError('--out needs the name of a file');
    const format = choiceFlag('format', values.format, EXPORT_FORMATS);
    const { exportRun } = await import('../../reports/export/index.ts');
    const text = exportRun(readRun(file), format);
    if (values.out === undefined) io.stdout(text);
    else writeFileAtomically(values.out, text);
    return 0;
  },
};
