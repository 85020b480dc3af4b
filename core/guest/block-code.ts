/**
 * A number in the pixels, for whoever sees the picture only after a lossy encoder: 16 × 2 blocks, white for 1, the highest bit
 * first in reading order: 24 bits of the number, then 8 bits that check it.
 */
export const CODE_COLUMNS = 16;
export const CODE_ROWS = 2;
/** Numbers begin at 0 again after this many. */
export const CODE_NUMBERS = 2 ** 24;
/** A macroblock of H.264. */
const MOST_BLOCK = 16;
const LEAST_BLOCK = 4;

/** Pixels of a block's side in an image of this size, and its distance from the image's upper left corner; 0: there is no room. */
export function codeBlock(width: number, height: number): number {
  const block = Math.floor(Math.min(width / (CODE_COLUMNS + 4), height / (CODE_ROWS + 4), MOST_BLOCK) / 2) * 2;
  return block < LEAST_BLOCK ? 0 : block;
}

/** The blocks of number `frame`, bit 31 first. */
export function codeBits(frame: number): number {
  const number = frame & (CODE_NUMBERS - 1);
  const check = (number ^ (number >>> 8) ^ (number >>> 16) ^ 0x5a) & 0xff;
  return ((number << 8) | check) >>> 0;
}
