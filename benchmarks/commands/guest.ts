import { DEFAULT_OPTIONS, type MachineOptions, pathUsesBlob, RINGS } from '../../core/machine/options.ts';
import { planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { PAGE_LAYOUTS } from '../../core/memory/allocator.ts';
import { Feature } from '../../core/protocol/constants.ts';
import { Libc, NativeError } from '../../workers/native/libc.ts';
import type { Window } from '../../workers/task.ts';
import { GpuSocketServer } from '../../workers/vhost-user/gpu-socket-server.ts';
import { type BackEndOffer, connectBackEnd } from '../../workers/vhost-user/guest-connect.ts';
import { type GuestEnd, runVhostUserGuest } from '../../workers/vhost-user/guest-run.ts';
import { MemoryDisplayServer } from '../../workers/vhost-user/memory-display-server.ts';
import { PeerError } from '../../workers/vhost-user/peer-error.ts';
import { type GuestRun, guestFigures, guestTable, hasFeature, isRight } from '../guest-figures.ts';
import { GuestMeter } from '../guest-meter.ts';
import { withLiveLine } from '../live-line.ts';
import { Progress } from '../progress.ts';
import { checkScenario, memoryBudget, parsePath, parseRate, parseResolution, scenario } from '../scenarios.ts';
import { type Command, EXIT_INTERRUPTED, EXIT_INVALID, type Io, UsageError } from './command.ts';
import { choiceFlag, HELP_FLAG, integerFlag, parseFlags, socketFlag } from './flags.ts';

const HELP = `Usage: scanout guest --vhost-user SOCKET [flags]

Drives another program's virtio-gpu device with this guest: connects to a
vhost-user back end, shares its memory with it, and sends frames for a while.
Back ends seen: scanout host, and QEMU's vhost-user-gpu. Needs Linux and koffi.

Flags:
  --vhost-user SOCKET   path of the socket that the back end listens on
  --path NAME           udmabuf where the back end offers RESOURCE_BLOB, else
                        copy; vfio, readback-blob, readback-copy
  --resolution WxH      of each head, or 720p, 1080p, 1440p, 4k, 8k (1080p)
  --rate HZ|max         of the guest's vblank (max: as fast as it is answered)
  --buffers N           1 to 16 (2)
  --layout NAME         how pages lie: ${PAGE_LAYOUTS.join(', ')} (64k)
  --ring split|packed   layout of the virtqueues (split)
  --heads N             scanouts (1)
  --seconds N           how long (10); 0: until Ctrl-C
  --frames N            how many frames in place of how long
  --spin-us N           the most that the guest spins before it sleeps (50)
  --gpu-socket WHEN     auto, yes, memory or no: serve a GPU socket, on which
                        the back end asks for displays and sends pixels;
                        memory: one whose display, a process of its own,
                        looks at frames in the guest's memory (scanout host
                        --sink memory). No protocol feature tells who wants
                        one; auto: what is built on QEMU's libvhost-user, as
                        vhost-user-gpu
  --verify              look at the pixels that come by the GPU socket: whether
                        each frame is whole and follows the one before
  --json                print the figures as JSON
  --help                this text

Exit code: 0 fine; 2 a bad flag, or no back end that does what is asked for;
${EXIT_INVALID} the back end went or broke the session, or frames were lost;
${EXIT_INTERRUPTED} stopped by Ctrl-C or SIGTERM (the figures until then are printed).

Examples (each guest once its back end listens):
  scanout host --vhost-user /tmp/gpu.sock --ring packed &
  scanout guest --vhost-user /tmp/gpu.sock --ring packed --seconds 5
  /usr/lib/qemu/vhost-user-gpu --socket-path=/tmp/qemu.sock &
  scanout guest --vhost-user /tmp/qemu.sock --resolution 4k
`;

export const guestCommand: Command = {
  name: 'guest',
  summary: "drive another program's virtio-gpu device",
  help: HELP,
  async run(argv, io) {
    const { values } = parseFlags({
      args: argv,
      options: {
        'vhost-user': { type: 'string' },
        path: { type: 'string' },
        resolution: { type: 'string', default: '1080p' },
        rate: { type: 'string', default: 'max' },
        buffers: { type: 'string', default: String(DEFAULT_OPTIONS.buffers) },
        layout: { type: 'string', default: DEFAULT_OPTIONS.layout },
        ring: { type: 'string', default: DEFAULT_OPTIONS.ring },
        heads: { type: 'string', default: '1' },
        seconds: { type: 'string' },
        frames: { type: 'string' },
        'spin-us': { type: 'string', default: '50' },
        'gpu-socket': { type: 'string', default: 'auto' },
        verify: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: HELP_FLAG,
      },
    });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const socket = socketFlag(values['vhost-user']);
    if (values.seconds !== undefined && values.frames !== undefined) throw new UsageError('--seconds and --frames exclude each other');
    const asked = {
      ...parseResolution(values.resolution),
      rateHz: parseRate(values.rate),
      buffers: integerFlag('buffers', values.buffers, 1, 16),
      layout: choiceFlag('layout', values.layout, PAGE_LAYOUTS),
      ring: choiceFlag('ring', values.ring, RINGS),
      heads: integerFlag('heads', values.heads, 1, 16),
      spinUs: integerFlag('spin-us', values['spin-us'], 0, 1_000_000),
    };
    const path = values.path === undefined ? null : parsePath(values.path);
    const measureFrames = values.frames === undefined ? 0 : integerFlag('frames', values.frames, 1, 1_000_000_000);
    const seconds = measureFrames > 0 ? 0 : integerFlag('seconds', values.seconds ?? '10', 0, 1_000_000);
    const window = { warmupMs: 0, warmupFrames: 0, measureMs: seconds * 1000, measureFrames, usageWindows: 1 };
    const socketWhen = choiceFlag('gpu-socket', values['gpu-socket'], ['auto', 'yes', 'memory', 'no'] as const);
    const libc = Libc.load();
    if (typeof libc === 'string') throw new UsageError(libc);

    const offer = await connected(libc, socket, io.signal);
    if (offer === null) return EXIT_INTERRUPTED;
    const { run, end, fault } = await drive(io, libc, offer, { asked, path, window, socketWhen, verify: values.verify });
    return tell(io, values.json, values.verify, run, end, fault());
  },
};

/** @returns null: stopped meanwhile @throws UsageError when there is no back end to talk to */
async function connected(libc: Libc, socket: string, signal: AbortSignal): Promise<BackEndOffer | null> {
  try {
    return await connectBackEnd(libc, socket, signal);
  } catch (error) {
    if (signal.aborted) return null;
    throw error instanceof PeerError ? new UsageError(error.message) : error;
  }
}

/** @throws UsageError for what the back end cannot */
function checkOffer(offer: BackEndOffer, { path, ring, heads }: MachineOptions): void {
  if (pathUsesBlob(path) && !hasFeature(offer, Feature.RESOURCE_BLOB)) {
    throw new UsageError(`--path ${path} needs RESOURCE_BLOB, which the back end does not offer; --path copy needs it not`);
  }
  if (ring === 'packed' && !hasFeature(offer, Feature.RING_PACKED))
    throw new UsageError('the back end does not offer --ring packed: leave it out, or start scanout host with --ring packed');
  if (!hasFeature(offer, Feature.VERSION_1)) throw new UsageError('the back end does not offer VERSION_1: it is a legacy device');
  if (offer.numScanouts > 0 && heads > offer.numScanouts) throw new UsageError(`--heads ${heads}: the back end has ${offer.numScanouts}`);
}

interface Wish {
  readonly asked: Partial<MachineOptions>;
  /** null: the one that the back end serves best. */
  readonly path: MachineOptions['path'] | null;
  readonly window: Window;
  readonly socketWhen: 'auto' | 'yes' | 'memory' | 'no';
  readonly verify: boolean;
}

interface Driven {
  readonly run: GuestRun;
  readonly end: GuestEnd;
  /** What the back end did against the GPU socket's protocol; null: nothing. */
  readonly fault: () => string | null;
}

/** Runs the guest and lets the back end go. @throws UsageError for what the back end or this machine cannot */
async function drive(io: Io, libc: Libc, offer: BackEndOffer, { asked, path, window, socketWhen, verify }: Wish): Promise<Driven> {
  let server: GpuSocketServer | MemoryDisplayServer | null = null;
  try {
    const { options } = scenario({ ...asked, path: path ?? (hasFeature(offer, Feature.RESOURCE_BLOB) ? 'udmabuf' : 'copy') });
    checkOffer(offer, options);
    checkScenario({ id: 'the guest', options }, memoryBudget());
    const plan = planMachine(options, monotonicNowNs());
    const faulty = new AbortController();
    if (socketWhen === 'yes' || (socketWhen === 'auto' && offer.isQemu)) {
      const { width, height, heads, rateHz } = options;
      const display = { width, height, heads, refreshHz: rateHz ?? 60, verify, log: null };
      server = new GpuSocketServer(libc, offer.front, display, () => faulty.abort());
    } else if (socketWhen === 'memory') {
      server = new MemoryDisplayServer(libc, offer.front, { heads: options.heads, verify, log: null });
      await server.ready;
    } else if (verify) throw new UsageError('--verify looks at what comes by a GPU socket: give --gpu-socket yes');
    const meter = new GuestMeter(plan);
    const signal = AbortSignal.any([io.signal, faulty.signal]);
    const terminal = process.stderr.isTTY === true;
    const end = await withLiveLine(
      new Progress(io.stderr, terminal),
      terminal,
      () => meter.line(),
      () => runVhostUserGuest(libc, offer, plan, window, signal),
    );
    return { run: { offer, plan, meter, server }, end, fault: () => server?.fault ?? null };
  } catch (error) {
    throw error instanceof PeerError || error instanceof NativeError ? new UsageError(error.message) : error;
  } finally {
    offer.front.close();
    // Once the back end is let go: what was drawn last is still on its way.
    await server?.close();
  }
}

/** Prints the figures, or why there are none. @returns the exit code */
function tell(io: Io, json: boolean, verify: boolean, run: GuestRun, end: GuestEnd, fault: string | null): number {
  if (fault !== null) io.stderr(`scanout guest: ${fault}\n`);
  if (end.kind === 'peer') {
    const hint =
      end.why === 'hung up' && run.server !== null ? ': it may take no GPU socket of this kind (--gpu-socket), see what it says' : '';
    io.stderr(`scanout guest: ${end.why}${hint}\n`);
    return EXIT_INVALID;
  }
  if (end.kind === 'done') {
    const figures = guestFigures(run, end.report);
    const unseen = verify && figures.display?.verified === 0;
    if (unseen) io.stderr('scanout guest: --verify, but no pixels came by the GPU socket\n');
    io.stdout(json ? `${JSON.stringify(figures, null, 2)}\n` : guestTable(figures));
    if (!io.signal.aborted) return fault === null && !unseen && isRight(figures) ? 0 : EXIT_INVALID;
  }
  return io.signal.aborted ? EXIT_INTERRUPTED : EXIT_INVALID;
}
