/**
 * EDID 1.4 (VESA E-EDID, Release A rev. 2), as GET_EDID answers it: one base block, and for a mode that its detailed
 * timing descriptor can't hold (a side past 4095 px or a pixel clock past 655.35 MHz, so 8K and 4K at 120 Hz) a DisplayID
 * 1.3 extension block with a type I timing, as QEMU does it (`hw/display/edid-generate.c`) and Linux reads it
 * (`drm_mode_displayid_detailed`).
 */

import type { Timing } from './edid-timing.ts';
import { reducedBlanking, refreshOf } from './edid-timing.ts';

export interface EdidMode {
  /** px, 1 … 16384 */
  width: number;
  /** px, 1 … 16384 */
  height: number;
  /** 1 … 1000 */
  refreshHz: number;
}

export interface EdidOptions extends EdidMode {
  /** The monitor's name, at most 13 printable ASCII characters; the rest is cut off, other characters become `?`. */
  name?: string;
  /** Serial number, u32. */
  serial?: number;
}

/** Bytes of the base block and of each extension. */
export const EDID_BLOCK_BYTES = 128;

const MAGIC = [0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00];
/** Chromaticity of sRGB's primaries and white, EDID bytes 25–34. */
const SRGB = [0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54];
const FIRST_DESCRIPTOR = 54;
const DESCRIPTOR_BYTES = 18;
const MAX_SIDE = 16384;
const EXTENSION_DISPLAYID = 0x70;
/** DisplayID 1.3 data block "type I detailed timing", 20 bytes a timing. */
const BLOCK_TYPE_I = 0x03;
const TYPE_I_BYTES = 20;
/** Offset of the first data block in the extension block: its tag, then the section's version, length, product, count. */
const SECTION = 1;
const FIRST_DATA_BLOCK = 5;

/**
 * An EDID of 128 bytes, or 256 with the DisplayID extension, whose preferred mode is `options`.
 * @throws RangeError when a side, the refresh rate or the serial number is out of range, or the pixel clock is past
 * DisplayID's 2^24 × 10 kHz.
 */
export function buildEdid(options: EdidOptions): Uint8Array {
  const { width, height, refreshHz } = options;
  const serial = options.serial ?? 1;
  checkSide('width', width);
  checkSide('height', height);
  if (!(refreshHz >= 1 && refreshHz <= 1000)) throw new RangeError(`EDID refresh rate must be 1 … 1000 Hz, not ${refreshHz}`);
  if (!Number.isInteger(serial) || serial < 0 || serial > 0xffffffff) {
    throw new RangeError(`EDID serial number must be a u32, not ${serial}`);
  }
  const timing = reducedBlanking(width, height, refreshHz);
  if (timing.clock10kHz > 0x1000000) throw new RangeError(`${width}×${height} at ${refreshHz} Hz needs a pixel clock past DisplayID's`);
  const large = width > 4095 || height > 4095 || timing.vBlank > 4095 || timing.clock10kHz > 0xffff;

  const edid = new Uint8Array(large ? 2 * EDID_BLOCK_BYTES : EDID_BLOCK_BYTES);
  const view = new DataView(edid.buffer);
  edid.set(MAGIC, 0);
  edid.set([0x31, 0xd8], 8); // 'LNX', the manufacturer of the kernel's own built-in EDIDs, five bits a letter
  view.setUint16(10, 1, true);
  view.setUint32(12, serial, true);
  edid.set([0, 34], 16); // no week, year 2024
  edid.set([1, 4], 18);
  edid[20] = 0xa5; // digital, 8 bits a colour, DisplayPort
  edid[21] = Math.min(255, Math.max(1, Math.round(millimetres(width) / 10)));
  edid[22] = Math.min(255, Math.max(1, Math.round(millimetres(height) / 10)));
  edid[23] = 120; // gamma 2.2
  edid[24] = large ? 0x04 : 0x06; // sRGB; the first descriptor is the native mode
  edid.set(SRGB, 25);
  edid[35] = 0x20; // 640×480 at 60 Hz, which every display takes
  edid.fill(0x01, 38, 54); // no standard timings
  let descriptor = FIRST_DESCRIPTOR;
  if (!large) {
    writeDetailedTiming(edid, descriptor, timing);
    descriptor += DESCRIPTOR_BYTES;
  }
  writeName(edid, descriptor, options.name ?? 'scanout');
  for (descriptor += DESCRIPTOR_BYTES; descriptor < 126; descriptor += DESCRIPTOR_BYTES) edid[descriptor + 3] = 0x10; // dummy
  edid[126] = large ? 1 : 0;
  edid[127] = checksum(edid, 0, 127);
  if (large) writeDisplayId(edid, EDID_BLOCK_BYTES, timing);
  return edid;
}

/**
 * The preferred mode of an EDID: a DisplayID type I timing marked preferred, else the first detailed timing. Never throws.
 * Bytes past the announced extensions (GET_EDID's buffer has 1024) are ignored.
 */
export function parseEdid(bytes: Uint8Array): EdidMode | { error: string } {
  if (bytes.length < EDID_BLOCK_BYTES) return { error: `an EDID has at least ${EDID_BLOCK_BYTES} bytes, not ${bytes.length}` };
  for (let i = 0; i < MAGIC.length; i++) if (bytes[i] !== MAGIC[i]) return { error: 'not an EDID: wrong first eight bytes' };
  const blocks = 1 + bytes[126];
  if (bytes.length < blocks * EDID_BLOCK_BYTES) return { error: `EDID announces ${blocks} blocks, ${bytes.length} bytes hold fewer` };
  for (let block = 0; block < blocks; block++) {
    const at = block * EDID_BLOCK_BYTES;
    if (checksum(bytes, at, at + 127) !== bytes[at + 127]) return { error: `EDID block ${block} has a wrong checksum` };
  }
  for (let block = 1; block < blocks; block++) {
    const at = block * EDID_BLOCK_BYTES;
    if (bytes[at] !== EXTENSION_DISPLAYID) continue;
    const timing = readDisplayId(bytes, at);
    if (timing !== null) return modeOf(timing);
  }
  for (let i = 0; i < 4; i++) {
    const timing = readDetailedTiming(bytes, FIRST_DESCRIPTOR + i * DESCRIPTOR_BYTES);
    if (timing !== null) return modeOf(timing);
  }
  return { error: 'EDID has no detailed timing' };
}

function modeOf(timing: Timing): EdidMode {
  return { width: timing.width, height: timing.height, refreshHz: refreshOf(timing) };
}

function checkSide(what: string, pixels: number): void {
  if (!Number.isInteger(pixels) || pixels < 1 || pixels > MAX_SIDE) {
    throw new RangeError(`EDID ${what} must be 1 … ${MAX_SIDE} px, not ${pixels}`);
  }
}

/** At 96 dots an inch. */
function millimetres(pixels: number): number {
  return Math.min(4095, Math.max(1, Math.round((pixels * 25.4) / 96)));
}

/** The byte that makes the sum of `[from, to]` zero modulo 256, `to` being where it goes. */
function checksum(bytes: Uint8Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += bytes[i];
  return -sum & 0xff;
}

function writeName(edid: Uint8Array, at: number, name: string): void {
  edid[at + 3] = 0xfc;
  const characters = [...name].slice(0, 13);
  for (let i = 0; i < 13; i++) {
    const code = i < characters.length ? (characters[i].codePointAt(0) ?? 0x3f) : i === characters.length ? 0x0a : 0x20;
    edid[at + 5 + i] = i < characters.length && (code < 0x20 || code > 0x7e) ? 0x3f : code;
  }
}

/** The 18-byte detailed timing descriptor, § 3.10.2. */
function writeDetailedTiming(edid: Uint8Array, at: number, t: Timing): void {
  const mmX = millimetres(t.width);
  const mmY = millimetres(t.height);
  edid.set(
    [
      t.clock10kHz & 0xff,
      t.clock10kHz >> 8,
      t.width & 0xff,
      t.hBlank & 0xff,
      ((t.width >> 8) << 4) | (t.hBlank >> 8),
      t.height & 0xff,
      t.vBlank & 0xff,
      ((t.height >> 8) << 4) | (t.vBlank >> 8),
      t.hFront & 0xff,
      t.hSync & 0xff,
      ((t.vFront & 0xf) << 4) | (t.vSync & 0xf),
      ((t.hFront >> 8) << 6) | ((t.hSync >> 8) << 4) | ((t.vFront >> 4) << 2) | (t.vSync >> 4),
      mmX & 0xff,
      mmY & 0xff,
      ((mmX >> 8) << 4) | (mmY >> 8),
      0,
      0,
      0x1a, // digital separate sync, horizontal positive, vertical negative: CVT reduced blanking
    ],
    at,
  );
}

function readDetailedTiming(b: Uint8Array, at: number): Timing | null {
  const clock10kHz = b[at] | (b[at + 1] << 8);
  if (clock10kHz === 0) return null; // another kind of descriptor
  const width = b[at + 2] | ((b[at + 4] >> 4) << 8);
  const height = b[at + 5] | ((b[at + 7] >> 4) << 8);
  if (width === 0 || height === 0) return null;
  return {
    clock10kHz,
    width,
    height,
    hBlank: b[at + 3] | ((b[at + 4] & 0xf) << 8),
    vBlank: b[at + 6] | ((b[at + 7] & 0xf) << 8),
    hFront: b[at + 8] | ((b[at + 11] >> 6) << 8),
    hSync: b[at + 9] | (((b[at + 11] >> 4) & 3) << 8),
    vFront: (b[at + 10] >> 4) | (((b[at + 11] >> 2) & 3) << 4),
    vSync: (b[at + 10] & 0xf) | ((b[at + 11] & 3) << 4),
  };
}

/** One extension block: tag, a DisplayID section with one type I timing (all its fields are stored less one), two checksums. */
function writeDisplayId(edid: Uint8Array, at: number, t: Timing): void {
  const view = new DataView(edid.buffer);
  edid[at] = EXTENSION_DISPLAYID;
  edid[at + SECTION] = 0x13; // DisplayID 1.3
  edid[at + SECTION + 1] = 121; // bytes of data blocks, the unused ones are zero fill
  edid[at + SECTION + 2] = 0x03; // standalone display device
  const block = at + FIRST_DATA_BLOCK;
  edid[block] = BLOCK_TYPE_I;
  edid[block + 2] = TYPE_I_BYTES;
  const timing = block + 3;
  const clock = t.clock10kHz - 1;
  edid[timing] = clock & 0xff;
  edid[timing + 1] = (clock >> 8) & 0xff;
  edid[timing + 2] = clock >> 16;
  edid[timing + 3] = 0x88; // preferred, progressive, aspect ratio not defined
  view.setUint16(timing + 4, t.width - 1, true);
  view.setUint16(timing + 6, t.hBlank - 1, true);
  view.setUint16(timing + 8, (t.hFront - 1) | 0x8000, true); // bit 15: positive sync
  view.setUint16(timing + 10, t.hSync - 1, true);
  view.setUint16(timing + 12, t.height - 1, true);
  view.setUint16(timing + 14, t.vBlank - 1, true);
  view.setUint16(timing + 16, t.vFront - 1, true);
  view.setUint16(timing + 18, t.vSync - 1, true);
  const sectionEnd = at + SECTION + 4 + 121;
  edid[sectionEnd] = checksum(edid, at + SECTION, sectionEnd);
  edid[at + 127] = checksum(edid, at, at + 127);
}

/** The first preferred type I timing of a DisplayID extension; null when there is none or the blocks don't fit. */
function readDisplayId(b: Uint8Array, at: number): Timing | null {
  const view = new DataView(b.buffer, b.byteOffset, b.byteLength);
  const end = Math.min(at + FIRST_DATA_BLOCK + b[at + SECTION + 1], at + 126);
  for (let block = at + FIRST_DATA_BLOCK; block + 3 <= end; block += 3 + b[block + 2]) {
    const blockEnd = block + 3 + b[block + 2];
    if (b[block] === 0 && b[block + 2] === 0) return null; // zero fill
    if (blockEnd > end) return null;
    if (b[block] !== BLOCK_TYPE_I) continue;
    for (let t = block + 3; t + TYPE_I_BYTES <= blockEnd; t += TYPE_I_BYTES) {
      if ((b[t + 3] & 0x80) === 0) continue;
      return {
        clock10kHz: 1 + (b[t] | (b[t + 1] << 8) | (b[t + 2] << 16)),
        width: 1 + view.getUint16(t + 4, true),
        hBlank: 1 + view.getUint16(t + 6, true),
        hFront: 1 + (view.getUint16(t + 8, true) & 0x7fff),
        hSync: 1 + view.getUint16(t + 10, true),
        height: 1 + view.getUint16(t + 12, true),
        vBlank: 1 + view.getUint16(t + 14, true),
        vFront: 1 + (view.getUint16(t + 16, true) & 0x7fff),
        vSync: 1 + view.getUint16(t + 18, true),
      };
    }
  }
  return null;
}
