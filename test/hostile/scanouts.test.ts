import { describe, expect, test } from 'vitest';
import { Counter } from '../../core/measure/counters.ts';
import { Command, Format } from '../../core/protocol/constants.ts';
import { VerifySink } from '../../core/sink/verify.ts';
import {
  attach,
  BAR,
  BYTES,
  create2d,
  createBlob,
  cursor,
  detach,
  eachRing,
  entry,
  flush,
  getEdid,
  type HostileCase,
  HostileGuest,
  MIB,
  OK,
  PARAM,
  PIXELS,
  PLACE,
  play,
  RES,
  request,
  SCAN,
  type Step,
  setScanout,
  setScanoutBlob,
  transfer,
  UNSPEC,
  unref,
  withWords,
} from '../support/hostile-guest.ts';
import { frame, HIGH, Rig } from '../unit/host/rig.ts';

const step = (bytes: Uint8Array, answer: Step['answer'], more: Partial<Step> = {}): Step => ({ bytes, answer, ...more });
const pixels = (seed: number): Uint8Array => new Uint8Array(Uint32Array.from({ length: BYTES / 4 }, (_, i) => seed + i).buffer);
const update = (head: number, id: number, answer: Step['answer'], length = 56): Step =>
  step(cursor(Command.UPDATE_CURSOR, head, id).subarray(0, length), answer, { queue: 'cursor' });
const shown2d = [step(create2d(2), OK), step(attach(2), OK), step(setScanout(0, 2), OK)];
const shownBlob = [step(createBlob(2), OK), step(setScanoutBlob(0, 2), OK)];

/** The frame on head 0 is still the one that begins with `seed`. */
const shows =
  (seed: number) =>
  (guest: HostileGuest): void => {
    guest.write(1, PIXELS, pixels(seed));
    guest.attempt(step(flush(2), OK), 'flush');
    expect(guest.sink.last[0]?.length).toBe(4096);
    expect(guest.sink.last[0]?.every((pixel, i) => pixel === seed + i)).toBe(true);
  };

const OUTSIDE: readonly (readonly number[])[] = [
  [1, 0, 64, 64],
  [0, 1, 64, 64],
  [0, 0, 65, 64],
  [0, 0, 64, 65],
  [64, 64, 16, 16],
  [0xfffffff0, 0, 32, 64],
  [0, 0xfffffff0, 64, 32],
  [0x80000000, 0, 0x80000010, 16],
  [0, 0, 0xffffffff, 0xffffffff],
  [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
];

const cases: HostileCase[] = [
  {
    is: 63,
    what: 'a scanout that does not exist',
    steps: [
      ...[2, 16, 0x7fffffff, 0x80000000, 0xffffffff].flatMap((head) => [
        step(setScanout(head, 77), SCAN),
        step(setScanout(head, 0), SCAN),
        step(setScanoutBlob(head, 78), SCAN),
        step(getEdid(head), PARAM),
      ]),
    ],
  },
  {
    is: 63,
    what: 'a scanout rectangle under 16 × 16',
    steps: [
      ...shownBlob,
      ...[
        [0, 0, 15, 64],
        [0, 0, 64, 15],
        [0, 0, 0, 0],
        [0, 0, 16, 0],
        [0, 0, 0, 16],
      ].flatMap((rect) => [step(setScanout(0, 77, rect), PARAM), step(setScanoutBlob(0, 2, { rect }), PARAM)]),
    ],
    after: shows(0x100),
  },
  {
    is: 64,
    what: 'a rectangle outside keeps what was shown (2D)',
    steps: [...shown2d, ...OUTSIDE.map((rect) => step(setScanout(0, 2, rect), PARAM))],
    after: (guest) => {
      guest.write(1, PIXELS, pixels(7));
      guest.attempt(step(transfer(2), OK), 'transfer');
      shows(7)(guest);
    },
  },
  {
    is: 64,
    what: 'a rectangle outside keeps what was shown (blob)',
    steps: [...shownBlob, ...OUTSIDE.map((rect) => step(setScanoutBlob(0, 2, { rect }), PARAM))],
    after: shows(0x200),
  },
  {
    is: 64,
    what: 'a rectangle inside shows just that',
    steps: [step(createBlob(2), OK), step(setScanoutBlob(0, 2, { rect: [8, 4, 16, 16] }), OK)],
    after: (guest) => {
      guest.write(1, PIXELS, pixels(0));
      guest.attempt(step(flush(2), OK), 'flush');
      expect([...(guest.sink.last[0] ?? [])]).toEqual(Array.from({ length: 256 }, (_, i) => (4 + (i >> 4)) * 64 + 8 + (i & 15)));
    },
  },
  {
    is: 65,
    what: 'resource 0 disables, whatever the rest says, twice',
    options: {},
    steps: [
      ...shownBlob,
      step(flush(2), OK),
      step(setScanout(0, 0, [0xffffffff, 1, 2, 3]), OK),
      step(setScanoutBlob(0, 0, { format: 9, stride: 1 }), OK),
      step(flush(2), PARAM),
    ],
    after: (guest) => expect(guest.rig.counters.get(Counter.framesPresented)).toBe(1),
  },
  {
    is: 66,
    what: 'a stride below the width, or an end past the blob in 64 bits',
    steps: [
      ...shownBlob,
      ...[
        { stride: 255 },
        { stride: 0 },
        { stride: 252 },
        { offset: 4 },
        { offset: 1 },
        { offset: BYTES },
        { offset: 0xffffffff },
        { stride: 260 },
        { height: 65, rect: [0, 0, 64, 16] },
        { stride: 0x80000000, height: 3 },
        { stride: 0x40000000, height: 5, rect: [0, 0, 64, 16] },
        { stride: 0xffffffff, height: 0xffffffff },
        { width: 0x40000000, stride: 0 },
        { width: 0x40000040, height: 16, stride: 256, rect: [0, 0, 64, 16] },
        { width: 0 },
        { height: 0 },
        { format: 0 },
        { format: 9 },
        { format: 0xffffffff },
      ].map((options) => step(setScanoutBlob(0, 2, options), PARAM)),
    ],
    after: shows(0x300),
  },
  {
    is: 66,
    what: 'a 2D resource by SET_SCANOUT_BLOB and a blob by SET_SCANOUT',
    steps: [
      ...shownBlob,
      step(setScanoutBlob(0, 77), PARAM),
      step(setScanout(0, 2), UNSPEC),
      step(setScanout(0, 5), RES),
      step(setScanoutBlob(0, 5), RES),
    ],
    after: shows(0x400),
  },
  {
    is: 66,
    what: 'a scanout taller or wider than 16384 px of a page entered over and over',
    options: { udmabuf: { listLimit: 16384, sizeLimitMb: 2048 } },
    steps: [
      step(createBlob(2, { entries: Array.from({ length: 16384 }, () => entry(PLACE, 65536)).flat(), size: BigInt(16384 * 65536) }), OK),
      step(setScanoutBlob(0, 2, { rect: [0, 0, 16, 16385], width: 16, height: 16385, stride: 64 }), PARAM),
      step(setScanoutBlob(0, 2, { rect: [0, 0, 16385, 16], width: 16385, height: 16, stride: 65540 }), PARAM),
      step(setScanoutBlob(0, 2, { rect: [0, 0, 16, 16], width: 16, height: 16777216, stride: 64 }), OK),
    ],
  },
  {
    is: 67,
    what: 'flush of what does not exist',
    steps: [step(flush(5), RES), step(flush(0), RES), step(flush(0xffffffff, [1, 2, 3, 4]), RES)],
  },
  {
    is: 68,
    what: 'flush outside a 2D resource',
    steps: [
      ...shown2d,
      ...OUTSIDE.filter((rect) => rect[0] + rect[2] > 64 || rect[1] + rect[3] > 64).map((rect) => step(flush(2, rect), PARAM)),
    ],
  },
  {
    is: 68,
    what: "a blob's flush need only touch a scanout that shows it",
    steps: [
      ...shownBlob,
      step(flush(2, [0, 0, 0xffffffff, 0xffffffff]), OK),
      step(flush(2, [63, 63, 0xffffffff, 1]), OK),
      step(flush(2, [64, 0, 64, 64]), PARAM),
      step(flush(2, [0, 0xffffffff, 64, 0xffffffff]), PARAM),
      step(flush(78), PARAM),
      step(flush(79), PARAM),
    ],
  },
  {
    is: 68,
    what: 'flush of a detached blob on a scanout, which stays bound',
    steps: [...shownBlob, step(detach(2), OK), step(flush(2), UNSPEC), step(flush(2), UNSPEC), step(attach(2, entry(PLACE, BYTES)), OK)],
    after: shows(0x500),
  },
  {
    is: 69,
    what: 'a cursor that is not 64 × 64, too small a blob, no such resource, no such scanout, a short request',
    steps: [
      step(create2d(2, Format.B8G8R8A8, 64, 63), OK),
      step(create2d(3, Format.B8G8R8A8, 128, 32), OK),
      step(createBlob(4, { entries: entry(PLACE, 12288), size: 12288n }), OK),
      update(0, 2, 'counted'),
      update(0, 3, 'counted'),
      update(0, 4, 'counted'),
      update(0, 5, 'counted'),
      update(2, 77, 'counted'),
      update(0xffffffff, 77, 'counted'),
      update(0, 77, 'counted', 55),
      update(0, 77, 'counted', 24),
      update(0, 77, 'counted', 1),
      step(cursor(Command.MOVE_CURSOR, 16, 0), 'counted', { queue: 'cursor' }),
      step(cursor(0x302, 0, 0), 'counted', { queue: 'cursor' }),
      step(createBlob(5), OK),
      step(detach(5), OK),
      update(0, 5, 'counted'),
    ],
    after: (guest) => expect(guest.rig.device.cursor(0).resourceId).toBe(0),
  },
  {
    is: 69,
    what: 'positions and hot spots are any u32; trailing bytes are ignored',
    options: {},
    steps: [
      step(withWords(request(Command.UPDATE_CURSOR, 0, 0xffffffff, 0x80000000, 7, 0, 0xffffffff, 0xffffffff, 9), [1, 2, 3, 4]), OK, {
        queue: 'cursor',
      }),
    ],
    after: (guest) => {
      expect(guest.rig.counters.get(Counter.cursorErrors)).toBe(0);
      expect(guest.rig.device.cursor(0)).toMatchObject({ x: 0xffffffff, y: 0x80000000, hotX: 0xffffffff });
    },
  },
  {
    is: 70,
    what: 'capsets, which are not offered',
    steps: [0, 1, 0xffffffff].flatMap((index) => [
      step(request(Command.GET_CAPSET_INFO, index, 0), UNSPEC),
      step(request(Command.GET_CAPSET, index, 0xffffffff), UNSPEC),
    ]),
  },
  {
    is: 71,
    what: 'the debug_name of CTX_CREATE, unterminated, not UTF-8 or too long: of a feature that is not offered',
    steps: [0, 64, 65, 0xffffffff].map((length) => step(request(0x200, length, 0, ...new Array<number>(16).fill(0xff1b5b41)), UNSPEC)),
  },
];

eachRing((ring, name) => {
  describe(`scanouts and cursor, ${name}`, () => {
    for (const hostile of cases) test(`${hostile.is}: ${hostile.what}`, () => play(hostile, ring));
  });

  test(`72: a flood of errors is counted, not logged (${name})`, () => {
    const written: string[] = [];
    const streams = [process.stdout, process.stderr];
    const writes = streams.map((stream) => stream.write.bind(stream));
    const guest = new HostileGuest({ ...ring, udmabuf: { listLimit: 1, sizeLimitMb: 64 } });
    const { rig } = guest;
    const before = rig.counters.get(Counter.errorResponses);
    for (const stream of streams) stream.write = (text: string | Uint8Array) => written.push(String(text)) > 0;
    try {
      for (let i = 0; i < 2000; i++) {
        rig.send((w, at) => {
          w.fill(0x41414141, at, at + 24);
          w[at + 1] = 0;
          return 96;
        });
        rig.createBlob(2, [...frame(HIGH + PIXELS), ...frame(HIGH + PIXELS + MIB)]);
        rig.unref(2);
      }
    } finally {
      streams.forEach((stream, i) => {
        stream.write = writes[i];
      });
    }
    expect(written).toEqual([]);
    expect(rig.counters.get(Counter.errorResponses)).toBe(before + 2000);
    expect(rig.counters.get(Counter.importFallbacks)).toBe(2000);
    expect(rig.device.fallbacks.length).toBeLessThanOrEqual(64);
    guest.unharmed();
  });

  test.each([
    ['RAM', HIGH, 1],
    ["a device's memory", BAR, 2],
  ])(`73: pixels in %s rewritten after the flush are a torn frame, never a crash (${name})`, (_name, base, region) => {
    const rig = new Rig({
      ...ring,
      scanoutNs: 1000,
      makeSink: (heads, counters) => new VerifySink({ heads, counters, periodNs: 0, phaseNs: 0, scanoutNs: 1000, crcEvery: 1 }),
    });
    expect(rig.createBlob(2, frame(base + PIXELS))).toBe(OK);
    expect(rig.setScanoutBlob(0, 2)).toBe(OK);
    const counted = (): number[] => [rig.counters.get(Counter.framesVerified), rig.counters.get(Counter.framesTorn)];
    rig.flush(2, { fenced: true });
    rig.advance(1000);
    expect(counted()).toEqual([1, 0]);
    rig.flush(2, { fenced: true });
    // No row stamp: only the CRC tells.
    rig.regions[region].u32[PIXELS / 4 + 64 * 20 + 5] = 0xdeadbeef;
    rig.advance(1000);
    expect(counted()).toEqual([2, 1]);
    rig.flush(2, { fenced: true });
    rig.regions[region].u32.fill(0x77777777, PIXELS / 4, PIXELS / 4 + 64);
    rig.advance(1000);
    expect(counted()).toEqual([3, 2]);
    expect(rig.unref(2)).toBe(OK);
    expect(rig.device.needsReset).toBe(false);
    expect(rig.serves()).toBe(true);
  });
});

test('52: unref of what two scanouts show disables both', () => {
  const guest = new HostileGuest();
  for (const s of [
    step(createBlob(2), OK),
    step(setScanoutBlob(0, 2), OK),
    step(setScanoutBlob(1, 2), OK),
    step(flush(2), OK),
    step(unref(2), OK),
  ])
    guest.attempt(s, '52');
  expect(guest.sink.last.map((last) => last?.length)).toEqual([4096, 4096]);
  guest.unharmed();
});
