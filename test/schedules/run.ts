/** `npm run schedules`: explores how the two sides of a ring can interleave. */
import { parseArgs } from 'node:util';
import { Output } from '../../benchmarks/output.ts';
import { explore } from './explore.ts';
import { describeScenario, type Scenario } from './scenario.ts';
import { NUMBERED, RANDOM_SCENARIOS, replayFlag, SCENARIOS } from './scenarios.ts';
import type { Task, TaskResult } from './tasks.ts';
import { MAX_STEPS } from './turns.ts';

const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;
const PREEMPTIONS = 3;
const RANDOM = 100_000;
/** Random schedules in one task. */
const SHARE = 5000;
const MAX_FINDINGS_SHOWN = 5;

const HELP = `Usage: npm run schedules -- [flags]

Runs both sides of a ring on two threads that take turns, an access to shared
memory at a time: every schedule of few preemptions of ${SCENARIOS.length} scenarios, then random
ones. No wake-up and no buffer may be lost, none may come twice, each token and
length must be right. About half a minute on two cores.

Flags:
  --preemptions N  every schedule of at most N preemptions (0 to 5, default ${PREEMPTIONS});
                   4 takes two minutes, 5 many
  --random N       random schedules in all (default ${RANDOM}); 0: none
  --seed N         of the random schedules (default: drawn, and printed)
  --filter WORDS   only scenarios whose description has all these words
  --list           print the scenarios with their numbers and explore nothing
  --replay N:STEPS run one schedule of scenario N: the steps, with commas,
                   before which the running side is preempted
  --help           this text

Exit code: 0 nothing found; 1 something was; 2 a bad flag; 130 interrupted.

Examples:
  npm run schedules -- --preemptions 4 --random 0
  npm run schedules -- --filter 'packed event-idx' --seed 7
  npm run schedules -- --replay 12:93,105
`;

const interrupted = new AbortController();
// Who reads no more wants no more schedules run.
const stdout = new Output(process.stdout, () => interrupted.abort());
const print = stdout.write;

function usage(text: string): never {
  process.stderr.write(`schedules: ${text}\nTry npm run schedules -- --help\n`);
  process.exit(EXIT_USAGE);
}

function numberOf(flag: string, text: string, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > max) usage(`--${flag} takes a number from 0 to ${max}, not ${text}`);
  return value;
}

/** Those whose description has all the words; `split` is not in `in-order`'s, a comma counts for nothing. */
function matching(scenarios: readonly Scenario[], words: string): Scenario[] {
  const wanted = words.split(/[\s,]+/).filter((word) => word !== '');
  return scenarios.filter((scenario) => {
    const has = describeScenario(scenario).split(/[\s,]+/);
    return wanted.every((word) => has.includes(word));
  });
}

function report(scenarios: readonly Scenario[], results: readonly TaskResult[]): number {
  const findings = results.flatMap((result) => result.findings);
  for (const { scenario, text, schedule } of findings.slice(0, MAX_FINDINGS_SHOWN)) {
    print(`FOUND ${describeScenario(scenarios[scenario])}\n  ${text}\n  ${replayFlag(scenarios[scenario], schedule)}\n`);
  }
  if (findings.length > MAX_FINDINGS_SHOWN) print(`and ${findings.length - MAX_FINDINGS_SHOWN} more\n`);
  return findings.length;
}

async function replay(text: string, signal: AbortSignal): Promise<number> {
  const match = /^(\d+):([\d,]*)$/.exec(text);
  const scenario = match === null ? undefined : NUMBERED[Number(match[1])];
  if (match === null || scenario === undefined) usage(`--replay takes a scenario's number and steps, as in 12:93,105, not ${text}`);
  const steps = match[2].split(',').filter((step) => step !== '');
  const schedule = steps.map((step) => numberOf('replay', step, MAX_STEPS));
  const results = await explore({ scenarios: [scenario], tasks: [{ kind: 'replay', scenario: 0, schedule }], signal });
  const found = report([scenario], results);
  if (found === 0 && results.length > 0) print(`${describeScenario(scenario)}: nothing wrong in ${results[0].steps} steps\n`);
  return signal.aborted ? EXIT_INTERRUPTED : found > 0 ? 1 : 0;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      preemptions: { type: 'string', default: String(PREEMPTIONS) },
      random: { type: 'string', default: String(RANDOM) },
      seed: { type: 'string' },
      filter: { type: 'string', default: '' },
      list: { type: 'boolean', default: false },
      replay: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    print(HELP);
    return 0;
  }
  const preemptions = numberOf('preemptions', values.preemptions, 5);
  const random = numberOf('random', values.random, 1e9);
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : numberOf('seed', values.seed, 2 ** 31);
  const scenarios = matching(SCENARIOS, values.filter);
  const randomScenarios = matching(RANDOM_SCENARIOS, values.filter);
  if (scenarios.length === 0 && randomScenarios.length === 0) usage(`no scenario has all of: ${values.filter}`);
  if (values.list) {
    for (const [i, scenario] of NUMBERED.entries()) {
      if (scenarios.includes(scenario) || randomScenarios.includes(scenario)) print(`${i} ${describeScenario(scenario)}\n`);
    }
    return 0;
  }

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupted.abort());
  const { signal } = interrupted;

  if (values.replay !== undefined) return await replay(values.replay, signal);

  const start = performance.now();
  const seconds = (): string => `${((performance.now() - start) / 1000).toFixed(0)} s`;
  let done = 0;
  const tasks: Task[] = scenarios.map((_, scenario) => ({ kind: 'all', scenario, preemptions }));
  const all = await explore({
    scenarios,
    tasks,
    signal,
    progress: ({ task, run, findings }) => {
      if (task.kind !== 'all') return;
      const end = findings.length === 0 ? 'ok' : `${findings.length} FOUND`;
      print(`${String(++done).padStart(2)}/${tasks.length} ${describeScenario(scenarios[task.scenario])}: ${run}, ${end}\n`);
    },
  });
  let found = report(scenarios, all);
  const sum = (key: 'run' | 'passed'): number => all.reduce((total, result) => total + result[key], 0);
  const extent = signal.aborted ? `${done} of ${tasks.length} scenarios, each` : 'every';
  print(`${extent} schedule of at most ${preemptions} preemptions: ${sum('run')} run in ${seconds()},\n`);
  print(`${sum('passed')} preemptions passed over that come to the same as another\n`);

  if (random > 0 && !signal.aborted) {
    print(`random schedules, seed ${seed}\n`);
    const shares: Task[] = [];
    for (let from = 0; from < random; from += SHARE) shares.push({ kind: 'random', seed, from, count: Math.min(SHARE, random - from) });
    let ran = 0;
    const results = await explore({
      scenarios: randomScenarios,
      tasks: shares,
      signal,
      progress: ({ run }) => {
        ran += run;
        if (ran % (4 * SHARE) === 0 || ran === random) print(`${ran} of ${random}, ${seconds()}\n`);
      },
    });
    found += report(randomScenarios, results);
  }
  if (signal.aborted) {
    print(`interrupted; ${found} found so far\n`);
    return EXIT_INTERRUPTED;
  }
  print(`${found} found\n`);
  return found > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))) throw error;
  usage(error.message);
}
