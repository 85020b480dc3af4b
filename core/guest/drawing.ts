import { CODE_COLUMNS, CODE_ROWS, codeBits } from './block-code.ts';
import type { RenderTarget } from './renderer.ts';

/** XRGB8888. */
export const BLACK = 0xff000000;
export const WHITE = 0xffffffff;

/** Draws a number's block code, with a block of black around it. @param block pixels of a block's side, as of `codeBlock`; not 0 */
export function drawCode(target: RenderTarget, block: number, frame: number): void {
  fill(target, 0, 0, (CODE_COLUMNS + 2) * block, (CODE_ROWS + 2) * block, BLACK);
  const bits = codeBits(frame);
  for (let i = 0; i < CODE_COLUMNS * CODE_ROWS; i++) {
    if (((bits >>> (31 - i)) & 1) === 0) continue;
    fill(target, block * (1 + (i % CODE_COLUMNS)), block * (1 + Math.floor(i / CODE_COLUMNS)), block, block, WHITE);
  }
}

/** A rectangle of one colour; what of it lies outside of the image is left out. */
export function fill({ pages, stride, width, height }: RenderTarget, x: number, y: number, w: number, h: number, colour: number): void {
  const right = Math.min(x + w, width);
  const bottom = Math.min(y + h, height);
  for (let row = y; row < bottom; row++) {
    const end = row * stride + right * 4;
    for (let at = row * stride + x * 4; at < end; ) {
      const i = pages.find(at);
      const first = pages.start[i];
      const stop = Math.min(end, first + pages.bytes[i]);
      const base = pages.offset[i] - first;
      // RACE: the sink reads these words; ordered by the ring's publish of the frame's commands.
      pages.region[i].u32.fill(colour, (base + at) / 4, (base + stop) / 4);
      at = stop;
    }
  }
}
