import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { allocatedBytes, giveBackFreed } from '../../../workers/memory.ts';

const MIB = 2 ** 20;
/** Below what malloc(3) takes from the system apart, and gives back at once. */
const PIECE = 100_000;

describe('memory that was freed', () => {
  it('is not counted as resident any more once the C library was asked to give it back', () => {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const libc = koffi.load(null);
    const allocate = libc.func('void *malloc(size_t bytes)');
    const free = libc.func('void free(void *memory)');
    const fill = libc.func('void *memset(void *memory, int value, size_t bytes)');
    const pieces: unknown[] = [];
    const none = allocatedBytes() ?? 0;
    for (let bytes = 0; bytes < 96 * MIB; bytes += PIECE) {
      const piece = allocate(PIECE);
      fill(piece, 1, PIECE);
      pieces.push(piece);
    }
    const all = allocatedBytes() ?? 0;
    // One that stays at the end keeps all before it from being given back by itself.
    const last = pieces.pop();
    for (const piece of pieces) free(piece);
    const freed = allocatedBytes() ?? 0;
    const before = process.memoryUsage.rss();
    expect(giveBackFreed()).toBe(true);
    const after = process.memoryUsage.rss();
    free(last);
    expect(all - none).toBeGreaterThan(95 * MIB);
    expect(Math.abs(freed - none)).toBeLessThan(MIB);
    expect(before - after).toBeGreaterThan(64 * MIB);
  });
});
