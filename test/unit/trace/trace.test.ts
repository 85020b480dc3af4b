import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBase64, encodeBase64 } from '../../../core/trace/base64.ts';
import type { TraceHeader, TraceRecord } from '../../../core/trace/trace.ts';
import { formatTrace, parseTrace, TraceError } from '../../../core/trace/trace.ts';

const folder = new URL('../../fixtures/traces/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
const header: TraceHeader = { trace: 'virtio-gpu-commands', version: 1, config: { num_scanouts: 1, width: 1920, height: 1080 } };
const HEADER = JSON.stringify(header);
const CHAIN = '{"t":5,"q":0,"indirect":1,"ro":[24],"wo":[408],"req":"AAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}';

function errorOf(text: string): TraceError {
  try {
    parseTrace(text);
  } catch (error) {
    if (error instanceof TraceError) return error;
    throw error;
  }
  throw new Error('the trace was accepted');
}

describe('recorded traces', () => {
  it.each(files)('%s: reading and writing gives the same bytes', (file) => {
    const text = readFileSync(new URL(file, folder), 'utf8');
    const { header, records } = parseTrace(text);
    expect(formatTrace(header, records) === text).toBe(true);
    expect(records[0].kind).toBe('features');
    expect(records[1].kind).toBe('regions');
  });

  it('the revoke trace: the device region leaves and returns, at the resets and around them', () => {
    const { records } = parseTrace(readFileSync(new URL('linux-7.2-vfio-revoke-1080p.jsonl', folder), 'utf8'));
    const devices = records.flatMap((r) => (r.kind === 'regions' ? [r.regions.filter((region) => region.kind === 'device').length] : []));
    let left = 0;
    for (let i = 1; i < devices.length; i++) if (devices[i] < devices[i - 1]) left++;
    expect(left).toBe(5);
    expect(devices[devices.length - 1]).toBe(1);
  });
});

describe('round trip', () => {
  const u32 = fc.integer({ min: 0, max: 0xffffffff });
  const chain: fc.Arbitrary<TraceRecord> = fc
    .record({
      t: fc.maxSafeNat(),
      queue: fc.constantFrom(0 as const, 1 as const),
      indirect: fc.boolean(),
      writable: fc.array(u32, { maxLength: 4 }),
      parts: fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 4 }),
    })
    .map(({ parts, ...rest }) => ({
      kind: 'chain',
      ...rest,
      readable: parts.map((part) => part.length),
      request: new Uint8Array(parts.flatMap((part) => [...part])),
    }));
  const features: fc.Arbitrary<TraceRecord> = fc.record({ kind: fc.constant('features' as const), lo: u32, hi: u32 });
  const regions: fc.Arbitrary<TraceRecord> = fc
    .array(fc.record({ gap: u32, size: fc.integer({ min: 1, max: 2 ** 40 }), kind: fc.constantFrom('ram' as const, 'device' as const) }), {
      maxLength: 5,
    })
    .map((list) => {
      let gpa = 0;
      return {
        kind: 'regions',
        regions: list.map(({ gap, size, kind }) => {
          const region = { gpa: gpa + gap, size, kind };
          gpa = region.gpa + size;
          return region;
        }),
      };
    });

  it('what is written reads back', () => {
    const list = fc.array(fc.oneof(chain, features, regions), { maxLength: 8 });
    fc.assert(
      fc.property(list, fc.option(fc.string(), { nil: undefined }), (records, guest) => {
        const full: TraceHeader = guest === undefined ? header : { ...header, guest };
        const text = formatTrace(full, records);
        expect(parseTrace(text)).toEqual({ header: full, records });
      }),
      { numRuns: 300 },
    );
  });

  it('base64 is that of RFC 4648', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const text = Buffer.from(bytes).toString('base64');
        expect(encodeBase64(bytes)).toBe(text);
        expect(decodeBase64(text)).toEqual(bytes);
      }),
    );
  });

  it.each(['A', 'AAA', 'AA=A', 'A===', '====', 'AB==', 'AAB=', 'AA-_', 'AA A', 'AAAé', 'AA==AAAA'])('base64 refuses %s', (text) => {
    expect(decodeBase64(text)).toBeNull();
  });
});

describe('a corrupt trace is refused with its line', () => {
  it.each([
    ['an empty file', '', 1],
    ['no header', CHAIN, 1],
    ['another kind of trace', HEADER.replace('virtio-gpu-commands', 'virtio-blk'), 1],
    ['an unknown version', HEADER.replace('"version":1', '"version":2'), 1],
    ['no configuration', '{"trace":"virtio-gpu-commands","version":1}', 1],
    ['no scanouts', HEADER.replace('"num_scanouts":1', '"num_scanouts":0'), 1],
    ['a header key that would be lost', HEADER.replace('"version":1', '"version":1,"host":"x"'), 1],
    ['a guest that is not text', HEADER.replace('"version":1', '"version":1,"guest":7'), 1],
    ['a line cut off', `${HEADER}\n${CHAIN}\n${CHAIN.slice(0, 40)}`, 3],
    ['a blank line', `${HEADER}\n${CHAIN}\n\n${CHAIN}\n`, 3],
    ['an array for an object', `${HEADER}\n[1]\n`, 2],
    ['null for an object', `${HEADER}\nnull\n`, 2],
    ['a record of no kind', `${HEADER}\n{"x":1}\n`, 2],
    ['features that are no hexadecimal', `${HEADER}\n{"features":"170000008"}\n`, 2],
    ['features past 64 bits', `${HEADER}\n{"features":"0x10000000000000000"}\n`, 2],
    ['a region of no kind', `${HEADER}\n{"regions":[{"gpa":"0x0","size":4096,"kind":"rom"}]}\n`, 2],
    ['a region of no size', `${HEADER}\n{"regions":[{"gpa":"0x0","size":0,"kind":"ram"}]}\n`, 2],
    ['a region that wraps', `${HEADER}\n{"regions":[{"gpa":"0x1ffffffffff000","size":8192,"kind":"ram"}]}\n`, 2],
    ['an address past 2^53', `${HEADER}\n{"regions":[{"gpa":"0x20000000000000","size":4096,"kind":"ram"}]}\n`, 2],
    [
      'regions that overlap',
      `${HEADER}\n{"regions":[{"gpa":"0x0","size":4097,"kind":"ram"},{"gpa":"0x1000","size":1,"kind":"device"}]}\n`,
      2,
    ],
    ['bad base64', `${HEADER}\n${CHAIN.replace('AAEA', 'A!EA')}\n`, 2],
    ['lengths that do not sum to the request', `${HEADER}\n${CHAIN}\n${CHAIN.replace('[24]', '[24,1]')}\n`, 3],
    ['a negative length', `${HEADER}\n${CHAIN.replace('[24]', '[25,-1]')}\n`, 2],
    ['lengths that are no list', `${HEADER}\n${CHAIN.replace('[408]', '408')}\n`, 2],
    ['a third queue', `${HEADER}\n${CHAIN.replace('"q":0', '"q":2')}\n`, 2],
    ['a time before the start', `${HEADER}\n${CHAIN.replace('"t":5', '"t":-5')}\n`, 2],
    ['no time', `${HEADER}\n${CHAIN.replace('"t":5,', '')}\n`, 2],
    ['a key that would be lost', `${HEADER}\n${CHAIN.replace('"t":5', '"t":5,"resp":"AA=="')}\n`, 2],
  ])('%s', (_what, text, line) => {
    const error = errorOf(text);
    expect(error.line).toBe(line);
    expect(error.message).toMatch(new RegExp(`^trace line ${line}: .+; .+`));
  });

  it.each([
    ['\n', /blank line/],
    ['{"regions":7}', /"regions" is not an array/],
    ['{"regions":[7]}', /a region is not an object/],
    ['{"regions":[{"gpa":"0","size":4096,"kind":"ram"}]}', /"gpa" is not an address/],
    ['{"regions":[{"gpa":"0x20000000000000","size":4096,"kind":"ram"}]}', /"gpa" is not an address/],
    ['{"regions":[{"gpa":"0x0","size":4096.5,"kind":"ram"}]}', /"size" is not a whole number/],
  ])('%s: the error says what is wrong', (text, message) => {
    expect(errorOf(`${HEADER}\n${text}\n`).message).toMatch(message);
  });

  it('any change of one character is refused or survives the round trip: nothing is dropped silently', () => {
    const text = readFileSync(new URL('linux-7.2-weston-720p.jsonl', folder), 'utf8');
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 1, unit: 'grapheme-ascii' }), (at, character) => {
        const changed = text.slice(0, at) + character + text.slice(at + 1);
        try {
          const { header, records } = parseTrace(changed);
          expect(parseTrace(formatTrace(header, records))).toEqual({ header, records });
        } catch (error) {
          expect(error).toBeInstanceOf(TraceError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
