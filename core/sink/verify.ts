import { Counter } from '../measure/counters.ts';
import { FrameFlag } from '../measure/frame-log.ts';
import { RowTable } from '../memory/row-table.ts';
import { CRC_START, crcBytes, crcEnd, crcWords } from './crc32.ts';
import type { ScanoutImage } from './sink.ts';
import { ScanoutTimer, type ScanoutTiming } from './timer.ts';

export interface VerifyOptions extends ScanoutTiming {
  /** CRC-32 of all pixels of one frame in this many; 0: of none. */
  crcEvery: number;
  /** The stamp has to be the frame's number + 1, too (the `stamp` and `paint` renderers write that). */
  expectSequence?: boolean;
  /** The rectangle that each frame changes, pixels: its rows hold the stamps, in their first word. Absent or null: all rows. */
  damage?: { readonly x: number; readonly y: number; readonly height: number } | null;
}

const CLEAN = 0;
const TORN = 1;
const NO_CRC = 2;
/** Images whose rows are remembered: three buffers of each of 16 heads, and some. */
const TABLES = 64;

/**
 * A display engine that looks for torn frames: all rows have to hold the same stamp in their first word, the same when
 * the frame is shown and at its last read. One frame in `crcEvery` also has to have the same CRC at both times.
 * An image whose rows are not word-aligned or reach past its buffer can't be checked and is not counted as verified.
 */
export class VerifySink extends ScanoutTimer {
  readonly #crcEvery: number;
  readonly #expectSequence: boolean;
  readonly #damage: { readonly x: number; readonly y: number; readonly height: number } | null;
  /** Where the rows of an image lie; null: it can't be checked. At most TABLES, the oldest in front. */
  readonly #rows = new Map<ScanoutImage, RowTable | null>();
  #countdown: number;
  // By slot: the stamp at the time of showing, what was found then, the CRC.
  #stamp: Uint32Array;
  #found: Uint8Array;
  #crc: Int32Array;

  constructor(options: VerifyOptions) {
    super(options);
    this.#crcEvery = options.crcEvery;
    this.#expectSequence = options.expectSequence ?? false;
    this.#damage = options.damage ?? null;
    this.#countdown = options.crcEvery;
    this.#stamp = new Uint32Array(this.slots());
    this.#found = new Uint8Array(this.slots());
    this.#crc = new Int32Array(this.slots());
  }

  override setScanout(scanout: number, image: ScanoutImage | null): void {
    super.setScanout(scanout, image);
    if (image !== null) this.#rowsOf(image);
  }

  /** Images whose rows are remembered. */
  get tables(): number {
    return this.#rows.size;
  }

  #rowsOf(image: ScanoutImage): RowTable | null {
    const known = this.#rows.get(image);
    if (known !== undefined) return known;
    if (this.#rows.size === TABLES) {
      for (const oldest of this.#rows.keys()) {
        this.#rows.delete(oldest);
        break;
      }
    }
    const table = tableOf(image, this.#damage);
    this.#rows.set(image, table);
    return table;
  }

  protected override shown(image: ScanoutImage, frame: number, slot: number): void {
    if (slot >= this.#found.length) this.#growTo(this.slots());
    this.#found[slot] = NO_CRC;
    const rows = this.#rowsOf(image);
    if (rows === null || rows.rows === 0) return;
    // RACE: the guest may write these words now, which is what is looked for; the avail index that brought the FLUSH
    // (Atomics.load in the ring's pop) orders all writes that belong to the frame before this.
    const stamp = rows.views[rows.view[0]][rows.word[0]];
    this.#stamp[slot] = stamp;
    let found = sameStamp(rows, stamp) ? CLEAN : TORN;
    if (this.#expectSequence && stamp !== (frame + 1) >>> 0) found = TORN;
    if (this.#crcEvery > 0 && --this.#countdown === 0) {
      this.#countdown = this.#crcEvery;
      this.#crc[slot] = crcOf(image);
    } else {
      found |= NO_CRC;
    }
    this.#found[slot] = found;
  }

  protected override ended(image: ScanoutImage, _frame: number, slot: number): number {
    const rows = this.#rowsOf(image);
    if (rows === null || rows.rows === 0) return 0;
    const found = this.#found[slot];
    let torn = (found & TORN) !== 0 || !sameStamp(rows, this.#stamp[slot]);
    if ((found & NO_CRC) === 0) {
      this.counters?.add(Counter.framesCrcChecked, 1);
      if (crcOf(image) !== this.#crc[slot]) torn = true;
    }
    return torn ? FrameFlag.verified | FrameFlag.torn : FrameFlag.verified;
  }

  protected override moved(from: number, to: number): void {
    if (from >= this.#found.length) this.#growTo(this.slots());
    this.#stamp[to] = this.#stamp[from];
    this.#found[to] = this.#found[from];
    this.#crc[to] = this.#crc[from];
  }

  #growTo(slots: number): void {
    const stamp = new Uint32Array(slots);
    stamp.set(this.#stamp);
    const found = new Uint8Array(slots);
    found.set(this.#found);
    const crc = new Int32Array(slots);
    crc.set(this.#crc);
    this.#stamp = stamp;
    this.#found = found;
    this.#crc = crc;
  }
}

/** Whether every row begins with `stamp`. */
function sameStamp(rows: RowTable, stamp: number): boolean {
  const { views, view, word } = rows;
  const count = rows.rows;
  // RACE: as in `shown`; plain reads, since a word is never torn and the order among rows does not matter.
  if (views.length === 1) {
    const only = views[0];
    for (let r = 0; r < count; r++) if (only[word[r]] !== stamp) return false;
    return true;
  }
  for (let r = 0; r < count; r++) if (views[view[r]][word[r]] !== stamp) return false;
  return true;
}

function tableOf(image: ScanoutImage, damage: { x: number; y: number; height: number } | null): RowTable | null {
  if (image.segments.length === 0) return null;
  const table = new RowTable();
  try {
    const first = damage === null ? 0 : damage.y * image.stride + damage.x * 4;
    table.build(image.segments, image.offset + first, image.stride, damage === null ? image.height : damage.height);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
  return table;
}

/** CRC-32 of the visible pixels, rows in order. */
function crcOf(image: ScanoutImage): number {
  const { segments, stride, height } = image;
  const rowBytes = image.width * 4;
  let state = CRC_START;
  for (let row = 0; row < height; row++) {
    const begin = image.offset + row * stride;
    let left = Math.min(rowBytes, segments.length - begin);
    if (left <= 0) break;
    let i = segments.find(begin);
    let skip = begin - segments.start[i];
    while (left > 0) {
      const run = Math.min(left, segments.bytes[i] - skip);
      const region = segments.region[i];
      const at = segments.offset[i] + skip;
      // RACE: as in `shown`.
      if (at % 4 === 0 && run % 4 === 0) state = crcWords(state, region.u32, at / 4, (at + run) / 4);
      else state = crcBytes(state, region.u8, at, at + run);
      left -= run;
      skip = 0;
      i++;
    }
  }
  return crcEnd(state);
}
