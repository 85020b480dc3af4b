import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type Fault, parseFaults } from '../../core/machine/faults.ts';
import {
  IMPORT_BY,
  type ImportBy,
  type MachineOptions,
  MEMORIES,
  type Memory,
  PATHS,
  type Path,
  RINGS,
} from '../../core/machine/options.ts';
import { PAGE_LAYOUTS } from '../../core/memory/allocator.ts';
import { invalidates } from '../../reports/checks.ts';
import { type HistoryPlace, keepRun } from '../../reports/history/history.ts';
import { checkWritable, formatRun, type RunDocument, renderTerminal, writeReports } from '../../reports/index.ts';
import { wrap } from '../../reports/terminal.ts';
import { whyNoImports } from '../../workers/native/imports.ts';
import { whyNoVhostUser } from '../../workers/vhost-user/host.ts';
import { encoderHelp, encoderWish, withEncoders } from '../encode/choice.ts';
import { HISTORY_FOLDER, placeToKeep } from '../history-place.ts';
import type { PairPlan } from '../peers/pairs.ts';
import { Progress } from '../progress.ts';
import { onHost } from '../realguest/recorded.ts';
import { tracedScenarios } from '../realguest/traced.ts';
import { runScenarios } from '../runner.ts';
import {
  checkScenario,
  matrix,
  memoryBudget,
  parseDamage,
  parseMaxRefresh,
  parsePath,
  parseRate,
  parseResolution,
  type Scenario,
  scenario,
  unique,
} from '../scenarios.ts';
import type { StudyPlan } from '../study.ts';
import { SUITES, suiteNamed, type Timing } from '../suites.ts';
import { type Command, EXIT_INTERRUPTED, EXIT_INVALID, type Io, UsageError } from './command.ts';
import { contentFlag } from './content-flag.ts';
import { choiceFlag, HELP_FLAG, integerFlag, parseFlags, quoted } from './flags.ts';

const SUITE_NAMES = wrap(`${' '.repeat(22)}${SUITES.map(({ name }) => name).join(', ')}`, 22)
  .join('\n')
  .trimStart();

const HELP = `Usage: scanout run [options]

Measures scenarios and says what importing a frame saves over copying it.

Which scenarios:
  --suite NAME        ${SUITE_NAMES}
                      (default: default); 'scanout list' explains them
  --path LIST         only these paths:
                      ${PATHS.join(', ')}
  --resolution LIST   720p, 1080p, 1440p, 4k, 8k or WxH
  --rate LIST         Hz, or max: as fast as the host answers
                      (without --suite the three make a suite of their own)
  --trace LIST        these recordings of real guests instead, at their own
                      pace (files of scanout host --record); --rate: display's
How each is run:
  --repetitions N     timed repetitions of each scenario
  --frames N          frames of a paced repetition
  --buffers N         1 to 16; 2: double (default), 3: triple buffering
  --layout NAME       how pages lie: ${PAGE_LAYOUTS.join(', ')}
  --heads N           scanouts, 1 to 16
  --sink NAME         latch, display, verify, or encode: H.264 (needs node-av)
  --max-refresh HZ    encode so many frames a second and head at most (30), or
                      max; with --rate max every frame is encoded then
${encoderHelp()}
  --renderer NAME     stamp (one word a row) or paint (every pixel)
  --content FILE      show a picture or a video instead, which a thread decodes
                      meanwhile: in its own time, at max rate one a frame
  --scanout-us N      how long the sink reads a frame (2000 paced, 0 at max)
  --damage WxH+X+Y    each frame changes this rectangle only; needs --buffers 1
  --list-limit N      udmabuf's list_limit (1024)
  --size-limit-mb N   udmabuf's size_limit_mb (64)
  --policy NAME       copy or error, when an import is impossible
  --profile NAME      series or qemu-10.2
  --ring NAME         layout of the virtqueues: ${RINGS.join(' or ')}
  --memory NAME       of the guest: ${MEMORIES.join(' or ')}, a file that other processes
                      could share (Linux, koffi)
  --import-by NAME    how scattered pages of such files become one range:
                      ${IMPORT_BY.join(', ')}
                      (auto: udmabuf where it can, else as they lie)
  --in-order          the device returns buffers in the order they were sent
  --migrate N         move a buffer VRAM <-> system memory every N frames
  --linux-pacing      without blob: flip without waiting, as Linux does
  --no-fences         negative control: answer flushes before the last read
  --fault LIST        inject faults, each as NAME or NAME@FRAME; 'scanout list'
                      names them. The run checks their outcome, no headline
  --spin-us N         the most a thread spins before it sleeps (50); it
                      spins less where that spares it no sleep
  --seed N            for page layouts
  --memory-mb N       memory that the run may take (half of the machine's)
  --handicap PERCENT  negative control: copy so much of each frame again
  --bare              timed repetitions only, none again: no limits of the
                      machine, no search for torn frames; for comparisons
Output:
  --out DIR           writes run.json, report.md and report.html there
  --keep              keeps the run for 'scanout history'; with SCANOUT_HISTORY
                      set to a folder every run is kept, there
  --history DIR       keeps it there (${HISTORY_FOLDER})
  --json              prints the run document instead of the table
  --help              prints this

Exit code: 0 fine, 2 wrong input, 4 the run is invalid (torn frames, wrong
number of copies, a worker that died, too disturbed), 130 stopped by Ctrl-C or
SIGTERM (what was measured is printed, written and marked partial).

Examples:
  scanout run --suite quick --out out
  scanout run --path udmabuf,copy --resolution 4k --rate 60
  scanout run --path copy --resolution 4k --buffers 1 --damage 256x256+64+64
  scanout run --suite quick --layout 4k --list-limit 8192 --json > run.json
  scanout run --path vfio --resolution 1080p --rate 60 --fault host-exits@9
  scanout run --suite encode --content film.mp4
  scanout run --trace guest.jsonl --list-limit 8192
`;

const REPORT_FILES = ['run.json', 'report.md', 'report.html'];

const OPTIONS = {
  suite: { type: 'string' },
  trace: { type: 'string' },
  path: { type: 'string' },
  resolution: { type: 'string' },
  rate: { type: 'string' },
  repetitions: { type: 'string' },
  frames: { type: 'string' },
  buffers: { type: 'string' },
  layout: { type: 'string' },
  heads: { type: 'string' },
  sink: { type: 'string' },
  'max-refresh': { type: 'string' },
  encoder: { type: 'string' },
  renderer: { type: 'string' },
  content: { type: 'string' },
  'scanout-us': { type: 'string' },
  damage: { type: 'string' },
  'list-limit': { type: 'string' },
  'size-limit-mb': { type: 'string' },
  policy: { type: 'string' },
  profile: { type: 'string' },
  ring: { type: 'string' },
  memory: { type: 'string' },
  'import-by': { type: 'string' },
  'in-order': { type: 'boolean', default: false },
  migrate: { type: 'string' },
  'linux-pacing': { type: 'boolean', default: false },
  'no-fences': { type: 'boolean', default: false },
  fault: { type: 'string' },
  'spin-us': { type: 'string' },
  seed: { type: 'string' },
  'memory-mb': { type: 'string' },
  handicap: { type: 'string' },
  bare: { type: 'boolean', default: false },
  out: { type: 'string' },
  keep: { type: 'boolean', default: false },
  history: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: HELP_FLAG,
} as const;

type Values = ReturnType<typeof parseFlags<{ options: typeof OPTIONS }>>['values'];

export const runCommand: Command = {
  name: 'run',
  summary: 'measure importing against copying and write a report',
  help: HELP,
  async run(argv: string[], io: Io): Promise<number> {
    const { values } = parseFlags({ args: argv, options: OPTIONS });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const overrides = { ...machineOverrides(values), ...(await contentFlag(values.content)) };
    const { scenarios: selected, timing, suite, study, pairs } = select(values, await traced(values, overrides), overrides);
    const wish = encoderWish(values.encoder);
    if (values['max-refresh'] !== undefined && !selected.some(({ options }) => options.sink === 'encode'))
      throw new UsageError('--max-refresh is for --sink encode');
    const budget = (given('memory-mb', values, 16, 1 << 20) ?? Math.floor(memoryBudget() / 2 ** 20)) * 2 ** 20;
    const seed = given('seed', values, 0, 2 ** 32 - 1) ?? 1;
    for (const one of selected) checkScenario(one, budget);
    if (values.out !== undefined) checkOutput(values.out);
    const kept = await placeToKeep(values.keep, values.history);
    const scenarios = await withEncoders(selected, wish);
    const progress = new Progress(io.stderr, process.stderr.isTTY === true);
    let document: RunDocument;
    try {
      document = await runScenarios({
        suite,
        scenarios,
        timing,
        ...(study === undefined ? {} : { study }),
        ...(pairs === undefined ? {} : { pairs }),
        seed,
        bare: values.bare,
        command: ['npx scanout run', ...argv.map(quoted)].join(' '),
        signal: io.signal,
        progress: ({ done, total, text }) => progress.step(done, total, text),
      });
    } finally {
      progress.end();
    }
    return await finish(document, values, kept, io);
  },
};

async function finish(document: RunDocument, values: Values, kept: HistoryPlace | null, io: Io): Promise<number> {
  io.stdout(
    values.json
      ? formatRun(document)
      : renderTerminal(document, { colour: process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined }),
  );
  try {
    if (values.out !== undefined) {
      const { html } = writeReports(document, values.out);
      if (!values.json) io.stdout(`\nReport: ${html}\n`);
    }
  } finally {
    // Kept, too, where the reports could not be written.
    if (kept !== null) {
      const file = await keepRun(document, kept);
      if (!values.json) io.stdout(`\nKept: ${file}\n`);
    }
  }
  if (document.partial) return EXIT_INTERRUPTED;
  const broken = document.checks.find(invalidates);
  if (broken === undefined) return 0;
  io.stderr(`scanout run: the run is invalid: ${broken.name}: ${broken.status}, ${broken.detail}\n`);
  return EXIT_INVALID;
}

/** A folder that can be written, in which no folder has a report's name. @throws InputError, UsageError */
function checkOutput(directory: string): void {
  if (directory === '') throw new UsageError('--out needs the name of a folder');
  if (isFolder(directory) === false) throw new UsageError(`--out ${directory}: a file, not a folder`);
  checkWritable(directory);
  for (const name of REPORT_FILES) {
    const path = join(directory, name);
    if (isFolder(path) === true) throw new UsageError(`${path}: a folder, but the report's file is to have that name`);
  }
}

/** Null: there is nothing of that name, or it cannot be looked at. */
function isFolder(path: string): boolean | null {
  try {
    return statSync(path).isDirectory();
  } catch {
    return null;
  }
}

/** Scenarios of the traces that were asked for; null: none were. @throws UsageError */
async function traced(values: Values, overrides: Partial<MachineOptions>): Promise<Scenario[] | null> {
  const { trace, suite, path, resolution, rate } = values;
  if (trace === undefined) return null;
  if (suite !== undefined || path !== undefined || resolution !== undefined)
    throw new UsageError('--trace plays recordings, which have a path and a size of their own: leave out --suite, --path and --resolution');
  return await tracedScenarios(trace, rate === undefined ? undefined : parseRate(rate), overrides);
}

interface Selection {
  readonly scenarios: Scenario[];
  readonly timing: Timing;
  readonly suite: string;
  readonly study?: StudyPlan;
  readonly pairs?: PairPlan[];
}

function select(values: Values, recorded: Scenario[] | null, overrides: Partial<MachineOptions>): Selection {
  const custom =
    recorded !== null ||
    (values.suite === undefined && (values.path !== undefined || values.resolution !== undefined || values.rate !== undefined));
  const base = suiteNamed(values.suite ?? (recorded === null ? 'default' : 'realguest'));
  const paths = unique(values.path?.split(',').map(parsePath), (path) => path);
  const resolutions = unique(values.resolution?.split(',').map(parseResolution), ({ width, height }) => `${width}x${height}`);
  const rates = unique(values.rate?.split(',').map(parseRate), String);
  let scenarios: Scenario[];
  if (recorded !== null) {
    scenarios = recorded;
  } else if (custom) {
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
      .filter(
        ({ options }) => resolutions === undefined || resolutions.some((r) => r.width === options.width && r.height === options.height),
      )
      .filter(({ options }) => rates === undefined || rates.includes(options.rateHz))
      .map((one) => (one.recorded === undefined ? scenario({ ...one.options, ...overrides }, one.host) : onHost(one, overrides)));
    // A flag for what the suite varies makes several of its scenarios one.
    scenarios = unique(scenarios, ({ id }) => id) ?? [];
    if (scenarios.length === 0)
      throw new UsageError(`suite ${base.name} has no scenario with that path, resolution and rate; leave out --suite for any combination`);
  }
  const timing: Timing = {
    ...base.timing,
    ...(values.bare ? { maxRepeated: 0 } : {}),
    repetitions: given('repetitions', values, 1, 1000) ?? base.timing.repetitions,
    pacedFrames: given('frames', values, 1, 1_000_000) ?? base.timing.pacedFrames,
  };
  if (custom) return { scenarios, timing, suite: 'custom' };
  const { name, study, pairs } = base;
  return { scenarios, timing, suite: name, ...(study === undefined ? {} : { study }), ...(pairs === undefined ? {} : { pairs: pairs() }) };
}

function machineOverrides(values: Values): Partial<MachineOptions> {
  const { layout, sink, renderer, policy, profile, damage, ring, memory, fault, content } = values;
  if (renderer !== undefined && content !== undefined) throw new UsageError('--content is shown in the place of what --renderer draws');
  return present({
    buffers: given('buffers', values, 1, 16),
    layout: layout === undefined ? undefined : choiceFlag('layout', layout, PAGE_LAYOUTS),
    heads: given('heads', values, 1, 16),
    sink: sink === undefined ? undefined : choiceFlag('sink', sink, ['latch', 'verify', 'display', 'encode'] as const),
    maxRefreshHz: values['max-refresh'] === undefined ? undefined : parseMaxRefresh(values['max-refresh']),
    renderer: renderer === undefined ? undefined : choiceFlag('renderer', renderer, ['stamp', 'paint'] as const),
    scanoutUs: given('scanout-us', values, 0, 10_000_000),
    damage: damage === undefined ? undefined : parseDamage(damage),
    listLimit: given('list-limit', values, 1, 1_000_000),
    sizeLimitMb: given('size-limit-mb', values, 1, 65536),
    policy: policy === undefined ? undefined : choiceFlag('policy', policy, ['copy', 'error'] as const),
    profile: profile === undefined ? undefined : choiceFlag('profile', profile, ['series', 'qemu-10.2'] as const),
    ring: ring === undefined ? undefined : choiceFlag('ring', ring, RINGS),
    memory: memory === undefined ? undefined : memoryFlag(memory),
    importBy: importByFlag(values['import-by'], memory),
    inOrder: values['in-order'] ? true : undefined,
    migrateEvery: given('migrate', values, 1, 1_000_000),
    spinUs: given('spin-us', values, 0, 1_000_000),
    handicapPercent: given('handicap', values, 1, 100),
    linuxPacing: values['linux-pacing'] ? true : undefined,
    fences: values['no-fences'] ? false : undefined,
    faults: fault === undefined ? undefined : faultsFlag(fault),
  });
}

/** @throws UsageError also where this machine has no such memory */
function memoryFlag(text: string): Memory {
  const memory = choiceFlag('memory', text, MEMORIES);
  const missing = memory === 'memfd' ? whyNoVhostUser() : null;
  if (missing !== null) throw new UsageError(`--memory memfd: ${missing}`);
  return memory;
}

/** @throws UsageError also where this machine has no such way, or the memory no files */
function importByFlag(text: string | undefined, memory: string | undefined): ImportBy | undefined {
  if (text === undefined) return undefined;
  const by = choiceFlag('import-by', text, IMPORT_BY);
  if (memory !== 'memfd') throw new UsageError('--import-by is for memory that is files: give --memory memfd too');
  const missing = whyNoImports(by);
  if (missing !== null) throw new UsageError(`--import-by ${by}: ${missing}`);
  return by;
}

/** @throws UsageError */
function faultsFlag(text: string): Fault[] {
  try {
    return parseFaults(text);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`--fault: ${error.message}`);
    throw error;
  }
}

type NumberFlag =
  | 'repetitions'
  | 'frames'
  | 'buffers'
  | 'heads'
  | 'scanout-us'
  | 'list-limit'
  | 'size-limit-mb'
  | 'migrate'
  | 'spin-us'
  | 'seed'
  | 'handicap'
  | 'memory-mb';

/** A flag's number; undefined: the flag is absent. @throws UsageError */
function given(flag: NumberFlag, values: Values, least: number, most: number): number | undefined {
  const text = values[flag];
  return text === undefined ? undefined : integerFlag(flag, text, least, most);
}

/** Without the keys whose flags are absent. */
function present<T extends object>(of: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
