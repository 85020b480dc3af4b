import { filterBenchmarks } from '../micro/index.ts';
import { runMicro } from '../micro/run.ts';
import { microText } from '../micro/table.ts';
import { Progress } from '../progress.ts';
import { type Command, EXIT_FAULT, EXIT_INTERRUPTED, UsageError } from './command.ts';
import { HELP_FLAG, integerFlag, parseFlags } from './flags.ts';

const DEFAULT_PAIRS = 15;
const DEFAULT_SECONDS = 0.2;

const HELP = `Usage: scanout micro [flags]

Times the parts that a frame's way is made of: rings between two threads,
decoding, segment lists, dma-bufs, copies, and what else threads can talk by.
Every measurement is a fresh process. A ring is measured in turns with the same
ring in C (compiled here, where there is a compiler), both threads held on CPUs
of their own where the system allows. All of it takes a quarter of an hour.

Flags:
  --filter GLOB   only benchmarks of that name; * stands for any characters
  --pairs N       turns of a two-thread benchmark and its limit (default ${DEFAULT_PAIRS});
                  the others are measured in a third as many processes
  --seconds S     length of one measurement (default ${DEFAULT_SECONDS})
  --deep          measure with mitata instead of tinybench, with hardware
                  counters where the machine has them
  --list          print the names and measure nothing
  --json          one JSON document on stdout instead of a table
  --help          this text

Exit code: 0 measured; 2 a bad flag, or no benchmark of that name; ${EXIT_FAULT} a
measurement broke; ${EXIT_INTERRUPTED} interrupted (what is complete is printed).

Examples:
  scanout micro --filter 'ring/split/*'
  scanout micro --filter 'ring/*/threads/batch-16' --pairs 31 --json
  scanout micro --filter 'memory/copy/*' --deep
`;

export const microCommand: Command = {
  name: 'micro',
  summary: 'time rings, decoding, segment lists and copies by themselves',
  help: HELP,
  async run(argv, io) {
    const { values } = parseFlags({
      args: argv,
      options: {
        filter: { type: 'string', default: '*' },
        pairs: { type: 'string', default: String(DEFAULT_PAIRS) },
        seconds: { type: 'string', default: String(DEFAULT_SECONDS) },
        deep: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: HELP_FLAG,
      },
    });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const pairs = integerFlag('pairs', values.pairs, 1, 1000);
    const seconds = secondsFlag(values.seconds);
    const benchmarks = filterBenchmarks(values.filter);
    if (benchmarks.length === 0) {
      throw new UsageError(`no benchmark is named ${JSON.stringify(values.filter)}; scanout micro --list prints the names`);
    }
    if (values.list) {
      const listed = benchmarks.map(({ name, unit }) => ({ name, unit }));
      io.stdout(values.json ? `${JSON.stringify({ benchmarks: listed }, null, 2)}\n` : listed.map(({ name }) => `${name}\n`).join(''));
      return 0;
    }
    const progress = new Progress(io.stderr, process.stderr.isTTY === true);
    const engine = values.deep ? 'mitata' : 'tinybench';
    const document = await runMicro({
      benchmarks,
      pairs,
      seconds,
      engine,
      signal: io.signal,
      onStep: (done, total, what) => progress.step(done, total, what),
    });
    progress.end();
    io.stdout(values.json ? `${JSON.stringify(document, null, 2)}\n` : microText(document));
    if (document.interrupted) return EXIT_INTERRUPTED;
    return document.failed.length === 0 ? 0 : EXIT_FAULT;
  },
};

/** @throws UsageError */
function secondsFlag(text: string): number {
  const seconds = /^\d{0,4}\.?\d{0,6}$/.test(text) && text !== '' ? Number(text) : Number.NaN;
  if (seconds >= 0.001 && seconds <= 60) return seconds;
  throw new UsageError(`--seconds takes a number from 0.001 to 60, not ${JSON.stringify(text)}`);
}
