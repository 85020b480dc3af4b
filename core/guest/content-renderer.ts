import type { Clock } from '../measure/clock.ts';
import type { Copier } from '../memory/copier.ts';
import { CopyStage } from '../memory/ledger.ts';
import type { PictureTaker } from '../memory/picture-ring.ts';
import type { SegmentList } from '../memory/segments.ts';
import { codeBlock } from './block-code.ts';
import { BLACK, drawCode, fill } from './drawing.ts';
import { type Renderer, type RenderTarget, Rows, stamp } from './renderer.ts';

/** Buffers of which is remembered what they hold. */
const REMEMBERED = 64;

/**
 * Pictures that another thread decodes, in the middle of the image, the frame's number above them as a block code (block-code.ts).
 * A picture is drawn into each buffer once, as it takes time to; where the next one is not there yet, the last one stays.
 */
export class ContentRenderer implements Renderer {
  readonly name = 'content';
  readonly #pictures: PictureTaker;
  readonly #clock: Clock;
  readonly #copier: Copier;
  readonly #rows = new Rows(null);
  readonly #pages: SegmentList[] = [];
  /** Number of the picture that each holds. */
  readonly #holds: number[] = [];

  /** @param copier with a ledger of its own: drawing is no copy of a path */
  constructor(pictures: PictureTaker, clock: Clock, copier: Copier) {
    this.#pictures = pictures;
    this.#clock = clock;
    this.#copier = copier;
  }

  render(target: RenderTarget, frame: number): void {
    const { width, height } = target;
    const pictures = this.#pictures;
    this.#clock.read();
    pictures.take(this.#clock.slot);
    const buffer = this.#indexOf(target);
    if (this.#holds[buffer] !== pictures.number) {
      this.#draw(target);
      this.#holds[buffer] = pictures.number;
    }
    const block = codeBlock(width, height);
    if (block > 0) drawCode(target, block, frame);
    stamp(this.#rows.of(target), (frame + 1) >>> 0);
  }

  /** A buffer that is new is black: what a picture leaves free of it stays so. */
  #indexOf(target: RenderTarget): number {
    for (let i = 0; i < this.#pages.length; i++) if (this.#pages[i] === target.pages) return i;
    fill(target, 0, 0, target.width, target.height, BLACK);
    if (this.#pages.length === REMEMBERED) {
      this.#pages.shift();
      this.#holds.shift();
    }
    this.#holds.push(-1);
    return this.#pages.push(target.pages) - 1;
  }

  /** In the middle; where the image is smaller (its display has changed), the picture's middle. */
  #draw({ pages, stride, width, height }: RenderTarget): void {
    const picture = this.#pictures;
    const w = Math.min(picture.width, width);
    const h = Math.min(picture.height, height);
    const to = ((height - h) >> 1) * stride + ((width - w) >> 1) * 4;
    const from = ((picture.height - h) >> 1) * picture.stride + ((picture.width - w) >> 1) * 4;
    this.#copier.copyRect(pages, to, stride, picture.pages, from, picture.stride, w * 4, h, CopyStage.upload);
  }
}
