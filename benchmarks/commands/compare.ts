import { liveAdvice } from '../../reports/compare/advice.ts';
import { compareDocuments } from '../../reports/compare/documents.ts';
import { invalidity } from '../../reports/compare/environments.ts';
import { compareSeries, seriesOf, withoutRatio } from '../../reports/compare/live.ts';
import { checkMetric, DEFAULT_METRICS } from '../../reports/compare/metrics.ts';
import { comparisonText } from '../../reports/compare/text.ts';
import { type ComparisonDocument, PAIRED_MARGIN, STORED_MARGIN } from '../../reports/compare/verdict.ts';
import { readRun } from '../../reports/index.ts';
import { comparisonJudge, metricsOfPairs } from '../compare/live.ts';
import { type Command, EXIT_INCONCLUSIVE, EXIT_INTERRUPTED, EXIT_INVALID, EXIT_REGRESSED, type Io, UsageError } from './command.ts';
import {
  DEFAULT_MAX_PAIRS,
  type LiveSides,
  listFlag,
  marginFlag,
  optional,
  SIDE_OPTIONS,
  type StoredSides,
  sidesOf,
  splitArguments,
} from './compare-flags.ts';
import { HELP_FLAG, parseFlags } from './flags.ts';
import { type NoRuns, runLive } from './run-live.ts';

const HELP = `Usage: scanout compare BASE HEAD [flags]

Says of two runs whether HEAD is slower or faster than BASE: for each scenario
and metric the change, its 95% interval and a verdict.

  regressed, improved   the 99% interval does not hold "no change", nor lies
                        within the margin, and a rank test agrees at 1%
  equivalent            the 99% interval lies within the margin, and a rank
                        test excludes a change as large as it
  inconclusive          neither

BASE and HEAD are run.json files, or folders that have one: compared by their
repetitions (Mann-Whitney), 5 a side or more. They were not interleaved, hence a
wider margin, which a change has to leave as a whole.
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
                          ${DEFAULT_METRICS.slice(3).join(',')};
                          encode.fps and glass.p50Us where they were measured
  --margin PERCENT        a change within it counts as none (${STORED_MARGIN * 100}; --live ${PAIRED_MARGIN * 100})
  --across-environments   compare although the machines differ, and say so
  --strict                exit code ${EXIT_INCONCLUSIVE} when inconclusive
  --json                  prints {comparisons: [{scenario, metric, ratio, low,
                          high, verdict, pairs, p, paired}], verdict, advice,
                          notes}
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
  ...SIDE_OPTIONS,
  scenarios: { type: 'string' },
  metrics: { type: 'string' },
  margin: { type: 'string' },
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
    const sides = sidesOf(values, positionals, runArgs);
    const asked: Asked = {
      metrics: listFlag('metrics', values.metrics)?.map(checkMetric) ?? null,
      margin: values.margin === undefined ? undefined : marginFlag(values.margin),
      scenarios: listFlag('scenarios', values.scenarios),
    };
    const compared = sides.live ? await compareLive(sides, asked, io) : compareStored(sides, asked);
    if (compared.document === null) return compared.code;
    const { document, partial, invalid } = compared;
    io.stdout(values.json ? `${JSON.stringify({ ...document, ...(sides.live ? { partial } : {}) }, null, 2)}\n` : comparisonText(document));
    if (partial) return EXIT_INTERRUPTED;
    if (invalid === null) return exitCode(document, values.strict);
    io.stderr(`scanout compare: a run is invalid: ${invalid}\n`);
    return EXIT_INVALID;
  },
};

interface Asked {
  /** Null: none were named. */
  readonly metrics: readonly string[] | null;
  readonly margin: number | undefined;
  readonly scenarios: readonly string[] | undefined;
}

interface Compared {
  readonly document: ComparisonDocument;
  readonly partial: boolean;
  /** Why a run is not to be believed; null: both are. */
  readonly invalid: string | null;
}

async function compareLive(
  sides: LiveSides,
  { metrics: named, margin = PAIRED_MARGIN, scenarios }: Asked,
  io: Io,
): Promise<Compared | (NoRuns & { document: null })> {
  if (scenarios !== undefined)
    throw new UsageError('--live takes its scenarios after --, for example -- --path copy --resolution 4k --rate max');
  const live = await runLive({ sides, judge: comparisonJudge(named, margin) }, io);
  if (live.runs === null) return { ...live, document: null };
  const { runs, alpha, notes, partial } = live;
  const metrics = metricsOfPairs(named, runs);
  const document = compareSeries(seriesOf(runs, metrics), margin, alpha, notes, withoutRatio(runs, metrics));
  const advice = partial ? null : liveAdvice(document.comparisons, sides.maxPairs);
  return { document: { ...document, advice }, partial, invalid: null };
}

function compareStored({ base, head, acrossEnvironments }: StoredSides, { metrics, margin, scenarios }: Asked): Compared {
  if (base === null) throw new UsageError('needs two sides, BASE and HEAD, not 1; see --help');
  const [before, after] = [readRun(base), readRun(head)];
  const document = compareDocuments(before, after, {
    acrossEnvironments,
    ...optional('metrics', metrics ?? undefined),
    ...optional('margin', margin),
    ...optional('scenarios', scenarios),
  });
  return { document, partial: false, invalid: invalidity(before) ?? invalidity(after) };
}

function exitCode({ verdict }: ComparisonDocument, strict: boolean): number {
  if (verdict === 'regressed') return EXIT_REGRESSED;
  return verdict === 'inconclusive' && strict ? EXIT_INCONCLUSIVE : 0;
}
