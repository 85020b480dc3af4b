import { appendFileSync, closeSync, openSync } from 'node:fs';
import { readCalibration } from '../../reports/calibration.ts';
import { environmentDifferences, invalidity, runWarnings } from '../../reports/compare/environments.ts';
import type { RunPair } from '../../reports/compare/live.ts';
import { leastP, repetitionsNeeded } from '../../reports/compare/samples.ts';
import { cell } from '../../reports/compare/text.ts';
import { ALPHA } from '../../reports/compare/verdict.ts';
import { reasonOf } from '../../reports/errors.ts';
import { counted } from '../../reports/format.ts';
import { readGate, type Threshold } from '../../reports/gate/config.ts';
import { evaluate, isTimed, type Outcome, type Question } from '../../reports/gate/evaluate.ts';
import { questionsOfDocuments, questionsOfPairs } from '../../reports/gate/questions.ts';
import { checkResolution } from '../../reports/gate/resolution.ts';
import { concludeGate, type GateDocument, gateMarkdown, gateText } from '../../reports/gate/text.ts';
import { checkWritable, InputError, type RunDocument, readRun } from '../../reports/index.ts';
import { OWN_SIDE, profileFailures } from '../compare/profiles.ts';
import { type Command, EXIT_INCONCLUSIVE, EXIT_INTERRUPTED, EXIT_INVALID, EXIT_REGRESSED, type Io, UsageError } from './command.ts';
import { type LiveSides, SIDE_OPTIONS, type StoredSides, sidesOf, splitArguments } from './compare-flags.ts';
import { HELP_FLAG, parseFlags } from './flags.ts';
import { type NoRuns, runLive } from './run-live.ts';

const HELP = `Usage: scanout gate --config FILE [BASE] HEAD [flags]

Lets a change pass or stops it: thresholds on metrics of run.json. The first
line of the output is the reason. FILE is JSON; names of scenarios may have *:

  {"thresholds": {
    "*":           ["hostServiceUs.p50 < +5%", "fps > -5%"],
    "copy-4k-max": ["hostServiceUs.p99 < 6000"],
    "*-encode*":   ["encode.fps > -5%"],
    "*-glass":     ["glass.p50Us < +10%", "glass.lost <= 0"]
  }}

A percentage bounds head against base, anything else bounds head by itself in
the metric's unit. A threshold fails when the 99% interval lies beyond it as a
whole, and holds when it lies within as a whole (of a percentage, if a rank test
agrees at 1%); else it is inconclusive, which passes unless --strict.
What is counted (torn frames, copies) fails with the first value beyond. What
cannot be asked, as of a scenario that only base has, is refused.

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
  --summary FILE          appends Markdown, as for $GITHUB_STEP_SUMMARY, and
                          where nothing was decided why
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
  ...SIDE_OPTIONS,
  config: { type: 'string' },
  calibration: { type: 'string' },
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
    // Before anything is measured: a file that cannot be written must not cost a run.
    if (values.summary !== undefined) checkAppendable(values.summary);
    try {
      return await gate(values, positionals, runArgs, io);
    } catch (error) {
      // Whoever reads the summary alone must not take silence for a pass.
      if (values.summary !== undefined && (error instanceof InputError || error instanceof UsageError))
        appendSummary(values.summary, `### ✗ ${cell(`gate not decided: ${error.message}`)}\n`);
      throw error;
    }
  },
};

async function gate(values: Values, positionals: readonly string[], runArgs: readonly string[] | undefined, io: Io): Promise<number> {
  if (values.config === undefined) throw new UsageError('--config is missing: the file with the thresholds; see --help');
  const thresholds = readGate(values.config);
  const sides = sidesOf(values, positionals, runArgs);
  if (values.calibration !== undefined) readCalibration(values.calibration);
  if (values.profile === '') throw new UsageError('--profile needs the name of a folder');
  if (values.profile !== undefined) checkWritable(values.profile);
  const gated = sides.live
    ? await gateLive(thresholds, sides, values, io)
    : await profiled(gateStored(thresholds, sides, values), values, io);
  if ('code' in gated) {
    if (values.summary !== undefined) appendSummary(values.summary, `### ✗ ${cell(`gate not decided: ${gated.reason}`)}\n`);
    return gated.code;
  }
  const { document, partial, invalid } = gated;
  // Nothing is printed of a gate whose summary cannot be written.
  if (values.summary !== undefined) appendSummary(values.summary, gateMarkdown(document));
  io.stdout(values.json ? `${JSON.stringify(document, null, 2)}\n` : gateText(document));
  if (partial) return EXIT_INTERRUPTED;
  if (invalid) return EXIT_INVALID;
  if (document.state === 'fail') return EXIT_REGRESSED;
  return document.state === 'inconclusive' && values.strict ? EXIT_INCONCLUSIVE : 0;
}

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

function gateStored(thresholds: readonly Threshold[], sides: StoredSides, values: Values): Gated {
  const base = sides.base === null ? null : readRun(sides.base);
  const head = readRun(sides.head);
  const differences = base === null ? [] : environmentDifferences(base.environment, head.environment);
  if (differences.length > 0 && !sides.acrossEnvironments)
    throw new InputError(`the runs are from different environments: ${differences[0]}; --across-environments gates them all the same`);
  const relative = thresholds.find((threshold) => threshold.relative);
  if (base === null && relative !== undefined) throw new UsageError(`"${relative.text}" needs a BASE to be compared with`);
  const broken = (base === null ? null : invalidity(base)) ?? invalidity(head);
  // Before anything is asked: what a broken run lacks is not the thresholds' fault.
  if (broken !== null) {
    const reason = `gate invalid: a run failed its check: ${broken}`;
    return { document: { state: 'inconclusive', reason, outcomes: [], notes: [] }, partial: false, invalid: true };
  }
  const { questions, notes: unasked } = questionsOfDocuments(thresholds, base, head);
  const notes = differences.map((difference) => `DIFFERENT ENVIRONMENTS, ${difference}`);
  notes.push(...(base === null ? [] : runWarnings(base, 'base')), ...runWarnings(head, 'head'));
  notes.push(...unasked, ...resolutionNotes(questions, head, values, null), ...strength(questions));
  return { document: concludeGate(evaluate(questions, ALPHA), notes), partial: false, invalid: false };
}

/** What stored runs can decide at all. */
function strength(questions: readonly Question[]): string[] {
  const notes: string[] = [];
  const compared = questions.filter(({ threshold }) => threshold.relative);
  if (compared.length > 0)
    notes.push('stored runs, not interleaved: a machine that drifted between them shows as a change; --live does not');
  // One-sided tests: half the two-sided p.
  if (compared.some(({ figures: { base, head } }) => (leastP(base.length, head.length) / 2) * compared.length > ALPHA)) {
    const fewest = Math.min(...compared.map(({ figures }) => Math.min(figures.base.length, figures.head.length)));
    const needed = repetitionsNeeded(2 * ALPHA, compared.length);
    notes.push(
      `${counted(fewest, 'repetition', 'repetitions')} a side can fail no percentage, however large: run both sides with --repetitions ${needed} or more`,
    );
  }
  const alone = questions.find(({ threshold, figures }) => isTimed(threshold) && figures.head.length === 1);
  if (alone !== undefined) notes.push(`"${alone.threshold.text}" of ${alone.scenario} rests on a single repetition, without an interval`);
  return notes;
}

async function gateLive(thresholds: readonly Threshold[], sides: LiveSides, values: Values, io: Io): Promise<Gated | NoRuns> {
  const notes: string[] = [];
  let outcomes: readonly Outcome[] = [];
  const live = await runLive(
    {
      sides,
      verify: thresholds.some(({ metric }) => metric === 'framesTorn'),
      judge: {
        // After the first pair: a threshold that cannot be decided must not cost all the others.
        family: (runs: readonly RunPair[]) => {
          const { questions } = questionsOfPairs(thresholds, runs);
          notes.push(...resolutionNotes(questions, runs[0][1], values, sides.maxPairs));
          return questions.length;
        },
        conclusive: (runs: readonly RunPair[], alpha: number) =>
          evaluate(questionsOfPairs(thresholds, runs).questions, alpha).every(({ state }) => state !== 'inconclusive'),
      },
      finish: async ({ runs, alpha }, base, head) => {
        const { questions, notes: unasked } = questionsOfPairs(thresholds, runs);
        outcomes = evaluate(questions, alpha);
        notes.push(...unasked);
        const failed = failing(outcomes);
        if (values.profile !== undefined && failed.length > 0)
          notes.push(...(await profileFailures(failed, values.profile, base, head, io.signal)));
      },
    },
    io,
  );
  if (live.runs === null) return live;
  const document = concludeGate(outcomes, [...live.notes, ...notes]);
  const reason = live.partial ? `stopped before its end; so far: ${document.reason}` : document.reason;
  return { document: { ...document, reason }, partial: live.partial, invalid: false };
}

function resolutionNotes(questions: readonly Question[], head: RunDocument, { calibration }: Values, maxPairs: number | null): string[] {
  if (calibration === undefined) return [];
  return checkResolution(questions, readCalibration(calibration), head.environment, calibration, maxPairs);
}

/** @throws InputError */
function checkAppendable(path: string): void {
  try {
    closeSync(openSync(path, 'a'));
  } catch (error) {
    throw new InputError(`${path}: cannot be written: ${reasonOf(error)}`);
  }
}

/** @throws InputError */
function appendSummary(path: string, text: string): void {
  try {
    appendFileSync(path, text);
  } catch (error) {
    throw new InputError(`${path}: cannot be written: ${reasonOf(error)}`);
  }
}
