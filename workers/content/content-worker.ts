/** The decode thread: a worker's entry file. */
import { parentPort, workerData } from 'node:worker_threads';
import { MonotonicClock } from '../../core/measure/clock.ts';
import { PictureMaker } from '../../core/memory/picture-ring.ts';
import { loadNodeAv, type NodeAv } from '../encode/node-av.ts';
import { ContentFile } from './content-file.ts';
import type { ContentNews, ContentTask, FoundContent, PlayTask, ProbeTask } from './content-task.ts';
import { PictureScaler } from './picture-scaler.ts';
import { Player } from './player.ts';

/** Steps that a file may take until its second picture: it may be made so that none ever comes. */
const MOST_STEPS = 20_000;

const tell = (news: ContentNews): void => parentPort?.postMessage(news);

try {
  const task = workerData as ContentTask;
  const av = loadNodeAv();
  if (typeof av === 'string') throw new Error(av);
  if (task.kind === 'probe') tell({ kind: 'found', found: probe(av, task) });
  else play(av, task);
} catch (error) {
  tell({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
}

/** Decodes two pictures. @throws Error where there is none */
function probe(av: NodeAv, { file }: ProbeTask): FoundContent {
  const source = new ContentFile(av, file);
  try {
    let found: FoundContent | null = null;
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      const step = source.step();
      if (step === 'end') break;
      if (step === 'more') continue;
      if (found !== null) return { ...found, isStill: false };
      const { frame, codec, aspect } = source;
      found = { codec, width: frame.width, height: frame.height, aspect, isStill: true };
      convertible(av, source);
    }
    if (found === null) throw new Error(nothingIn(source));
    return found;
  } finally {
    source.close();
  }
}

/** @throws Error what swscale cannot convert */
function convertible(av: NodeAv, { frame }: ContentFile): void {
  const scaler = new PictureScaler(av, 16, 16);
  try {
    scaler.convert(frame);
  } finally {
    scaler.close();
  }
}

/** Decodes until a stop is asked for. */
function play(av: NodeAv, { file, share, isStill, paced, originNs }: PlayTask): void {
  const maker = new PictureMaker(share);
  const scaler = new PictureScaler(av, share.width, share.height);
  const player = new Player({ maker, scaler, clock: new MonotonicClock(originNs), paced, isStill });
  let isDamaged = false;
  try {
    while (!player.isDone) {
      const source = new ContentFile(av, file);
      try {
        player.playOnce(source, () => tell({ kind: 'ready' }));
      } finally {
        source.close();
      }
      if (source.pictures === 0 && !maker.stopRequested) throw new Error(nothingIn(source));
      if (source.damage !== null && !isDamaged) tell({ kind: 'damaged', why: source.damage });
      isDamaged ||= source.damage !== null;
    }
  } finally {
    scaler.close();
  }
}

function nothingIn({ damage }: ContentFile): string {
  return `no picture of it can be decoded${damage === null ? '' : `: ${damage}`}`;
}
