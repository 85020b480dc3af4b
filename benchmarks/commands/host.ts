import { accessSync, constants, openSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { DEFAULT_OPTIONS, IMPORT_BY, type MachineOptions, RINGS } from '../../core/machine/options.ts';
import { type MachinePlan, planParts } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { startVhostEncoder, type VhostEncoder } from '../../workers/encode/vhost-encoder.ts';
import { whyNoImports } from '../../workers/native/imports.ts';
import type { DeviceRange } from '../../workers/vhost-user/guest-memory.ts';
import { VhostUserHost, whyNoVhostUser } from '../../workers/vhost-user/host.ts';
import type { HostNews } from '../../workers/vhost-user/host-task.ts';
import { displayLine } from '../display-line.ts';
import { encoderHelp, encoderWish, encoderWords, hardwareFor } from '../encode/choice.ts';
import { HostAccount } from '../host-figures.ts';
import { HostMeter } from '../host-meter.ts';
import { withLiveLine } from '../live-line.ts';
import { Progress } from '../progress.ts';
import { parseMaxRefresh, parseRate, parseResolution } from '../scenarios.ts';
import { type Command, EXIT_INTERRUPTED, EXIT_INVALID, UsageError } from './command.ts';
import { choiceFlag, HELP_FLAG, integerFlag, parseFlags, socketFlag } from './flags.ts';
import { type HostPage, openHostPage } from './host-page.ts';

const HELP = `Usage: scanout host --vhost-user SOCKET [flags]

Is the virtio-gpu device of another program's guest, such as QEMU's: listens on
a Unix socket as a vhost-user back end, shares the guest's memory, serves its
queues and shows its frames. Session after session until Ctrl-C. Needs Linux
and koffi.

Flags:
  --vhost-user SOCKET   path of the socket; one that is left over is replaced
  --connect             the front end listens there (QEMU: server=on): connect,
                        again when it goes
  --resolution WxH      of each head, or 720p, 1080p, 1440p, 4k, 8k (1080p)
  --heads N             1 to 16 (1)
  --rate HZ|max         of the display's vblank (60); max: none
  --sink NAME           latch: reads nothing (default); display: draws copies;
                        socket: sends each frame through the front end's GPU
                        socket, as QEMU's vhost-user-gpu does; memory: lets
                        the display there look at it in the guest's memory;
                        encode: H.264 (needs node-av)
  --max-refresh HZ|max  encode so many frames a second and head at most (30)
${encoderHelp(24)}
  --encoded FILE        write the H.264 of head 0 there
  --stream PORT         with --sink encode: show it in browsers of this host,
                        as scanout stream does (needs ws); 0: any free port
  --view PORT           the same with the path that its frames take, the copies
                        on it and live figures beside it, as scanout view does
  --ring split|packed   what the driver may use (split)
  --no-blob             do not offer RESOURCE_BLOB: the guest must copy
  --list-limit N        udmabuf's (1024); more segments are copied
  --import-by NAME      how scattered pages become one range: udmabuf, the
                        kernel's; remap, by mremap; list, not at all; auto, the
                        first that can (auto). With udmabuf what it refuses is
                        no import
  --policy copy|error   when an import is impossible (copy)
  --device-region NAME=ADDRESS[+SIZE],...
                        guest-physical ranges that are PCI devices' memory, such
                        as gpu0=0xf4000000+64M: a VFIO device owns them
  --unsealed            take memory that the front end could shrink, which would
                        end this program (QEMU: seal=off, or a file)
  --spin-us N           the most that the thread spins before it sleeps (50;
                        with --sink memory 0)
  --state FILE          keep what the guest has set up, and in FILE.rings where
                        its rings stand, so that a host started again goes on
                        with a guest that runs; commands are answered in order
  --record FILE         write what the guest sends, a trace for scanout replay,
                        and for scanout run --trace
  --frames FILE         write a line of JSON for each flush, its first pixel too
                        (both: of later sessions FILE.2, FILE.3, ...)
  --control             change displays while it runs by lines on stdin,
                        "display HEAD WxH" and "display HEAD off", each answered
                        on standard output by "ok" or "error: ..." and why
  --once                end with the first session
  --json                a line of JSON for each session at its end, on stdout:
                        counters, copies and their bytes
  --help                this text

Exit code: 0 the session of --once ended; 2 a bad flag, or this machine cannot;
${EXIT_INVALID} the session of --once, or its encoder, ended by an error; ${EXIT_INTERRUPTED} stopped
by Ctrl-C or SIGTERM.

Examples:
  scanout host --vhost-user /tmp/gpu.sock
  scanout host --vhost-user gpu.sock --resolution 4k --record guest.jsonl
  scanout host --vhost-user /tmp/gpu.sock --sink encode --view 8080
  mkfifo ctl; scanout host --vhost-user gpu.sock --heads 2 --control <>ctl &
  echo display 1 2560x1440 >ctl
  qemu-system-x86_64 -m 512 -machine pc,memory-backend=mem \\
    -object memory-backend-memfd,id=mem,size=512M,share=on \\
    -chardev socket,id=gpu,path=/tmp/gpu.sock -device \\
    vhost-user-test-device-pci,chardev=gpu,virtio-id=16,num_vqs=2,vq_size=64,\\
config_size=16 -kernel ...
(vhost-user-test-device-pci: QEMU 10.2 or newer)
`;

export const hostCommand: Command = {
  name: 'host',
  summary: "be the virtio-gpu device of another program's guest",
  help: HELP,
  async run(argv, io) {
    const { values } = parseFlags({
      args: argv,
      options: {
        'vhost-user': { type: 'string' },
        connect: { type: 'boolean', default: false },
        resolution: { type: 'string', default: '1080p' },
        heads: { type: 'string', default: '1' },
        rate: { type: 'string', default: '60' },
        sink: { type: 'string', default: 'latch' },
        'max-refresh': { type: 'string', default: '30' },
        encoder: { type: 'string' },
        encoded: { type: 'string' },
        stream: { type: 'string' },
        view: { type: 'string' },
        ring: { type: 'string', default: 'split' },
        'no-blob': { type: 'boolean', default: false },
        'list-limit': { type: 'string', default: String(DEFAULT_OPTIONS.listLimit) },
        'import-by': { type: 'string', default: 'auto' },
        policy: { type: 'string', default: 'copy' },
        'device-region': { type: 'string' },
        unsealed: { type: 'boolean', default: false },
        'spin-us': { type: 'string' },
        state: { type: 'string' },
        record: { type: 'string' },
        frames: { type: 'string' },
        control: { type: 'boolean', default: false },
        once: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: HELP_FLAG,
      },
    });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const socket = socketFlag(values['vhost-user']);
    const { width, height } = parseResolution(values.resolution);
    const sink = choiceFlag('sink', values.sink, ['latch', 'display', 'socket', 'memory', 'encode'] as const);
    const options: MachineOptions = {
      ...DEFAULT_OPTIONS,
      path: values['no-blob'] ? 'copy' : 'udmabuf',
      width,
      height,
      heads: integerFlag('heads', values.heads, 1, 16),
      rateHz: parseRate(values.rate),
      sink: sink === 'socket' || sink === 'memory' ? 'latch' : sink,
      maxRefreshHz: parseMaxRefresh(values['max-refresh']),
      ring: choiceFlag('ring', values.ring, RINGS),
      listLimit: integerFlag('list-limit', values['list-limit'], 1, 1_000_000),
      importBy: sink === 'memory' ? 'list' : choiceFlag('import-by', values['import-by'], IMPORT_BY),
      policy: choiceFlag('policy', values.policy, ['copy', 'error'] as const),
      // What another process answers is seen by who sleeps.
      spinUs: integerFlag('spin-us', values['spin-us'] ?? (sink === 'memory' ? '0' : '50'), 0, 1_000_000),
      logCapacity: 4096,
    };
    const wish = encoderWish(values.encoder);
    const devices = deviceRanges(values['device-region']);
    for (const flag of ['encoder', 'encoded', 'stream', 'view'] as const)
      if (values[flag] !== undefined && sink !== 'encode') throw new UsageError(`--${flag} is for --sink encode`);
    for (const flag of ['state', 'record', 'frames', 'encoded'] as const) {
      const path = values[flag];
      if (path !== undefined) writablePlace(flag, path);
    }
    const missing = whyNoVhostUser();
    if (missing !== null) throw new UsageError(missing);
    const noImports = whyNoImports(options.importBy);
    if (noImports !== null) throw new UsageError(`--import-by ${options.importBy}: ${noImports}`);

    const choice = sink === 'encode' ? await hardwareFor(wish, options) : null;
    const plan = planParts({ ...options, encoder: choice?.encoder ?? 'software' }, [], monotonicNowNs());
    const terminal = process.stderr.isTTY === true;
    const progress = new Progress(io.stderr, terminal);
    const meter = new HostMeter(plan);
    const account = new HostAccount(plan);
    let failed = false;
    const say = (text: string): void => {
      progress.end();
      io.stderr(`${text}\n`);
    };
    const onNews = (news: HostNews): void => {
      page?.view?.hear(news);
      if (news.kind === 'listening') say(`listening at ${resolve(socket)}`);
      else if (news.kind === 'connecting') say(`connecting to ${resolve(socket)}`);
      else if (news.kind === 'connected') say('a front end has connected');
      else if (news.kind === 'line') say(news.text);
      else if (news.kind === 'disconnected') {
        const { commands, errors } = news;
        // A front end that ends its guest hangs up.
        failed = news.why !== null && news.why !== 'hung up';
        say(`${news.why === null ? 'stopped' : `the front end ${failed ? 'broke the session' : 'is gone'}: ${news.why}`}`);
        if (values.json) io.stdout(`${JSON.stringify(account.end(news.why))}\n`);
        say(`${commands} commands, ${errors} answered with an error; ${meter.total()}`);
      }
    };
    const task = {
      plan,
      socket,
      devices,
      unsealed: values.unsealed,
      connect: values.connect,
      once: values.once,
      send: sink === 'socket' ? ('pixels' as const) : sink === 'memory' ? ('memory' as const) : null,
      state: values.state ?? null,
      record: values.record ?? null,
      frames: values.frames ?? null,
    };
    const page = await openHostPage(plan, { stream: values.stream, view: values.view }, devices.length > 0);
    const encoder = sink === 'encode' ? await encoderFor(plan, values.encoded ?? null, say, page) : null;
    if (choice !== null) say(encoderWords(choice));
    if (page !== null) {
      const { server } = page.stream;
      say(page.view === null ? `shown at ${server.url}` : `open in a browser (each address is good for one):\n${server.url}`);
      server.admission.onToken = () => say(`for another browser:\n${server.url}`);
    }
    let encoderFailed = false;
    void encoder?.failed.then((why) => {
      encoderFailed = true;
      say(`the encoder has ended: ${why}`);
    });
    const host = new VhostUserHost(task, onNews, encoder);
    const setDisplay = (head: number, display: { width: number; height: number } | null): void => {
      host.setDisplay(head, display);
      page?.view?.displayIs(head, display);
    };
    if (encoder !== null) page?.view?.begin(encoder, setDisplay);
    const control = values.control ? createInterface({ input: io.stdin ?? process.stdin }) : null;
    control?.on('line', (line) => {
      const answer = displayLine(line, options.heads, setDisplay);
      if (answer !== null) io.stdout(`${answer}\n`);
    });
    // A standard input that fails has ended.
    control?.on('error', () => {});
    const onAbort = (): void => host.stop();
    io.signal.addEventListener('abort', onAbort, { once: true });
    if (io.signal.aborted) onAbort();
    try {
      await withLiveLine(
        progress,
        terminal,
        () => meter.line(),
        () => host.ended,
      );
    } catch (error) {
      throw new UsageError(error instanceof Error ? error.message : String(error));
    } finally {
      io.signal.removeEventListener('abort', onAbort);
      control?.close();
      await page?.close();
      await encoder?.stop();
    }
    if (encoder !== null) say(`${encoder.encoded} frames encoded`);
    if (io.signal.aborted) return EXIT_INTERRUPTED;
    return failed || encoderFailed ? EXIT_INVALID : 0;
  },
};

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };

/** @throws UsageError */
function deviceRanges(text: string | undefined): DeviceRange[] {
  if (text === undefined) return [];
  return text.split(',').map((one) => {
    const match = /^([\w.:-]+)=(0x[0-9a-fA-F]{1,13})(?:\+(\d{1,9})([KMG]?))?$/.exec(one);
    if (match === null) throw new UsageError(`--device-region takes NAME=0xADDRESS or NAME=0xADDRESS+SIZE, not ${JSON.stringify(one)}`);
    const [, name, address, size, unit] = match;
    return { name, gpa: Number.parseInt(address.slice(2), 16), size: size === undefined ? null : Number(size) * UNITS[unit] };
  });
}

/** @throws UsageError why this machine cannot encode */
async function encoderFor(
  plan: MachinePlan,
  output: string | null,
  say: (text: string) => void,
  page: HostPage | null,
): Promise<VhostEncoder> {
  try {
    return await startVhostEncoder(plan, output, page?.stream.tap, say);
  } catch (error) {
    await page?.close();
    throw new UsageError(`--sink encode: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** @throws UsageError */
function writablePlace(flag: string, path: string): void {
  try {
    accessSync(dirname(resolve(path)), constants.W_OK);
  } catch {
    throw new UsageError(`--${flag} ${path}: its folder cannot be written to`);
  }
  if (statSync(path, { throwIfNoEntry: false })?.isFIFO() !== true) return;
  if (flag === 'state') throw new UsageError(`--state ${path}: it is a pipe, which keeps nothing; name a file`);
  try {
    // The thread that opens it would wait for a reader, and no stop would end that. Left open: closed, it would be the reader's end.
    openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    throw new UsageError(`--${flag} ${path}: nobody reads this pipe: start what reads it first`);
  }
}
