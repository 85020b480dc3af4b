import { compareDocuments } from '../../reports/compare/documents.ts';
import { compareSeries, seriesOf } from '../../reports/compare/live.ts';
import { checkMetric, DEFAULT_METRICS } from '../../reports/compare/metrics.ts';
import { comparisonText } from '../../reports/compare/text.ts';
import { type ComparisonDocument, PAIRED_MARGIN, STORED_MARGIN } from '../../reports/compare/verdict.ts';
import { readRun } from '../../reports/index.ts';
import { comparisonJudge } from '../compare/live.ts';
import { type Command, EXIT_INCONCLUSIVE, EXIT_INTERRUPTED, EXIT_INVALID, EXIT_REGRESSED, UsageError } from './command.ts';
import { listFlag, marginFlag, optional, splitArguments, twoSides } from './compare-flags.ts';
import { HELP_FLAG, parseFlags } from './flags.ts';
import { DEFAULT_MAX_PAIRS, liveFlags, runLive } from './run-live.ts';

const HELP = `Usage: scanout compare BASE HEAD [flags]

Says of two runs whether HEAD is slower or faster than BASE: for each scenario
and metric the change, its 95% interval and a verdict.

  regressed, improved   the 99% interval does not hold "no change", nor lies
                        within the margin, and a rank test agrees at 1%
  equivalent            the 99% interval lies within the margin, and a rank
                        test excludes a change as large as it
  inconclusive          neither

BASE and HEAD are run.json files, or folders that have one: compared by their
repetitions (Mann-Whitney), which were not interleaved, hence a wider margin.
With --live they are git revisions, or directories that have bin/scanout.js, run
now in pairs A B B A, each in a fresh process (signed-rank), until everything is
conclusive or the cap is met. What follows -- goes to 'scanout run'
(default: --suite quick).

Flags:
  --live                  measure both now
  --max-pairs N           the cap of --live (${DEFAULT_MAX_PAIRS})
  --seed N                of the first pair's page layouts (1)
  --scenarios LIST        ids; default: all of both sides (not with --live)
  --metrics LIST          dotted names of run.json; default:
                          ${DEFAULT_METRICS.slice(0, 3).join(',')},
                          ${DEFAULT_METRICS.slice(3).join(',')}
  --margin PERCENT        a change within it counts as none (${STORED_MARGIN * 100}; --live ${PAIRED_MARGIN * 100})
  --across-environments   compare although the machines differ, and say so
  --strict                exit code ${EXIT_INCONCLUSIVE} when inconclusive
  --json                  prints {comparisons: [{scenario, metric, ratio, low,
                          high, verdict, pairs, p, paired}], verdict, notes}
  --help                  this text

Exit code: 0 nothing regressed; ${EXIT_REGRESSED} regressed; 2 wrong input; ${EXIT_INCONCLUSIVE} inconclusive, only
with --strict; ${EXIT_INVALID} a side's run is invalid; ${EXIT_INTERRUPTED} stopped by Ctrl-C or SIGTERM:
the verdict comes from the pairs that were complete.

Examples:
  scanout compare main/run.json out/run.json
  scanout compare main out --metrics hostServiceUs.p50,fps --json
  scanout compare --live main HEAD -- --path copy --resolution 4k --rate max
`;

const OPTIONS = {
  live: { type: 'boolean', default: false },
  'max-pairs': { type: 'string' },
  seed: { type: 'string' },
  scenarios: { type: 'string' },
  metrics: { type: 'string' },
  margin: { type: 'string' },
  'across-environments': { type: 'boolean', default: false },
  strict: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: HELP_FLAG,
} as const;

export const compareCommand: Command = {
  name: 'compare',
  summary: 'say whether a run is slower or faster than another',
  help: HELP,
  async run(argv, io) {
    const [own, runArgs] = splitArguments(argv);
    const { values, positionals } = parseFlags({ args: own, options: OPTIONS, allowPositionals: true });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const [base, head] = twoSides(positionals);
    const metrics = listFlag('metrics', values.metrics) ?? DEFAULT_METRICS;
    const margin = values.margin === undefined ? undefined : marginFlag(values.margin);
    const scenarios = listFlag('scenarios', values.scenarios);
    let document: ComparisonDocument;
    let partial = false;
    if (values.live) {
      if (scenarios !== undefined)
        throw new UsageError('--live takes its scenarios after --, for example -- --path copy --resolution 4k --rate max');
      for (const metric of metrics) checkMetric(metric);
      const within = margin ?? PAIRED_MARGIN;
      const live = await runLive(base, head, { ...liveFlags(values), runArgs, judge: comparisonJudge(metrics, within) }, io);
      if (typeof live === 'number') return live;
      document = compareSeries(seriesOf(live.runs, metrics), within, live.alpha, live.notes);
      partial = live.partial;
    } else {
      if (runArgs !== undefined) throw new UsageError('what follows -- is for --live; see --help');
      for (const flag of ['max-pairs', 'seed'] as const)
        if (values[flag] !== undefined) throw new UsageError(`--${flag} is for --live; see --help`);
      const acrossEnvironments = values['across-environments'];
      document = compareDocuments(readRun(base), readRun(head), {
        acrossEnvironments,
        metrics,
        ...optional('margin', margin),
        ...optional('scenarios', scenarios),
      });
    }
    io.stdout(
      values.json ? `${JSON.stringify({ ...document, ...(values.live ? { partial } : {}) }, null, 2)}\n` : comparisonText(document),
    );
    return partial ? EXIT_INTERRUPTED : exitCode(document, values.strict);
  },
};

export function exitCode({ verdict }: ComparisonDocument, strict: boolean): number {
  if (verdict === 'regressed') return EXIT_REGRESSED;
  return verdict === 'inconclusive' && strict ? EXIT_INCONCLUSIVE : 0;
}
