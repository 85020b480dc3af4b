import { randomInt } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { checkWritable, InputError } from '../../reports/index.ts';
import { loadCorpus } from '../fuzz/corpus.ts';
import { FailureFileError, readFailure, writeFailure } from '../fuzz/failure-file.ts';
import { loadFastCheck, NoFastCheck } from '../fuzz/fast-check.ts';
import { PARTS, RING_KINDS, type Round } from '../fuzz/plan.ts';
import { type FuzzOutcome, NoInputError, runFuzz } from '../fuzz/run.ts';
import { fuzzText, played } from '../fuzz/text.ts';
import { TRACE_PIXELS, TRACE_REGION_BYTES } from '../fuzz/trace-run.ts';
import { Progress } from '../progress.ts';
import { type Command, EXIT_INTERRUPTED, EXIT_INVALID, UsageError } from './command.ts';
import { HELP_FLAG, integerFlag, parseFlags } from './flags.ts';

const DEFAULT_SECONDS = 60;
/** Seeds are i32 to fast-check; those that are printed have no sign. */
const MOST_SEED = 2147483647;
const MOST_SECONDS = 7 * 24 * 3600;
/** The recorded guests of a clone. */
const TRACES = join(import.meta.dirname, '..', '..', 'test', 'fixtures', 'traces');
const STEP_SECONDS = 2;

const HELP = `Usage: scanout fuzz [flags]

Plays a hostile guest against the host device until the time is over, in turns:

  model    sequences of commands, most of them nearly valid, every answer of
           which a small model of the host foretells
  traces   what real guests sent, with a few words and buffers changed
  race     a second thread rewrites requests, descriptors, indices and event
           structures while the host works on them

on split and packed rings, with IN_ORDER and without. A find is an exception
out of the host, a hang, something not given back at reset, an access outside
the guest's memory, or a valid frame that is not shown as it should be; the
smallest input found that does it is written to a file.

The same seed plays the same inputs; of races only what is rewritten, not when
the threads meet. Works in a clone only: fast-check is not installed otherwise.

Flags:
  --seed N        from 0 to ${MOST_SEED} (default: a new one, printed)
  --seconds S     length (default ${DEFAULT_SECONDS})
  --part NAMES    only these parts, separated by commas
  --replay FILE   play one failing input again
  --out FILE      where a failing input goes (default fuzz-SEED.json)
  --traces DIR    recorded guests (default: those of the clone)
  --json          one JSON document on stdout
  --help          this text

Exit code: 0 nothing was found; 1 something was; 2 a flag or file that cannot
be used; ${EXIT_INVALID} nothing was played; ${EXIT_INTERRUPTED} interrupted (what was done is printed).

Examples:
  scanout fuzz --seconds 600
  scanout fuzz --seed 7 --part race,model
  scanout fuzz --replay fuzz-7.json
`;

export const fuzzCommand: Command = {
  name: 'fuzz',
  summary: 'play a hostile guest against the host device',
  help: HELP,
  async run(argv, io) {
    const { values } = parseFlags({
      args: argv,
      options: {
        seed: { type: 'string' },
        seconds: { type: 'string', default: String(DEFAULT_SECONDS) },
        part: { type: 'string', default: PARTS.join(',') },
        replay: { type: 'string' },
        out: { type: 'string' },
        traces: { type: 'string', default: TRACES },
        json: { type: 'boolean', default: false },
        help: HELP_FLAG,
      },
    });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const seed = values.seed === undefined ? randomInt(MOST_SEED) : integerFlag('seed', values.seed, 0, MOST_SEED);
    const seconds = integerFlag('seconds', values.seconds, 1, MOST_SECONDS);
    const parts = PARTS.filter((part) => values.part.split(',').includes(part));
    if (parts.length === 0 || parts.length !== values.part.split(',').length) {
      throw new UsageError(`--part takes ${PARTS.join(', ')}, separated by commas, not ${JSON.stringify(values.part)}`);
    }
    const only = await prepare(values.replay);
    checkTraces(values.traces);
    const out = values.out ?? `fuzz-${seed}.json`;
    if (only === null) checkOutput(out);
    const progress = new Progress(io.stderr, process.stderr.isTTY === true);
    if (!values.json) io.stderr(`${only === null ? `seed ${seed}` : `replaying ${values.replay}`}\n`);
    let said = Number.NEGATIVE_INFINITY;
    let outcome: FuzzOutcome;
    try {
      outcome = await runFuzz({
        seed,
        seconds,
        traces: values.traces,
        parts,
        ...(only === null ? {} : { only }),
        signal: io.signal,
        onRound: ({ part, kind }, inputs, at) => {
          if (at - said < STEP_SECONDS) return;
          said = at;
          progress.step(Math.floor(at), seconds, `seconds, ${inputs} inputs: ${part}, ${RING_KINDS[kind].ring} ring`);
        },
      });
    } catch (error) {
      if (!(error instanceof NoInputError)) throw error;
      throw new UsageError(`${values.replay}: not a failing input of scanout fuzz: "path" leads to no input: ${error.message}`);
    } finally {
      progress.end();
    }
    const { failure } = outcome;
    let file: string | null = null;
    if (failure !== null && only === null) {
      try {
        writeFailure(out, failure.round, failure.found);
        file = out;
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        // What was found is worth more than its file: it is printed all the same.
        io.stderr(`scanout fuzz: ${error.message}; --seed ${seed} finds the input again\n`);
      }
    }
    io.stdout(values.json ? `${JSON.stringify({ ...outcome, file }, null, 2)}\n` : fuzzText(outcome));
    if (file !== null && !values.json) io.stdout(`\nThe input is in ${file}. To play it again:\n  scanout fuzz --replay ${file}\n`);
    if (outcome.interrupted) return EXIT_INTERRUPTED;
    if (failure === null && played(outcome.parts) === 0) return EXIT_INVALID;
    return failure === null ? 0 : 1;
  },
};

/** What is no trace would look like a fault of the host. @throws UsageError unless the folder holds traces only */
function checkTraces(folder: string): void {
  if (!existsSync(folder)) throw new UsageError(`there is no folder ${JSON.stringify(folder)}: name one with --traces`);
  let count: number;
  try {
    count = loadCorpus(folder, TRACE_REGION_BYTES, TRACE_PIXELS).length;
  } catch (error) {
    throw new UsageError(`--traces ${folder}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (count === 0) throw new UsageError(`--traces ${folder}: holds no trace (*.jsonl)`);
}

/** A find may come after hours: its file must have a place. @throws InputError, UsageError */
function checkOutput(file: string): void {
  if (file === '') throw new UsageError('--out needs the name of a file');
  checkWritable(dirname(file));
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true) throw new UsageError(`--out ${file}: a folder, not a file`);
}

/** The input to be replayed, null: none. @throws UsageError where that, or fuzzing at all, is impossible */
async function prepare(replay: string | undefined): Promise<Round | null> {
  try {
    await loadFastCheck();
    return replay === undefined ? null : readFailure(replay);
  } catch (error) {
    if (error instanceof NoFastCheck || error instanceof FailureFileError) throw new UsageError(error.message);
    throw error;
  }
}
