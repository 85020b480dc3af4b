import { describe, expect, test } from 'vitest';
import { Counter } from '../../core/measure/counters.ts';
import { CopyStage } from '../../core/memory/ledger.ts';
import { Command, Format } from '../../core/protocol/constants.ts';
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
  HIGH,
  type HostileCase,
  HostileGuest,
  MIB,
  OK,
  OOM,
  PARAM,
  PIXELS,
  PLACE,
  play,
  RES,
  request,
  type Step,
  setScanout,
  setScanoutBlob,
  transfer,
  UNSPEC,
  unref,
} from '../support/hostile-guest.ts';

const step = (bytes: Uint8Array, answer: Step['answer'], more: Partial<Step> = {}): Step => ({ bytes, answer, ...more });
const pixels = (seed: number): Uint8Array => new Uint8Array(Uint32Array.from({ length: BYTES / 4 }, (_, i) => seed + i).buffer);
const copied = (guest: HostileGuest): number => guest.rig.counters.get(Counter.importFallbacks);
/** The words of the newest host image: of the resource made last. */
const image = (guest: HostileGuest): Uint32Array => {
  const last = [...guest.rig.images].at(-1);
  if (last === undefined) throw new Error('the host has no image');
  return last.u32;
};

/** `count` entries of `length` bytes that lie apart. */
const apart = (count: number, address: number = PLACE, length = 4096): number[] =>
  Array.from({ length: count }, (_, i) => entry(address + i * 2 * 4096, length)).flat();
const pair = (bad: number[]): number[] => [...entry(PLACE, BYTES), ...bad];

/** Entries that lie in no memory, each with its reason. */
const BAD_ENTRIES: readonly [what: string, words: number[]][] = [
  ['of length 0', entry(PLACE, 0)],
  ['in the hole', entry(2048 * MIB, 4096)],
  ['one byte past its region', entry(HIGH + 12 * MIB - 4095, 4096)],
  ['over the end of one region', entry(HIGH + 12 * MIB - 4096, 8192)],
  ['before its region', entry(HIGH - 1, 2)],
  ['that wraps 2^64', entry(2n ** 64n - 4096n, 8192)],
  ['at 2^53', entry(2n ** 53n, 4096)],
  ['that ends past 2^53', entry(2n ** 53n - 1n, 4096)],
  ['at 2^64 − 1', entry(2n ** 64n - 1n, 1)],
  ['of 2^32 − 1 bytes', entry(HIGH, 0xffffffff)],
  ['at 2^32 · k that is 0 in 32 bits', entry(2n ** 40n, 4096)],
];

const COMMANDS_OF_AN_ID: readonly ((id: number) => Uint8Array)[] = [
  unref,
  attach,
  detach,
  transfer,
  flush,
  (id) => setScanout(0, id),
  (id) => setScanoutBlob(0, id),
];

const cases: HostileCase[] = [
  {
    is: 40,
    what: 'id 0',
    steps: [
      step(create2d(0), RES),
      step(createBlob(0), RES),
      step(unref(0), RES),
      step(attach(0), RES),
      step(detach(0), RES),
      step(transfer(0), RES),
      step(flush(0), RES),
    ],
  },
  {
    is: 41,
    what: 'a duplicate id, of the same and of the other kind',
    steps: [
      step(create2d(2), OK),
      step(create2d(2), RES),
      step(createBlob(2), RES),
      step(createBlob(3), OK),
      step(createBlob(3), RES),
      step(create2d(3), RES),
      step(create2d(77), RES),
      step(createBlob(77), RES),
      step(create2d(78), RES),
      step(createBlob(79), RES),
    ],
  },
  {
    is: 41,
    what: 'ids of 2^31 and 2^32 − 1 are ids as any other',
    steps: [0x80000000, 0xffffffff].flatMap((id) => [
      step(create2d(id), OK),
      step(create2d(id), RES),
      step(attach(id), OK),
      step(transfer(id), OK),
      step(unref(id), OK),
      step(unref(id), RES),
    ]),
  },
  {
    is: 42,
    what: 'a format that is none',
    steps: [0, 5, 66, 69, 120, 135, 0x10002, 0xffffffff].map((format) => step(create2d(2, format), PARAM)),
  },
  {
    is: 43,
    what: 'width or height 0',
    steps: [step(create2d(2, 2, 0, 64), PARAM), step(create2d(2, 2, 64, 0), PARAM), step(create2d(2, 2, 0, 0), PARAM)],
  },
  {
    is: 44,
    what: 'sizes that are small in 32 or 64 bits, or past the budget',
    steps: [
      [0x10000, 0x10000],
      [0x8000, 0x8000],
      [0x40000000, 1],
      [1, 0x40000000],
      [0x40000001, 4],
      [0xffffffff, 0xffffffff],
      [0x80000000, 0x80000000],
      [8192, 2049],
    ].map(([width, height]) => step(create2d(2, 2, width, height), OOM)),
  },
  {
    is: 44,
    what: 'a copy past the budget',
    options: { udmabuf: { listLimit: 1, sizeLimitMb: 64 } },
    steps: [step(createBlob(2, { entries: apart(20).map((word, i) => (i % 4 === 2 ? 4 * MIB : word)), size: BigInt(80 * MIB) }), OOM)],
  },
  {
    is: 44,
    what: 'the host has no memory',
    options: { udmabuf: { listLimit: 1, sizeLimitMb: 64 } },
    steps: [step(createBlob(2, { entries: apart(4) }), OK)],
    after: (guest) => expect(copied(guest)).toBe(1),
  },
  {
    is: 45,
    what: 'a flood of images ends at the budget, not before',
    options: { maxHostmem: 10 * BYTES },
    steps: [
      ...Array.from({ length: 9 }, (_, i) => step(create2d(i + 2), OK)),
      step(create2d(11), OOM),
      step(create2d(12, 2, 1, 1), OOM),
      step(unref(2), OK),
      step(create2d(11), OK),
      step(create2d(12), OOM),
      step(unref(3), OK),
    ],
  },
  {
    is: 46,
    what: 'more entries than 16384, none of them there',
    steps: [16385, 0x7fffffff, 0x80000000, 0xffffffff, 0x10000001].flatMap((count) => [
      step(attach(77, entry(PLACE, BYTES), count), UNSPEC),
      step(createBlob(2, { count }), UNSPEC),
    ]),
  },
  {
    is: 46,
    what: '16385 entries that are all there',
    steps: [
      step(create2d(2), OK),
      step(attach(2, Array.from({ length: 16385 }, () => entry(PLACE, 1)).flat()), UNSPEC),
      step(attach(2, Array.from({ length: 16384 }, () => entry(PLACE, 1)).flat()), OK),
    ],
  },
  {
    is: 47,
    what: 'fewer entries than claimed',
    steps: [
      step(create2d(2), OK),
      step(attach(2, entry(PLACE, BYTES), 2), UNSPEC),
      step(attach(2, [], 1), UNSPEC),
      step(createBlob(3, { count: 2 }), UNSPEC),
      step(attach(2).subarray(0, 47), UNSPEC),
      step(createBlob(3).subarray(0, 71), UNSPEC),
      step(createBlob(3, { entries: [], count: 1 }), UNSPEC),
    ],
  },
  { is: 47, what: 'no entry at all', steps: [step(create2d(2), OK), step(attach(2, []), UNSPEC)] },
  ...BAD_ENTRIES.map(
    ([what, bad]): HostileCase => ({
      is: 48,
      what: `an entry ${what}: all or nothing`,
      steps: [
        step(create2d(2), OK),
        step(attach(2, pair(bad)), UNSPEC),
        step(attach(2, [...bad, ...entry(PLACE, BYTES)]), UNSPEC),
        step(transfer(2), UNSPEC),
        step(createBlob(3, { entries: pair(bad) }), UNSPEC),
        step(setScanoutBlob(0, 3), RES),
        step(attach(2), OK),
      ],
    }),
  ),
  {
    is: 49,
    what: 'attach twice keeps the old backing',
    steps: [step(create2d(2), OK), step(attach(2), OK), step(attach(2, entry(PLACE + MIB, BYTES)), UNSPEC)],
    after: (guest) => {
      guest.write(1, PIXELS, pixels(0x5000));
      guest.write(1, PIXELS + MIB, pixels(0x9000));
      guest.attempt(step(transfer(2), OK), 'transfer');
      expect([image(guest)[0], image(guest)[4095]]).toEqual([0x5000, 0x5000 + 4095]);
    },
  },
  {
    is: 49,
    what: 'attach to a blob that has its pages',
    steps: [
      step(createBlob(2), OK),
      step(attach(2, entry(PLACE + MIB, BYTES)), UNSPEC),
      step(attach(78), UNSPEC),
      step(attach(79), UNSPEC),
    ],
    after: (guest) => {
      guest.write(1, PIXELS, pixels(0x5000));
      guest.attempt(step(setScanoutBlob(0, 2), OK), 'set scanout');
      guest.attempt(step(flush(2), OK), 'flush');
      expect(guest.sink.last[0]?.[0]).toBe(0x5000);
    },
  },
  {
    is: 50,
    what: 'detach of what has no backing, twice',
    steps: [
      step(create2d(2), OK),
      step(detach(2), UNSPEC),
      step(attach(2), OK),
      step(detach(2), OK),
      step(detach(2), UNSPEC),
      step(createBlob(3), OK),
      step(detach(3), OK),
      step(detach(3), UNSPEC),
      step(setScanoutBlob(0, 3), UNSPEC),
      step(attach(3), OK),
    ],
  },
  {
    is: 51,
    what: 'unref of backed resources',
    steps: [
      step(create2d(2), OK),
      step(attach(2), OK),
      step(unref(2), OK),
      step(createBlob(2), OK),
      step(unref(2), OK),
      step(createBlob(2, { entries: entry(BAR + PIXELS, BYTES) }), OK),
      step(unref(2), OK),
      step(unref(2), RES),
    ],
  },
  {
    is: 52,
    what: 'unref while scanned out disables the scanout',
    options: {},
    steps: [
      step(createBlob(2), OK),
      step(setScanoutBlob(0, 2), OK),
      step(flush(2), OK),
      step(unref(2), OK),
      step(flush(2), RES),
      step(create2d(2), OK),
      step(flush(2), OK),
    ],
    after: (guest) => expect(guest.rig.counters.get(Counter.framesPresented)).toBe(1),
  },
  {
    is: 53,
    what: 'unref while the sink reads it: doomed, freed at the last release',
    options: { scanoutNs: 1000, udmabuf: { listLimit: 1, sizeLimitMb: 64 } },
    steps: [
      step(createBlob(2, { entries: apart(4) }), OK),
      step(setScanoutBlob(0, 2), OK),
      step(flush(2), 'later'),
      step(unref(2), 'later'),
      step(create2d(2), 'later'),
      step(unref(2), 'later'),
    ],
    after: (guest) => {
      expect(guest.rig.images.size, 'the image of the doomed one is still read').toBe(2);
      expect([...guest.pass(999), ...guest.pass(1)]).toEqual([OK, OK, OK, OK]);
      expect(guest.rig.images.size).toBe(1);
    },
  },
  {
    is: 54,
    what: 'use after unref',
    steps: [
      step(create2d(2), OK),
      step(attach(2), OK),
      step(setScanout(0, 2), OK),
      step(unref(2), OK),
      ...COMMANDS_OF_AN_ID.map((make) => step(make(2), RES)),
      step(createBlob(2), OK),
      step(setScanoutBlob(0, 2), OK),
      step(unref(2), OK),
      ...COMMANDS_OF_AN_ID.map((make) => step(make(2), RES)),
      step(cursor(Command.UPDATE_CURSOR, 0, 2), 'counted', { queue: 'cursor' }),
    ],
  },
  {
    is: 55,
    what: 'transfer from what has no backing',
    steps: [step(create2d(2), OK), step(transfer(2), UNSPEC), step(createBlob(3), OK), step(detach(3), OK), step(transfer(3), UNSPEC)],
  },
  {
    is: 56,
    what: 'a rectangle outside',
    steps: [
      step(create2d(2), OK),
      step(attach(2), OK),
      ...[
        [1, 0, 64, 64],
        [0, 1, 64, 64],
        [0, 0, 65, 64],
        [0, 0, 64, 65],
        [64, 0, 1, 1],
        [0xffffffff, 0, 2, 1],
        [0, 0xffffffff, 1, 2],
        [0x80000000, 0, 0x80000000, 1],
        [0, 0x80000040, 64, 0x80000000],
        [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      ].map((rect) => step(transfer(2, rect), PARAM)),
    ],
    after: (guest) => expect(image(guest).every((word) => word === 0)).toBe(true),
  },
  {
    is: 57,
    what: 'an offset past the backing, never partial',
    steps: [
      step(create2d(2), OK),
      step(attach(2), OK),
      ...[4n, 256n, BigInt(BYTES), 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n - BigInt(BYTES)].map((offset) =>
        step(transfer(2, [0, 0, 64, 64], offset), PARAM),
      ),
      step(transfer(2, [0, 63, 64, 1], BigInt(BYTES - 255)), PARAM),
      step(transfer(2, [0, 0, 1, 64], BigInt(BYTES - 63 * 256 - 3)), PARAM),
    ],
    after: (guest) => {
      expect(image(guest).every((word) => word === 0)).toBe(true);
      guest.attempt(step(transfer(2, [0, 63, 64, 1], BigInt(BYTES - 256)), OK), 'the last row');
      guest.attempt(step(transfer(2, [0, 0, 1, 64], BigInt(BYTES - 63 * 256 - 4)), OK), 'the last pixel of each row');
    },
  },
  {
    is: 57,
    what: 'a backing smaller than the image',
    steps: [
      step(create2d(2), OK),
      step(attach(2, entry(PLACE, 100)), OK),
      step(transfer(2), PARAM),
      step(transfer(2, [0, 0, 26, 1]), PARAM),
      step(transfer(2, [0, 0, 25, 1]), OK),
      step(transfer(2, [0, 0, 1, 2]), PARAM),
    ],
  },
  {
    is: 57,
    what: 'source of row r is offset + r · stride, not y · stride + x · 4',
    steps: [step(create2d(2), OK), step(attach(2), OK)],
    after: (guest) => {
      guest.write(1, PIXELS, pixels(0));
      guest.attempt(step(transfer(2, [8, 2, 4, 3], 40n), OK), 'transfer');
      const words = image(guest);
      for (let y = 0; y < 64; y++) {
        for (let x = 0; x < 64; x++) {
          const inside = x >= 8 && x < 12 && y >= 2 && y < 5;
          expect(words[y * 64 + x], `${x},${y}`).toBe(inside ? 10 + (y - 2) * 64 + (x - 8) : 0);
        }
      }
    },
  },
  {
    is: 58,
    what: 'transfer on a guest blob does nothing, whatever it asks for',
    steps: [
      step(createBlob(2), OK),
      step(transfer(2, [5, 5, 0xffffffff, 0xffffffff], 2n ** 63n), OK),
      step(transfer(78), OK),
      step(transfer(79, [0, 0, 0, 0]), OK),
    ],
  },
  {
    is: 59,
    what: 'a size of 0, misaligned, or larger than the entries',
    steps: [
      ...[0n, 1n, 4095n, BigInt(BYTES - 4), BigInt(BYTES + 4096), 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 4096n].map((size) =>
        step(createBlob(2, { size }), PARAM),
      ),
      step(createBlob(2, { entries: [], size: 0n }), PARAM),
      step(createBlob(2, { entries: [], size: 4096n }), PARAM),
      step(createBlob(2, { entries: entry(PLACE, 100), size: 101n }), PARAM),
      step(createBlob(2, { entries: entry(PLACE, 100), size: 99n }), OK),
    ],
  },
  {
    is: 59,
    what: 'one page entered many times is a buffer; its size is still held against the sum',
    steps: [
      step(createBlob(2, { entries: Array.from({ length: 4 }, () => entry(PLACE, 4096)).flat(), size: 16384n }), OK),
      step(createBlob(3, { entries: Array.from({ length: 4 }, () => entry(PLACE, 4096)).flat(), size: 20480n }), PARAM),
    ],
  },
  {
    is: 59,
    what: 'ATTACH of fewer bytes than the blob has',
    steps: [
      step(createBlob(2), OK),
      step(detach(2), OK),
      step(attach(2, entry(PLACE, BYTES - 4096)), PARAM),
      step(setScanoutBlob(0, 2), UNSPEC),
      step(attach(2), OK),
    ],
  },
  {
    is: 60,
    what: 'blob_mem 0, unknown, or of the host',
    steps: [0, 2, 3, 4, 0x80000001, 0xffffffff].map((memory) => step(createBlob(2, { memory }), PARAM)),
  },
  {
    is: 60,
    what: 'unknown blob_flags mean nothing for guest memory',
    steps: [step(createBlob(2, { flags: 0xffffffff }), OK), step(createBlob(3, { flags: 0 }), OK)],
  },
  {
    is: 61,
    what: 'RESOURCE_MAP_BLOB, which is not offered',
    steps: [
      [0, 0],
      [0xfffff000, 0xffffffff],
      [1, 0],
    ].map(([lo, hi]) => step(request(Command.RESOURCE_MAP_BLOB, 78, 0, lo, hi), UNSPEC)),
  },
  {
    is: 62,
    what: 'RESOURCE_UNMAP_BLOB, which is not offered',
    steps: [step(request(Command.RESOURCE_UNMAP_BLOB, 78, 0), UNSPEC), step(request(Command.RESOURCE_UNMAP_BLOB, 5, 0), UNSPEC)],
  },
];

eachRing((ring, name) => {
  describe(`resources, ${name}`, () => {
    for (const hostile of cases) test(`${hostile.is}: ${hostile.what}`, () => play(hostile, ring));
  });
});

describe('resources, however many', () => {
  test('45: at most 16384 exist, then OUT_OF_MEMORY; their segments are bounded too', () => {
    const guest = new HostileGuest({ udmabuf: { listLimit: 16384, sizeLimitMb: 1024 } });
    const { rig } = guest;
    const before = guest.budgets();
    const settled = rig.device.resourceCount;
    const page = [{ address: PLACE, length: 4096 }];
    for (let id = 1000; id < 1000 + 16384 - settled; id++) if (rig.createBlob(id, page) !== OK) expect.fail(`blob ${id} was refused`);
    expect(rig.createBlob(2, page)).toBe(OOM);
    expect(rig.create2d(2)).toBe(OOM);
    for (let id = 1000; id < 1000 + 16384 - settled; id++) rig.unref(id);
    expect(guest.budgets()).toBe(before);
    const many = Array.from({ length: 8000 }, () => page[0]);
    let made = 0;
    while (rig.createBlob(1000 + made, many) === OK) made++;
    expect(rig.device.segmentsUsed).toBeLessThanOrEqual(4 * MIB);
    expect(made).toBeGreaterThan(500);
    for (let i = 0; i < made; i++) rig.unref(1000 + i);
    expect(guest.budgets()).toBe(before);
    expect(rig.serves()).toBe(true);
  });

  test('46: nothing is allocated for entries that a count past the limit names', () => {
    const guest = new HostileGuest();
    const { rig } = guest;
    const allocate = Uint32Array;
    const lengths: number[] = [];
    globalThis.Uint32Array = new Proxy(allocate, {
      construct(target, args: [number]) {
        if (typeof args[0] === 'number') lengths.push(args[0]);
        return Reflect.construct(target, args) as object;
      },
    });
    try {
      expect(rig.attach(77, [], 0x0fffffff)).toBe(UNSPEC);
      expect(rig.createBlob(2, [], { count: 0xffffffff, size: 4096 })).toBe(UNSPEC);
      expect(rig.createBlob(2, [], { count: 16384, size: 4096 })).toBe(UNSPEC);
    } finally {
      globalThis.Uint32Array = allocate;
    }
    expect(lengths).toEqual([]);
  });
});

describe('the deviations of qemu-10.2', () => {
  const options = { profile: 'qemu-10.2', policy: 'error' } as const;
  const deviations: HostileCase[] = [
    {
      is: 29,
      what: 'a short body is answered OK and not carried out',
      options,
      steps: [step(create2d(2).subarray(0, 39), OK), step(unref(2), RES), step(unref(77).subarray(0, 31), OK)],
    },
    {
      is: 57,
      what: 'a transfer past the backing copies the rows that are there',
      options,
      steps: [
        step(create2d(2), OK),
        step(attach(2), OK),
        step(transfer(2, [0, 0, 64, 64], 256n), OK),
        step(transfer(2, [0, 0, 64, 64], 2n ** 64n - 1n), OK),
      ],
      after: (guest) => expect(guest.ledger.bytesCopied(CopyStage.transfer)).toBe(BYTES + 63 * 256),
    },
    {
      is: 59,
      what: 'a size that its entries do not hold is taken, and nothing past them is read',
      options,
      steps: [
        step(createBlob(2, { size: 20480n }), OK),
        step(createBlob(3, { size: 0n }), OK),
        step(createBlob(4, { size: 2n ** 63n }), OK),
      ],
    },
    {
      is: 60,
      what: "memory of the host with SHAREABLE is taken as the guest's",
      options,
      steps: [
        step(createBlob(2, { memory: 2 }), OK),
        step(createBlob(3, { memory: 3, flags: 0 }), PARAM),
        step(createBlob(3, { memory: 0, flags: 1 }), PARAM),
      ],
    },
    {
      is: 66,
      what: 'a stride below the width',
      options,
      steps: [step(createBlob(2), OK), step(setScanoutBlob(0, 2, { stride: 128 }), OK), step(flush(2), OK)],
    },
    {
      is: 50,
      what: 'after a failed udmabuf SET_SCANOUT_BLOB, TRANSFER and DETACH answer UNSPEC',
      options: { ...options, udmabuf: { listLimit: 1, sizeLimitMb: 64 } },
      steps: [
        step(createBlob(2, { entries: apart(4) }), OK),
        step(setScanoutBlob(0, 2), UNSPEC),
        step(transfer(2), UNSPEC),
        step(detach(2), UNSPEC),
        step(unref(2), OK),
      ],
    },
  ];
  for (const hostile of deviations) test(`${hostile.is}: ${hostile.what}`, () => play(hostile, { ring: 'split', inOrder: false }));
});

test('42: every format of the protocol is one', () => {
  const guest = new HostileGuest();
  for (const format of Object.values(Format)) {
    guest.attempt(step(create2d(2, format), OK), `format ${format}`);
    guest.attempt(step(unref(2), OK), `format ${format}`);
  }
  guest.unharmed();
});
