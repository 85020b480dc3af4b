import type { MachineOptions } from '../../core/machine/options.ts';
import { PAGE_LAYOUTS } from '../../core/memory/allocator.ts';
import { Libc } from '../../workers/native/libc.ts';
import { whyNoStream } from '../../workers/stream/stream.ts';
import { ViewMachines } from '../../workers/view/machines.ts';
import type { Wish } from '../../workers/view/messages.ts';
import { withLiveLine } from '../live-line.ts';
import { Progress } from '../progress.ts';
import { checkScenario, memoryBudget, parsePath, parseRate, parseResolution, ScenarioError, scenario } from '../scenarios.ts';
import { type Command, EXIT_INTERRUPTED, EXIT_INVALID, type Io, UsageError } from './command.ts';
import { choiceFlag, HELP_FLAG, integerFlag, parseFlags } from './flags.ts';
import { whyNotServed } from './stream.ts';

/** Rows of the frame log: what the view's latencies are drawn from is of the last two seconds. */
const LOG_ROWS = 4096;

const HELP = `Usage: scanout view [flags]

Opens a window on the running system: serves a page that shows the guest's
screens, and beside them the way of a frame from the guest's GPU to the browser,
the copies on it as they happen, and live figures. While it plays, the page
switches the path, the size, the rate and how the pages lie, and has a buffer
moved out of the GPU's memory and back. Needs node-av and ws.

Each address that is printed is good for one browser; when it was used the next
one is printed. It is this computer's own (127.0.0.1).

Flags:
  --path NAME         vfio, udmabuf, readback-blob, copy or readback-copy
                      (udmabuf)
  --resolution WxH    of each head, or 720p, 1080p, 1440p, 4k, 8k (720p)
  --rate HZ|max       of the guest's vblank (60)
  --layout NAME       how pages lie: ${PAGE_LAYOUTS.join(', ')} (64k)
  --max-refresh HZ|max  frames a second and head that are encoded at most (30)
  --heads N           scanouts (1)
  --buffers N         1 to 16 (2)
  --seconds N         how long (0: until Ctrl-C)
  --port N            0: any that is free (0)
  --help              this text

Exit code: 0 fine; 2 a bad flag, or this machine cannot; ${EXIT_INVALID} the guest or the host
failed; ${EXIT_INTERRUPTED} stopped by Ctrl-C or SIGTERM.

Examples:
  scanout view
  scanout view --path copy --resolution 1080p
  scanout view --heads 2 --port 8080
  ssh -L 8080:127.0.0.1:8080 far.example scanout view --port 8080
`;

/** What the page does not change. */
export interface ViewSetup {
  readonly maxRefreshHz: number | null;
  readonly heads: number;
  readonly buffers: number;
}

export const viewCommand: Command = {
  name: 'view',
  summary: 'watch a running guest, its path and its copies in a browser',
  help: HELP,
  async run(argv, io) {
    const { values } = parseFlags({
      args: argv,
      options: {
        path: { type: 'string', default: 'udmabuf' },
        resolution: { type: 'string', default: '720p' },
        rate: { type: 'string', default: '60' },
        layout: { type: 'string', default: '64k' },
        'max-refresh': { type: 'string', default: '30' },
        heads: { type: 'string', default: '1' },
        buffers: { type: 'string', default: '2' },
        seconds: { type: 'string', default: '0' },
        port: { type: 'string', default: '0' },
        help: HELP_FLAG,
      },
    });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const { path, resolution, rate, layout } = values;
    const wish: Wish = { path, resolution, rate, layout };
    const setup = {
      maxRefreshHz: parseRate(values['max-refresh']),
      heads: integerFlag('heads', values.heads, 1, 16),
      buffers: integerFlag('buffers', values.buffers, 1, 16),
    };
    const seconds = integerFlag('seconds', values.seconds, 0, 1_000_000);
    const port = integerFlag('port', values.port, 0, 65_535);
    const missing = whyNoStream();
    if (missing !== null) throw new UsageError(missing);
    // Said before anything is opened.
    viewOptions(wish, setup);
    return await view(io, wish, setup, seconds, port);
  },
};

/** A wish's machine. @throws ScenarioError, UsageError why it cannot be had */
export function viewOptions({ path, resolution, rate, layout }: Wish, setup: ViewSetup): MachineOptions {
  const { options } = scenario({
    ...parseResolution(resolution),
    path: parsePath(path),
    rateHz: parseRate(rate),
    layout: choiceFlag('layout', layout, PAGE_LAYOUTS),
    ...setup,
    sink: 'encode',
    card: true,
    movable: path !== 'copy',
    logCapacity: LOG_ROWS,
    // Scattered pages of files can be read as one range.
    memory: typeof Libc.load() === 'string' ? 'shared' : 'memfd',
  });
  checkScenario({ id: `${path} at ${resolution}`, options }, memoryBudget());
  return options;
}

async function view(io: Io, wish: Wish, setup: ViewSetup, seconds: number, port: number): Promise<number> {
  const optionsOf = (wanted: Wish): MachineOptions | string => {
    try {
      return viewOptions(wanted, setup);
    } catch (error) {
      if (error instanceof ScenarioError || error instanceof UsageError) return error.message;
      throw error;
    }
  };
  const machines = await open({ wish, optionsOf, address: '127.0.0.1', port });
  const { server, hub } = machines.stream;
  const terminal = process.stderr.isTTY === true;
  const progress = new Progress(io.stderr, terminal);
  io.stdout(`${server.url}\n`);
  server.admission.onToken = () => {
    progress.end();
    io.stderr(`for another browser: ${server.url}\n`);
  };
  const line = (): string | null => {
    const { figures } = machines;
    if (figures === null) return null;
    return `guest ${figures.guestFps.toFixed(1)} fps, copied ${(figures.copied / 1e9).toFixed(2)} GB/s, ${hub.clients} watching`;
  };
  try {
    const outcome = await withLiveLine(progress, terminal, line, () => machines.run(seconds, io.signal));
    if (outcome.kind === 'failed') {
      io.stderr(`scanout view: the ${outcome.side} failed: ${outcome.reason}\n`);
      return EXIT_INVALID;
    }
  } finally {
    await machines.close();
  }
  return io.signal.aborted ? EXIT_INTERRUPTED : 0;
}

/** @throws UsageError why it cannot be served there */
async function open(options: Parameters<typeof ViewMachines.open>[0]): Promise<ViewMachines> {
  try {
    return await ViewMachines.open(options);
  } catch (error) {
    throw whyNotServed(error, options.address, options.port);
  }
}
