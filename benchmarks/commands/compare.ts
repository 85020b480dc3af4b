import { compareDocuments } from '../../reports/compare/documents.ts';
import { DEFAULT_METRICS } from '../../reports/compare/metrics.ts';
import { comparisonText } from '../../reports/compare/text.ts';
import { type ComparisonDocument, STORED_MARGIN } from '../../reports/compare/verdict.ts';
import { readRun } from '../../reports/index.ts';
import { type Command, EXIT_INCONCLUSIVE, EXIT_REGRESSED, UsageError } from './command.ts';
import { HELP_FLAG, parseFlags } from './flags.ts';

const HELP = `Usage: scanout compare BASE HEAD [flags]

Says of two runs whether HEAD is slower or faster than BASE: for each scenario
and metric the change, its 95% interval and a verdict.

  regressed, improved   the 99% interval does not hold "no change", nor lies
                        within the margin, and a rank test agrees at 1%
  equivalent            the 99% interval lies within the margin, and a rank
                        test excludes a change as large as it
  inconclusive          neither

BASE and HEAD are run.json files, or folders that have one. They are compared by
their repetitions (Mann-Whitney).

Flags:
  --scenarios LIST        ids; default: all that both sides have
  --metrics LIST          dotted names of run.json; default:
                          ${DEFAULT_METRICS.slice(0, 3).join(',')},
                          ${DEFAULT_METRICS.slice(3).join(',')}
  --margin PERCENT        a change within it counts as none (${STORED_MARGIN * 100})
  --across-environments   compare although the machines differ, and say so
  --strict                exit code ${EXIT_INCONCLUSIVE} when inconclusive
  --json                  prints {comparisons: [{scenario, metric, ratio, low,
                          high, verdict, pairs, p, paired}], verdict, notes}
  --help                  this text

Exit code: 0 nothing regressed; ${EXIT_REGRESSED} regressed; 2 wrong input; ${EXIT_INCONCLUSIVE} inconclusive, only
with --strict.

Examples:
  scanout compare main/run.json out/run.json
  scanout compare main out --metrics hostServiceUs.p50,fps --json
`;

const OPTIONS = {
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
    const { values, positionals } = parseFlags({ args: argv, options: OPTIONS, allowPositionals: true });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const [base, head] = twoSides(positionals);
    const margin = values.margin === undefined ? STORED_MARGIN : marginFlag(values.margin);
    const document = compareDocuments(readRun(base), readRun(head), {
      margin,
      acrossEnvironments: values['across-environments'],
      metrics: listFlag('metrics', values.metrics) ?? DEFAULT_METRICS,
      ...optional('scenarios', listFlag('scenarios', values.scenarios)),
    });
    io.stdout(values.json ? `${JSON.stringify(document, null, 2)}\n` : comparisonText(document));
    return exitCode(document, values.strict);
  },
};

export function exitCode({ verdict }: ComparisonDocument, strict: boolean): number {
  if (verdict === 'regressed') return EXIT_REGRESSED;
  return verdict === 'inconclusive' && strict ? EXIT_INCONCLUSIVE : 0;
}

/** @throws UsageError */
export function twoSides(positionals: readonly string[]): [base: string, head: string] {
  if (positionals.length !== 2 || positionals.includes(''))
    throw new UsageError(`needs two sides, BASE and HEAD, not ${positionals.length}; see --help`);
  return [positionals[0], positionals[1]];
}

/** Percent, as a part. @throws UsageError */
export function marginFlag(text: string): number {
  const percent = /^\d{1,2}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (percent > 0) return percent / 100;
  throw new UsageError(`--margin takes a percentage above 0 and below 100, for example 5, not ${JSON.stringify(text)}`);
}

/** @throws UsageError an empty entry */
export function listFlag(flag: string, text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  const list = text.split(',').map((one) => one.trim());
  if (list.includes('')) throw new UsageError(`--${flag} takes names separated by commas, not ${JSON.stringify(text)}`);
  return [...new Set(list)];
}

/** A property that is there only with a value. */
export function optional<K extends string, T>(key: K, value: T | undefined): { [key in K]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { [key in K]?: T });
}
