import { faultKind } from '../../core/machine/faults.ts';
import { checkWritable } from '../../reports/index.ts';
import { nearest } from '../nearest.ts';
import { callTree, functionTimes } from '../profile/call-tree.ts';
import { CLINIC_TOOLS, runClinic } from '../profile/clinic.ts';
import { checkBase, difference, readBase } from '../profile/diff.ts';
import { ProfileError, profileScenario, type ScenarioProfile, type ThreadProfile } from '../profile/record.ts';
import { sampledSplit, splitOf } from '../profile/split.ts';
import { profileText } from '../profile/text.ts';
import { writeProfile } from '../profile/write.ts';
import { Progress } from '../progress.ts';
import { checkScenario, isPeer, memoryBudget, type Scenario, scenarioOfId } from '../scenarios.ts';
import { SUITES } from '../suites.ts';
import { type Command, EXIT_INTERRUPTED, EXIT_INVALID, type Io, UsageError } from './command.ts';
import { choiceFlag, HELP_FLAG, parseFlags } from './flags.ts';

const DEFAULT_SECONDS = 2;
const DEFAULT_OUT = 'profile';

const HELP = `Usage: scanout profile SCENARIO [flags]

Says where the time of a scenario goes: CPU profiles of the guest's and the
host's thread, apart, of the same seconds; what part they compute, spin and
sleep (by counters; in the profile spin and sleep are functions of their own);
where memory is allocated, and collections.

SCENARIO is one of a suite (scanout list --json names them) or an id as run.json
has it: PATH-RESOLUTION-RATE, as udmabuf-4k-60hz, and what is not as usual, as
copy-1080p-max-4k-3buf or copy-4k-max-1buf-damage64x64. A fault may be among it,
but none that ends a thread: the profile ends with it. What an id does not name
(--policy, --list-limit, --seed) is as usual, or as the suite has it.

Flags:
  --seconds S    length of the profiled part, 0.1 to 60 (default ${DEFAULT_SECONDS})
  --out DIR      where profile.html, guest.cpuprofile, host.cpuprofile and two
                 .heapprofile files go (default ${DEFAULT_OUT})
  --diff BASE    which functions changed: BASE is a .cpuprofile, or the folder
                 of an earlier profile of the same scenario
  --no-heap      leave out the second run, which samples allocations
  --tool NAME    instead: the inline runner's main thread under
                 ${CLINIC_TOOLS.slice(0, 2).join(', ')},
                 ${CLINIC_TOOLS.slice(2).join(' or ')}; in a clone only
  --node PATH    with --tool: the Node that is profiled; clinic's doctor needs
                 one of version 21 or older
  --json         prints the figures as JSON
  --help         this text

Exit code: 0 profiled; 2 wrong input, or a tool that cannot work here;
${EXIT_INVALID} the machine did not come to its end; ${EXIT_INTERRUPTED} stopped by Ctrl-C or SIGTERM.

Examples:
  scanout profile udmabuf-4k-max --out before
  scanout profile udmabuf-4k-max --diff before --out after
  scanout profile copy-1080p-60hz --tool clinic-flame
`;

export const profileCommand: Command = {
  name: 'profile',
  summary: "show where a scenario's time and memory go, thread by thread",
  help: HELP,
  async run(argv, io) {
    const { values, positionals } = parseFlags({
      args: argv,
      allowPositionals: true,
      options: {
        seconds: { type: 'string', default: String(DEFAULT_SECONDS) },
        out: { type: 'string', default: DEFAULT_OUT },
        diff: { type: 'string' },
        'no-heap': { type: 'boolean', default: false },
        tool: { type: 'string' },
        node: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: HELP_FLAG,
      },
    });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const [name, ...more] = positionals;
    if (name === undefined) throw new UsageError('which scenario? For example: scanout profile udmabuf-4k-max; see --help');
    if (more.length > 0) throw new UsageError(`one scenario at a time, not also ${JSON.stringify(more[0])}`);
    const chosen = scenarioNamed(name);
    if (isPeer(chosen))
      throw new UsageError(
        `${name}: its host is another process; profile ${name.replace(/-(?:process|qemu|qemu-current)$/, '')}, whose host is a thread`,
      );
    const seconds = secondsFlag(values.seconds);
    checkScenario(chosen, memoryBudget());
    for (const fault of chosen.options.faults) {
      const { kills } = faultKind(fault.name);
      if (kills !== null) throw new UsageError(`${fault.name} ends the ${kills}'s thread, and its profile with it: leave it out`);
    }
    if (values.out === '') throw new UsageError('--out needs the name of a folder');
    const progress = new Progress(io.stderr, process.stderr.isTTY === true);
    if (values.tool !== undefined) {
      const tool = choiceFlag('tool', values.tool, CLINIC_TOOLS);
      if (chosen.recorded !== undefined)
        throw new UsageError('--tool runs guest and host on one thread, which a recorded guest cannot: leave it out');
      if (values.diff !== undefined) throw new UsageError('--diff compares CPU profiles: leave out --tool');
      return await runClinic({ tool, scenario: chosen, seconds, out: values.out, node: values.node ?? process.execPath, io, progress });
    }
    if (values.node !== undefined) throw new UsageError('--node goes with --tool');
    const base = values.diff === undefined ? null : readBase(values.diff);
    if (base !== null) checkBase(base, chosen.id, values.diff ?? '');
    checkWritable(values.out);
    const command = `npx scanout profile ${name} --seconds ${seconds}`;
    const profile = await recorded(chosen, seconds, !values['no-heap'], io, progress);
    if (profile === null) {
      io.stderr('scanout profile: stopped: nothing was written\n');
      return EXIT_INTERRUPTED;
    }
    if (typeof profile === 'string') {
      io.stderr(`scanout profile: ${profile}\n`);
      return EXIT_INVALID;
    }
    const changed = base === null ? null : difference(base, values.diff ?? '', profile);
    const files = writeProfile(profile, values.out, command, changed);
    if (values.json) {
      const threads = [profile.guest, profile.host].map((thread) => figuresOf(thread, profile.frames));
      io.stdout(
        `${JSON.stringify({ scenario: profile.scenario, frames: profile.frames, threads, difference: changed, files }, null, 2)}\n`,
      );
      return 0;
    }
    io.stdout(`${profileText(profile, changed)}\nProfile: ${files[0]}\n`);
    return 0;
  },
};

/** @returns the profile; null: stopped; a string: why the machine failed */
async function recorded(
  chosen: Scenario,
  seconds: number,
  heap: boolean,
  io: Io,
  progress: Progress,
): Promise<ScenarioProfile | string | null> {
  try {
    return await profileScenario({
      scenario: chosen,
      seconds,
      heap,
      signal: io.signal,
      progress: ({ done, total, text }) => progress.step(done, total, text),
    });
  } catch (error) {
    if (error instanceof ProfileError) return error.message;
    throw error;
  } finally {
    progress.end();
  }
}

function figuresOf(thread: ThreadProfile, frames: number) {
  const tree = callTree(thread.cpu, thread.thread);
  return {
    thread: thread.thread,
    wallUs: thread.wallUs,
    counters: splitOf(thread),
    samples: sampledSplit(tree),
    cpuUs: thread.cpuUs,
    runQueueWaitUs: thread.runQueueWaitUs,
    collections: thread.collections,
    allocatedBytesPerFrame: thread.allocatedBytes === null || frames === 0 ? null : thread.allocatedBytes / frames,
    functions: functionTimes(tree),
    allocations: thread.heapSites,
  };
}

/** @throws UsageError, ScenarioError */
export function scenarioNamed(name: string): Scenario {
  for (const suite of SUITES) {
    const found = suite.scenarios().find(({ id }) => id === name);
    if (found !== undefined) return found;
  }
  const read = scenarioOfId(name);
  if (read !== null) return read;
  const ids = [...new Set(SUITES.flatMap((suite) => suite.scenarios().map(({ id }) => id)))];
  const near = nearest(name, ids);
  throw new UsageError(
    `no scenario is named ${JSON.stringify(shortened(name))}: ${near.length === 0 ? 'use' : `did you mean ${near.join(' or ')}? Else use`} PATH-RESOLUTION-RATE, as udmabuf-4k-60hz, or one that scanout list --json names`,
  );
}

const shortened = (name: string): string => (name.length > 60 ? `${name.slice(0, 57)}...` : name);

/** @throws UsageError */
function secondsFlag(text: string): number {
  const seconds = /^\d{0,2}(\.\d{1,3})?$/.test(text) && text !== '' ? Number(text) : Number.NaN;
  if (seconds >= 0.1 && seconds <= 60) return seconds;
  throw new UsageError(`--seconds takes a number from 0.1 to 60, not ${JSON.stringify(text)}`);
}
