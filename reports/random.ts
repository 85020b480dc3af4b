/** Numbers in [0, 1) from a seed, so that an interval is the same each time it is drawn. */
export type RandomSource = () => number;

/** mulberry32 (Tommy Ettinger, public domain): 32 bits of state, enough for resampling. */
export function seededRandom(seed: number): RandomSource {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
