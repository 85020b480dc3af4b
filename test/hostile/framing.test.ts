import { describe, expect, test } from 'vitest';
import { Command, Feature, Flag, Response } from '../../core/protocol/constants.ts';
import {
  attach,
  create2d,
  createBlob,
  cursor,
  detach,
  eachRing,
  flush,
  getDisplayInfo,
  getEdid,
  type HostileCase,
  type HostileGuest,
  OK,
  PARAM,
  play,
  request,
  setScanout,
  setScanoutBlob,
  transfer,
  UNSPEC,
  unref,
  words,
} from '../support/hostile-guest.ts';
import { BASE_FEATURES, BLOB_FEATURES } from '../unit/host/rig.ts';

/** Each command that the device serves, its fixed part valid. */
const COMMANDS: readonly [name: string, bytes: Uint8Array, fixed: number][] = [
  ['GET_DISPLAY_INFO', getDisplayInfo(), 24],
  ['RESOURCE_CREATE_2D', create2d(2), 40],
  ['RESOURCE_UNREF', unref(77), 32],
  ['SET_SCANOUT', setScanout(0, 77), 48],
  ['RESOURCE_FLUSH', flush(77), 48],
  ['TRANSFER_TO_HOST_2D', transfer(77), 56],
  ['RESOURCE_ATTACH_BACKING', attach(77), 32],
  ['RESOURCE_DETACH_BACKING', detach(77), 32],
  ['GET_EDID', getEdid(0), 32],
  ['RESOURCE_CREATE_BLOB', createBlob(2), 56],
  ['SET_SCANOUT_BLOB', setScanoutBlob(0, 78), 96],
  ['RESOURCE_MAP_BLOB', request(Command.RESOURCE_MAP_BLOB, 78, 0, 0, 0), 40],
  ['RESOURCE_UNMAP_BLOB', request(Command.RESOURCE_UNMAP_BLOB, 78, 0), 32],
  ['GET_CAPSET_INFO', request(Command.GET_CAPSET_INFO, 0, 0), 32],
  ['GET_CAPSET', request(Command.GET_CAPSET, 1, 1), 32],
  ['RESOURCE_ASSIGN_UUID', request(Command.RESOURCE_ASSIGN_UUID, 78, 0), 32],
];

/** A header with everything in it that is echoed. */
const header = (type: number, flags: number, fence: readonly [number, number], context = 0, ringIdx = 0): Uint8Array =>
  words(type, flags, fence[0], fence[1], context, ringIdx);
const echoed = (guest: HostileGuest, answer: number): number[] => [...new Uint32Array(guest.answers[answer].bytes.slice(0, 24).buffer)];
const info = { bytes: getDisplayInfo(), answer: Response.OK_DISPLAY_INFO } as const;
const CONTEXTS = BLOB_FEATURES | (1 << Feature.VIRGL) | (1 << Feature.CONTEXT_INIT);

const cases: HostileCase[] = [
  { is: 28, what: 'no readable byte', steps: [{ bytes: words(), readable: [], answer: UNSPEC }] },
  { is: 28, what: '23 readable bytes', steps: [{ bytes: getDisplayInfo().subarray(0, 23), answer: UNSPEC }] },
  { is: 28, what: '23 readable bytes in three descriptors', steps: [{ bytes: getDisplayInfo(), readable: [1, 21, 1], answer: UNSPEC }] },
  { is: 28, what: '23 readable and 23 writable bytes', steps: [{ bytes: getDisplayInfo(), readable: [23], writable: [23], answer: 'L0' }] },
  {
    is: 28,
    what: '23 bytes whose FENCE flag must not be echoed',
    steps: [{ bytes: header(0x100, Flag.FENCE, [1, 2]).subarray(0, 23), answer: UNSPEC }],
    after: (guest) => expect(echoed(guest, 0)).toEqual([UNSPEC, 0, 0, 0, 0, 0]),
  },
  ...COMMANDS.flatMap(([name, bytes, fixed]): HostileCase[] => [
    { is: 29, what: `${name} one byte short`, steps: [{ bytes: bytes.subarray(0, fixed - 1), answer: UNSPEC }] },
    { is: 31, what: `${name} without a writable byte`, steps: [{ bytes, writable: [], answer: 'L0' }] },
    { is: 31, what: `${name} with 23 writable bytes in two descriptors`, steps: [{ bytes, writable: [20, 3], answer: 'L0' }] },
  ]),
  {
    is: 29,
    what: 'a header alone of a command with a body',
    steps: [{ bytes: header(Command.RESOURCE_UNREF, 0, [0, 0]), answer: UNSPEC }],
  },
  {
    is: 30,
    what: 'a page of trailing bytes',
    steps: [
      { ...info, bytes: words(Command.GET_DISPLAY_INFO, ...new Array<number>(1023).fill(0)) },
      { bytes: words(...new Uint32Array(unref(5).slice().buffer), 1, 2, 3), answer: Response.ERR_INVALID_RESOURCE_ID },
    ],
  },
  {
    is: 30,
    what: 'garbage behind a body',
    steps: [{ bytes: words(...new Uint32Array(create2d(2).slice().buffer), ...new Array<number>(500).fill(0xffffffff)), answer: OK }],
  },
  {
    is: 30,
    what: 'a request in descriptors of odd lengths, the answer too',
    steps: [
      { bytes: create2d(2), readable: [1, 39], writable: [5, 19], answer: OK },
      { ...info, readable: [23, 1], writable: [100, 308] },
    ],
    after: (guest) => expect(guest.reply.length).toBe(408),
  },
  {
    is: 32,
    what: 'room for a header, not for the display info',
    steps: [
      { ...info, writable: [24], answer: UNSPEC },
      { ...info, writable: [407], answer: UNSPEC },
      { ...info, writable: [408] },
    ],
  },
  {
    is: 32,
    what: 'room for a header, not for the EDID',
    steps: [
      { bytes: getEdid(0), writable: [1055], answer: UNSPEC },
      { bytes: getEdid(0), writable: [1056], answer: Response.OK_EDID },
    ],
  },
  ...[0, 1, 0xff, 0x10e, 0x1ff, 0x20a, 0x2ff, 0x302, 0x1100, 0x1106, 0x1200, 0x1205, 0x01000100, 0x80000000, 0xffffffff].map(
    (type): HostileCase => ({
      is: 33,
      what: `type 0x${type.toString(16)}`,
      steps: [{ bytes: request(type, ...new Array<number>(18).fill(77)), answer: UNSPEC }],
    }),
  ),
  {
    is: 34,
    what: 'cursor commands on the control queue',
    steps: [
      { bytes: cursor(Command.UPDATE_CURSOR, 0, 77), answer: UNSPEC },
      { bytes: cursor(Command.MOVE_CURSOR, 0, 77), answer: UNSPEC },
    ],
  },
  {
    is: 34,
    what: 'control commands on the cursor queue',
    steps: COMMANDS.map(([, bytes]) => {
      const long = new Uint8Array(Math.max(bytes.length, 56));
      long.set(bytes);
      return { bytes: long, queue: 'cursor', answer: 'counted' };
    }),
  },
  {
    is: 34,
    what: 'a writable descriptor on the cursor queue stays unwritten',
    steps: [
      { bytes: cursor(Command.MOVE_CURSOR, 0, 0), queue: 'cursor', writable: [64], answer: OK },
      { bytes: cursor(Command.MOVE_CURSOR, 9, 0), queue: 'cursor', writable: [64], answer: 'counted' },
    ],
  },
  {
    is: 35,
    what: 'blob commands without the feature',
    options: { features: BASE_FEATURES },
    steps: [
      { bytes: createBlob(2), answer: PARAM },
      { bytes: setScanoutBlob(0, 77), answer: PARAM },
      { bytes: setScanoutBlob(0, 0), answer: PARAM },
    ],
  },
  {
    is: 36,
    what: 'a fence_id that is repeated, then goes back, then is all ones: each is echoed',
    steps: [
      [5, 0],
      [5, 0],
      [4, 0],
      [0, 0],
      [0xffffffff, 0xffffffff],
      [1, 0x80000000],
    ].map(([lo, hi]) => ({ bytes: header(Command.GET_DISPLAY_INFO, Flag.FENCE, [lo, hi], 9), answer: Response.OK_DISPLAY_INFO })),
    after: (guest) => {
      const fences = [
        [5, 0],
        [5, 0],
        [4, 0],
        [0, 0],
        [0xffffffff, 0xffffffff],
        [1, 0x80000000],
      ];
      for (const [i, [lo, hi]] of fences.entries()) expect(echoed(guest, i)).toEqual([Response.OK_DISPLAY_INFO, Flag.FENCE, lo, hi, 9, 0]);
    },
  },
  {
    is: 36,
    what: 'an error is fenced too; without the flag nothing is echoed',
    steps: [
      { bytes: header(0xdead, Flag.FENCE, [7, 8], 9, 3), answer: UNSPEC },
      { bytes: header(0xdead, 0, [7, 8], 9, 3), answer: UNSPEC },
    ],
    after: (guest) => {
      expect(echoed(guest, 0)).toEqual([UNSPEC, Flag.FENCE, 7, 8, 9, 0]);
      expect(echoed(guest, 1)).toEqual([UNSPEC, 0, 0, 0, 0, 0]);
    },
  },
  {
    is: 36,
    what: 'unknown flags are not echoed',
    steps: [{ ...info, bytes: header(Command.GET_DISPLAY_INFO, 0xfffffffd, [7, 8]) }],
    after: (guest) => expect(echoed(guest, 0)).toEqual([Response.OK_DISPLAY_INFO, Flag.FENCE, 7, 8, 0, 0]),
  },
  {
    is: 37,
    what: 'ring_idx that was not negotiated',
    steps: [
      { bytes: header(Command.GET_DISPLAY_INFO, Flag.INFO_RING_IDX, [0, 0]), answer: PARAM },
      { bytes: header(Command.GET_DISPLAY_INFO, Flag.INFO_RING_IDX | Flag.FENCE, [3, 0], 0, 5), answer: PARAM },
    ],
    after: (guest) => expect(echoed(guest, 1)).toEqual([PARAM, Flag.FENCE, 3, 0, 0, 0]),
  },
  {
    is: 37,
    what: 'ring_idx 64 and 255; 63 is echoed',
    options: { features: CONTEXTS },
    steps: [
      { bytes: header(Command.GET_DISPLAY_INFO, Flag.INFO_RING_IDX | Flag.FENCE, [3, 0], 0, 64), answer: PARAM },
      { bytes: header(Command.GET_DISPLAY_INFO, Flag.INFO_RING_IDX, [3, 0], 0, 255), answer: PARAM },
      { bytes: header(Command.GET_DISPLAY_INFO, Flag.INFO_RING_IDX | Flag.FENCE, [3, 0], 1, 0xabcd003f), answer: Response.OK_DISPLAY_INFO },
    ],
    after: (guest) => expect(echoed(guest, 2)).toEqual([Response.OK_DISPLAY_INFO, 3, 3, 0, 1, 63]),
  },
  {
    is: 38,
    what: 'commands of contexts, which are not offered',
    steps: [0x200, 0x201, 0x202, 0x203, 0x204, 0x205, 0x206, 0x207].map((type) => ({
      bytes: words(type, 0, 0, 0, 9, 0, ...new Array<number>(32).fill(1)),
      answer: UNSPEC,
    })),
  },
  {
    is: 38,
    what: 'a context id on commands that have none is ignored',
    steps: [{ bytes: words(Command.RESOURCE_CREATE_2D, 0, 0, 0, 0xffffffff, 0, 2, 2, 64, 64), answer: OK }],
  },
  {
    is: 39,
    what: 'unused reply bytes, after a longer reply was made',
    steps: [{ bytes: getEdid(0), answer: Response.OK_EDID }, info, { bytes: getEdid(1), answer: Response.OK_EDID }],
    after: (guest) => {
      const [edid, heads, again] = guest.answers.map((answer) => answer.bytes);
      expect(heads.length).toBe(408);
      expect(heads.subarray(24 + 2 * 24).every((byte) => byte === 0)).toBe(true);
      const size = new DataView(edid.buffer).getUint32(24, true);
      expect(size).toBeGreaterThanOrEqual(128);
      for (const bytes of [edid, again]) {
        expect(bytes.length).toBe(1056);
        expect(bytes.subarray(28, 32).every((byte) => byte === 0)).toBe(true);
        expect(bytes.subarray(32 + size).every((byte) => byte === 0)).toBe(true);
      }
    },
  },
];

eachRing((ring, name) => {
  describe(`framing, ${name}`, () => {
    for (const hostile of cases) test(`${hostile.is}: ${hostile.what}`, () => play(hostile, ring));
  });
});
