import { type PictureShare, pictureBytes, pictureShare } from '../memory/picture-ring.ts';
import type { MachineOptions } from './options.ts';

/** A file whose pictures the guest shows: they are decoded on a thread of their own, which whoever runs the machine starts. */
export interface Content {
  /** Its place. */
  readonly file: string;
  /** Its name, without its place. */
  readonly name: string;
  /** As FFmpeg names it, such as `h264`. */
  readonly codec: string;
  /** Pixels, as they are coded. */
  readonly width: number;
  readonly height: number;
  /** Width ÷ height of what is to be seen: pixels need not be square. */
  readonly aspect: number;
  /** There is one picture. */
  readonly isStill: boolean;
  /** Tells it from other files, hexadecimal. */
  readonly digest: string;
}

/** Memory for pictures that are decoded ahead, bytes; of a few pictures it may be more. */
const AHEAD_BYTES = 128 * 1024 * 1024;
const MOST_AHEAD = 8;
/** One is shown, one is due next, one is decoded. */
const LEAST_AHEAD = 3;

type Sized = Pick<MachineOptions, 'width' | 'height'>;

/** The largest size of a content's pictures that fits into a head, pixels. */
export function contentSize({ aspect }: Pick<Content, 'aspect'>, { width, height }: Sized): { width: number; height: number } {
  const within = (side: number, most: number): number => Math.min(most, Math.max(1, Math.round(side)));
  return aspect < width / height ? { width: within(height * aspect, width), height } : { width, height: within(width / aspect, height) };
}

function slotsOf({ isStill }: Content, { width, height }: Sized): number {
  if (isStill) return 1;
  return Math.max(LEAST_AHEAD, Math.min(MOST_AHEAD, Math.floor(AHEAD_BYTES / pictureBytes(width, height, 1))));
}

/** Bytes of the decoded pictures of a machine; 0: it shows none. */
export function contentBytes(options: Pick<MachineOptions, 'width' | 'height' | 'content'>): number {
  const { content } = options;
  if (content === undefined) return 0;
  const size = contentSize(content, options);
  return pictureBytes(size.width, size.height, slotsOf(content, size));
}

/** Room for them. */
export function planContent(content: Content, head: Sized): PictureShare {
  const size = contentSize(content, head);
  return pictureShare(size.width, size.height, slotsOf(content, size));
}
