import { RowTable } from '../memory/row-table.ts';
import type { SegmentList } from '../memory/segments.ts';

/** What a renderer draws into. */
export interface RenderTarget {
  /** Where the pixels are now; another list after the buffer has moved. */
  readonly pages: SegmentList;
  readonly width: number;
  readonly height: number;
  /** Bytes from one row to the next. */
  readonly stride: number;
}

/** The part of the image that each frame changes, pixels. */
export interface StampedRows {
  readonly x: number;
  readonly y: number;
  readonly height: number;
}

/** Draws frame `frame`; the first word of every row is the frame's number + 1 (what the verify sink looks for). */
export interface Renderer {
  readonly name: 'stamp' | 'paint' | 'card' | 'content';
  render(target: RenderTarget, frame: number): void;
}

/** Row tables of the buffers drawn into, made anew when a buffer's pages have changed. */
export class Rows {
  readonly #damage: StampedRows | null;
  readonly #pages: SegmentList[] = [];
  readonly #tables: RowTable[] = [];

  constructor(damage: StampedRows | null) {
    this.#damage = damage;
  }

  of(target: RenderTarget): RowTable {
    for (let i = 0; i < this.#pages.length; i++) if (this.#pages[i] === target.pages) return this.#tables[i];
    const table = new RowTable();
    const damage = this.#damage;
    if (damage === null) table.build(target.pages, 0, target.stride, target.height);
    else table.build(target.pages, damage.y * target.stride + damage.x * 4, target.stride, damage.height);
    // Buffers that move leave their old lists behind: keep the newest few.
    if (this.#pages.length === 128) {
      this.#pages.shift();
      this.#tables.shift();
    }
    this.#pages.push(target.pages);
    this.#tables.push(table);
    return table;
  }
}

/** Writes `value` into the first word of each row. */
export function stamp(table: RowTable, value: number): void {
  const { rows, word, view, views } = table;
  if (views.length === 1) {
    const only = views[0];
    // RACE: the sink reads these words; ordered by the ring's publish of the frame's commands.
    for (let r = 0; r < rows; r++) only[word[r]] = value;
  } else {
    for (let r = 0; r < rows; r++) views[view[r]][word[r]] = value;
  }
}

/** One word a row: stands for a GPU that renders without the CPU. */
export class StampRenderer implements Renderer {
  readonly name = 'stamp';
  readonly #rows: Rows;

  /** @param damage only its rows are stamped, in their first word; null: all rows */
  constructor(damage: StampedRows | null = null) {
    this.#rows = new Rows(damage);
  }

  render(target: RenderTarget, frame: number): void {
    stamp(this.#rows.of(target), (frame + 1) >>> 0);
  }
}

/** Every pixel: rows of one colour that moves with the frame, then the stamps. A software renderer's traffic. */
export class PaintRenderer implements Renderer {
  readonly name = 'paint';
  readonly #rows: Rows;

  /** @param damage as for StampRenderer; every pixel of the image is painted all the same */
  constructor(damage: StampedRows | null = null) {
    this.#rows = new Rows(damage);
  }

  render(target: RenderTarget, frame: number): void {
    const { pages, stride, height } = target;
    for (let i = 0; i < pages.count; i++) {
      const first = pages.start[i];
      const end = first + pages.bytes[i];
      const view = pages.region[i].u32;
      const base = pages.offset[i] - first;
      for (let at = first; at < end; ) {
        const row = Math.floor(at / stride);
        if (row >= height) break;
        const stop = Math.min(end, (row + 1) * stride);
        view.fill(colour(frame, row), (base + at) / 4, (base + stop) / 4);
        at = stop;
      }
    }
    stamp(this.#rows.of(target), (frame + 1) >>> 0);
  }
}

/** XRGB8888, a different one for neighbouring rows and frames. */
function colour(frame: number, row: number): number {
  return (0xff000000 | (Math.imul(frame * 7 + row, 0x9e3779b1) >>> 8)) >>> 0;
}
