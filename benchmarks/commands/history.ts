import { setImmediate } from 'node:timers/promises';
import { checkMetric, DEFAULT_METRICS } from '../../reports/compare/metrics.ts';
import { History, type HistoryPlace, type OnWrite, setAsideDamaged } from '../../reports/history/history.ts';
import { renderHistoryPage } from '../../reports/history/page.ts';
import type { Observation } from '../../reports/history/store.ts';
import { renderHistory } from '../../reports/history/terminal.ts';
import { historyDocument } from '../../reports/history/trend.ts';
import { writeFileAtomically } from '../../reports/index.ts';
import { HISTORY_FOLDER, historyPlace } from '../history-place.ts';
import { Progress } from '../progress.ts';
import { type Command, EXIT_INTERRUPTED, type Io, UsageError } from './command.ts';
import { HELP_FLAG, integerFlag, parseFlags } from './flags.ts';

const DEFAULT_METRIC = DEFAULT_METRICS[0] ?? 'hostServiceUs.p50';
const LEAST_P = 0.001;

const HELP = `Usage: scanout history [options]
       scanout history import FILES...
       scanout history rebuild

Shows how a metric went from kept run to kept run and where its level changed,
for each environment (CPU, cores, kernel, Node, V8) and set of options by
itself. 'scanout run --keep' keeps a run.

What is shown:
  --scenario LIST     only these scenarios; up to four trends are drawn
  --metric NAME       of the run document's results (${DEFAULT_METRIC})
  --environment ID    only the environment whose id begins so
  --magnitude PERCENT smallest change that counts (5)
  --last N            only the last N runs of each trend
Where the runs are:
  --history DIR       folder of the history (SCANOUT_HISTORY, or
                      ${HISTORY_FOLDER}): runs/ has the documents, index.sqlite
                      their figures. With DATABASE_URL=postgres://... the
                      figures are there, for a team
Output:
  --json              prints {metric, better, magnitude, p, index,
                      environments: [...], trends: [{environment, scenario,
                      options, runs: [...], changes: [...]}]}
  --html FILE         writes a page with a chart for each trend
  --help              prints this

import adds run documents (run.json, or the folder that has one); one that
cannot be used stops it before anything is written.
rebuild makes the index anew from the documents.

Exit code: 0 fine (changes or not), 2 wrong input: nothing kept, a document
or a database that cannot be used; 130 stopped by Ctrl-C.

Examples:
  scanout history
  scanout history --scenario udmabuf-4k-60hz --metric hostServiceUs.p99
  scanout history --metric fps --html history.html
  scanout history import out/run.json older/*.json
`;

const OPTIONS = {
  scenario: { type: 'string' },
  metric: { type: 'string' },
  environment: { type: 'string' },
  magnitude: { type: 'string' },
  last: { type: 'string' },
  history: { type: 'string' },
  json: { type: 'boolean', default: false },
  html: { type: 'string' },
  help: HELP_FLAG,
} as const;

type Values = ReturnType<typeof parseFlags<{ options: typeof OPTIONS }>>['values'];

export const historyCommand: Command = {
  name: 'history',
  summary: 'show how kept runs went on, and where a level changed',
  help: HELP,
  async run(argv, io) {
    const { values, positionals } = parseFlags({ args: argv, options: OPTIONS, allowPositionals: true });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const [action, ...files] = positionals;
    if (values.html === '') throw new UsageError('--html needs the name of a file');
    if (values.history === '') throw new UsageError('--history needs the name of a folder');
    const place = historyPlace(values.history);
    if (action === undefined) return await show(place, values, io);
    const shows = (['scenario', 'metric', 'environment', 'magnitude', 'last', 'html'] as const).find((name) => values[name] !== undefined);
    if (shows !== undefined || values.json) throw new UsageError(`${action} does not take --${shows ?? 'json'}; see --help`);
    if (action === 'import') return await importFiles(place, files, io);
    if (action !== 'rebuild') throw new UsageError(`there is no ${JSON.stringify(action)}: use import FILES or rebuild, or --help`);
    if (files.length > 0) throw new UsageError('rebuild takes no files: it reads the documents of the history');
    return await rebuild(place, io);
  },
};

async function show(place: HistoryPlace, values: Values, io: Io): Promise<number> {
  const metric = values.metric ?? DEFAULT_METRIC;
  const magnitude = values.magnitude === undefined ? 0.05 : percentFlag(values.magnitude);
  const last = values.last === undefined ? undefined : integerFlag('last', values.last, 1, 1_000_000);
  if (!History.exists(place))
    throw new UsageError(`${place.folder}: no run is kept there: 'scanout run --keep' keeps one, --history names another folder`);
  return await told(io, 'stopped; what was indexed until then stays', async (step) => {
    const history = await History.open(place);
    try {
      await history.sync(step);
      return await answer(history, { metric, magnitude, last }, values);
    } finally {
      await history.close();
    }
  });
}

interface Asked {
  readonly metric: string;
  readonly magnitude: number;
  readonly last: number | undefined;
}

/** @returns what is printed @throws UsageError nothing answers to it */
async function answer(history: History, { metric, magnitude, last }: Asked, values: Values): Promise<string> {
  const observations = selected(await history.store.observations(metric), values);
  if (observations.length === 0) throw new UsageError(await whyNone(history, metric, values));
  const document = historyDocument(observations, await history.store.environments(), history.store.name, {
    metric,
    magnitude,
    p: LEAST_P,
    ...(last === undefined ? {} : { last }),
  });
  if (values.html !== undefined) writeFileAtomically(values.html, renderHistoryPage(document));
  if (values.json) return `${JSON.stringify(document, null, 2)}\n`;
  return `${renderHistory(document)}${values.html === undefined ? '' : `\nPage: ${values.html}\n`}`;
}

function selected(observations: readonly Observation[], values: Values): Observation[] {
  const scenarios = values.scenario?.split(',');
  return observations.filter(
    ({ scenario, environment }) =>
      (scenarios === undefined || scenarios.includes(scenario)) &&
      (values.environment === undefined || environment.startsWith(values.environment)),
  );
}

/** Which part of the question nothing answers to. */
async function whyNone(history: History, metric: string, values: Values): Promise<string> {
  const kept = await history.store.scenarios();
  if (kept.length === 0) return `${history.store.name}: no run is kept: 'scanout run --keep' keeps one`;
  if (!(await history.store.metrics()).includes(metric)) checkMetric(metric);
  const wrong = values.scenario?.split(',').find((name) => !kept.some(({ scenario }) => scenario === name));
  if (wrong !== undefined) {
    const names = kept.map(({ scenario }) => scenario);
    return `no kept run has the scenario ${JSON.stringify(wrong)}: there are ${names.slice(0, 8).join(', ')}${names.length > 8 ? ` and ${names.length - 8} more` : ''}`;
  }
  const environments = (await history.store.environments()).map(({ id }) => id);
  if (values.environment !== undefined && !environments.some((id) => id.startsWith(values.environment ?? '')))
    return `no kept run has an environment ${JSON.stringify(values.environment)}: there are ${environments.join(', ')}`;
  return `no kept run has a figure for ${metric} there: choose another --metric, --scenario or --environment`;
}

async function importFiles(place: HistoryPlace, files: readonly string[], io: Io): Promise<number> {
  if (files.length === 0) throw new UsageError('import needs run documents: scanout history import FILES...');
  return await told(io, UNWRITTEN, async (step, write) => {
    const history = await History.open(place);
    try {
      const { added, known } = await history.import(files, (i, file) => step(i, files.length, file), write);
      return `${added} ${added === 1 ? 'run' : 'runs'} added${known > 0 ? `, ${known} kept before` : ''}: ${history.documents.folder}\n`;
    } finally {
      await history.close();
    }
  });
}

async function rebuild(place: HistoryPlace, io: Io): Promise<number> {
  if (!History.exists(place)) throw new UsageError(`${place.folder}: no run is kept there`);
  return await told(io, UNWRITTEN, async (step, write) => {
    const aside = await setAsideDamaged(place);
    const moved = aside === null ? '' : `The damaged index is now ${aside}\n`;
    const history = await History.open(place);
    try {
      const runs = await history.rebuild(step, write);
      return `${moved}${history.store.name}: made anew from ${runs} ${runs === 1 ? 'run' : 'runs'}\n`;
    } finally {
      await history.close();
    }
  });
}

class Stopped extends Error {}

const UNWRITTEN = 'stopped before anything was written';

type Step = (done: number, total: number, file: string) => Promise<void>;

/** Runs work that says what it is at and may be stopped between two files that it reads, and prints what it returns. @param stopped said then */
async function told(io: Io, stopped: string, work: (step: Step, write: OnWrite) => Promise<string>): Promise<number> {
  const progress = new Progress(io.stderr, process.stderr.isTTY === true);
  try {
    const step: Step = async (done, total, file) => {
      progress.step(done, total, file);
      await setImmediate();
      if (io.signal.aborted) throw new Stopped();
    };
    const text = await work(step, (done, total, where) => progress.step(done, total, `writing ${where}`));
    progress.end();
    io.stdout(text);
    return 0;
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    progress.end();
    io.stderr(`scanout history: ${stopped}\n`);
    return EXIT_INTERRUPTED;
  } finally {
    progress.end();
  }
}

/** @returns a share @throws UsageError */
function percentFlag(text: string): number {
  const percent = /^\d{1,4}(\.\d{1,4})?%?$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  if (percent >= 0 && percent <= 1000) return percent / 100;
  throw new UsageError(`--magnitude takes percent from 0 to 1000, not ${JSON.stringify(text)}`);
}
