import { pageAlign } from './address.ts';
import { createSharedMemory, MemoryRegion } from './region.ts';
import { SegmentList } from './segments.ts';

/** Pictures of one size that one thread makes and another takes, in shared memory: plain data, posted to both. */
export interface PictureShare {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** Bytes from one row to the next. */
  readonly stride: number;
  /** Pictures that there is room for: picture N lies in slot N % slots. */
  readonly slots: number;
  readonly memory: WebAssembly.Memory;
  readonly words: SharedArrayBuffer;
  readonly due: SharedArrayBuffer;
}

const Word = {
  /** Pictures made so far. Written by their maker. */
  made: 0,
  /** Number of the picture that is shown. Written by their taker. */
  shown: 1,
  /** 1: nobody takes them any more. */
  stop: 2,
} as const;
const WORDS = 16;
/** A row begins at a multiple of this many bytes: vector instructions write a row's end in whole vectors. */
const ROW_ALIGN = 64;
/** In case that a notification is missed, ms. */
const RECHECK_MS = 100;

const strideOf = (width: number): number => Math.ceil((width * 4) / ROW_ALIGN) * ROW_ALIGN;
const slotBytes = (width: number, height: number): number => pageAlign(strideOf(width) * height);

/** Bytes of the pictures. */
export const pictureBytes = (width: number, height: number, slots: number): number => slotBytes(width, height) * slots;

/** @throws RangeError when no memory holds them */
export function pictureShare(width: number, height: number, slots: number): PictureShare {
  return {
    ...{ width, height, slots },
    stride: strideOf(width),
    memory: createSharedMemory(pictureBytes(width, height, slots)),
    words: new SharedArrayBuffer(WORDS * 4),
    due: new SharedArrayBuffer(slots * 8),
  };
}

/** The end of whoever makes pictures. It blocks; the other end never does. */
export class PictureMaker {
  readonly share: PictureShare;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #due: Float64Array;
  #made = 0;

  constructor(share: PictureShare) {
    this.share = share;
    this.#bytes = new Uint8Array(share.memory.buffer);
    this.#words = new Int32Array(share.words);
    this.#due = new Float64Array(share.due);
  }

  get stopRequested(): boolean {
    return Atomics.load(this.#words, Word.stop) !== 0;
  }

  /** Pictures made so far. */
  get made(): number {
    return this.#made;
  }

  /** Whether the newest picture is shown: another one is wanted at once. */
  get isDrained(): boolean {
    return Atomics.load(this.#words, Word.shown) >= this.#made - 1;
  }

  /** Whether another picture can be added. The one that is shown may be read. */
  get hasRoom(): boolean {
    return this.#made - Atomics.load(this.#words, Word.shown) < this.share.slots;
  }

  /** Waits until there is room for a picture. @returns false: nobody takes any more */
  waitForRoom(): boolean {
    for (;;) {
      if (this.stopRequested) return false;
      const shown = Atomics.load(this.#words, Word.shown);
      if (this.hasRoom) return true;
      Atomics.wait(this.#words, Word.shown, shown, RECHECK_MS);
    }
  }

  /**
   * Adds a picture. There has to be room.
   * @param from its rows, `stride` bytes apart, XRGB8888
   * @param due when it is to be shown, ns on the session's timeline
   */
  add(from: Uint8Array, stride: number, due: number): void {
    const { width, height, stride: own, slots } = this.share;
    const slot = this.#made % slots;
    const base = slot * slotBytes(width, height);
    // RACE: nobody reads this slot: the number that is shown lies less than `slots` back (waitForRoom's load of `shown`).
    if (stride === own) this.#bytes.set(from.subarray(0, stride * height), base);
    else for (let row = 0; row < height; row++) this.#bytes.set(from.subarray(row * stride, row * stride + width * 4), base + row * own);
    this.#due[slot] = due;
    this.#made++;
    Atomics.store(this.#words, Word.made, this.#made);
  }
}

/** Tells the maker of pictures that nobody takes them any more. */
export function stopPictures({ words }: Pick<PictureShare, 'words'>): void {
  const cells = new Int32Array(words);
  Atomics.store(cells, Word.stop, 1);
  Atomics.notify(cells, Word.shown);
}

/** The end of whoever shows pictures: one at a time, the first from the beginning. One that follows another goes on where that was. */
export class PictureTaker {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  readonly stride: number;
  readonly #words: Int32Array;
  readonly #due: Float64Array;
  readonly #slots: readonly SegmentList[];
  readonly #byTime: boolean;
  #shown: number;

  /** @param byTime whether pictures wait until they are due, and those that are past go; else each `take` takes the next one */
  constructor({ width, height, stride, slots, memory, words, due }: PictureShare, byTime: boolean) {
    this.width = width;
    this.height = height;
    this.stride = stride;
    this.#words = new Int32Array(words);
    this.#due = new Float64Array(due);
    this.#byTime = byTime;
    const bytes = slotBytes(width, height);
    const size = bytes * slots;
    const region = new MemoryRegion({ id: 0, name: 'pictures', kind: 'ram', gpa: 0, size, device: null, bar: null, memory });
    this.#slots = Array.from({ length: slots }, (_, slot) => {
      const list = new SegmentList(1);
      list.append(region, slot * bytes, stride * height);
      return list;
    });
    this.#shown = Atomics.load(this.#words, Word.shown);
  }

  /** Number of the picture that is shown. */
  get number(): number {
    return this.#shown;
  }

  /** Its bytes. They stay until the next `take`. */
  get pages(): SegmentList {
    return this.#slots[this.#shown % this.#slots.length];
  }

  /** Goes on to the newest picture that is due, or to the next one; stays where there is none. @param now `now[0]`: ns on the session's timeline */
  take(now: Float64Array): void {
    const made = Atomics.load(this.#words, Word.made);
    const slots = this.#slots.length;
    const before = this.#shown;
    let next = before + 1;
    // RACE: written before `made` was stored, which the load above has seen.
    if (this.#byTime) while (next < made && this.#due[next % slots] <= now[0]) next++;
    else if (next < made) next++;
    if (next === before + 1) return;
    this.#shown = next - 1;
    Atomics.store(this.#words, Word.shown, this.#shown);
    Atomics.notify(this.#words, Word.shown);
  }
}
