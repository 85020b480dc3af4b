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

/** Formats of a picture whose first plane is its luma. */
const LUMA_FIRST = ['I420', 'I420A', 'I422', 'I444', 'NV12'];

/** Reads the code out of decoded pictures. */
export class CodeReader {
  /** Holds nothing but the code. */
  #canvas = new OffscreenCanvas(1, 1);
  #context = this.#canvas.getContext('2d', { willReadFrequently: true });

  /**
   * From the luma where the decoder gives it: to draw a picture converts all its colours.
   * @param {VideoFrame} picture @returns {Promise<number | null>}
   */
  async read(picture) {
    const block = codeBlock(picture.displayWidth, picture.displayHeight);
    if (block === 0) return null;
    const rect = { x: block, y: block, width: COLUMNS * block, height: ROWS * block };
    if (!LUMA_FIRST.includes(picture.format)) return this.#draw(picture, rect, block);
    const bytes = new Uint8Array(picture.allocationSize({ rect }));
    const [{ offset, stride }] = await picture.copyTo(bytes, { rect });
    return numberIn(bytes, block, { offset, stride, step: 1 });
  }

  #draw(picture, { x, y, width, height }, block) {
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    this.#context.drawImage(picture, x, y, width, height, 0, 0, width, height);
    return numberIn(this.#context.getImageData(0, 0, width, height).data, block);
  }
}

/**
 * @param pixels of the code alone: RGBA, or a plane of luma @param block pixels of a block's side
 * @param plane where the first green, or luma, is, and bytes from one row and from one pixel to the next
 * @returns the number; null: it is not confirmed by its check
 */
export function numberIn(pixels, block, plane = { offset: 1, stride: COLUMNS * block * 4, step: 4 }) {
  const { offset, stride, step } = plane;
  let bits = 0;
  for (let i = 0; i < COLUMNS * ROWS; i++) {
    const x = (i % COLUMNS) * block + block / 2;
    const y = Math.floor(i / COLUMNS) * block + block / 2;
    bits = ((bits << 1) | (pixels[offset + y * stride + x * step] > 127 ? 1 : 0)) >>> 0;
  }
  const number = bits >>> 8;
  return (bits & 0xff) === ((number ^ (number >>> 8) ^ (number >>> 16) ^ 0x5a) & 0xff) ? number : null;
}
