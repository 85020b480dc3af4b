import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { EncoderName, MachineOptions } from '../../core/machine/options.ts';
import type { Doorbell } from '../../core/ring/doorbell.ts';
import { firstPicture } from '../content/content-thread.ts';
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
  readonly encoder: EncoderName;
  readonly output: string | null;
  /** Transferred to the thread: each packet is posted there, a `StreamPacket`. Absent: nobody wants them. */
  readonly packets?: MessagePort;
  /** What hardware refuses is encoded by software, and told here in a line. Absent: the thread fails then. */
  readonly fallBack?: (why: string) => void;
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
  /** Resolves when it could not go on, with why. */
  readonly failed: Promise<string>;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;

  private constructor(link: EncodeLink, worker: Worker, failed: Promise<string>, ended: Promise<void>) {
    this.link = link;
    this.failed = failed;
    this.#worker = worker;
    this.#ended = ended;
  }

  /** @throws Error why it cannot encode here and what to do */
  static async start({ heads, packets, fallBack, ...start }: EncodeStart): Promise<EncodeThread> {
    const share = shareFor(heads, packets !== undefined);
    const { port1, port2 } = new MessageChannel();
    const mayFallBack = fallBack !== undefined;
    const { worker, news, failed, ended } = launch(
      { kind: 'serve', share, port: port2, packets: packets ?? null, mayFallBack, ...start },
      [port2, ...(packets === undefined ? [] : [packets])],
      fallBack,
    );
    // One that could not say so itself, as its heap was full: nobody waits for a frame that it has taken.
    void ended.then(() => Atomics.store(new Int32Array(share.words), LinkWord.ended, 1));
    const first = await news;
    if (first.kind !== 'ready') throw new Error(first.kind === 'failed' ? first.message : 'the encode thread said nothing');
    return new EncodeThread({ share, port: port1 }, worker, failed, ended);
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

/** What the encoder does with one frame of a machine, again and again and on a thread of its own. @throws Error as `EncodeThread.start` */
export async function encodeAlone(options: MachineOptions, forMs: number): Promise<AloneReport> {
  const pictures = options.content === undefined ? {} : { pictures: await firstPicture(options.content, options) };
  const { news, ended } = launch({ kind: 'alone', options, forMs, ...pictures }, []);
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

function launch(task: EncodeTask, transferList: readonly MessagePort[], onNote?: (text: string) => void): Launched {
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
    if (told.kind === 'note') return onNote?.(told.text);
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
