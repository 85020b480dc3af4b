import type { MachineOptions } from '../../core/machine/options.ts';
import { PAGE_LAYOUTS } from '../../core/memory/allocator.ts';
import type { EncoderChoice } from '../../workers/encode/hardware-probe.ts';
import { ViewMachines } from '../../workers/view/machines.ts';
import type { Wish } from '../../workers/view/messages.ts';
import { encoderHelp, encoderWords, hardwareFor } from '../encode/choice.ts';
import { withLiveLine } from '../live-line.ts';
import { Progress } from '../progress.ts';
import { ScenarioError } from '../scenarios.ts';
import { viewTotalsText } from '../view-totals.ts';
import { type Command, EXIT_INTERRUPTED, EXIT_INVALID, type Io, UsageError } from './command.ts';
import { parseFlags } from './flags.ts';
import { type GuestSetup, guestOptions, SHOWN_GUEST_FLAGS, shownGuest } from './shown-guest.ts';
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
  --max-refresh HZ    encode so many frames a second and head at most (30), or
                      max
${encoderHelp()}
  --heads N           scanouts (1)
  --buffers N         1 to 16 (2)
  --content FILE      a picture or a video that the guest shows again and again
                      in the place of the test card
  --seconds N         how long (0: until Ctrl-C)
  --port N            0: any that is free (0)
  --help              this text

Exit code: 0 fine; 2 a bad flag, or this machine cannot; ${EXIT_INVALID} the guest or the host
failed; ${EXIT_INTERRUPTED} stopped by Ctrl-C or SIGTERM.

Examples:
  scanout view
  scanout view --path copy --resolution 1080p
  scanout view --content film.mp4
  scanout view --heads 2 --port 8080
  ssh -L 8080:127.0.0.1:8080 far.example scanout view --port 8080
`;

export const viewCommand: Command = {
  name: 'view',
  summary: 'watch a running guest, its path and its copies in a browser',
  help: HELP,
  async run(argv, io) {
    const { values } = parseFlags({ args: argv, options: SHOWN_GUEST_FLAGS });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const { wish, setup, encoder, seconds, port } = await shownGuest(values);
    // Said before anything is opened.
    const choice = await hardwareFor(encoder, viewOptions(wish, setup));
    return await view(io, wish, { ...setup, encoder: choice.encoder }, choice, seconds, port);
  },
};

/** A wish's machine. @throws ScenarioError, UsageError why it cannot be had */
const viewOptions = (wish: Wish, setup: GuestSetup): MachineOptions =>
  guestOptions(wish, setup, { movable: wish.path !== 'copy', logCapacity: LOG_ROWS });

async function view(io: Io, wish: Wish, setup: GuestSetup, choice: EncoderChoice, seconds: number, port: number): Promise<number> {
  const optionsOf = (wanted: Wish): MachineOptions | string => {
    try {
      return viewOptions(wanted, setup);
    } catch (error) {
      if (error instanceof ScenarioError || error instanceof UsageError) return error.message;
      throw error;
    }
  };
  const terminal = process.stderr.isTTY === true;
  const progress = new Progress(io.stderr, terminal);
  const say = (text: string): void => {
    progress.end();
    io.stderr(`${text}\n`);
  };
  const machines = await open({ wish, optionsOf, address: '127.0.0.1', port, fallBack: say, notice: say });
  const { server, hub } = machines.stream;
  io.stderr('open in a browser (each address is good for one; Ctrl-C ends the view):\n');
  io.stdout(`${server.url}\n`);
  say(encoderWords(choice));
  server.admission.onToken = () => say(`for another browser:\n${server.url}`);
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
    io.stderr(viewTotalsText(machines.totals));
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
