/** Requests as little-endian words. */

const TWO_32 = 4294967296;

/** A request: a header without flags, then the body's words. */
export function request(type: number, body: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.of(type, 0, 0, 0, 0, 0, ...body).buffer);
}

/** A memory entry's words. @param address guest-physical, below 2^53 */
export function entry(address: number, length: number): number[] {
  return [address % TWO_32, Math.floor(address / TWO_32), length, 0];
}
