import { expect, test } from 'vitest';
import { VirtualClock } from '../../../core/measure/clock.ts';
import { PictureMaker, PictureTaker, pictureShare, stopPictures } from '../../../core/memory/picture-ring.ts';
import { Player } from '../../../workers/content/player.ts';

const MS = 1e6;
const PICTURE = 40 * MS;

/**
 * A film of `pictures` pictures, 25 a second, played on a clock that the test moves. At each step of the decoder
 * `during` says what happens meanwhile; pictures in the ring are the film's numbers.
 */
function play(
  options: { pictures: number; paced?: boolean; isStill?: boolean; rounds?: number; slots?: number },
  during: (rig: Rig) => void,
) {
  const { pictures, paced = true, isStill = false, rounds = 1, slots = 8 } = options;
  const share = pictureShare(1, 1, slots);
  const clock = new VirtualClock();
  const maker = new PictureMaker(share);
  const taker = new PictureTaker(share, paced);
  const seen: number[] = [];
  const bytes = new Uint8Array(64);
  let at = -1;
  const rig: Rig = {
    clock,
    look() {
      clock.read();
      taker.take(clock.slot);
      const picture = taker.pages.region[0].u8[taker.pages.offset[0]];
      if (seen.at(-1) !== picture) seen.push(picture);
      return picture;
    },
    stop: () => stopPictures(share),
    hasRoom: () => maker.hasRoom,
  };
  const film = {
    frame: null as never,
    get atNs() {
      return at * PICTURE;
    },
    lengthNs: pictures * PICTURE,
    step(): 'picture' | 'end' {
      during(rig);
      return ++at < pictures ? 'picture' : 'end';
    },
  };
  const player = new Player({ maker, clock, paced, isStill, scaler: { bytes, stride: 64, convert: () => bytes.fill(at) } });
  let ready = 0;
  for (let round = 0; round < rounds && !player.isDone; round++) {
    at = -1;
    player.playOnce(film, () => ready++);
  }
  expect(ready).toBe(1);
  return { seen, maker, player, clock, rig };
}
interface Rig {
  readonly clock: VirtualClock;
  /** The guest draws a frame. @returns the film's picture that it shows */
  readonly look: () => number;
  readonly stop: () => void;
  readonly hasRoom: () => boolean;
}

test('a guest that looks more often than pictures change sees each of them, once', () => {
  const { seen, maker } = play({ pictures: 30 }, ({ clock, look }) => {
    for (let i = 0; i < 4; i++) {
      clock.advance(10 * MS);
      look();
    }
  });
  expect(maker.made).toBe(30);
  expect(seen).toEqual(Array.from({ length: seen.length }, (_, i) => i));
  expect(seen.length).toBeGreaterThanOrEqual(29);
});

test('a guest that looks seldom sees the film where it is by then: pictures that are past are left out', () => {
  // A decoder of 4 ms a picture; looked at every 400 ms, which is ten pictures, more than there is room for.
  let nextLook = 400 * MS;
  const shown: [number, number][] = [];
  const { maker } = play({ pictures: 100, slots: 4 }, ({ clock, look, hasRoom }) => {
    clock.advance(4 * MS);
    clock.read();
    if (clock.slot[0] < nextLook && hasRoom()) return;
    clock.advanceTo(nextLook);
    shown.push([look(), nextLook / PICTURE]);
    nextLook += 400 * MS;
  });
  expect(maker.made).toBeLessThan(100);
  // What is shown was due at most a look before, and never before it was due.
  for (const [picture, due] of shown) {
    expect(picture).toBeLessThanOrEqual(due);
    expect(picture).toBeGreaterThan(due - 12);
  }
  expect(shown.length).toBeGreaterThan(8);
});

test('a decoder that is slower than the film shows what it has, each picture when it is there, and the guest never waits', () => {
  const { seen, maker } = play({ pictures: 20 }, ({ clock, look }) => {
    for (let i = 0; i < 10; i++) {
      clock.advance(10 * MS);
      look();
    }
  });
  expect(maker.made).toBe(20);
  expect(seen).toEqual(Array.from({ length: seen.length }, (_, i) => i));
});

test('after a long stop the film goes on where it stood', () => {
  let steps = 0;
  const { maker } = play({ pictures: 14 }, ({ clock, look }) => {
    clock.advance(++steps === 7 ? 3600e9 : 20 * MS);
    if (steps % 2 === 0) look();
  });
  expect(maker.made).toBe(14);
});

test('a film begins again when its last picture has lasted', () => {
  const { seen } = play({ pictures: 5, rounds: 3 }, ({ clock, look, hasRoom }) => {
    do {
      clock.advance(10 * MS);
      clock.read();
      expect(look()).toBe(Math.floor(clock.slot[0] / PICTURE) % 5);
    } while (!hasRoom());
  });
  expect(seen.length).toBeGreaterThan(5);
});

test('without a time each frame of the guest takes the next picture, and none is left out', () => {
  const { seen, maker } = play({ pictures: 20, paced: false }, ({ clock, look }) => {
    clock.advance(10_000 * MS);
    look();
    look();
  });
  expect(maker.made).toBe(20);
  expect(seen).toEqual(Array.from({ length: seen.length }, (_, i) => i));
});

test('of a still picture one is made, and whoever waits for it is not kept', () => {
  const { maker, player } = play({ pictures: 1, isStill: true, slots: 1, rounds: 5 }, () => {});
  expect([maker.made, player.isDone]).toEqual([1, true]);
});

test('it ends when nobody takes pictures any more, also where it waits for room', () => {
  let steps = 0;
  const { maker, player } = play({ pictures: 1000 }, ({ stop }) => {
    if (++steps === 8) stop();
  });
  expect([maker.made, player.isDone]).toEqual([7, true]);
});
