import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Response } from '../../../core/protocol/constants.ts';
import type { Head } from '../../../core/protocol/display-info.ts';
import { readDisplayInfo, writeDisplayInfo } from '../../../core/protocol/display-info.ts';
import {
  decodeResponse,
  encodeResponse,
  readEdid,
  writeCapsetInfo,
  writeEdid,
  writeMapInfo,
  writeResourceUuid,
  writeResponseHeader,
} from '../../../core/protocol/response.ts';
import { responseWire, u32 } from './arbitraries.ts';

const plain = { flags: 0, fenceLo: 0, fenceHi: 0, ctxId: 0, ringIdx: 0 };

/** A response written over old bytes, so that padding that isn't zeroed shows. */
function written(type: number, body: (w: Uint32Array) => number): Uint8Array {
  const w = new Uint32Array(300).fill(0xdeadbeef);
  const bytes = body(w);
  writeResponseHeader(w, 0, type, 0, 0, 0, 0, 0);
  return new Uint8Array(w.buffer, 0, bytes);
}

describe('responses (virtio-gpu §1)', () => {
  it('the header echoes flags, fence and context bit for bit, with zero padding', () => {
    const w = new Uint32Array(8).fill(0xdeadbeef);
    expect(writeResponseHeader(w, 1, Response.OK_NODATA, 3, 0xfffffffe, 0x80000001, 9, 5)).toBe(24);
    expect([...w]).toEqual([0xdeadbeef, Response.OK_NODATA, 3, 0xfffffffe, 0x80000001, 9, 5, 0xdeadbeef]);
  });

  it('bytes → response → bytes is the identity', () => {
    fc.assert(
      fc.property(responseWire, (bytes) => {
        const response = decodeResponse(bytes);
        if ('error' in response) throw new Error(response.error);
        expect(encodeResponse(response)).toEqual(bytes);
      }),
      { numRuns: 500 },
    );
  });

  it('any bytes either decode or name their error, and never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1100 }), fc.constantFrom(0, ...Object.values(Response)), (bytes, type) => {
        if (type !== 0 && bytes.length >= 4) new DataView(bytes.buffer).setUint32(0, type, true);
        const response = decodeResponse(bytes);
        if ('error' in response) expect(response.error).not.toBe('');
        else expect(encodeResponse(response)).toEqual(bytes);
      }),
      { numRuns: 1000 },
    );
  });

  it('the body writers write what the decoder reads, and zero the padding', () => {
    expect(decodeResponse(written(Response.OK_MAP_INFO, (w) => writeMapInfo(w, 0, 1)))).toEqual({
      name: 'OK_MAP_INFO',
      ...plain,
      mapInfo: 1,
    });
    expect(decodeResponse(written(Response.OK_CAPSET_INFO, (w) => writeCapsetInfo(w, 0, 1, 2, 3)))).toEqual({
      name: 'OK_CAPSET_INFO',
      ...plain,
      id: 1,
      maxVersion: 2,
      maxSize: 3,
    });
    expect(decodeResponse(written(Response.OK_RESOURCE_UUID, (w) => writeResourceUuid(w, 0, 0x04030201, 0, 0, 0xff000000)))).toEqual({
      name: 'OK_RESOURCE_UUID',
      ...plain,
      uuid: new Uint8Array([1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255]),
    });
    const edid = new Uint8Array([9, 8, 7, 6, 0xff]);
    const response = decodeResponse(written(Response.OK_EDID, (w) => writeEdid(w, 0, edid)));
    expect(response).toMatchObject({ name: 'OK_EDID', ...plain, size: 5 });
    expect(response).not.toHaveProperty('pads');
    if (!('error' in response) && response.name === 'OK_EDID') {
      expect(response.edid.subarray(0, 5)).toEqual(edid);
      expect(response.edid.subarray(5).every((byte) => byte === 0)).toBe(true);
    }
  });

  it('readEdid gives back the EDID, and takes at most 1024 bytes whatever the device says', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1024 }), (edid) => {
        const w = new Uint32Array(300);
        expect(writeEdid(w, 3, edid)).toBe(1056);
        expect(readEdid(w, 3)).toEqual(edid);
      }),
      { numRuns: 50 },
    );
    const lying = new Uint32Array(300);
    lying[6] = 0xffffffff;
    expect(readEdid(lying, 0).length).toBe(1024);
  });

  it('an EDID longer than its room is an error', () => {
    const bytes = written(Response.OK_EDID, (w) => writeEdid(w, 0, new Uint8Array(128)));
    new DataView(bytes.buffer).setUint32(24, 1025, true);
    expect(decodeResponse(bytes)).toHaveProperty('error');
  });
});

describe('responses that are not what they say', () => {
  const sized: readonly [string, number, number][] = [
    ['OK_DISPLAY_INFO', Response.OK_DISPLAY_INFO, 408],
    ['OK_EDID', Response.OK_EDID, 1056],
    ['OK_RESOURCE_UUID', Response.OK_RESOURCE_UUID, 40],
  ];
  it.each(sized)('%s one byte short is an error', (name, type, bytes) => {
    const whole = written(type, () => bytes).slice();
    whole.fill(0, 24);
    expect(decodeResponse(whole)).toMatchObject({ name });
    expect(decodeResponse(whole.subarray(0, -1))).toEqual({ error: `${name} has ${bytes} bytes, only ${bytes - 1} are there` });
  });

  it('a header one byte short, and an unknown type, are errors', () => {
    expect(decodeResponse(new Uint8Array(23))).toEqual({ error: 'a response has at least 24 bytes, not 23' });
    expect(decodeResponse(written(0x1300, () => 24))).toEqual({ error: 'unknown response type 0x1300' });
  });

  it('heads, EDID and UUID of another number of elements are not encoded', () => {
    const head = { x: 0, y: 0, width: 0, height: 0, enabled: 0, flags: 0 };
    for (const count of [15, 17]) {
      const heads = Array.from({ length: count }, () => head);
      expect(() => encodeResponse({ name: 'OK_DISPLAY_INFO', ...plain, heads })).toThrow(RangeError);
    }
    for (const bytes of [1023, 1025]) {
      expect(() => encodeResponse({ name: 'OK_EDID', ...plain, size: 1, edid: new Uint8Array(bytes) })).toThrow(/must have 1024 bytes/);
    }
    for (const bytes of [15, 17]) {
      expect(() => encodeResponse({ name: 'OK_RESOURCE_UUID', ...plain, uuid: new Uint8Array(bytes) })).toThrow(/must have 16 bytes/);
    }
  });

  it('writeEdid cuts off what its room does not hold, and a ring index is one byte', () => {
    const w = new Uint32Array(300).fill(0xdeadbeef);
    expect(writeEdid(w, 0, new Uint8Array(1100).fill(7))).toBe(1056);
    expect([w[6], w[263], w[264]]).toEqual([1024, 0x07070707, 0xdeadbeef]);
    writeResponseHeader(w, 0, Response.OK_NODATA, 0, 0, 0, 0, 0x1ff);
    expect(w[5]).toBe(0xff);
  });
});

describe('display info', () => {
  it('words past the end of the array read as zero', () => {
    expect(readDisplayInfo(new Uint32Array(0), 0)).toEqual(
      Array.from({ length: 16 }, () => ({ x: 0, y: 0, width: 0, height: 0, enabled: false })),
    );
  });

  const head: fc.Arbitrary<Head> = fc.record({ x: u32, y: u32, width: u32, height: u32, enabled: fc.boolean() });

  it('what is written reads back, the heads that were not given as disabled zeroes', () => {
    fc.assert(
      fc.property(fc.array(head, { maxLength: 16 }), (heads) => {
        const w = new Uint32Array(120).fill(0xdeadbeef);
        expect(writeDisplayInfo(w, 2, heads)).toBe(408);
        const read = readDisplayInfo(w, 2);
        expect(read.length).toBe(16);
        expect(read.slice(0, heads.length)).toEqual(heads);
        for (const rest of read.slice(heads.length)) expect(rest).toEqual({ x: 0, y: 0, width: 0, height: 0, enabled: false });
        expect([w[1], w[2 + 6 + 5], w[2 + 102]]).toEqual([0xdeadbeef, 0, 0xdeadbeef]);
      }),
      { numRuns: 100 },
    );
  });
});
