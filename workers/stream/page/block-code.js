/** Reads the number that ../../../core/guest/block-code.ts describes. */

const COLUMNS = 16;
const ROWS = 2;
const MOST_BLOCK = 16;
const LEAST_BLOCK = 4;

/** Pixels of a block's side; 0: there is no room for the code. */
export function codeBlock(width, height) {
  const block = Math.floor(Math.min(width / (COLUMNS + 4), height / (ROWS + 4), MOST_BLOCK) / 2) * 2;
  return block < LEAST_BLOCK ? 0 : block;
}

/** Reads the code out of decoded pictures; the canvas holds nothing but the code. */
export class CodeReader {
  #canvas = new OffscreenCanvas(1, 1);
  #context = this.#canvas.getContext('2d', { willReadFrequently: true });

  /** @param {VideoFrame} picture @returns {number | null} */
  read(picture) {
    const block = codeBlock(picture.displayWidth, picture.displayHeight);
    if (block === 0) return null;
    const width = COLUMNS * block;
    const height = ROWS * block;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    this.#context.drawImage(picture, block, block, width, height, 0, 0, width, height);
    return numberIn(this.#context.getImageData(0, 0, width, height).data, block);
  }
}

/** @param pixels RGBA of the code alone @returns the number; null: it is not confirmed by its check */
export function numberIn(pixels, block) {
  let bits = 0;
  for (let i = 0; i < COLUMNS * ROWS; i++) {
    const x = (i % COLUMNS) * block + block / 2;
    const y = Math.floor(i / COLUMNS) * block + block / 2;
    bits = ((bits << 1) | (pixels[(y * COLUMNS * block + x) * 4 + 1] > 127 ? 1 : 0)) >>> 0;
  }
  const number = bits >>> 8;
  return (bits & 0xff) === ((number ^ (number >>> 8) ^ (number >>> 16) ^ 0x5a) & 0xff) ? number : null;
}
