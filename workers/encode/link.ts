import { Ledger } from '../../core/memory/ledger.ts';
import { DOORBELL_WORDS } from '../../core/ring/doorbell.ts';
import { CursorBoard } from './cursor-board.ts';
import { EncodeLog } from './encode-log.ts';

/** What the host's thread and the encode thread share: plain data, posted to both. */
export interface EncodeShare {
  readonly heads: number;
  readonly words: SharedArrayBuffer;
  readonly times: SharedArrayBuffer;
  readonly log: SharedArrayBuffer;
  readonly ledger: SharedArrayBuffer;
  /** A `CursorBoard`'s, which the host's thread writes; null: nobody asks for the cursors. */
  readonly cursors: SharedArrayBuffer | null;
}

/** Words of the block's head. */
export const LinkWord = {
  /** The encode thread's doorbell. */
  doorbell: 0,
  stop: DOORBELL_WORDS,
  /** Frames that the encode thread has stopped reading, counted by it. */
  done: DOORBELL_WORDS + 1,
  /** 1: the encode thread runs no more. */
  ended: DOORBELL_WORDS + 2,
  /** Heads of which a key frame is wanted, a bit each. */
  keys: DOORBELL_WORDS + 3,
} as const;

/** Frames of one head that may be with the encode thread; a power of two. */
export const RECORDS = 64;
/** Words of a record. */
export const RecordWord = {
  state: 0,
  frame: 1,
  /** Number that the image was announced by. */
  image: 2,
  /** 1: the host wants it back now. */
  abort: 3,
  /** 1: all of it was read. */
  read: 4,
} as const;
const RECORD_WORDS = 8;

/** free → offered by the host, → taken → done by the encode thread, → free by the host; offered → free when it is withdrawn. */
export const RecordState = { free: 0, offered: 1, taken: 2, done: 3 } as const;

/** Doubles of a record, ns on the session's timeline. */
export const RecordTime = { taken: 0, released: 1 } as const;
const RECORD_TIMES = 2;

const FIRST_HEAD = 32;
/** A head's records, after a word that counts those ever offered, and its neighbours' cache lines. */
const HEAD_WORDS = 32 + RECORDS * RECORD_WORDS;

/** @param watched whether somebody wants to know the cursors, too */
export function shareFor(heads: number, watched = false): EncodeShare {
  return {
    heads,
    words: new SharedArrayBuffer((FIRST_HEAD + heads * HEAD_WORDS) * 4),
    times: new SharedArrayBuffer(heads * RECORDS * RECORD_TIMES * 8),
    log: new SharedArrayBuffer(EncodeLog.bytes),
    ledger: new SharedArrayBuffer(Ledger.bytes),
    cursors: watched ? new SharedArrayBuffer(CursorBoard.bytes(heads)) : null,
  };
}

/** Word that counts the frames ever offered of a head. */
export const offeredWord = (head: number): number => FIRST_HEAD + head * HEAD_WORDS;

/** Word that says whether the head shows an image: 1, or 0. */
export const shownWord = (head: number): number => offeredWord(head) + 16;

/** First word of a head's record `slot`. */
export const recordAt = (head: number, slot: number): number => FIRST_HEAD + head * HEAD_WORDS + 32 + slot * RECORD_WORDS;

/** First double of a head's record `slot`. */
export const timesAt = (head: number, slot: number): number => (head * RECORDS + slot) * RECORD_TIMES;

/** What the host tells of images before it offers frames of them, in order. */
export type ImageNews =
  | {
      readonly kind: 'image';
      readonly id: number;
      /** Pixels. */
      readonly width: number;
      readonly height: number;
      readonly stride: number;
      readonly offset: number;
      /** VIRTIO_GPU_FORMAT_*. */
      readonly format: number;
      readonly segments: readonly { readonly memory: WebAssembly.Memory; readonly offset: number; readonly bytes: number }[];
    }
  | { readonly kind: 'gone'; readonly id: number };

/** Images that both sides remember; the oldest announcement goes first, on both alike. */
export const MOST_IMAGES = 64;
