import { Counter, type Counters } from '../../core/measure/counters.ts';
import { CopyStage, type Ledger } from '../../core/memory/ledger.ts';
import type { SegmentList } from '../../core/memory/segments.ts';
import { CURSOR_SIZE } from '../../core/protocol/constants.ts';

const PIXELS = CURSOR_SIZE * CURSOR_SIZE;
export const CURSOR_BYTES = PIXELS * 4;

/** Words of a head. */
const Word = {
  /** Odd while the head is being written. */
  sequence: 0,
  visible: 1,
  x: 2,
  y: 3,
  hotX: 4,
  hotY: 5,
  /** Counts the head's images. */
  image: 6,
  pixels: 16,
} as const;
const HEAD_WORDS = Word.pixels + PIXELS;

/** A device's view of its cursors. */
interface CursorSource {
  cursor(head: number): {
    readonly resourceId: number;
    readonly x: number;
    readonly y: number;
    readonly hotX: number;
    readonly hotY: number;
    readonly image: SegmentList | null;
  };
}

/** A head's cursor as it was read. */
export interface ShownCursor {
  readonly visible: boolean;
  /** Of the image's upper left corner, pixels of the scanout. */
  readonly x: number;
  readonly y: number;
  /** Of the point in the image that the pointer points with, pixels. */
  readonly hotX: number;
  readonly hotY: number;
  /** Another number: another image. */
  readonly image: number;
}

/** The cursors that a host shows, in shared memory: written by its thread after each turn, read by whoever draws them. */
export class CursorBoard {
  readonly #words: Int32Array;
  readonly #heads: number;
  #updates = 0;

  static bytes(heads: number): number {
    return heads * HEAD_WORDS * 4;
  }

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
    this.#heads = this.#words.length / HEAD_WORDS;
  }

  /** Shows the device's cursors as they are now; an image that is copied is charged. */
  show(device: CursorSource, counters: Counters, ledger: Ledger): void {
    const updates = counters.get(Counter.cursorUpdates);
    const drawn = updates !== this.#updates;
    this.#updates = updates;
    const words = this.#words;
    for (let head = 0; head < this.#heads; head++) {
      const { resourceId, x, y, hotX, hotY, image } = device.cursor(head);
      const at = head * HEAD_WORDS;
      const visible = resourceId === 0 ? 0 : 1;
      const same =
        words[at + Word.visible] === visible &&
        words[at + Word.x] === (x | 0) &&
        words[at + Word.y] === (y | 0) &&
        words[at + Word.hotX] === hotX &&
        words[at + Word.hotY] === hotY;
      const redrawn = drawn && image !== null && visible === 1 && this.#differs(at, image);
      if (same && !redrawn) continue;
      Atomics.add(words, at + Word.sequence, 1);
      words[at + Word.visible] = visible;
      words[at + Word.x] = x;
      words[at + Word.y] = y;
      words[at + Word.hotX] = hotX;
      words[at + Word.hotY] = hotY;
      if (redrawn && image !== null) {
        const { u32 } = image.region[0];
        const from = image.offset[0] / 4;
        for (let i = 0; i < PIXELS; i++) words[at + Word.pixels + i] = u32[from + i];
        words[at + Word.image]++;
        ledger.charge(CopyStage.cursor, CURSOR_BYTES);
      }
      Atomics.add(words, at + Word.sequence, 1);
    }
  }

  #differs(at: number, image: SegmentList): boolean {
    const words = this.#words;
    const { u32 } = image.region[0];
    const from = image.offset[0] / 4;
    for (let i = 0; i < PIXELS; i++) if (words[at + Word.pixels + i] !== (u32[from + i] | 0)) return true;
    return false;
  }

  /** @param pixels takes the image, BGRA with the alpha multiplied in; null: it is not wanted @returns null: it is being written, ask again */
  read(head: number, pixels: Uint32Array | null): ShownCursor | null {
    const words = this.#words;
    const at = head * HEAD_WORDS;
    const before = Atomics.load(words, at + Word.sequence);
    if (before % 2 !== 0) return null;
    // RACE: the host's thread writes these; ordered by the sequence, which is another one then.
    const cursor: ShownCursor = {
      visible: words[at + Word.visible] === 1,
      x: words[at + Word.x],
      y: words[at + Word.y],
      hotX: words[at + Word.hotX],
      hotY: words[at + Word.hotY],
      image: words[at + Word.image],
    };
    if (pixels !== null) for (let i = 0; i < PIXELS; i++) pixels[i] = words[at + Word.pixels + i];
    return Atomics.load(words, at + Word.sequence) === before ? cursor : null;
  }
}
