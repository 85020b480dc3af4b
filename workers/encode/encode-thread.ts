import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { Doorbell } from '../../core/ring/doorbell.ts';
import type { AloneReport, EncodeNews, EncodeTask, HostWake } from './encode-task.ts';
import { type EncodeShare, LinkWord, shareFor, shownWord } from './link.ts';

const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './encode-worker.ts' : './encode-worker.js', import.meta.url);
/** What it is doing it may end, ms: a frame of 8K takes some hundred. */
const STOP_GRACE_MS = 3000;

export interface EncodeStart {
  readonly heads: number;
  readonly wake: HostWake;
  /** `monotonicNowNs()` at the session's start. */
  readonly originNs: number;
  readonly maxRefreshHz: number | null;
  readonly output: string | null;
  /** Transferred to the thread: each packet is posted there, a `StreamPacket`. Absent: nobody wants them. */
  readonly packets?: MessagePort;
}

/** What the host's thread needs for its `EncodeSink`. */
export interface EncodeLink {
  readonly share: EncodeShare;
  /** Transferred to the host's thread: images are announced there. */
  readonly port: MessagePort;
}

/** The encode thread, as whoever started it sees it. */
export class EncodeThread {
  readonly link: EncodeLink;
  /** Hardware that FFmpeg could encode with here. */
  readonly devices: readonly string[];
  /** Resolves when it could not go on, with why. */
  readonly failed: Promise<string>;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;

  private constructor(link: EncodeLink, devices: readonly string[], worker: Worker, failed: Promise<string>, ended: Promise<void>) {
    this.link = link;
    this.devices = devices;
    this.failed = failed;
    this.#worker = worker;
    this.#ended = ended;
  }

  /** @throws Error why it cannot encode here and what to do */
  static async start({ heads, packets, ...start }: EncodeStart): Promise<EncodeThread> {
    const share = shareFor(heads, packets !== undefined);
    const { port1, port2 } = new MessageChannel();
    const { worker, news, failed, ended } = launch({ kind: 'serve', share, port: port2, packets: packets ?? null, ...start }, [
      port2,
      ...(packets === undefined ? [] : [packets]),
    ]);
    const first = await news;
    if (first.kind !== 'ready') throw new Error(first.kind === 'failed' ? first.message : 'the encode thread said nothing');
    return new EncodeThread({ share, port: port1 }, first.devices, worker, failed, ended);
  }

  /** Asks for a key frame of a head: the next one, or the last one again where none is due. */
  requestKey(head: number): void {
    Atomics.or(new Int32Array(this.link.share.words), LinkWord.keys, 1 << head);
    encodeBell(this.link.share).ring();
  }

  /** Whether a head shows an image. */
  isShown(head: number): boolean {
    return Atomics.load(new Int32Array(this.link.share.words), shownWord(head)) !== 0;
  }

  /** Ends it; the frame that it is at it may finish. */
  async stop(): Promise<void> {
    const words = new Int32Array(this.link.share.words);
    Atomics.store(words, LinkWord.stop, 1);
    Atomics.add(words, LinkWord.doorbell, 1);
    Atomics.notify(words, LinkWord.doorbell);
    const timer = setTimeout(() => void this.#worker.terminate(), STOP_GRACE_MS);
    await this.#ended;
    clearTimeout(timer);
  }
}

/** What the encoder does with a still picture of `width` × `height` by itself, on a thread of its own. @throws Error as `EncodeThread.start` */
export async function encodeAlone(width: number, height: number, forMs: number): Promise<AloneReport> {
  const { news, ended } = launch({ kind: 'alone', width, height, forMs }, []);
  const told = await news;
  await ended;
  if (told.kind !== 'alone') throw new Error(told.kind === 'failed' ? told.message : 'the encode thread said nothing');
  return told.report;
}

interface Launched {
  readonly worker: Worker;
  /** The first that it tells. */
  readonly news: Promise<EncodeNews>;
  readonly failed: Promise<string>;
  readonly ended: Promise<void>;
}

function launch(task: EncodeTask, transferList: readonly MessagePort[]): Launched {
  const worker = new Worker(ENTRY, { workerData: task, transferList: [...transferList] });
  let tellFirst: (news: EncodeNews) => void = () => {};
  let fail: (why: string) => void = () => {};
  const news = new Promise<EncodeNews>((resolve) => {
    tellFirst = resolve;
  });
  const failed = new Promise<string>((resolve) => {
    fail = resolve;
  });
  worker.on('message', (told: EncodeNews) => {
    tellFirst(told);
    if (told.kind === 'failed') fail(told.message);
  });
  const ended = new Promise<void>((resolve) => {
    worker.on('error', (error: Error) => {
      tellFirst({ kind: 'failed', message: error.message });
      fail(error.message);
    });
    worker.on('exit', () => {
      tellFirst({ kind: 'failed', message: 'the encode thread ended without a word' });
      resolve();
    });
  });
  return { worker, news, failed, ended };
}

/** Rings the encode thread's doorbell, for the host's thread. */
export function encodeBell(share: EncodeShare): Pick<Doorbell, 'ring'> {
  const words = new Int32Array(share.words);
  return {
    ring(): void {
      Atomics.add(words, LinkWord.doorbell, 1);
      if (Atomics.load(words, LinkWord.doorbell + 1) !== 0) Atomics.notify(words, LinkWord.doorbell);
    },
  };
}
