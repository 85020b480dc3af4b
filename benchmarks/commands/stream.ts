import { createInterface } from 'node:readline';
import { plannedDisplays } from '../../core/machine/host-machine.ts';
import type { MachineOptions } from '../../core/machine/options.ts';
import { type MachinePlan, planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { PAGE_LAYOUTS } from '../../core/memory/allocator.ts';
import type { EncoderChoice } from '../../workers/encode/hardware-probe.ts';
import { Remote } from '../../workers/remote.ts';
import { SessionRunner } from '../../workers/session.ts';
import { Stream } from '../../workers/stream/stream.ts';
import { isLoopback } from '../../workers/stream/stream-server.ts';
import { displayLine } from '../display-line.ts';
import { encoderHelp, encoderWords, hardwareFor } from '../encode/choice.ts';
import { withLiveLine } from '../live-line.ts';
import { Progress } from '../progress.ts';
import { type Command, EXIT_INTERRUPTED, EXIT_INVALID, type Io, UsageError } from './command.ts';
import { parseFlags } from './flags.ts';
import { guestOptions, SHOWN_GUEST_FLAGS, shownGuest } from './shown-guest.ts';

/** What is left of a timer's 32 bits: 24 days. */
const FOREVER_MS = 2 ** 31 - 1;

const HELP = `Usage: scanout stream [flags]

Runs a guest whose frames are encoded, and serves them to browsers: a page that
decodes them, draws the cursor above, and says how long each frame took from
the guest to the page. The guest shows a test card that moves, with the frame's
number and a clock. Needs node-av and ws.

Each address that is printed is good for one browser; when it was used the next
one is printed.

Flags:
  --path NAME         vfio, udmabuf, readback-blob, copy or readback-copy
                      (udmabuf)
  --resolution WxH    of each head, or 720p, 1080p, 1440p, 4k, 8k (720p)
  --rate HZ|max       of the guest's vblank (60)
  --max-refresh HZ    encode so many frames a second and head at most (30), or
                      max
${encoderHelp()}
  --heads N           scanouts (1)
  --buffers N         1 to 16 (2)
  --layout NAME       how pages lie: ${PAGE_LAYOUTS.join(', ')} (64k)
  --content FILE      a picture or a video that the guest shows again and again
                      in the place of the test card
  --seconds N         how long (0: until Ctrl-C)
  --port N            0: any that is free (0)
  --listen ADDRESS    serve others than this computer, too: what is sent is not
                      encrypted, and browsers decode video for pages of their
                      own computer or over https alone (127.0.0.1)
  --control           change displays while it runs by lines on standard input,
                      "display HEAD WxH" and "display HEAD off", each answered
                      on standard output by "ok" or "error: ..." and why
  --json              print the figures at the end as JSON
  --help              this text

Exit code: 0 fine; 2 a bad flag, or this machine cannot; ${EXIT_INVALID} the guest or the host
failed; ${EXIT_INTERRUPTED} stopped by Ctrl-C or SIGTERM (the figures are printed).

Examples:
  scanout stream
  scanout stream --path copy --resolution 1080p --max-refresh max
  scanout stream --content film.mp4
  scanout stream --heads 2 --port 8080 --seconds 60 --json
  ssh -L 8080:127.0.0.1:8080 far.example scanout stream --port 8080
`;

export const streamCommand: Command = {
  name: 'stream',
  summary: "show a guest's frames in browsers",
  help: HELP,
  async run(argv, io) {
    const { values } = parseFlags({
      args: argv,
      options: {
        ...SHOWN_GUEST_FLAGS,
        listen: { type: 'string', default: '127.0.0.1' },
        control: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      io.stdout(HELP);
      return 0;
    }
    const { wish, setup, encoder, seconds, port } = await shownGuest(values);
    const options = guestOptions(wish, setup);
    const choice = await hardwareFor(encoder, options);
    const { listen: address, control, json } = values;
    return await serve(io, { ...options, encoder: choice.encoder }, { choice, seconds, port, address, control, json });
  },
};

interface Wish {
  readonly choice: EncoderChoice;
  readonly seconds: number;
  readonly port: number;
  readonly address: string;
  readonly control: boolean;
  readonly json: boolean;
}

async function serve(io: Io, options: MachineOptions, { choice, seconds, port, address, control, json }: Wish): Promise<number> {
  const plan = planMachine(options, monotonicNowNs());
  const stream = await openStream(plan, address, port);
  const terminal = process.stderr.isTTY === true;
  const progress = new Progress(io.stderr, terminal);
  const say = (text: string): void => {
    progress.end();
    io.stderr(`${text}\n`);
  };
  if (!isLoopback(address)) {
    say(`warning: ${address} serves others than this computer, unencrypted: who reads along can watch.`);
    say('Browsers decode video for pages of their own computer or over https alone:');
    say(`they need ssh -L ${stream.server.port}:127.0.0.1:${stream.server.port}, or a proxy that speaks TLS.`);
  }
  say(encoderWords(choice));
  say('open in a browser (each address is good for one; Ctrl-C ends the stream):');
  (json ? io.stderr : io.stdout)(`${stream.server.url}\n`);
  stream.server.admission.onToken = () => say(`for another browser:\n${stream.server.url}`);

  const displays = plannedDisplays(options);
  const remote = new Remote(plan.control, displays);
  const { refreshHz } = displays[0];
  const lines = control ? createInterface({ input: io.stdin ?? process.stdin }) : null;
  lines?.on('line', (line) => {
    const answer = displayLine(line, options.heads, (head, display) =>
      remote.setDisplay(head, display === null ? null : { ...display, refreshHz }),
    );
    if (answer !== null) io.stdout(`${answer}\n`);
  });
  // A standard input that fails has ended.
  lines?.on('error', () => {});
  const sessions = new SessionRunner();
  sessions.onNotice = say;
  const tap = { ...stream.tap, fallBack: say };
  const meter = new StreamMeter(stream, new Counters(plan.guestCounters));
  const window = {
    warmupMs: 0,
    warmupFrames: 0,
    measureMs: seconds === 0 ? FOREVER_MS : seconds * 1000,
    measureFrames: 0,
    usageWindows: 1,
  };
  try {
    const outcome = await withLiveLine(
      progress,
      terminal,
      () => meter.line(),
      () => sessions.run(plan, window, Math.min(FOREVER_MS, window.measureMs + 30_000), io.signal, remote.buffer, tap),
    );
    if (outcome.kind === 'failed') {
      io.stderr(`scanout stream: the ${outcome.side} failed: ${outcome.reason}\n`);
      return EXIT_INVALID;
    }
  } finally {
    lines?.close();
    await stream.close();
    await sessions.close();
  }
  const figures = meter.figures();
  io.stdout(json ? `${JSON.stringify(figures, null, 2)}\n` : figuresText(figures));
  return io.signal.aborted ? EXIT_INTERRUPTED : 0;
}

/** @throws UsageError why it cannot be served there */
async function openStream(plan: MachinePlan, address: string, port: number): Promise<Stream> {
  try {
    return await Stream.open(plan, address, port);
  } catch (error) {
    throw whyNotServed(error, address, port);
  }
}

/** What an error of listening there means for who asked for it by that flag; another error is itself. */
export function whyNotServed(error: unknown, address: string, port: number, flag = 'port'): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === 'EADDRINUSE')
    return new UsageError(`--${flag} ${port}: another program listens there; take another, or 0 for any that is free`);
  if (code === 'EACCES') return new UsageError(`--${flag} ${port}: this user may not listen there; take one from 1024 on, or 0`);
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EINVAL' || code === 'EAI_AGAIN')
    return new UsageError(`--listen ${address}: this computer has no such address; 0.0.0.0 stands for all that it has`);
  return error;
}

interface StreamFigures {
  /** Frames of the guest, over all heads. */
  readonly frames: number;
  readonly encoded: number;
  /** That ever joined. */
  readonly clients: number;
  /** Frames that clients were sent, and lost because too much waited for them. */
  readonly sent: number;
  readonly lost: number;
  /** ms; null: no client reported. */
  readonly glassP50Ms: number | null;
  readonly glassP99Ms: number | null;
  readonly samples: number;
}

class StreamMeter {
  readonly #stream: Stream;
  readonly #counters: Counters;
  #frames = 0;
  #atNs = monotonicNowNs();

  constructor(stream: Stream, counters: Counters) {
    this.#stream = stream;
    this.#counters = counters;
  }

  /** Since the line before. */
  line(): string {
    const nowNs = monotonicNowNs();
    const { frames, glassP50Ms, glassP99Ms } = this.figures();
    const fps = ((frames - this.#frames) * 1e9) / (nowNs - this.#atNs);
    this.#frames = frames;
    this.#atNs = nowNs;
    const watch = this.#stream.hub.clients;
    const glass = glassP50Ms === null ? '' : `, glass to glass p50 ${msText(glassP50Ms)} p99 ${msText(glassP99Ms)}`;
    return `guest ${fps.toFixed(1)} fps, ${watch} watching${glass}`;
  }

  figures(): StreamFigures {
    const { glass, hub } = this.#stream;
    const { p50, p99, samples } = glass.figures();
    const frames = this.#counters.get(Counter.flushes);
    const { packets: encoded, joined: clients, sent, lost } = hub;
    return { frames, encoded, clients, sent, lost, glassP50Ms: p50, glassP99Ms: p99, samples };
  }
}

function figuresText({ frames, encoded, clients, sent, lost, glassP50Ms, glassP99Ms, samples }: StreamFigures): string {
  const seen = clients === 0 ? 'nobody watched' : 'no client reported any';
  const glass = samples === 0 ? seen : `p50 ${msText(glassP50Ms)}, p99 ${msText(glassP99Ms)} (${samples} frames shown)`;
  return `frames          ${frames} of the guest, ${encoded} encoded
clients         ${clients} joined; ${sent} frames sent, ${lost} dropped for slow clients
glass to glass  ${glass}
`;
}

const msText = (ms: number | null): string => (ms === null ? '-' : `${ms.toFixed(1)} ms`);
