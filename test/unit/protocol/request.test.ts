import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { viewOf, writeHeaderFields } from '../../../core/protocol/codec.ts';
import type { CommandName } from '../../../core/protocol/constants.ts';
import { Command } from '../../../core/protocol/constants.ts';
import type { Request } from '../../../core/protocol/request.ts';
import { decodeRequest, encodeRequest, requestBytes } from '../../../core/protocol/request.ts';
import * as write from '../../../core/protocol/write.ts';
import { parseTrace } from '../../../core/trace/trace.ts';
import { requestWire } from './arbitraries.ts';

const traces = new URL('../../fixtures/traces/', import.meta.url);
const plain = { flags: 0, fenceLo: 0, fenceHi: 0, ctxId: 0, ringIdx: 0 };

function decoded(bytes: Uint8Array): Request {
  const request = decodeRequest(bytes);
  if ('error' in request) throw new Error(request.error);
  return request;
}

function written(bytes: number, writer: (w: Uint32Array) => number): Uint8Array {
  const w = new Uint32Array(bytes / 4);
  expect(writer(w)).toBe(bytes);
  return new Uint8Array(w.buffer);
}

describe('recorded requests', () => {
  const files = readdirSync(traces).filter((name) => name.endsWith('.jsonl'));

  it('eleven traces are there', () => expect(files.length).toBe(11));

  it.each(files)('%s: every request decodes and encodes back to the same bytes', (file) => {
    let chains = 0;
    for (const record of parseTrace(readFileSync(new URL(file, traces), 'utf8')).records) {
      if (record.kind !== 'chain') continue;
      chains++;
      const request = decoded(record.request);
      expect(request.trailing).toBeUndefined();
      expect(encodeRequest(request)).toEqual(record.request);
    }
    expect(chains).toBeGreaterThan(10);
  });

  it('the 4K import: the first buffer has 2656 entries that sum to its size', () => {
    const { records } = parseTrace(readFileSync(new URL('linux-7.2-import-4k.jsonl', traces), 'utf8'));
    const counts: number[] = [];
    for (const record of records) {
      if (record.kind !== 'chain') continue;
      const request = decoded(record.request);
      if (request.name !== 'RESOURCE_CREATE_BLOB') continue;
      counts.push(request.entries.length);
      expect(request.entries.reduce((sum, entry) => sum + entry.length, 0)).toBe(request.sizeLo);
    }
    expect(counts).toContain(2656);
    expect(counts).toContain(2);
  });
});

describe('decodeRequest', () => {
  it('gives back what the writers wrote', () => {
    expect(decoded(written(96, (w) => write.writeSetScanoutBlob(w, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)))).toEqual({
      name: 'SET_SCANOUT_BLOB',
      ...plain,
      x: 1,
      y: 2,
      width: 3,
      height: 4,
      scanout: 5,
      resource: 6,
      fbWidth: 7,
      fbHeight: 8,
      format: 9,
      strides: [10, 0, 0, 0],
      offsets: [11, 0, 0, 0],
    });
    expect(decoded(written(56, (w) => write.writeTransfer(w, 0, 1, 2, 3, 4, 5, 6, 7)))).toEqual({
      name: 'TRANSFER_TO_HOST_2D',
      ...plain,
      x: 1,
      y: 2,
      width: 3,
      height: 4,
      offsetLo: 5,
      offsetHi: 6,
      resource: 7,
    });
    expect(decoded(written(56, (w) => write.writeUpdateCursor(w, 0, Command.MOVE_CURSOR, 1, 2, 3, 4, 5, 6)))).toEqual({
      name: 'MOVE_CURSOR',
      ...plain,
      scanout: 1,
      x: 2,
      y: 3,
      resource: 4,
      hotX: 5,
      hotY: 6,
    });
    expect(decoded(written(48, (w) => write.writeFlush(w, 0, 1, 2, 3, 4, 5)))).toEqual({
      name: 'RESOURCE_FLUSH',
      ...plain,
      x: 1,
      y: 2,
      width: 3,
      height: 4,
      resource: 5,
    });
    const blob = written(72, (w) => write.writeCreateBlob(w, 0, 1, 2, 3, 1, 5, 6, 7, 8) + write.writeMemEntry(w, 14, 9, 10, 11));
    expect(decoded(blob)).toEqual({
      name: 'RESOURCE_CREATE_BLOB',
      ...plain,
      resource: 1,
      blobMem: 2,
      blobFlags: 3,
      blobIdLo: 5,
      blobIdHi: 6,
      sizeLo: 7,
      sizeHi: 8,
      entries: [{ addrLo: 9, addrHi: 10, length: 11 }],
    });
  });

  it('any bytes either decode or name their error, and never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(0, ...Object.values(Command)), (bytes, type) => {
        if (type !== 0 && bytes.length >= 4) new DataView(bytes.buffer).setUint32(0, type, true);
        const request = decodeRequest(bytes);
        if ('error' in request) expect(request.error).not.toBe('');
        else expect(encodeRequest(request)).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  it('bytes → request → bytes is the identity, padding, ring index and trailing bytes included', () => {
    fc.assert(
      fc.property(requestWire, (bytes) => {
        expect(encodeRequest(decoded(bytes))).toEqual(bytes);
      }),
      { numRuns: 1000 },
    );
  });

  it.each(Object.keys(Command) as CommandName[])('%s one byte short is an error', (name) => {
    const bytes = new Uint8Array(requestBytes(name));
    new DataView(bytes.buffer).setUint32(0, Command[name], true);
    expect(decodeRequest(bytes)).toMatchObject({ name });
    expect(decodeRequest(bytes.subarray(0, -1))).toHaveProperty('error');
  });

  it('refuses a huge nr_entries before allocating for it', () => {
    const bytes = written(32, (w) => write.writeAttachBacking(w, 0, 2, 0xffffffff));
    expect(decodeRequest(bytes)).toEqual({
      error: `RESOURCE_ATTACH_BACKING claims 4294967295 memory entries, ${16 * 0xffffffff} bytes of them are missing`,
    });
  });

  it.each([
    ['RESOURCE_ATTACH_BACKING', 28],
    ['RESOURCE_CREATE_BLOB', 36],
  ] as const)('%s with fewer entries than claimed is an error', (name, at) => {
    const bytes = new Uint8Array(requestBytes(name) + 32);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, Command[name], true);
    for (const [claimed, accepted] of [
      [1, true],
      [2, true],
      [3, false],
    ] as const) {
      view.setUint32(at, claimed, true);
      expect('error' in decodeRequest(bytes)).toBe(!accepted);
    }
    view.setUint32(at, 2, true);
    expect(decodeRequest(bytes.subarray(0, -1))).toHaveProperty('error');
  });

  it('one byte short of a header is that, whatever the type', () => {
    expect(decodeRequest(new Uint8Array(23))).toEqual({ error: 'a request has at least 24 bytes, not 23' });
  });

  it('refuses a response type', () => {
    const bytes = written(24, (w) => write.writeSimple(w, 0, 0x1100));
    expect(decodeRequest(bytes)).toEqual({ error: 'unknown request type 0x1100' });
  });

  it('keeps padding that is not zero, and leaves out padding that is', () => {
    const bytes = written(48, (w) => write.writeFlush(w, 0, 0, 0, 1, 1, 2));
    expect(decoded(bytes)).not.toHaveProperty('pads');
    bytes[22] = 7;
    bytes[44] = 9;
    expect(decoded(bytes).pads).toEqual([0x0700, 9]);
  });

  it("reads a view in the middle of a buffer, and keeps no hold on the caller's memory", () => {
    const outer = Buffer.alloc(64);
    const inner = outer.subarray(8, 8 + 28);
    inner.writeUInt32LE(Command.GET_DISPLAY_INFO, 0);
    inner.fill(1, 24);
    const request = decoded(inner);
    outer.fill(0xff);
    expect(request.trailing).toEqual(new Uint8Array([1, 1, 1, 1]));
  });
});

describe('encodeRequest', () => {
  it('refuses values that a u32 would wrap', () => {
    for (const resource of [-1, 2 ** 32, 1.5, Number.NaN]) {
      expect(() => encodeRequest({ name: 'RESOURCE_UNREF', ...plain, resource })).toThrow(RangeError);
    }
    expect(() => encodeRequest({ name: 'GET_DISPLAY_INFO', ...plain, ringIdx: 256 })).toThrow(RangeError);
    expect(() => encodeRequest({ name: 'GET_DISPLAY_INFO', ...plain, pads: [0x1000000] })).toThrow(/u24/);
  });

  it('refuses a name that is no command, and a header without room writes nothing', () => {
    const request = { name: 'NO_COMMAND', ...plain } as unknown as Parameters<typeof encodeRequest>[0];
    expect(() => encodeRequest(request)).toThrow(new TypeError('no virtio-gpu command is named NO_COMMAND'));
    const bytes = new Uint8Array(23);
    expect(() => writeHeaderFields(viewOf(bytes), 0x100, plain)).toThrow(/no room/);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });
});
