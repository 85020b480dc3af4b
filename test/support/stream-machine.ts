/** A machine whose frames are streamed, for tests that watch it. */
import type { WebSocket } from 'ws';
import { DEFAULT_OPTIONS, type MachineOptions } from '../../core/machine/options.ts';
import { type MachinePlan, planMachine } from '../../core/machine/plan.ts';
import { monotonicNowNs } from '../../core/measure/clock.ts';
import { Counters } from '../../core/measure/counters.ts';
import type { EncodeThread } from '../../workers/encode/encode-thread.ts';
import { Libc } from '../../workers/native/libc.ts';
import { Remote } from '../../workers/remote.ts';
import { type EncodeTap, type SessionOutcome, SessionRunner } from '../../workers/session.ts';
import { Stream } from '../../workers/stream/stream.ts';
import { loadWs } from '../../workers/stream/ws-library.ts';

export interface StreamMachine {
  readonly plan: MachinePlan;
  readonly stream: Stream;
  readonly remote: Remote;
  readonly guest: Counters;
  readonly host: Counters;
  /** Headers of a new session. */
  session(): Promise<{ cookie: string; origin: string }>;
  /** Once it runs. */
  encoder(): EncodeThread | null;
  /** A client by hand, with a session of its own. */
  watch(): Promise<WebSocket>;
  /** One that says of each frame that it was drawn, as a page does. */
  watcher(): Promise<Watcher>;
  /** Ends the machine, then the stream. */
  stop(): Promise<SessionOutcome>;
}

/** A client by hand, and what it got. */
export interface Watcher {
  readonly socket: WebSocket;
  /** The guest's numbers of its frames, and of the key frames among them. */
  readonly frames: readonly number[];
  readonly keys: readonly number[];
  /** By sequence number. */
  readonly bySeq: ReadonlyMap<number, number>;
}

export async function startStreamMachine(options: Partial<MachineOptions> = {}): Promise<StreamMachine> {
  const memory = typeof Libc.load() === 'string' ? 'shared' : 'memfd';
  const merged = { ...DEFAULT_OPTIONS, width: 640, height: 360, rateHz: 60, maxRefreshHz: 60, memory, ...options } as const;
  const plan = planMachine({ ...merged, sink: 'encode', card: true }, monotonicNowNs());
  const stream = await Stream.open(plan, '127.0.0.1', 0);
  const { width, height, heads, rateHz } = plan.options;
  const displays = Array.from({ length: heads }, () => ({ width, height, refreshHz: rateHz ?? 60 }));
  const remote = new Remote(plan.control, displays);
  const sessions = new SessionRunner();
  const stopping = new AbortController();
  const window = { warmupMs: 0, warmupFrames: 0, measureMs: 1e9, measureFrames: 0, usageWindows: 1 };
  let encoder: EncodeThread | null = null;
  const tap: EncodeTap = {
    ...stream.tap,
    started: (thread) => {
      stream.tap.started(thread);
      encoder = thread;
    },
  };
  const ended = sessions.run(plan, window, 600_000, stopping.signal, remote.buffer, tap);
  const session = async (): Promise<{ cookie: string; origin: string }> => {
    const { url } = stream.server;
    const answer = await fetch(url);
    return { cookie: (answer.headers.get('set-cookie') ?? '').split(';')[0], origin: new URL(url).origin };
  };
  const watch = async (): Promise<WebSocket> => {
    const ws = loadWs();
    if (typeof ws === 'string') throw new Error(ws);
    const headers = await session();
    const socket = new ws.WebSocket(`${headers.origin.replace('http', 'ws')}/stream`, { headers });
    await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
    return socket;
  };
  return {
    plan,
    stream,
    remote,
    guest: new Counters(plan.guestCounters),
    host: new Counters(plan.hostCounters),
    session,
    encoder: () => encoder,
    watch,
    async watcher() {
      const socket = await watch();
      const [frames, keys]: number[][] = [[], []];
      const bySeq = new Map<number, number>();
      socket.on('message', (data: Buffer, isBinary) => {
        if (!isBinary || data[0] !== 1) return;
        const [seq, frame] = [data.readUInt32LE(4), data.readUInt32LE(8)];
        frames.push(frame);
        bySeq.set(seq, frame);
        if (data[2] === 1) keys.push(frame);
        socket.send(JSON.stringify({ type: 'shown', head: data[1], seq, code: null, at: null }));
      });
      return { socket, frames, keys, bySeq };
    },
    async stop() {
      stopping.abort();
      const outcome = await ended;
      await stream.close();
      await sessions.close();
      return outcome;
    },
  };
}

/** Waits for something that a thread or a browser does. */
export async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await done())) await new Promise((resolve) => setTimeout(resolve, 5));
}
