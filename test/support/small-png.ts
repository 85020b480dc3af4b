import { crc32, deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = 8;
/** Bytes of a chunk around its data: length, type, CRC. */
const FRAME = 12;
const COLOURS = 256;
const PIXEL = 3;
const TRUE_COLOUR = 2;
const PALETTE = 3;

/**
 * A screenshot's picture with the 256 colours that it has most of, the others as the nearest of them, for a page's text has few: half the
 * bytes. PNG (Third Edition), sections 9 and 11. @param png 8 bits a sample, true colour, not interlaced @throws Error it is another
 */
export function smallPng(png: Buffer): Buffer {
  const chunks = chunksOf(png);
  const header = chunks.find(({ type }) => type === 'IHDR')?.data ?? Buffer.alloc(0);
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  if (header[8] !== 8 || header[9] !== TRUE_COLOUR || header[12] !== 0) throw new Error('no picture of 8 bits a sample in true colour');
  const packed = Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data));
  const pixels = unfiltered(inflateSync(packed), width, height);
  const counts = new Map<number, number>();
  for (let i = 0; i < pixels.length; i += PIXEL) {
    const colour = pixels.readUIntBE(i, PIXEL);
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const all = [...counts].sort(([, a], [, b]) => b - a).map(([colour]) => colour);
  const palette = all.slice(0, COLOURS);
  const places = new Map(all.map((colour) => [colour, nearest(colour, palette)]));
  // A row begins with its filter: none.
  const rows = Buffer.alloc(height * (width + 1));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) rows[y * (width + 1) + 1 + x] = places.get(pixels.readUIntBE((y * width + x) * PIXEL, PIXEL)) ?? 0;
  }
  const indexed = Buffer.from(header);
  indexed[9] = PALETTE;
  const entries = Buffer.concat(palette.map((colour) => Buffer.from([colour >> 16, (colour >> 8) & 255, colour & 255])));
  const data = deflateSync(rows, { level: 9, memLevel: 9 });
  return Buffer.concat([
    png.subarray(0, SIGNATURE),
    ...[chunk('IHDR', indexed), chunk('PLTE', entries), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))],
  ]);
}

interface Chunk {
  readonly type: string;
  readonly data: Buffer;
}

function chunksOf(png: Buffer): Chunk[] {
  const chunks: Chunk[] = [];
  for (let at = SIGNATURE; at < png.length; ) {
    const length = png.readUInt32BE(at);
    chunks.push({ type: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) });
    at += FRAME + length;
  }
  return chunks;
}

function chunk(type: string, data: Buffer): Buffer {
  const bytes = Buffer.alloc(FRAME + data.length);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, 'latin1');
  data.copy(bytes, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}

/** Section 9.2: None, Sub, Up, Average and Paeth by the bytes to the left, above, and above to the left. */
function unfiltered(raw: Buffer, width: number, height: number): Buffer {
  const row = width * PIXEL;
  const pixels = Buffer.alloc(height * row);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (row + 1)];
    for (let x = 0; x < row; x++) {
      const at = y * row + x;
      const left = x < PIXEL ? 0 : pixels[at - PIXEL];
      const above = y === 0 ? 0 : pixels[at - row];
      const corner = x < PIXEL || y === 0 ? 0 : pixels[at - row - PIXEL];
      const predicted = [0, left, above, (left + above) >> 1, paeth(left, above, corner)][filter];
      if (predicted === undefined) throw new Error(`a row with filter ${filter}`);
      pixels[at] = raw[y * (row + 1) + 1 + x] + predicted;
    }
  }
  return pixels;
}

function paeth(left: number, above: number, corner: number): number {
  const [a, b, c] = [left, above, corner].map((one) => Math.abs(left + above - corner - one));
  return a <= b && a <= c ? left : b <= c ? above : corner;
}

function nearest(colour: number, palette: readonly number[]): number {
  let [place, least] = [0, Number.POSITIVE_INFINITY];
  for (const [i, one] of palette.entries()) {
    let distance = 0;
    for (const shift of [16, 8, 0]) distance += (((colour >> shift) & 255) - ((one >> shift) & 255)) ** 2;
    if (distance < least) [place, least] = [i, distance];
  }
  return place;
}
