import os from 'node:os';
import { parseArgs } from 'node:util';
import { type MachineOptions, PATHS, type Path } from '../../core/machine/options.ts';
import { PAGE_LAYOUTS } from '../../core/memory/allocator.ts';
import { checkWritable, formatRun, renderTerminal, type RunDocument, writeReports } from '../../reports/index.ts';
import { Progress } from '../progress.ts';
import { runScenarios } from '../runner.ts';
import { checkScenario, matrix, oneOf, parsePath, parseRate, parseResolution, type Scenario, scenario } from '../scenarios.ts';
import { SUITES, suiteNamed, type Timing } from '../suites.ts';
import { type Command, type Io, UsageError } from './command.ts';

const HELP = `Usage: scanout run [options]

Measures scenarios and says what importing a frame saves over copying it.

Which scenarios:
  --suite NAME        ${SUITES.map((suite) => suite.name).join(', ')} (default: default);
                      'scanout list' explains them
  --path LIST         only these paths: ${PATHS.join(', ')}
  --resolution LIST   720p, 1080p, 1440p, 4k, 8k or WxH
  --rate LIST         Hz, or max: as fast as the host answers
                      (without --suite the three make a suite of their own)
How each is run:
  --repetitions N     timed repetitions of each scenario
  --frames N          frames of a paced repetition
  --buffers N         2: double, 3: triple buffering
  --layout NAME       how pages lie: ${PAGE_LAYOUTS.join(', ')}
  --heads N           scanouts, 1 to 16
  --sink NAME         latch, display or verify
  --renderer NAME     stamp (one word a row) or paint (every pixel)
  --scanout-us N      how long the sink reads a frame
  --list-limit N      udmabuf's list_limit (1024)
  --size-limit-mb N   udmabuf's size_limit_mb (64)
  --policy NAME       copy or error, when an import is impossible
  --profile NAME      series or qemu-10.2
  --migrate N         move a buffer VRAM <-> system memory every N frames
  --linux-pacing      without blob: flip without waiting, as Linux does
  --no-fences         negative control: answer flushes before the last read
  --spin-us N         how long a thread spins before it sleeps (50)
  --seed N            for page layouts
  --memory-mb N       memory that the run may take (half of the machine's)
Output:
  --out DIR           writes run.json, report.md and report.html there
  --json              prints the run document instead of the table
  --help              prints this

Exit code: 0 fine, 2 wrong input, 4 the run is invalid (torn frames, wrong
number of copies, a worker that died, too disturbed), 130 stopped by Ctrl-C.

Examples:
  scanout run --suite quick --out out
  scanout run --path udmabuf,copy --resolution 4k --rate 60
  scanout run --suite quick --layout 4k --list-limit 8192 --json > run.json
`;

const OPTIONS = {
  suite: { type: 'string' },
  path: { type: 'string' },
  resolution: { type: 'string' },
  rate: { type: 'string' },
  repetitions: { type: 'string' },
  frames: { type: 'string' },
  buffers: { type: 'string' },
  layout: { type: 'string' },
  heads: { type: 'string' },
  sink: { type: 'string' },
  renderer: { type: 'string' },
  'scanout-us': { type: 'string' },
  'list-limit': { type: 'string' },
  'size-limit-mb': { type: 'string' },
  policy: { type: 'string' },
  profile: { type: 'string' },
  migrate: { type: 'string' },
  'linux-pacing': { type: 'boolean' },
  'no-fences': { type: 'boolean' },
  'spin-us': { type: 'string' },
  seed: { type: 'string' },
  'memory-mb': { type: 'string' },
  out: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

export const runCommand: Command = {
  name: 'run',
  summary: 'measure importing against copying and write a report',
  help: HELP,
  async run(argv: string[], io: Io): Promise<number> {
    const values = parse(argv);
    if (values.help === true) {
      io.stdout(HELP);
      return 0;
    }
    const { scenarios, timing, suite } = select(values);
    const budget = integer('memory-mb', values['memory-mb'], 16, 1 << 20, Math.floor(os.totalmem() / 2 ** 21)) * 2 ** 20;
    for (const one of scenarios) checkScenario(one, budget);
    if (values.out !== undefined) checkWritable(values.out);
    const progress = new Progress(io.stderr, process.stderr.isTTY === true);
    const document = await runScenarios({
      suite,
      scenarios,
      timing,
      seed: integer('seed', values.seed, 0, 2 ** 32 - 1, 1),
      command: ['scanout run', ...argv.map(quoted)].join(' '),
      signal: io.signal,
      progress: ({ done, total, text }) => progress.step(done, total, text),
    });
    progress.end();
    return finish(document, values, io);
  },
};

function finish(document: RunDocument, values: Values, io: Io): number {
  io.stdout(values.json === true ? formatRun(document) : renderTerminal(document, { colour: process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined }));
  if (values.out !== undefined) {
    const { html } = writeReports(document, values.out);
    if (values.json !== true) io.stdout(`\nReport: ${html}\n`);
  }
  if (document.partial) return 130;
  return document.checks.some((check) => check.status !== 'pass') && invalid(document) ? 4 : 0;
}

/** A failed check makes a run invalid; an inconclusive one only where vblanks were to be counted. */
function invalid(document: RunDocument): boolean {
  return document.checks.some((check) => check.status === 'fail' || (check.status === 'inconclusive' && check.name.includes('vblank')));
}

function parse(argv: string[]): Values {
  try {
    return parseArgs({ args: argv, options: OPTIONS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${message.split('. ')[0]}; see scanout run --help`);
  }
}

function select(values: Values): { scenarios: Scenario[]; timing: Timing; suite: string } {
  const custom = values.suite === undefined && (values.path !== undefined || values.resolution !== undefined || values.rate !== undefined);
  const base = suiteNamed(values.suite ?? 'default');
  const paths = values.path?.split(',').map(parsePath);
  const resolutions = values.resolution?.split(',').map(parseResolution);
  const rates = values.rate?.split(',').map(parseRate);
  const overrides = machineOverrides(values);
  let scenarios: Scenario[];
  if (custom) {
    scenarios = matrix({
      paths: paths ?? PATHS,
      resolutions: resolutions ?? [parseResolution('1080p'), parseResolution('4k')],
      rates: rates ?? [null],
      base: overrides,
    });
  } else {
    scenarios = base
      .scenarios()
      .filter(({ options }) => paths === undefined || paths.includes(options.path as Path))
      .filter(({ options }) => resolutions === undefined || resolutions.some((r) => r.width === options.width && r.height === options.height))
      .filter(({ options }) => rates === undefined || rates.includes(options.rateHz))
      .map(({ options }) => scenario({ ...options, ...overrides }));
    if (scenarios.length === 0) throw new UsageError(`suite ${base.name} has no scenario with that path, resolution and rate; leave out --suite for any combination`);
  }
  const timing: Timing = {
    ...base.timing,
    repetitions: integer('repetitions', values.repetitions, 1, 1000, base.timing.repetitions),
    pacedFrames: integer('frames', values.frames, 1, 1_000_000, base.timing.pacedFrames),
  };
  return { scenarios, timing, suite: custom ? 'custom' : base.name };
}

function machineOverrides(values: Values): Partial<MachineOptions> {
  return {
    ...(values.buffers === undefined ? {} : { buffers: integer('buffers', values.buffers, 1, 16, 2) }),
    ...(values.layout === undefined ? {} : { layout: oneOf('layout', values.layout, PAGE_LAYOUTS) }),
    ...(values.heads === undefined ? {} : { heads: integer('heads', values.heads, 1, 16, 1) }),
    ...(values.sink === undefined ? {} : { sink: oneOf('sink', values.sink, ['latch', 'verify', 'display'] as const) }),
    ...(values.renderer === undefined ? {} : { renderer: oneOf('renderer', values.renderer, ['stamp', 'paint'] as const) }),
    ...(values['scanout-us'] === undefined ? {} : { scanoutUs: integer('scanout-us', values['scanout-us'], 0, 10_000_000, 0) }),
    ...(values['list-limit'] === undefined ? {} : { listLimit: integer('list-limit', values['list-limit'], 1, 1_000_000, 1024) }),
    ...(values['size-limit-mb'] === undefined ? {} : { sizeLimitMb: integer('size-limit-mb', values['size-limit-mb'], 1, 65536, 64) }),
    ...(values.policy === undefined ? {} : { policy: oneOf('policy', values.policy, ['copy', 'error'] as const) }),
    ...(values.profile === undefined ? {} : { profile: oneOf('profile', values.profile, ['series', 'qemu-10.2'] as const) }),
    ...(values.migrate === undefined ? {} : { migrateEvery: integer('migrate', values.migrate, 1, 1_000_000, 0) }),
    ...(values['spin-us'] === undefined ? {} : { spinUs: integer('spin-us', values['spin-us'], 0, 1_000_000, 50) }),
    ...(values['linux-pacing'] === true ? { linuxPacing: true } : {}),
    ...(values['no-fences'] === true ? { fences: false } : {}),
  };
}

function integer(name: string, text: string | undefined, low: number, high: number, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < low || value > high) throw new UsageError(`--${name} takes a whole number from ${low} to ${high}, not '${text}'`);
  return value;
}

const quoted = (argument: string): string => (/^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`);
