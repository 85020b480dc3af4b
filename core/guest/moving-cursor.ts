import { CURSOR_SIZE, CursorPlane } from './cursor.ts';
import type { VirtioGpuDriver } from './driver.ts';

const WHITE = 0xffffffff;
const BLACK = 0xff000000;
const CLEAR = 0;
/** The arrow's length, pixels, and its hot spot, which its outline surrounds. */
const ARROW = 24;
const HOT = 1;
/** Frames of one turn on its ellipse. */
const TURN = 240;

/** A pointer on every head that moves with the frames, as a person's would. */
export class MovingCursor {
  readonly #driver: VirtioGpuDriver;
  readonly #planes: readonly CursorPlane[];
  /** By head: the frame at which it moved last; −1: it is not shown. */
  readonly #movedAt: Int32Array;

  /** Makes the pointers' images; blocks. */
  constructor(driver: VirtioGpuDriver, heads: number) {
    this.#driver = driver;
    this.#planes = Array.from({ length: heads }, (_, head) => new CursorPlane(driver, head));
    this.#movedAt = new Int32Array(heads).fill(-1);
    for (const { buffer } of this.#planes) drawArrow(buffer.pages.region[0].u32, buffer.pages.offset[0] / 4);
  }

  /** Moves a head's pointer to its place at a frame, where the queue has room; the first time it is shown there. */
  move(head: number, frame: number, width: number, height: number): void {
    if (this.#movedAt[head] === frame || !this.#driver.cursor.hasRoom()) return;
    const angle = (2 * Math.PI * (frame % TURN)) / TURN;
    const x = Math.round(width / 2 + (width / 4) * Math.cos(angle));
    const y = Math.round(height / 2 + (height / 4) * Math.sin(angle));
    if (this.#movedAt[head] < 0) this.#planes[head].update(x, y, HOT, HOT);
    else this.#planes[head].move(x, y);
    this.#movedAt[head] = frame;
  }

  /** Frees the images; blocks. */
  free(): void {
    for (const { buffer } of this.#planes) this.#driver.freeDumb(buffer);
  }
}

/** A white arrow with a black outline, its tip at the hot spot. */
function drawArrow(pixels: Uint32Array, at: number): void {
  const inside = (x: number, y: number): boolean => x >= 0 && y >= 0 && x <= y * 0.7 && x + y * 0.4 <= ARROW * 0.85 && y < ARROW;
  for (let i = 0; i < CURSOR_SIZE * CURSOR_SIZE; i++) {
    const x = (i % CURSOR_SIZE) - HOT;
    const y = Math.floor(i / CURSOR_SIZE) - HOT;
    const near = inside(x - 1, y) || inside(x + 1, y) || inside(x, y - 1) || inside(x, y + 1);
    pixels[at + i] = inside(x, y) ? WHITE : near ? BLACK : CLEAR;
  }
}
