import type { Clock } from '../measure/clock.ts';
import type { SegmentList } from '../memory/segments.ts';
import { codeBlock } from './block-code.ts';
import { BLACK, drawCode, fill, WHITE } from './drawing.ts';
import { type Renderer, type RenderTarget, Rows, stamp } from './renderer.ts';

/** XRGB8888: white, yellow, cyan, green, magenta, red, blue, black at 75 %, as colour bars have them. */
const BARS = [0xffbfbfbf, 0xffbfbf00, 0xff00bfbf, 0xff00bf00, 0xffbf00bf, 0xffbf0000, 0xff0000bf, 0xff101010];
const TRACK = 0xff303030;
const GREY_STEPS = 16;
/** Segments of each digit: top, upper left, upper right, middle, lower left, lower right, bottom; bit 0 first. */
const DIGITS = [0x77, 0x24, 0x5d, 0x6d, 0x2e, 0x6b, 0x7b, 0x25, 0x7f, 0x6f];
/** A digit's width with its distance to the next, in its stroke's width. */
const DIGIT_PITCH = 5;
const CLOCK_DIGITS = 7;
const FRAME_DIGITS = 7;
/** Buffers whose still part is remembered as drawn. */
const REMEMBERED = 64;

/**
 * A moving test card: colour bars and greys that stand still, a box that moves, the frame's number as a block code (block-code.ts)
 * and in digits, and a clock of minutes, seconds and milliseconds. What stands still is drawn into each buffer once.
 */
export class CardRenderer implements Renderer {
  readonly name = 'card';
  readonly #clock: Clock;
  readonly #rows = new Rows(null);
  readonly #drawn: SegmentList[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  render(target: RenderTarget, frame: number): void {
    const { width, height } = target;
    if (this.#drawn.indexOf(target.pages) < 0) {
      drawStill(target);
      if (this.#drawn.length === REMEMBERED) this.#drawn.shift();
      this.#drawn.push(target.pages);
    }
    const track = Math.floor(height / 8);
    const box = Math.floor(width / 16);
    fill(target, 0, height - 2 * track, width, track, TRACK);
    fill(target, (frame * 8) % (width - box), height - 2 * track, box, track, WHITE);
    const block = codeBlock(width, height);
    if (block > 0) {
      drawCode(target, block, frame);
      this.#drawDigits(target, block, frame);
    }
    stamp(this.#rows.of(target), (frame + 1) >>> 0);
  }

  /** Below the code: the clock, and the frame's number. */
  #drawDigits(target: RenderTarget, block: number, frame: number): void {
    const { top, stroke } = clockArea(target.width, target.height);
    this.#clock.read();
    const ms = Math.floor(this.#clock.slot[0] / 1e6);
    const shown = (Math.floor(ms / 60_000) % 100) * 100_000 + (ms % 60_000);
    drawNumber(target, block, top, stroke, shown, CLOCK_DIGITS);
    drawNumber(target, block, top + 9 * stroke, stroke, frame, FRAME_DIGITS);
  }
}

/** Where the clock is drawn, pixels: all that two drawings of one frame may differ in. */
export function clockArea(width: number, height: number): { left: number; top: number; width: number; height: number; stroke: number } {
  const block = codeBlock(width, height);
  const stroke = block / 4;
  return { left: 0, top: 4 * block, width: 2 * block + CLOCK_DIGITS * DIGIT_PITCH * stroke, height: 9 * stroke, stroke };
}

function drawStill(target: RenderTarget): void {
  const { width, height } = target;
  for (let i = 0; i < BARS.length; i++) {
    const left = Math.floor((i * width) / BARS.length);
    fill(target, left, 0, Math.floor(((i + 1) * width) / BARS.length) - left, height, BARS[i]);
  }
  const greys = Math.floor(height / 8);
  for (let i = 0; i < GREY_STEPS; i++) {
    const left = Math.floor((i * width) / GREY_STEPS);
    const grey = Math.round((i * 255) / (GREY_STEPS - 1));
    const colour = (0xff000000 | (grey << 16) | (grey << 8) | grey) >>> 0;
    fill(target, left, height - greys, Math.floor(((i + 1) * width) / GREY_STEPS) - left, greys, colour);
  }
}

/** The last `digits` digits of a number, in segments, on a black ground. */
function drawNumber(target: RenderTarget, left: number, top: number, stroke: number, value: number, digits: number): void {
  fill(target, 0, top, 2 * left + digits * DIGIT_PITCH * stroke, 9 * stroke, BLACK);
  let rest = value;
  for (let i = digits - 1; i >= 0; i--) {
    drawDigit(target, left + i * DIGIT_PITCH * stroke, top + stroke, stroke, DIGITS[rest % 10]);
    rest = Math.floor(rest / 10);
  }
}

function drawDigit(target: RenderTarget, x: number, y: number, s: number, segments: number): void {
  if ((segments & 1) !== 0) fill(target, x, y, 4 * s, s, WHITE);
  if ((segments & 2) !== 0) fill(target, x, y, s, 4 * s, WHITE);
  if ((segments & 4) !== 0) fill(target, x + 3 * s, y, s, 4 * s, WHITE);
  if ((segments & 8) !== 0) fill(target, x, y + 3 * s, 4 * s, s, WHITE);
  if ((segments & 16) !== 0) fill(target, x, y + 3 * s, s, 4 * s, WHITE);
  if ((segments & 32) !== 0) fill(target, x + 3 * s, y + 3 * s, s, 4 * s, WHITE);
  if ((segments & 64) !== 0) fill(target, x, y + 6 * s, 4 * s, s, WHITE);
}
