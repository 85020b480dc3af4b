import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildEdid, parseEdid } from '../../../core/protocol/edid.ts';

function expectChecksums(edid: Uint8Array): void {
  for (let block = 0; block < edid.length; block += 128) {
    expect(edid.subarray(block, block + 128).reduce((sum, byte) => sum + byte, 0) % 256).toBe(0);
  }
}

describe('EDID', () => {
  it.each([
    ['720p', 1280, 720, 60, 128],
    ['1080p', 1920, 1080, 60, 128],
    ['1440p', 2560, 1440, 144, 128],
    ['4K', 3840, 2160, 60, 128],
    ['4K at 120 Hz', 3840, 2160, 120, 256],
    ['5K', 5120, 2880, 60, 256],
    ['8K', 7680, 4320, 60, 256],
    ['the least guest mode', 32, 32, 60, 128],
    ['the largest guest mode', 8192, 8192, 60, 256],
  ])('%s reads back, in the fewest blocks, with valid checksums', (_name, width, height, refreshHz, bytes) => {
    const edid = buildEdid({ width, height, refreshHz });
    expect(edid.length).toBe(bytes);
    expectChecksums(edid);
    expect(parseEdid(edid)).toEqual({ width, height, refreshHz });
  });

  it('1080p at 60 Hz is CVT reduced blanking: 138.5 MHz, 2080 × 1111', () => {
    const edid = buildEdid({ width: 1920, height: 1080, refreshHz: 60 });
    const clock = edid[54] | (edid[55] << 8);
    expect([edid[57] | ((edid[58] & 15) << 8), edid[60] | ((edid[61] & 15) << 8)]).toEqual([160, 31]);
    expect(clock).toBe(13865); // CVT rounds down to 138.50 MHz; the refresh rate is kept exact instead
  });

  it('any mode from 64 to 8192 px and any whole refresh rate reads back', () => {
    const side = fc.integer({ min: 64, max: 8192 });
    fc.assert(
      fc.property(side, side, fc.integer({ min: 24, max: 240 }), (width, height, refreshHz) => {
        const edid = buildEdid({ width, height, refreshHz });
        expectChecksums(edid);
        expect(parseEdid(edid)).toEqual({ width, height, refreshHz });
      }),
      { numRuns: 500 },
    );
  });

  it("a fractional refresh rate reads back within the clock's 10 kHz", () => {
    const mode = parseEdid(buildEdid({ width: 1920, height: 1080, refreshHz: 59.94 }));
    expect(mode).toHaveProperty('refreshHz');
    if ('refreshHz' in mode) expect(mode.refreshHz).toBeCloseTo(59.94, 2);
  });

  it('carries name and serial number, the name cut to 13 characters of ASCII', () => {
    const edid = buildEdid({ width: 1920, height: 1080, refreshHz: 60, name: 'Mönitor with a long name', serial: 0xfedcba98 });
    expect([...edid.subarray(12, 16)]).toEqual([0x98, 0xba, 0xdc, 0xfe]);
    expect([...edid.subarray(72, 77)]).toEqual([0, 0, 0, 0xfc, 0]);
    expect(String.fromCharCode(...edid.subarray(77, 90))).toBe('M?nitor with ');
    const short = buildEdid({ width: 1920, height: 1080, refreshHz: 60, name: 'ab' });
    expect(String.fromCharCode(...short.subarray(77, 90))).toBe('ab\n          ');
    expect([...edid.subarray(90, 95)]).toEqual([0, 0, 0, 0x10, 0]);
  });

  it('refuses what it can not describe', () => {
    const mode = { width: 1920, height: 1080, refreshHz: 60 };
    for (const bad of [
      { width: 0 },
      { height: 16385 },
      { width: 1.5 },
      { refreshHz: 0 },
      { refreshHz: Number.NaN },
      { serial: -1 },
      { serial: 1.5 },
      { serial: 2 ** 32 },
    ]) {
      expect(() => buildEdid({ ...mode, ...bad })).toThrow(RangeError);
    }
    expect(() => buildEdid({ width: 16384, height: 16384, refreshHz: 1000 })).toThrow(/pixel clock/);
  });

  it('takes the buffer of GET_EDID, 1024 bytes with zeroes behind', () => {
    const buffer = new Uint8Array(1024);
    buffer.set(buildEdid({ width: 7680, height: 4320, refreshHz: 60 }));
    expect(parseEdid(buffer)).toEqual({ width: 7680, height: 4320, refreshHz: 60 });
  });

  it('one wrong bit anywhere is an error', () => {
    const good = buildEdid({ width: 7680, height: 4320, refreshHz: 60 });
    for (let i = 0; i < good.length; i++) {
      const bad = good.slice();
      bad[i] ^= 1 << (i % 8);
      expect(parseEdid(bad), `byte ${i}`).toHaveProperty('error');
    }
  });

  /** An EDID whose bytes were changed and whose checksums were made right again. */
  function changed(height: number, change: (edid: Uint8Array) => void): ReturnType<typeof parseEdid> {
    const edid = buildEdid({ width: 1920, height, refreshHz: 60 });
    change(edid);
    for (let at = 0; at < edid.length; at += 128) edid[at + 127] = -edid.subarray(at, at + 127).reduce((sum, byte) => sum + byte, 0);
    return parseEdid(edid);
  }
  /** Tall enough for a DisplayID extension, whose one timing is then the only one. */
  const TALL = 8192;
  const SECTION_LENGTH = 128 + 2;
  const BLOCK = 128 + 5;

  it.each<[string, number, (edid: Uint8Array) => void]>([
    ['another magic', 1080, (edid) => edid.set([0xff, 0x00], 0)],
    ['a detailed timing without a clock', 1080, (edid) => edid.fill(0, 54, 56)],
    ['a detailed timing without a width', 1080, (edid) => edid.fill(0, 56, 59)],
    ['a detailed timing without a height', 1080, (edid) => edid.fill(0, 59, 62)],
    ['an extension that is no DisplayID', TALL, (edid) => edid.fill(0x02, 128, 129)],
    ['a data block past its section', TALL, (edid) => edid.fill(119, BLOCK + 2, BLOCK + 3)],
    ['a section past its block', TALL, (edid) => edid.fill(255, SECTION_LENGTH, SECTION_LENGTH + 1).fill(120, BLOCK + 2, BLOCK + 3)],
    ['a timing past its data block', TALL, (edid) => edid.fill(19, BLOCK + 2, BLOCK + 3)],
    ['a timing that is not preferred', TALL, (edid) => edid.fill(0x08, BLOCK + 6, BLOCK + 7)],
    ['a data block of another type', TALL, (edid) => edid.fill(0x04, BLOCK, BLOCK + 1)],
  ])('%s is an error, though the checksums are right', (_what, height, change) => {
    expect(changed(height, () => {})).toEqual({ width: 1920, height, refreshHz: 60 });
    expect(changed(height, change)).toHaveProperty('error');
  });

  it('the error says what is missing of an EDID that was cut off', () => {
    const edid = buildEdid({ width: 7680, height: 4320, refreshHz: 60 });
    expect(parseEdid(edid.subarray(0, 127))).toEqual({ error: 'an EDID has at least 128 bytes, not 127' });
    expect(parseEdid(edid.subarray(0, 255))).toEqual({ error: 'EDID announces 2 blocks, 255 bytes hold fewer' });
  });

  it('any bytes never throw, not even with valid checksums', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 400 }), fc.boolean(), (bytes, repair) => {
        if (repair && bytes.length >= 256) {
          bytes.set([0, 255, 255, 255, 255, 255, 255, 0]);
          bytes[126] = 1;
          bytes[128] = 0x70;
          for (const at of [0, 128]) bytes[at + 127] = -bytes.subarray(at, at + 127).reduce((sum, byte) => sum + byte, 0) & 255;
        }
        const result = parseEdid(bytes);
        expect('error' in result || (result.width > 0 && result.height > 0)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});
