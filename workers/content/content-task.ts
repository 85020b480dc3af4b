import type { PictureShare } from '../../core/memory/picture-ring.ts';

/** Looks whether a file has a picture that can be decoded. */
export interface ProbeTask {
  readonly kind: 'probe';
  readonly file: string;
}

/** Decodes a file's pictures, again and again, into the ring. */
export interface PlayTask {
  readonly kind: 'play';
  readonly file: string;
  readonly share: PictureShare;
  /** There is one picture. */
  readonly isStill: boolean;
  /** In the file's own time; else as fast as they are taken. */
  readonly paced: boolean;
  /** Of the session's timeline: `monotonicNowNs()` at its start. */
  readonly originNs: number;
}

export type ContentTask = ProbeTask | PlayTask;

/** What there is in a file. */
export interface FoundContent {
  readonly codec: string;
  /** Pixels, as they are coded. */
  readonly width: number;
  readonly height: number;
  /** Width ÷ height of what is to be seen. */
  readonly aspect: number;
  readonly isStill: boolean;
}

/** What the thread tells. */
export type ContentNews =
  | { readonly kind: 'found'; readonly found: FoundContent }
  /** The first picture is there. */
  | { readonly kind: 'ready' }
  /** A part of the file cannot be decoded; what can is shown. */
  | { readonly kind: 'damaged'; readonly why: string }
  | { readonly kind: 'failed'; readonly message: string };
