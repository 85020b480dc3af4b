import { Worker } from 'node:worker_threads';
import { type Content, planContent } from '../../core/machine/content.ts';
import { type PictureShare, stopPictures } from '../../core/memory/picture-ring.ts';
import type { ContentNews, ContentTask, FoundContent } from './content-task.ts';

const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './content-worker.ts' : './content-worker.js', import.meta.url);
/** What it is decoding it may end, ms. */
const STOP_GRACE_MS = 3000;
/** A file that takes longer until its second picture is not shown, ms. */
const PROBE_MS = 20_000;

/** The decode thread, as whoever started it sees it. */
export class ContentThread {
  /** Resolves when it could not go on, with why. */
  readonly failed: Promise<string>;
  readonly #share: PictureShare;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;

  private constructor(share: PictureShare, { worker, failed, ended }: Launched) {
    this.#share = share;
    this.#worker = worker;
    this.failed = failed;
    this.#ended = ended;
  }

  /**
   * Starts it; the first picture is there when it has.
   * @param paced whether pictures are shown in the file's own time; else as fast as they are taken
   * @param originNs `monotonicNowNs()` at the session's start
   * @param damaged called at most once, where a part of the file cannot be decoded: with why
   * @throws Error why there is no picture
   */
  static async start(
    { file, isStill }: Content,
    share: PictureShare,
    paced: boolean,
    originNs: number,
    damaged: (why: string) => void = () => {},
  ): Promise<ContentThread> {
    const launched = launch({ kind: 'play', file, share, isStill, paced, originNs }, damaged);
    const first = await launched.first;
    if (first.kind === 'ready') return new ContentThread(share, launched);
    await launched.ended;
    throw new Error(first.kind === 'failed' ? first.message : 'the decode thread said nothing');
  }

  /** Ends it. The pictures that are there stay. */
  async stop(): Promise<void> {
    stopPictures(this.#share);
    const timer = setTimeout(() => void this.#worker.terminate(), STOP_GRACE_MS);
    await this.#ended;
    clearTimeout(timer);
  }
}

/** Room for one picture of a machine's, the first, with it. @throws Error as `ContentThread.start` */
export async function firstPicture(content: Content, head: { readonly width: number; readonly height: number }): Promise<PictureShare> {
  const still = { ...content, isStill: true };
  const share = planContent(still, head);
  const thread = await ContentThread.start(still, share, false, 0);
  await thread.stop();
  return share;
}

/** What there is in a file, by decoding its first pictures on a thread of their own. @throws Error what is wrong with it, or that node-av is missing */
export async function probeFile(file: string): Promise<FoundContent> {
  const { worker, first, ended } = launch({ kind: 'probe', file }, () => {});
  const timer = setTimeout(() => void worker.terminate(), PROBE_MS);
  const told = await first;
  clearTimeout(timer);
  if (told.kind === 'found') await ended;
  if (told.kind === 'found') return told.found;
  throw new Error(told.kind === 'failed' ? told.message : 'the decode thread said nothing');
}

interface Launched {
  readonly worker: Worker;
  /** The first that it tells. */
  readonly first: Promise<ContentNews>;
  readonly failed: Promise<string>;
  readonly ended: Promise<void>;
}

function launch(task: ContentTask, damaged: (why: string) => void): Launched {
  const worker = new Worker(ENTRY, { workerData: task });
  let tellFirst: (news: ContentNews) => void = () => {};
  let fail: (why: string) => void = () => {};
  const first = new Promise<ContentNews>((resolve) => {
    tellFirst = resolve;
  });
  const failed = new Promise<string>((resolve) => {
    fail = resolve;
  });
  const hear = (told: ContentNews): void => {
    if (told.kind === 'damaged') {
      damaged(told.why);
      return;
    }
    tellFirst(told);
    if (told.kind === 'failed') fail(told.message);
  };
  worker.on('message', hear);
  const ended = new Promise<void>((resolve) => {
    worker.on('error', (error: Error) => hear({ kind: 'failed', message: error.message }));
    worker.on('exit', () => {
      tellFirst({ kind: 'failed', message: 'its decoding took too long, or ended without a word' });
      resolve();
    });
  });
  return { worker, first, failed, ended };
}
