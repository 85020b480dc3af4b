import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { findCompiler } from '../../benchmarks/compiler.ts';
import { loadNodeAv } from '../../workers/encode/node-av.ts';
import { decodeH264, psnr } from '../support/h264.ts';
import { CARD, cardNumber, cardPixel } from '../support/test-card.ts';

const support = join(import.meta.dirname, '../support');
const folder = mkdtempSync(join(tmpdir(), 'scanout-fake-libva-'));
const isBuilt = await build();
afterAll(() => rmSync(folder, { recursive: true }));

/** Needs a compiler and libva's headers (Debian: libva-dev). */
async function build(): Promise<boolean> {
  const compiler = typeof loadNodeAv() === 'string' ? null : await findCompiler();
  if (compiler === null || process.platform !== 'linux') return false;
  const library = join(folder, 'libva.so.2');
  const { status } = spawnSync(compiler.command, ['-O1', '-w', '-shared', '-fPIC', '-o', library, join(support, 'fake-libva.c')]);
  if (status !== 0) return false;
  copyFileSync(library, join(folder, 'libva-drm.so.2'));
  return true;
}

describe.skipIf(!isBuilt)("FFmpeg's own VAAPI encoder over a libva that stands for a GPU", () => {
  const encode = (width: number, height: number, frames: number, key: number) => {
    const node = join(folder, 'renderD128');
    writeFileSync(node, '');
    const file = join(folder, 'out.h264');
    const args = [join(support, 'hardware-frames.ts'), node, file, ...[width, height, frames, key].map(String)];
    // The stand-in and no other, whatever this machine has.
    const env = { ...process.env, LD_LIBRARY_PATH: folder };
    return { file, ...spawnSync(process.execPath, args, { env, encoding: 'utf8', timeout: 60_000 }) };
  };

  test('gives a packet a frame, each the picture that was uploaded within 40 dB, key frames where they are asked for, and keeps nothing', async () => {
    const { width, height } = CARD;
    const { file, stdout, stderr } = encode(width, height, 40, 20);
    expect([stdout, stderr]).toEqual([`${JSON.stringify({ packets: 40, keys: [0, 20] })}\n`, expect.stringContaining('libva: 0 kept')]);
    let frame = 0;
    for await (const decoded of decodeH264(file)) {
      expect([decoded.width, decoded.height]).toEqual([width, height]);
      expect(cardNumber((x, y) => decoded.pixels[y * decoded.width + x] & 255)).toBe(frame);
      expect(psnr(decoded, (x, y) => cardPixel(frame, x, y))).toBeGreaterThanOrEqual(40);
      frame++;
    }
    expect(frame).toBe(40);
  });

  test('refuses a size that the GPU does not take, and keeps nothing', () => {
    const { status, stderr } = encode(5000, 64, 1, 0);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/renderD128: /);
    expect(stderr).toContain('libva: 0 kept');
  });
});
