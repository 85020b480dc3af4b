/** Where a frame's pixels were copied. */
export const CopyStage = {
  /** The guest read the GPU's buffer back into a dumb buffer. */
  readback: 0,
  /** TRANSFER_TO_HOST_2D: guest pages → host image. */
  transfer: 1,
  /** The host copied because an import was impossible. */
  fallback: 2,
  /** A display took a host image as a texture. */
  upload: 3,
  /** An exporter moved a buffer (VRAM ↔ system memory). */
  migrate: 4,
  /** A cursor image. */
  cursor: 5,
  /** A sink that reads one range only put scattered pieces together. */
  gather: 6,
  /** An encoder's library took the converted picture into memory of its own. */
  encoder: 7,
} as const;
export type CopyStage = (typeof CopyStage)[keyof typeof CopyStage];
export const COPY_STAGES = ['readback', 'transfer', 'fallback', 'upload', 'migrate', 'cursor', 'gather', 'encoder'] as const;

/**
 * The account of every pixel copy, by stage: the proof that zero-copy was zero-copy. One ledger a thread, in
 * shared memory, written by that thread alone.
 */
export class Ledger {
  static readonly bytes = COPY_STAGES.length * 2 * 8;
  readonly #cells: Float64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(Ledger.bytes), byteOffset = 0) {
    this.#cells = new Float64Array(buffer, byteOffset, COPY_STAGES.length * 2);
  }

  /** One copy of `bytes` at `stage`. */
  charge(stage: CopyStage, bytes: number): void {
    this.#cells[stage * 2] += 1;
    this.#cells[stage * 2 + 1] += bytes;
  }

  /** Copies that another process has made and counted. */
  add(stage: CopyStage, copies: number, bytes: number): void {
    const at = stage * 2;
    this.#cells[at] += copies;
    this.#cells[at + 1] += bytes;
  }

  copies(stage: CopyStage): number {
    return this.#cells[stage * 2];
  }

  bytesCopied(stage: CopyStage): number {
    return this.#cells[stage * 2 + 1];
  }

  reset(): void {
    this.#cells.fill(0);
  }
}
