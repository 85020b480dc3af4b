import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Random } from '../../../core/memory/random.ts';

describe('Random', () => {
  test('gives the same sequence for the same seed and another for another', () => {
    const draw = (seed: number): number[] => {
      const random = new Random(seed);
      return Array.from({ length: 32 }, () => random.next());
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    expect(new Set(draw(0)).size).toBe(32);
  });

  test('agrees with a 64-bit model of xoshiro128**', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (seed) => {
        const random = new Random(seed);
        const model = xoshiro128(seed);
        for (let i = 0; i < 16; i++) expect(random.next()).toBe(model());
      }),
    );
  });

  test('below(n) stays in [0, n) and reaches every small value', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 2 ** 32 }), (seed, n) => {
        const value = new Random(seed).below(n);
        return Number.isInteger(value) && value >= 0 && value < n;
      }),
    );
    const random = new Random(1);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i++) counts[random.below(10)]++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  test.each([0, -1, 1.5, Number.NaN, 2 ** 32 + 1])('below refuses %s', (n) => {
    expect(() => new Random(1).below(n)).toThrow(RangeError);
  });

  test('refuses a seed that is no number, and names the seed it used', () => {
    expect(() => new Random(Number.NaN)).toThrow(RangeError);
    expect(new Random(-1).seed).toBe(0xffff_ffff);
  });
});

/** The published C code over BigInt, one statement for one. */
function xoshiro128(seed: number): () => number {
  const mask = 0xffff_ffffn;
  const s: bigint[] = [];
  let mix = BigInt(seed);
  for (let i = 0; i < 4; i++) {
    mix = (mix + 0x9e3779b9n) & mask;
    let z = mix;
    z = ((z ^ (z >> 16n)) * 0x21f0aaadn) & mask;
    z = ((z ^ (z >> 15n)) * 0x735a2d97n) & mask;
    s.push(z ^ (z >> 15n));
  }
  const rotl = (x: bigint, k: bigint): bigint => ((x << k) | (x >> (32n - k))) & mask;
  return () => {
    const result = (rotl((s[1] * 5n) & mask, 7n) * 9n) & mask;
    const t = (s[1] << 9n) & mask;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 11n);
    return Number(result);
  };
}
