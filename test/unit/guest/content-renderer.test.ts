import { expect, test } from 'vitest';
import { codeBlock } from '../../../core/guest/block-code.ts';
import { ContentRenderer } from '../../../core/guest/content-renderer.ts';
import { VirtualClock } from '../../../core/measure/clock.ts';
import { Copier, copyKernels } from '../../../core/memory/copier.ts';
import { Ledger } from '../../../core/memory/ledger.ts';
import { PictureMaker, PictureTaker, pictureShare } from '../../../core/memory/picture-ring.ts';
import { createSharedMemory, MemoryRegion } from '../../../core/memory/region.ts';
import { SegmentList } from '../../../core/memory/segments.ts';

interface PageCode {
  numberIn(pixels: Uint8ClampedArray, block: number): number | null;
}
/** What the page reads with. */
const page = new URL('../../../workers/stream/page/block-code.js', import.meta.url).href;
const { numberIn } = (await import(page)) as PageCode;
const PAGE = 4096;
const BLACK = 0xff000000;
const GREY = 0x77777777;

/** A buffer whose pages lie in reverse order, or one after the other, of grey. */
function bufferOf(width: number, height: number, scattered = false) {
  const bytes = Math.ceil((width * 4 * height) / PAGE) * PAGE;
  const memory = createSharedMemory(bytes);
  const region = new MemoryRegion({ id: 0, name: 'pixels', kind: 'ram', gpa: 0, size: bytes, device: null, bar: null, memory });
  region.u32.fill(GREY);
  const pages = new SegmentList();
  for (let at = 0; at < bytes; at += PAGE) pages.append(region, scattered ? bytes - PAGE - at : at, PAGE);
  return { pages, width, height, stride: width * 4 };
}
type Target = ReturnType<typeof bufferOf>;

function wordOf({ pages, stride }: Target, x: number, y: number): { words: Uint32Array; index: number } {
  const at = y * stride + x * 4;
  const i = pages.find(at);
  return { words: pages.region[i].u32, index: (pages.offset[i] + at - pages.start[i]) / 4 };
}
function pixelOf(target: Target, x: number, y: number): number {
  const { words, index } = wordOf(target, x, y);
  return words[index];
}

const colourOf = (picture: number, x: number, y: number): number => (BLACK | (picture << 20) | (y << 10) | x) >>> 0;

function rendererOf(width: number, height: number, byTime = true) {
  const share = pictureShare(width, height, 4);
  const maker = new PictureMaker(share);
  const clock = new VirtualClock();
  const renderer = new ContentRenderer(new PictureTaker(share, byTime), clock, new Copier(copyKernels()[0], new Ledger()));
  const add = (due: number): void => {
    const words = new Uint32Array(width * height);
    for (let i = 0; i < words.length; i++) words[i] = colourOf(maker.made, i % width, Math.floor(i / width));
    maker.add(new Uint8Array(words.buffer), width * 4, due);
  };
  add(0);
  return { renderer, clock, add };
}

/** Every pixel but those of the code, and of the stamps in the first column. */
function expectShown(target: Target, picture: number, size: { width: number; height: number }): void {
  const { width, height } = target;
  const block = codeBlock(width, height);
  const w = Math.min(size.width, width);
  const h = Math.min(size.height, height);
  const [left, top] = [(width - w) >> 1, (height - h) >> 1];
  const [fromX, fromY] = [(size.width - w) >> 1, (size.height - h) >> 1];
  const wrong: string[] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 1; x < width; x++) {
      if (x < 18 * block && y < 4 * block) continue;
      const inside = x >= left && x < left + w && y >= top && y < top + h;
      const expected = inside ? colourOf(picture, x - left + fromX, y - top + fromY) : BLACK;
      const found = pixelOf(target, x, y);
      if (found !== expected && wrong.length < 3) wrong.push(`${x},${y}: ${found.toString(16)}, not ${expected.toString(16)}`);
    }
  }
  expect(wrong).toEqual([]);
}

function numberOf(target: Target): number | null {
  const block = codeBlock(target.width, target.height);
  const pixels = new Uint8ClampedArray(16 * block * 2 * block * 4);
  for (let y = 0; y < 2 * block; y++) {
    for (let x = 0; x < 16 * block; x++)
      pixels.fill(pixelOf(target, x + block, y + block) & 0xff, (y * 16 * block + x) * 4, (y * 16 * block + x) * 4 + 4);
  }
  return numberIn(pixels, block);
}

test.each([
  ['as large as the image', 320, 192],
  ['with bars at its sides', 200, 192],
  ['with bars above and below', 320, 99],
  ['larger than the image, whose display was changed', 640, 400],
  ['of a pixel', 1, 1],
])('a picture %s is drawn in the middle, exactly, however pages lie', (_name, width, height) => {
  for (const scattered of [false, true]) {
    const { renderer } = rendererOf(width, height);
    const target = bufferOf(320, 192, scattered);
    renderer.render(target, 41);
    expectShown(target, 0, { width, height });
    expect(numberOf(target)).toBe(41);
    for (let y = 0; y < 192; y++) expect(pixelOf(target, 0, y)).toBe(42);
  }
});

test('the frame number goes on where the picture stays, and a picture is drawn once into each buffer', () => {
  const { renderer, clock, add } = rendererOf(320, 192);
  const [first, second] = [bufferOf(320, 192), bufferOf(320, 192, true)];
  renderer.render(first, 0);
  renderer.render(second, 1);
  const { words, index } = wordOf(first, 200, 150);
  words[index] = GREY;
  for (let frame = 2; frame < 8; frame += 2) {
    renderer.render(first, frame);
    renderer.render(second, frame + 1);
    expect([numberOf(first), numberOf(second), pixelOf(first, 0, 191)]).toEqual([frame, frame + 1, frame + 1]);
  }
  expect(pixelOf(first, 200, 150)).toBe(GREY);
  add(5e6);
  clock.advance(5e6);
  renderer.render(first, 8);
  expectShown(first, 1, { width: 320, height: 192 });
  expectShown(second, 0, { width: 320, height: 192 });
  renderer.render(second, 9);
  expectShown(second, 1, { width: 320, height: 192 });
});

test('a guest with a rate shows what is due; one without a rate a new picture in each frame', () => {
  for (const [byTime, shown] of [
    [true, 0],
    [false, 1],
  ] as const) {
    const { renderer, add } = rendererOf(320, 192, byTime);
    const target = bufferOf(320, 192);
    add(1e9);
    renderer.render(target, 0);
    expectShown(target, shown, { width: 320, height: 192 });
  }
});

test('an image too small for a code has its picture and stamps', () => {
  const { renderer } = rendererOf(32, 32);
  const target = bufferOf(32, 32);
  renderer.render(target, 6);
  expectShown(target, 0, { width: 32, height: 32 });
  expect(pixelOf(target, 0, 31)).toBe(7);
});
