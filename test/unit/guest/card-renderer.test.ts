import { expect, test } from 'vitest';
import { codeBits, codeBlock } from '../../../core/guest/block-code.ts';
import { CardRenderer, clockArea } from '../../../core/guest/card-renderer.ts';
import { VirtualClock } from '../../../core/measure/clock.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';

interface PageCode {
  codeBlock(width: number, height: number): number;
  numberIn(pixels: Uint8ClampedArray, block: number): number | null;
}
/** What the page reads with. */
const page = new URL('../../../workers/stream/page/block-code.js', import.meta.url).href;
const { codeBlock: pageBlock, numberIn } = (await import(page)) as PageCode;
const PAGE = 4096;

/** A buffer whose pages lie in reverse order, or one after the other. */
function bufferOf(width: number, height: number, scattered: boolean) {
  const bytes = Math.ceil((width * 4 * height) / PAGE) * PAGE;
  const memory = createSharedMemory(bytes);
  const region = new MemoryRegion({ id: 0, name: 'pixels', kind: 'ram', gpa: 0, size: bytes, device: null, bar: null, memory });
  const pages = new SegmentList();
  for (let at = 0; at < bytes; at += PAGE) pages.append(region, scattered ? bytes - PAGE - at : at, PAGE);
  return { pages, width, height, stride: width * 4 };
}

function pixelOf({ pages, stride }: ReturnType<typeof bufferOf>, x: number, y: number): number {
  const at = y * stride + x * 4;
  const i = pages.find(at);
  return pages.region[i].u32[(pages.offset[i] + at - pages.start[i]) / 4];
}

/** The code's RGBA, as the page has it. */
function codeOf(buffer: ReturnType<typeof bufferOf>): { pixels: Uint8ClampedArray; block: number } {
  const block = codeBlock(buffer.width, buffer.height);
  const pixels = new Uint8ClampedArray(16 * block * 2 * block * 4);
  for (let y = 0; y < 2 * block; y++) {
    for (let x = 0; x < 16 * block; x++)
      pixels.fill(pixelOf(buffer, x + block, y + block) & 0xff, (y * 16 * block + x) * 4, (y * 16 * block + x) * 4 + 4);
  }
  return { pixels, block };
}

test.each([[false], [true]])('the page reads the frame number that the card shows, however its pages lie (scattered: %s)', (scattered) => {
  const renderer = new CardRenderer(new VirtualClock());
  const buffer = bufferOf(640, 360, scattered);
  for (const frame of [0, 1, 2, 255, 256, 65_535, 65_536, 2 ** 24 - 1, 5]) {
    renderer.render(buffer, frame);
    const { pixels, block } = codeOf(buffer);
    expect(numberIn(pixels, block)).toBe(frame);
    expect(pixelOf(buffer, 0, 100)).toBe(frame + 1);
  }
});

test('a code of which one block is wrong is no number', () => {
  const renderer = new CardRenderer(new VirtualClock());
  const buffer = bufferOf(640, 360, false);
  renderer.render(buffer, 4711);
  const { pixels, block } = codeOf(buffer);
  for (let bit = 0; bit < 32; bit++) {
    const wrong = pixels.slice();
    const left = (bit % 16) * block;
    const top = Math.floor(bit / 16) * block;
    for (let y = top; y < top + block; y++) for (let i = 0; i < block * 4; i++) wrong[(y * 16 * block + left) * 4 + i] ^= 0xff;
    expect(numberIn(wrong, block)).toBe(null);
  }
});

test('the number begins anew after 2^24, and page and guest agree on where it stands at every size', () => {
  expect(codeBits(2 ** 24 + 7)).toBe(codeBits(7));
  for (let width = 32; width <= 4096; width += 37)
    for (let height = 32; height <= 2304; height += 61) expect(pageBlock(width, height)).toBe(codeBlock(width, height));
  expect(codeBlock(64, 64)).toBe(0);
  expect(codeBlock(3840, 2160)).toBe(16);
});

test('two drawings of one frame differ in the clock alone, and every buffer shows the whole card', () => {
  const clock = new VirtualClock();
  const renderer = new CardRenderer(clock);
  const [first, second] = [bufferOf(640, 360, false), bufferOf(640, 360, true)];
  renderer.render(first, 41);
  renderer.render(first, 42);
  clock.advance(61_234e6);
  renderer.render(second, 42);
  const area = clockArea(640, 360);
  let differ = 0;
  for (let y = 0; y < 360; y++) {
    for (let x = 0; x < 640; x++) {
      if (pixelOf(first, x, y) === pixelOf(second, x, y)) continue;
      expect(x >= area.left && x < area.left + area.width && y >= area.top && y < area.top + area.height).toBe(true);
      differ++;
    }
  }
  expect(differ).toBeGreaterThan(0);
});

test('a card of the least size is drawn, without a code', () => {
  expect(() => new CardRenderer(new VirtualClock()).render(bufferOf(32, 32, false), 1)).not.toThrow();
});
