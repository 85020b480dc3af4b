import { REPLAY_DEFAULTS } from '../../core/machine/replay.ts';
import { MonotonicClock, monotonicNowNs } from '../../core/measure/clock.ts';
import { pickCopyKernel } from '../../core/memory/copier.ts';
import { plain } from '../../reports/format.ts';
import { type LoadedTrace, loadTrace, type ReplayDocument, replayTraces, TraceFileError } from '../replay.ts';
import { errorCount, replayText } from '../replay-table.ts';
import { type Command, EXIT_INTERRUPTED, UsageError } from './command.ts';
import { choiceFlag, HELP_FLAG, integerFlag, parseFlags } from './flags.ts';

/** INT_MAX: udmabuf's parameters are C ints; so many MiB are still exact as bytes. */
const MAX_PARAMETER = 2147483647;

const HELP = `Usage: scanout replay FILE... [flags]

Plays recorded command traces of real guests through the ring into the host
device and counts what it answers: commands, responses, bytes copied, imports
that became copies, and the host's time for each command. Nothing but the
commands was recorded, so the pixels are zeros. The first command of a name
runs code that is not compiled yet: the maximum shows it.

Flags:
  --json                one JSON document on stdout instead of tables
  --list-limit N        udmabuf's list_limit: entries an import (default ${REPLAY_DEFAULTS.listLimit})
  --size-limit-mb N     udmabuf's size_limit_mb: its size in MiB (default ${REPLAY_DEFAULTS.sizeLimitMb})
  --policy copy|error   when an import is impossible: copy each frame (default),
                        or fail as the profile does
  --profile NAME        series (default): the posted patches; qemu-10.2: that
                        version with its faults
  --help                this text

Exit code: 0 no error response; 1 the host answered an error; 2 a trace or a
flag that cannot be used (nothing is printed on stdout); ${EXIT_INTERRUPTED} interrupted.

Examples:
  scanout replay traces/*.jsonl
  scanout replay --list-limit 1024 traces/linux-7.2-import-4k.jsonl
  scanout replay --json traces/linux-7.2-vfio-revoke-1080p.jsonl
  scanout replay --profile qemu-10.2 --policy error --list-limit 1024 \\
    traces/linux-7.2-import-1080p.jsonl
`;

export const replayCommand: Command = {
  name: 'replay',
  summary: 'play recorded command traces into the host device',
  help: HELP,
  async run(argv, io) {
    const { values, positionals } = parseFlags({
      args: argv,
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        'list-limit': { type: 'string', default: String(REPLAY_DEFAULTS.listLimit) },
        'size-limit-mb': { type: 'string', default: String(REPLAY_DEFAULTS.sizeLimitMb) },
        policy: { type: 'string', default: REPLAY_DEFAULTS.policy },
        profile: { type: 'string', default: REPLAY_DEFAULTS.profile },
        help: HELP_FLAG,
      },
    });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const choices = {
      listLimit: integerFlag('list-limit', values['list-limit'], 1, MAX_PARAMETER),
      sizeLimitMb: integerFlag('size-limit-mb', values['size-limit-mb'], 1, MAX_PARAMETER),
      policy: choiceFlag('policy', values.policy, ['copy', 'error']),
      profile: choiceFlag('profile', values.profile, ['series', 'qemu-10.2']),
    };
    if (positionals.length === 0) throw new UsageError('no trace given: scanout replay FILE...; see --help');
    let document: ReplayDocument;
    try {
      // All are read and checked before the first is played.
      const traces: LoadedTrace[] = [];
      for (const file of positionals) traces.push(await loadTrace(file));
      const { kernel } = pickCopyKernel(new MonotonicClock(monotonicNowNs()));
      document = await replayTraces(traces, { ...choices, kernel }, io.signal);
    } catch (error) {
      if (error instanceof TraceFileError) throw new UsageError(plain(error.message));
      throw error;
    }
    io.stdout(values.json ? `${JSON.stringify(document, null, 2)}\n` : replayText(document));
    if (document.interrupted) return EXIT_INTERRUPTED;
    return errorCount(document) === 0 ? 0 : 1;
  },
};
