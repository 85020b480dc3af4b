/** `npm run mutants`: tries every mutant of the list and says which test caught it. */
import { parseArgs } from 'node:util';
import { Output } from '../../benchmarks/output.ts';
import { matchesGlob } from '../../reports/glob.ts';
import { MUTANTS } from './list/index.ts';
import type { Mutant } from './mutant.ts';
import { type Outcome, Workshop } from './workshop.ts';

/** A mutant's run is taken to hang after this, nor before it lasts longer than all tests together did without any. */
const BOUND_SECONDS = 45;
const TIMES_PLAIN = 1.5;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

const HELP = `Usage: npm run mutants -- [flags]

Takes the code's checks away one by one, each in a copy of the tree: bounds
checks, the order of what the rings publish and observe, charges to the ledger.
A test has to fail for each. Prints each mutant, its end and the test that
caught it; a run that hangs counts as caught. About half an hour on two cores.

Flags:
  --filter GLOB   only mutants of that name; * stands for any characters
  --list          print the names and what they replace, and try nothing
  --jobs N        mutants tried at the same time (1 to 16, default 2)
  --help          this text

Exit code: 0 each was caught; 1 one survived, or is not what the list says;
2 a bad flag, or no mutant of that name; 130 interrupted.

Examples:
  npm run mutants -- --filter 'ring/split/*'
  npm run mutants -- --list
`;

/** How a mutant ended, in the words of the summary. */
type End = 'killed' | 'hung' | 'SURVIVED' | 'equivalent' | 'NOT EQUIVALENT' | 'FAULTY';
const BAD: readonly End[] = ['SURVIVED', 'NOT EQUIVALENT', 'FAULTY'];

function endOf(mutant: Mutant, { end }: Outcome): End {
  if (end === 'faulty') return 'FAULTY';
  if (mutant.equivalent !== undefined) return end === 'passed' ? 'equivalent' : 'NOT EQUIVALENT';
  if (end === 'passed') return 'SURVIVED';
  return end === 'hung' ? 'hung' : 'killed';
}

function matching(glob: string): Mutant[] {
  return MUTANTS.filter(({ id }) => matchesGlob(glob, id));
}

function oneLine(text: string, columns: number): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > columns ? `${line.slice(0, columns - 1)}…` : line;
}

/** Ends what is being tried; nothing is, at first. */
let stop = (): void => {};
// Who reads no more wants no more mutants tried.
const stdout = new Output(process.stdout, () => stop());
const print = stdout.write;

function list(mutants: readonly Mutant[]): void {
  for (const { id, file, find, replace, equivalent } of mutants) {
    print(`${id}  (${file})\n  - ${oneLine(find, 76)}\n`);
    if (replace !== '') print(`  + ${oneLine(replace, 76)}\n`);
    if (equivalent !== undefined) print(`  equivalent: ${equivalent}\n`);
  }
  print(`${mutants.length} mutants\n`);
}

/** Tries the mutants, `jobs` at a time. @returns the exit code */
async function tryAll(mutants: readonly Mutant[], jobs: number): Promise<number> {
  const start = performance.now();
  const ends = new Map<End, number>();
  const bad: string[] = [];
  const workshops: Workshop[] = [];
  let stopped = false;
  stop = () => {
    stopped = true;
    for (const workshop of workshops) workshop.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  let next = 0;
  let boundMs = BOUND_SECONDS * 1000;
  let done = 0;
  const work = async (workshop: Workshop): Promise<void> => {
    while (next < mutants.length && !stopped) {
      const mutant = mutants[next++];
      const outcome = await workshop.try(mutant, boundMs);
      if (outcome.end === 'aborted') return;
      const end = endOf(mutant, outcome);
      ends.set(end, (ends.get(end) ?? 0) + 1);
      if (BAD.includes(end)) bad.push(`${end}: ${mutant.id} (${mutant.file})${outcome.by === '' ? '' : `\n  ${outcome.by}`}`);
      const count = `[${String(++done).padStart(String(mutants.length).length)}/${mutants.length}]`;
      print(`${count} ${end} ${outcome.seconds.toFixed(1)} s  ${mutant.id}\n`);
      const why = mutant.equivalent ?? outcome.by;
      if (why !== '') print(`    ${oneLine(why, 76)}\n`);
    }
  };
  try {
    for (let i = 0; i < Math.min(jobs, mutants.length) && !stopped; i++) workshops.push(new Workshop());
    const tests = [...new Set(mutants.flatMap((mutant) => mutant.tests))].sort();
    print(`${mutants.length} mutants; first the ${tests.length} test files without any\n`);
    const plain = await workshops[0].run(tests, 10 * BOUND_SECONDS * 1000);
    if (plain.end !== 'passed' && plain.end !== 'aborted') {
      print(`The tests fail without any mutant; make them pass first:\n  ${plain.by}\n`);
      return 1;
    }
    boundMs = Math.max(boundMs, TIMES_PLAIN * plain.seconds * 1000);
    if (!stopped) await Promise.all(workshops.map(work));
  } finally {
    for (const workshop of workshops) workshop.close();
  }
  const order: readonly End[] = ['killed', 'hung', 'SURVIVED', 'equivalent', 'NOT EQUIVALENT', 'FAULTY'];
  const counts = order.filter((end) => ends.has(end) || end === 'SURVIVED').map((end) => `${ends.get(end) ?? 0} ${end.toLowerCase()}`);
  print(`\n${done} of ${mutants.length} mutants: ${counts.join(', ')}; ${Math.round((performance.now() - start) / 1000)} s\n`);
  for (const line of bad.sort()) print(`${line}\n`);
  if (stopped) print('Interrupted: the others were not tried.\n');
  return stopped ? EXIT_INTERRUPTED : bad.length > 0 ? 1 : 0;
}

async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      filter: { type: 'string', default: '*' },
      list: { type: 'boolean', default: false },
      jobs: { type: 'string', default: '2' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    print(HELP);
    return 0;
  }
  const jobs = /^\d{1,2}$/.test(values.jobs) ? Number(values.jobs) : 0;
  if (jobs < 1 || jobs > 16) throw new TypeError(`--jobs takes a whole number from 1 to 16, not ${JSON.stringify(values.jobs)}`);
  const mutants = matching(values.filter);
  if (mutants.length === 0) throw new TypeError(`no mutant is named ${JSON.stringify(values.filter)}; --list prints the names`);
  if (!values.list) return await tryAll(mutants, jobs);
  list(mutants);
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof TypeError)) throw error;
  process.stderr.write(`mutants: ${error.message}\n`);
  process.exitCode = EXIT_USAGE;
}
