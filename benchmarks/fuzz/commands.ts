import type * as FastCheck from 'fast-check';
import { BAR, HIGH } from '../../core/machine/testing/host-rig.ts';
import { Command, Format } from '../../core/protocol/constants.ts';
import { entry, request } from './words.ts';

/** A request, nearly always valid, and how it is put into its ring. */
export interface Send {
  readonly kind: 'send';
  readonly bytes: Uint8Array;
  readonly cursor: boolean;
  /** Bytes of the first readable descriptor, when there are two. */
  readonly split: number;
  /** Bytes for the response. */
  readonly writable: number;
  /** Where a buffer goes that is not with the others. */
  readonly odd: Odd | null;
  /** What follows: nothing, the host runs, or time passes until all is answered. */
  readonly after: 'nothing' | 'run' | 'settle';
}

/** A buffer of its own place: the request's last or the response. */
export interface Odd {
  readonly which: 'request' | 'response';
  readonly place: (typeof PLACES)[number];
  /** Bytes past the place's edge. */
  readonly by: number;
}

export type Step =
  | Send
  | { readonly kind: 'pass'; readonly ns: number }
  | { readonly kind: 'region'; readonly id: number; readonly present: boolean }
  | { readonly kind: 'reset' }
  /** What a guest does to show something: without it few sequences get so far. */
  | { readonly kind: 'frame'; readonly sends: readonly Send[] };

/** end: up to the last byte of a region, and `by` bytes further; gap: between regions; far: past 2^53; ring: over the used ring. */
const PLACES = ['end', 'gap', 'far', 'ring'] as const;

/** Bytes of each guest region, and where its pixels begin. */
export const REGION_BYTES = 1 << 20;
const PIXELS = 0x80000;
const BASES = [0, HIGH, BAR, 2 * BAR];
/** Values that checks are made of. */
const EDGES = [0, 1, 2, 15, 16, 24, 63, 64, 65, 255, 256, 4095, 4096, 16384, 65535, 65536, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff];

/** Steps of a guest that knows the protocol and gets a field or two wrong. */
export function stepArbitrary(fc: typeof FastCheck): FastCheck.Arbitrary<Step> {
  const flatId = fc.oneof({ weight: 7, arbitrary: fc.constantFrom(1, 2) }, { weight: 1, arbitrary: fc.constantFrom(3, 4) });
  const blobId = fc.oneof({ weight: 7, arbitrary: fc.constantFrom(3, 4) }, { weight: 1, arbitrary: fc.constantFrom(1, 2) });
  const id = fc.integer({ min: 1, max: 4 });
  const head = fc.nat(1);
  const side = fc.constantFrom(16, 32, 64);
  const format = fc.constantFrom(Format.B8G8R8X8, Format.R8G8B8A8);
  const page = fc
    .tuple(fc.nat(3), fc.nat(63), fc.constantFrom(1, 1, 1, 4, 16))
    .map(([region, at, pages]) => entry(BASES[region] + PIXELS + at * 4096, pages * 4096));
  const near = fc
    .tuple(fc.nat(3), fc.constantFrom(-4096, -16, 0, 16), fc.constantFrom(16, 4096, 8192))
    .map(([region, at, length]) => entry(BASES[region] + REGION_BYTES + at, length));
  const entries = fc.oneof(
    { weight: 3, arbitrary: fc.nat(48).map((at) => [entry(HIGH + PIXELS + at * 4096, 16384)]) },
    { weight: 2, arbitrary: fc.array(page, { minLength: 1, maxLength: 6 }) },
    {
      weight: 1,
      arbitrary: fc.array(fc.oneof({ weight: 4, arbitrary: page }, { weight: 1, arbitrary: near }), { minLength: 1, maxLength: 3 }),
    },
  );
  const total = (list: number[][]): number => list.reduce((sum, words) => sum + words[2], 0);
  const rect = fc.oneof(
    { weight: 3, arbitrary: side.map((s) => [0, 0, s, s]) },
    { weight: 1, arbitrary: fc.tuple(fc.nat(64), fc.nat(64), fc.nat(64), fc.nat(64)).map((four) => [...four]) },
  );
  const blobRect = fc.tuple(side, side, rect).map(([width, height, shown]) => ({ width, height, shown }));

  const control = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(flatId, format, side, side).map((body) => request(Command.RESOURCE_CREATE_2D, body)) },
    { weight: 3, arbitrary: fc.tuple(id, entries).map(([i, e]) => request(Command.RESOURCE_ATTACH_BACKING, [i, e.length, ...e.flat()])) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(blobId, entries, fc.boolean())
        .map(([i, e, exact]) => request(Command.RESOURCE_CREATE_BLOB, [i, 1, 2, e.length, 0, 0, exact ? total(e) : 16384, 0, ...e.flat()])),
    },
    {
      weight: 3,
      arbitrary: fc
        .tuple(rect, fc.constantFrom(0, 0, 0, 4096, 16128), flatId)
        .map(([r, offset, i]) => request(Command.TRANSFER_TO_HOST_2D, [...r, offset, 0, i, 0])),
    },
    { weight: 2, arbitrary: fc.tuple(rect, head, flatId).map(([r, h, i]) => request(Command.SET_SCANOUT, [...r, h, i])) },
    {
      weight: 2,
      arbitrary: fc
        .tuple(blobRect, head, blobId, format, fc.constantFrom(0, 0, 4096))
        .map(([r, h, i, f, offset]) =>
          request(Command.SET_SCANOUT_BLOB, [...r.shown, h, i, r.width, r.height, f, 0, r.width * 4, 0, 0, 0, offset, 0, 0, 0]),
        ),
    },
    { weight: 4, arbitrary: fc.tuple(rect, id).map(([r, i]) => request(Command.RESOURCE_FLUSH, [...r, i, 0])) },
    { weight: 1, arbitrary: id.map((i) => request(Command.RESOURCE_UNREF, [i, 0])) },
    { weight: 1, arbitrary: id.map((i) => request(Command.RESOURCE_DETACH_BACKING, [i, 0])) },
    { weight: 1, arbitrary: head.map((h) => request(Command.GET_EDID, [h, 0])) },
    { weight: 1, arbitrary: fc.constant(request(Command.GET_DISPLAY_INFO, [])) },
    { weight: 1, arbitrary: fc.constantFrom(Command.RESOURCE_MAP_BLOB, Command.GET_CAPSET).map((type) => request(type, [1, 0, 0, 0])) },
  );
  const cursor = fc
    .tuple(fc.constantFrom(Command.UPDATE_CURSOR, Command.UPDATE_CURSOR, Command.MOVE_CURSOR), head, fc.integer({ min: 0, max: 4 }))
    .map(([type, h, i]) => request(type, [h, 5, 6, 0, i, 1, 2, 0]));

  const value = fc.oneof(fc.constantFrom(...EDGES), fc.nat(8), fc.nat(0xffffffff));
  const change = fc.tuple(fc.nat(31), value, fc.constantFrom('set', 'add', 'flip') as FastCheck.Arbitrary<'set' | 'add' | 'flip'>);
  const changes = fc.oneof(
    { weight: 5, arbitrary: fc.constant([]) },
    { weight: 2, arbitrary: fc.array(change, { minLength: 1, maxLength: 1 }) },
    { weight: 1, arbitrary: fc.array(change, { minLength: 2, maxLength: 2 }) },
  );
  const cut = fc.oneof({ weight: 14, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: -16, max: 40 }) });
  const fence = fc.constantFrom(0, 1, 1);
  const odd = fc.record({
    which: fc.constantFrom('request', 'response'),
    place: fc.constantFrom('end', 'end', 'end', 'end', 'end', 'end', ...PLACES),
    by: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 4, 64),
  });
  const send = (body: FastCheck.Arbitrary<Uint8Array>, isCursor: boolean): FastCheck.Arbitrary<Send> =>
    fc
      .record({
        body,
        fence,
        changes,
        cut,
        split: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(120) }),
        writable: isCursor
          ? fc.constant(0)
          : fc.oneof({ weight: 9, arbitrary: fc.constant(1056) }, { weight: 1, arbitrary: fc.constantFrom(0, 23, 24, 408, 1055) }),
        odd: fc.oneof({ weight: 14, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: odd }) as FastCheck.Arbitrary<Odd | null>,
        after: fc.constantFrom('nothing', 'run', 'run', 'settle') as FastCheck.Arbitrary<Send['after']>,
      })
      .map(({ body: plain, fence: fenced, changes: list, cut: bytes, ...rest }) => ({
        kind: 'send',
        cursor: isCursor,
        ...rest,
        bytes: resize(changed(plain, fenced, list), bytes),
      }));
  const bodies = fc.tuple(flatId, blobId, head, side, entries, fc.boolean()).map(([flat, blob, h, s, e, copied]) => {
    const whole = [0, 0, s, s];
    return copied
      ? [
          request(Command.RESOURCE_CREATE_2D, [flat, Format.B8G8R8X8, s, s]),
          request(Command.RESOURCE_ATTACH_BACKING, [flat, e.length, ...e.flat()]),
          request(Command.TRANSFER_TO_HOST_2D, [...whole, 0, 0, flat, 0]),
          request(Command.SET_SCANOUT, [...whole, h, flat]),
          request(Command.RESOURCE_FLUSH, [...whole, flat, 0]),
        ]
      : [
          request(Command.RESOURCE_CREATE_BLOB, [blob, 1, 2, e.length, 0, 0, total(e), 0, ...e.flat()]),
          request(Command.SET_SCANOUT_BLOB, [...whole, h, blob, s, s, Format.B8G8R8X8, 0, s * 4, 0, 0, 0, 0, 0, 0, 0]),
          request(Command.RESOURCE_FLUSH, [...whole, blob, 0]),
        ];
  });
  const plainly = { kind: 'send', cursor: false, split: 0, writable: 1056, odd: null, after: 'nothing' } as const;
  const frame = fc.tuple(bodies, fence, fc.nat(9), change).map(
    ([list, fenced, which, wrong]): Step => ({
      kind: 'frame',
      sends: list.map((body, i) => ({ ...plainly, bytes: changed(body, fenced, i === which ? [wrong] : []) })),
    }),
  );
  return fc.oneof(
    { weight: 8, arbitrary: frame },
    { weight: 40, arbitrary: send(control, false) },
    { weight: 4, arbitrary: send(cursor, true) },
    { weight: 6, arbitrary: fc.constantFrom(1, 500, 1000, 100_000).map((ns): Step => ({ kind: 'pass', ns })) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.integer({ min: 1, max: 3 }), fc.boolean())
        .map(([region, present]): Step => ({ kind: 'region', id: region, present })),
    },
    { weight: 1, arbitrary: fc.constant<Step>({ kind: 'reset' }) },
  );
}

/** A copy with a fence or not, and with words set, added to, or with bits turned. */
function changed(plain: Uint8Array, fence: number, list: readonly (readonly [number, number, 'set' | 'add' | 'flip'])[]): Uint8Array {
  const words = new Uint32Array(plain.slice().buffer);
  words[1] = fence;
  if (fence !== 0) words.set([0x80000001, 0xffffffff], 2);
  for (const [at, value, how] of list) {
    const word = at % words.length;
    if (how === 'set') words[word] = value;
    else if (how === 'add') words[word] += value;
    else words[word] ^= 1 << (value & 31);
  }
  return new Uint8Array(words.buffer);
}

/** The request with `cut` bytes less, or more (zeros). */
function resize(bytes: Uint8Array, cut: number): Uint8Array {
  const out = new Uint8Array(Math.max(1, bytes.length - cut));
  out.set(bytes.subarray(0, out.length));
  return out;
}
