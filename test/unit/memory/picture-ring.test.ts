import { expect, test } from 'vitest';
import { PictureMaker, PictureTaker, pictureBytes, pictureShare, stopPictures } from '../../../core/memory/picture-ring.ts';

const WIDTH = 5;
const HEIGHT = 3;
const SLOTS = 4;

/** A ring into which pictures of one colour, their number, go. */
function ring(byTime = true) {
  const share = pictureShare(WIDTH, HEIGHT, SLOTS);
  const maker = new PictureMaker(share);
  const taker = new PictureTaker(share, byTime);
  const now = new Float64Array(1);
  const add = (due: number): void => maker.add(new Uint8Array(WIDTH * 4 * HEIGHT).fill(maker.made), WIDTH * 4, due);
  /** The number that the shown picture's pixels spell. */
  const seen = (): number => {
    const { region, offset } = taker.pages;
    const values = new Set<number>();
    for (let y = 0; y < HEIGHT; y++) for (let x = 0; x < WIDTH * 4; x++) values.add(region[0].u8[offset[0] + y * taker.stride + x]);
    expect(values.size).toBe(1);
    return values.values().next().value ?? -1;
  };
  const at = (ns: number): number => {
    now[0] = ns;
    taker.take(now);
    expect(taker.number).toBe(seen());
    return taker.number;
  };
  return { share, maker, taker, add, at };
}

test('by time the newest picture that is due is shown; what is past goes, and the last one stays', () => {
  const { add, at } = ring();
  for (const due of [0, 10, 20, 30]) add(due);
  expect([at(0), at(9), at(10), at(29), at(1000), at(2000)]).toEqual([0, 0, 1, 2, 3, 3]);
});

test('without time each take shows the next picture, and the last one stays', () => {
  const { add, at } = ring(false);
  for (const due of [0, 1e12, 2e12]) add(due);
  expect([at(0), at(0), at(0)]).toEqual([1, 2, 2]);
  add(0);
  expect(at(0)).toBe(3);
});

test('there is room for a picture as soon as one is past, and the shown one is never written over', () => {
  const { maker, add, at } = ring();
  for (let i = 0; i < 200; i++) {
    expect(maker.waitForRoom()).toBe(true);
    add(i);
    expect(at(i)).toBe(i);
    expect(maker.isDrained).toBe(true);
  }
  for (let ahead = 0; ahead < SLOTS - 1; ahead++) {
    expect(maker.waitForRoom()).toBe(true);
    add(1e9);
    expect(at(200)).toBe(199);
    expect(maker.isDrained).toBe(false);
  }
  expect(maker.hasRoom).toBe(false);
});

test('whoever waits for room is told that nobody takes any more', () => {
  const { share, maker, add } = ring();
  for (let i = 0; i < SLOTS; i++) add(i);
  stopPictures(share);
  expect([maker.waitForRoom(), maker.stopRequested]).toEqual([false, true]);
});

test('a taker that follows another one goes on where that was', () => {
  const { share, add, at } = ring();
  for (const due of [0, 10, 20]) add(due);
  at(10);
  const next = new PictureTaker(share, true);
  expect(next.number).toBe(1);
  next.take(Float64Array.of(20));
  expect(next.number).toBe(2);
});

test('rows may lie further apart where they come from', () => {
  const share = pictureShare(WIDTH, HEIGHT, 1);
  const from = new Uint8Array(64 * HEIGHT + 64).fill(7);
  for (let y = 0; y < HEIGHT; y++) from.fill(y + 1, y * 96, y * 96 + WIDTH * 4);
  new PictureMaker(share).add(from, 96, 0);
  const { pages, stride } = new PictureTaker(share, true);
  for (let y = 0; y < HEIGHT; y++)
    expect([...pages.region[0].u8.slice(y * stride, y * stride + WIDTH * 4)]).toEqual(new Array(WIDTH * 4).fill(y + 1));
});

test('a picture takes whole pages, and its rows whole vectors', () => {
  expect(pictureBytes(WIDTH, HEIGHT, 3)).toBe(3 * 4096);
  expect(pictureBytes(1920, 1080, 1)).toBe(Math.ceil((1920 * 4 * 1080) / 4096) * 4096);
  expect(pictureShare(WIDTH, HEIGHT, 1).stride).toBe(64);
});
