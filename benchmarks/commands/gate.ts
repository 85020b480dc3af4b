import { appendFileSync } from 'node:fs';
import { readCalibration } from '../../reports/calibration.ts';
import { environmentDifferences } from '../../reports/compare/environments.ts';
import { repetitionsNeeded } from '../../reports/compare/samples.ts';
import { ALPHA } from '../../reports/compare/verdict.ts';
import { reasonOf } from '../../reports/errors.ts';
import { readGate, type Threshold } from '../../reports/gate/config.ts';
import { evaluate, type Outcome, type Question } from '../../reports/gate/evaluate.ts';
import { questionsOfDocuments, questionsOfPairs } from '../../reports/gate/questions.ts';
import { checkResolution } from '../../reports/gate/resolution.ts';
import { concludeGate, type GateDocument, gateMarkdown, gateText } from '../../reports/gate/text.ts';
import { checkWritable, InputError, type RunDocument, readRun } from '../../reports/index.ts';
import { OWN_SIDE, profileFailures } from '../compare/profiles.ts';
import { type Command, EXIT_INCONCLUSIVE, EXIT_INTERRUPTED, EXIT_INVALID, EXIT_REGRESSED, type Io, UsageError } from './command.ts';
import { splitArguments } from './compare-flags.ts';
import { HELP_FLAG, parseFlags } from './flags.ts';
import { type LiveRequest, liveFlags, runLive } from './run-live.ts';

const HELP = `Usage: scanout gate --config FILE [BASE] HEAD [flags]

Lets a change pass or stops it: thresholds on metrics of run.json. The first
line of the output is the reason. FILE is JSON; names of scenarios may have *:

  {"thresholds": {
    "*":           ["hostServiceUs.p50 < +5%", "fps > -5%"],
    "copy-4k-max": ["hostServiceUs.p99 < 6000"]
  }}

A percentage bounds head against base, anything else bounds head by itself in
the metric's unit. A threshold fails when the 99% interval lies beyond it as a
whole, and holds when it lies within as a whole (of a percentage, if a rank test
agrees at 1%); else it is inconclusive, which passes unless --strict.
What is counted (torn frames, copies) fails with the first value beyond.

BASE and HEAD are run.json files or their folders; with --live git revisions or
directories, as in 'scanout compare'. Without BASE only absolute thresholds.

Flags:
  --config FILE           the thresholds
  --calibration FILE      of 'scanout calibrate': a percentage tighter than
                          this machine can resolve is refused
  --live                  measure both now, pair by pair; what follows -- goes
                          to 'scanout run'
  --max-pairs N, --seed N as in 'scanout compare'
  --across-environments   stored runs of different machines
  --strict                exit code ${EXIT_INCONCLUSIVE} when inconclusive
  --summary FILE          appends Markdown, as for $GITHUB_STEP_SUMMARY
  --profile DIR           of a scenario that fails, profiles there: with --live
                          of both sides and what changed, else of this program
  --json                  prints {state, reason, outcomes, notes}
  --help                  this text

Exit code: 0 passed; ${EXIT_REGRESSED} failed; 2 wrong input, or a threshold that is refused; ${EXIT_INCONCLUSIVE}
inconclusive, only with --strict; ${EXIT_INVALID} a run is invalid; ${EXIT_INTERRUPTED} stopped.

Examples:
  scanout gate --config gate.json main/run.json out/run.json
  scanout gate --config gate.json --live origin/main HEAD --strict
  scanout gate --config gate.json --live main . -- --path copy --resolution 4k
`;

const OPTIONS = {
  config: { type: 'string' },
  calibration: { type: 'string' },
  live: { type: 'boolean', default: false },
  'max-pairs': { type: 'string' },
  seed: { type: 'string' },
  'across-environments': { type: 'boolean', default: false },
  strict: { type: 'boolean', default: false },
  summary: { type: 'string' },
  profile: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: HELP_FLAG,
} as const;

type Values = ReturnType<typeof parseFlags<{ options: typeof OPTIONS }>>['values'];

export const gateCommand: Command = {
  name: 'gate',
  summary: 'pass or stop a change by thresholds on its metrics',
  help: HELP,
  async run(argv, io) {
    const [own, runArgs] = splitArguments(argv);
    const { values, positionals } = parseFlags({ args: own, options: OPTIONS, allowPositionals: true });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    if (values.config === undefined) throw new UsageError('--config is missing: the file with the thresholds; see --help');
    const thresholds = readGate(values.config);
    // Before anything is measured: a file that cannot be read must not cost a run.
    if (values.calibration !== undefined) readCalibration(values.calibration);
    if (values.profile === '') throw new UsageError('--profile needs the name of a folder');
    if (values.profile !== undefined) checkWritable(values.profile);
    const gated = values.live
      ? await gateLive(thresholds, positionals, runArgs, values, io)
      : await profiled(gateStored(thresholds, positionals, runArgs, values), values, io);
    if (typeof gated === 'number') return gated;
    const { document, partial, invalid } = gated;
    // Nothing is printed of a gate whose summary cannot be written.
    if (values.summary !== undefined) appendSummary(values.summary, gateMarkdown(document));
    io.stdout(values.json ? `${JSON.stringify(document, null, 2)}\n` : gateText(document));
    if (partial) return EXIT_INTERRUPTED;
    if (invalid) return EXIT_INVALID;
    if (document.state === 'fail') return EXIT_REGRESSED;
    return document.state === 'inconclusive' && values.strict ? EXIT_INCONCLUSIVE : 0;
  },
};

interface Gated {
  readonly document: GateDocument;
  readonly partial: boolean;
  readonly invalid: boolean;
}

const failing = (outcomes: readonly Outcome[]): string[] =>
  outcomes.filter(({ state }) => state === 'fail').map(({ scenario }) => scenario);

/** Of stored runs the machine at hand and this program are all there is to profile. */
async function profiled(gated: Gated, { profile }: Values, io: Io): Promise<Gated> {
  const failed = failing(gated.document.outcomes);
  if (profile === undefined || failed.length === 0 || gated.invalid) return gated;
  const notes = await profileFailures(failed, profile, null, OWN_SIDE, io.signal);
  return { ...gated, document: { ...gated.document, notes: [...gated.document.notes, ...notes] } };
}

function gateStored(
  thresholds: readonly Threshold[],
  names: readonly string[],
  runArgs: readonly string[] | undefined,
  values: Values,
): Gated {
  if (runArgs !== undefined) throw new UsageError('what follows -- is for --live; see --help');
  if (names.length < 1 || names.length > 2) throw new UsageError(`needs HEAD, or BASE and HEAD, not ${names.length}; see --help`);
  const base = names.length === 2 ? readRun(names[0]) : null;
  const head = readRun(names[names.length - 1]);
  const differences = base === null ? [] : environmentDifferences(base.environment, head.environment);
  if (differences.length > 0 && !values['across-environments'])
    throw new InputError(`the runs are from different environments: ${differences[0]}; --across-environments gates them all the same`);
  const relative = thresholds.find((threshold) => threshold.relative);
  if (base === null && relative !== undefined) throw new UsageError(`"${relative.text}" needs a BASE to be compared with`);
  const questions = questionsOfDocuments(thresholds, base, head);
  const notes = [...differences.map((difference) => `DIFFERENT ENVIRONMENTS, ${difference}`), ...resolutionNotes(questions, head, values)];
  const compared = questions.filter(({ threshold }) => threshold.relative);
  const fewest = Math.min(...compared.map(({ figures }) => Math.min(figures.base.length, figures.head.length)));
  const needed = repetitionsNeeded(2 * ALPHA, compared.length);
  if (compared.length > 0)
    notes.push('stored runs, not interleaved: a machine that drifted between them shows as a change; --live does not');
  if (compared.length > 0 && fewest < needed)
    notes.push(`${fewest} repetitions a side can decide no percentage: run with --repetitions ${needed} or more`);
  const broken = [base, head].flatMap((run) => run?.checks.filter(({ status }) => status === 'fail') ?? []);
  const document = concludeGate(evaluate(questions, ALPHA), notes);
  if (broken.length === 0) return { document, partial: false, invalid: false };
  const reason = `gate invalid: a run failed its check: ${broken[0].name}: ${broken[0].detail}`;
  return { document: { ...document, state: 'inconclusive', reason }, partial: false, invalid: true };
}

async function gateLive(
  thresholds: readonly Threshold[],
  names: readonly string[],
  runArgs: readonly string[] | undefined,
  values: Values,
  io: Io,
): Promise<Gated | number> {
  if (names.length !== 2) throw new UsageError(`--live needs two sides, BASE and HEAD, not ${names.length}; see --help`);
  let notes: string[] = [];
  let outcomes: readonly Outcome[] = [];
  const request: LiveRequest = {
    ...liveFlags(values),
    runArgs,
    verify: thresholds.some(({ metric }) => metric === 'framesTorn'),
    judge: {
      // After the first pair: a threshold that cannot be decided must not cost all the others.
      family: (runs: Parameters<typeof questionsOfPairs>[1]) => {
        const questions = questionsOfPairs(thresholds, runs);
        notes = resolutionNotes(questions, runs[0][1], values);
        return questions.length;
      },
      conclusive: (runs: Parameters<typeof questionsOfPairs>[1], alpha: number) =>
        evaluate(questionsOfPairs(thresholds, runs), alpha).every(({ state }) => state !== 'inconclusive'),
    },
    finish: async ({ runs, alpha }, base, head) => {
      outcomes = evaluate(questionsOfPairs(thresholds, runs), alpha);
      const failed = failing(outcomes);
      if (values.profile !== undefined && failed.length > 0)
        notes.push(...(await profileFailures(failed, values.profile, base, head, io.signal)));
    },
  };
  const live = await runLive(names[0], names[1], request, io);
  if (typeof live === 'number') return live;
  return { document: concludeGate(outcomes, [...live.notes, ...notes]), partial: live.partial, invalid: false };
}

function resolutionNotes(questions: readonly Question[], head: RunDocument, { calibration }: Values): string[] {
  if (calibration === undefined) return [];
  return checkResolution(questions, readCalibration(calibration), head.environment, calibration);
}

/** @throws InputError */
function appendSummary(path: string, text: string): void {
  try {
    appendFileSync(path, text);
  } catch (error) {
    throw new InputError(`${path}: cannot be written: ${reasonOf(error)}`);
  }
}
