/** CRC-32 (IEEE 802.3, reflected, as in zlib and PNG), eight bits a step by table, four tables for words. */

const POLYNOMIAL = 0xedb88320;

const tables: readonly Int32Array[] = buildTables();

function buildTables(): Int32Array[] {
  const built = [new Int32Array(256), new Int32Array(256), new Int32Array(256), new Int32Array(256)];
  for (let i = 0; i < 256; i++) {
    let c = i;
    for (let bit = 0; bit < 8; bit++) c = (c & 1) !== 0 ? POLYNOMIAL ^ (c >>> 1) : c >>> 1;
    built[0][i] = c;
  }
  for (let t = 1; t < 4; t++) {
    for (let i = 0; i < 256; i++) {
      const c = built[t - 1][i];
      built[t][i] = built[0][c & 0xff] ^ (c >>> 8);
    }
  }
  return built;
}

const T0 = tables[0];
const T1 = tables[1];
const T2 = tables[2];
const T3 = tables[3];

/** The state before the first byte; `crcEnd` makes the checksum of it. */
export const CRC_START = -1;

/** The state after bytes [from, to) of `bytes`. */
export function crcBytes(state: number, bytes: Uint8Array, from: number, to: number): number {
  let c = state;
  for (let i = from; i < to; i++) c = T0[(c ^ bytes[i]) & 0xff] ^ (c >>> 8);
  return c;
}

/** The state after little-endian words [from, to) of `words`. */
export function crcWords(state: number, words: Uint32Array, from: number, to: number): number {
  let c = state;
  for (let i = from; i < to; i++) {
    const x = c ^ words[i];
    c = T3[x & 0xff] ^ T2[(x >>> 8) & 0xff] ^ T1[(x >>> 16) & 0xff] ^ T0[x >>> 24];
  }
  return c;
}

/** The checksum, as i32 (`>>> 0` for the usual u32). */
export const crcEnd = (state: number): number => ~state;
