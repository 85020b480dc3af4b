/**
 * Seeded pseudo-random numbers: xoshiro128** 1.1 (Blackman and Vigna, "Scrambled linear pseudorandom number
 * generators", 2018), its state filled by splitmix32 from one seed. Equal seeds give equal sequences. Not for
 * secrets.
 */
export class Random {
  /** The seed as used: the given one modulo 2^32. */
  readonly seed: number;
  readonly #state = new Uint32Array(4);

  /** @throws RangeError unless `seed` is a finite number; its integer part modulo 2^32 is used */
  constructor(seed: number) {
    if (!Number.isFinite(seed)) throw new RangeError(`a seed must be a finite number, not ${seed}`);
    this.seed = seed >>> 0;
    let mix = this.seed;
    for (let i = 0; i < 4; i++) {
      mix = (mix + 0x9e3779b9) | 0;
      let word = mix ^ (mix >>> 16);
      word = Math.imul(word, 0x21f0aaad);
      word ^= word >>> 15;
      word = Math.imul(word, 0x735a2d97);
      this.#state[i] = word ^ (word >>> 15);
    }
  }

  /** The next integer in [0, 2^32). */
  next(): number {
    const state = this.#state;
    const product = Math.imul(state[1], 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = state[1] << 9;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = (state[3] << 11) | (state[3] >>> 21);
    return result;
  }

  /**
   * An integer in [0, n), every one equally likely.
   * @throws RangeError unless `n` is an integer in 1 … 2^32
   */
  below(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 0x1_0000_0000) throw new RangeError(`no random number lies below ${n}`);
    // The incomplete last run of n values is drawn again: taking it would favour small results.
    const limit = 0x1_0000_0000 - (0x1_0000_0000 % n);
    let value = this.next();
    while (value >= limit) value = this.next();
    return value % n;
  }
}
