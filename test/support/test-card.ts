import type { SegmentList } from '../../core/memory/segments.ts';

const BITS = 16;
const BLOCK = 16;
/** Pixels of the least card. */
export const CARD = { width: BITS * BLOCK + 64, height: 96 };

/** BGRX of one pixel of frame `frame`: blocks that spell the frame's number in black and white, above a gradient that moves. */
export function cardPixel(frame: number, x: number, y: number): number {
  if (y < BLOCK) {
    const bit = Math.floor(x / BLOCK);
    return bit < BITS && ((frame >> bit) & 1) === 1 ? 0xffffff : 0;
  }
  const wave = (of: number): number => Math.round(127.5 + 100 * Math.sin(of));
  return (wave((x + 2 * frame) / 40) << 16) | (wave(y / 30) << 8) | wave((x + y) / 60);
}

/** Draws the card of `frame` into a buffer, however its pieces lie. */
export function drawCard(into: SegmentList, offset: number, stride: number, width: number, height: number, frame: number): void {
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = offset + y * stride + x * 4;
      const i = into.find(at);
      into.region[i].u32[(into.offset[i] + at - into.start[i]) / 4] = cardPixel(frame, x, y);
    }
  }
}

/** The number that the blocks of a decoded picture spell. @param luma of pixel x, y */
export function cardNumber(luma: (x: number, y: number) => number): number {
  let frame = 0;
  for (let bit = 0; bit < BITS; bit++) if (luma(bit * BLOCK + BLOCK / 2, BLOCK / 2) > 127) frame |= 1 << bit;
  return frame;
}
