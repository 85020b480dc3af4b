import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Content, contentSize, planContent } from '../../../core/machine/content.ts';
import { monotonicNowNs } from '../../../core/measure/clock.ts';
import { type PictureShare, PictureTaker } from '../../../core/memory/picture-ring.ts';
import { ContentFile } from '../../../workers/content/content-file.ts';
import { ContentThread, probeFile } from '../../../workers/content/content-thread.ts';
import { loadNodeAv, type NodeAv } from '../../../workers/encode/node-av.ts';
import { greyOf, knownPixel, writeContent, writeFilm, writeStill } from '../../support/content-files.ts';

const loaded = loadNodeAv();

describe.skipIf(typeof loaded === 'string')('content', () => {
  const av = loaded as NodeAv;
  let folder: string;
  const at = (name: string): string => join(folder, name);
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'scanout-content-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const contentOf = async (file: string): Promise<Content> => ({ ...(await probeFile(file)), file, name: 'test', digest: '00' });

  /** The pictures of a file in a machine of a size, one after the other, as long as `look` wants them. */
  async function watch(
    file: string,
    size: { width: number; height: number },
    look: (taker: PictureTaker) => boolean,
    paced = false,
  ): Promise<string[]> {
    const content = await contentOf(file);
    const share: PictureShare = planContent(content, size);
    const damages: string[] = [];
    const originNs = monotonicNowNs();
    const thread = await ContentThread.start(content, share, paced, originNs, (why) => damages.push(why));
    const taker = new PictureTaker(share, paced);
    const now = new Float64Array(1);
    try {
      for (let number = -1; ; ) {
        if (taker.number !== number && !look(taker)) return damages;
        number = taker.number;
        await new Promise((resolve) => setImmediate(resolve));
        now[0] = monotonicNowNs() - originNs;
        taker.take(now);
      }
    } finally {
      await thread.stop();
    }
  }
  const pixelOf = ({ pages, stride }: PictureTaker, x: number, y: number): number =>
    pages.region[0].u32[(pages.offset[0] + y * stride) / 4 + x] & 0xffffff;

  test.each([
    ['a.png', 'png', 'AV_PIX_FMT_RGB24', 61, 47],
    ['alpha.png', 'png', 'AV_PIX_FMT_RGBA', 61, 47],
    ['a.bmp', 'bmp', 'AV_PIX_FMT_BGR24', 64, 40],
    ['tiny.png', 'png', 'AV_PIX_FMT_RGB24', 1, 1],
    // Its name is not what says what it is, nor are there hundreds of it.
    ['film%03d.mp4.png', 'png', 'AV_PIX_FMT_RGB24', 33, 9],
  ] as const)('the picture %s is shown exactly', async (name, encoder, format, width, height) => {
    writeStill(av, at(name).replace('%03d', ''), encoder, av[format], width, height);
    if (name.includes('%')) writeFileSync(at(name), readFileSync(at(name.replace('%03d', ''))));
    expect(await probeFile(at(name))).toEqual({ codec: encoder, width, height, aspect: width / height, isStill: true });
    await watch(at(name), { width, height }, (taker) => {
      expect([taker.width, taker.height]).toEqual([width, height]);
      let wrong = 0;
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const [r, g, b] = format === 'AV_PIX_FMT_BGR24' ? knownPixel(x, y).toReversed() : knownPixel(x, y);
          if (pixelOf(taker, x, y) !== ((r << 16) | (g << 8) | b)) wrong++;
        }
      }
      expect(wrong).toBe(0);
      return false;
    });
  });

  test('a film is shown picture after picture, from its end again from its beginning', async () => {
    writeFilm(av, at('film.mp4'));
    expect(await probeFile(at('film.mp4'))).toEqual({ codec: 'h264', width: 64, height: 48, aspect: 64 / 48, isStill: false });
    const seen: number[] = [];
    await watch(at('film.mp4'), { width: 64, height: 48 }, (taker) => {
      seen.push(pixelOf(taker, 30, 20) & 255);
      expect(taker.number).toBe(seen.length - 1);
      return seen.length < 35;
    });
    for (const [i, grey] of seen.entries()) expect(Math.abs(grey - greyOf(i % 10))).toBeLessThanOrEqual(1);
  });

  test('pictures are due when the film says, and the film takes as long as its last one lasts', () => {
    writeFilm(av, at('uneven.mkv'), { rate: 100, at: (picture) => picture * picture });
    const film = new ContentFile(av, at('uneven.mkv'));
    const due: number[] = [];
    for (let step = film.step(); step !== 'end'; step = film.step()) if (step === 'picture') due.push(film.atNs / 1e6);
    film.close();
    expect(due).toEqual(Array.from({ length: 10 }, (_, picture) => 10 * picture * picture));
    expect(film.lengthNs).toBeGreaterThan(film.atNs);
    expect(film.damage).toBe(null);
  });

  test('a film is shown no faster than it says, whoever looks', async () => {
    writeFilm(av, at('fast.mp4'), { rate: 100, pictures: 10 });
    const numbers: number[] = [];
    const start = performance.now();
    let looked = start;
    await watch(
      at('fast.mp4'),
      { width: 64, height: 48 },
      () => {
        numbers.push(performance.now() - looked);
        looked = performance.now();
        return looked - start < 500;
      },
      true,
    );
    // 100 a second at most; fewer where this computer is busy.
    expect(numbers.length).toBeLessThanOrEqual(52);
    expect(numbers.length).toBeGreaterThan(2);
  });

  test('what is not as wide as the head has bars, whatever shape its pixels have', async () => {
    const head = { width: 640, height: 360 };
    expect(contentSize({ aspect: 4 / 3 }, head)).toEqual({ width: 480, height: 360 });
    expect(contentSize({ aspect: 64 / 9 }, head)).toEqual({ width: 640, height: 90 });
    expect(contentSize({ aspect: 1e9 }, head)).toEqual({ width: 640, height: 1 });
    expect(contentSize({ aspect: 1e-9 }, head)).toEqual({ width: 1, height: 360 });
    writeFilm(av, at('wide.mp4'), { pixelAspect: { num: 2, den: 1 }, pictures: 2 });
    expect(await probeFile(at('wide.mp4'))).toMatchObject({ width: 64, height: 48, aspect: 128 / 48 });
  });

  test('what is not as large as the head is scaled to it', async () => {
    writeFilm(av, at('odd.mp4'), { width: 62, height: 46, pictures: 3 });
    const seen: number[] = [];
    await watch(at('odd.mp4'), { width: 129, height: 211 }, (taker) => {
      expect([taker.width, taker.height]).toEqual([129, Math.round((129 * 46) / 62)]);
      seen.push(pixelOf(taker, 128, taker.height - 1) & 255, pixelOf(taker, 0, 0) & 255);
      return seen.length < 6;
    });
    for (const [i, grey] of seen.entries()) expect(Math.abs(grey - greyOf(i >> 1))).toBeLessThanOrEqual(1);
  });

  describe('a file that cannot be shown is named by what is wrong with it', () => {
    test.each([
      ['that is not there', () => {}, /cannot be read: No such file/],
      ['that is empty', (file: string) => writeFileSync(file, ''), /no picture or video/],
      ['of text', (file: string) => writeFileSync(file, 'a film\n'.repeat(100)), /no picture or video/],
      ['that is a folder', (file: string) => mkdirSync(file), /no picture or video/],
      ['that names another one', (file: string) => writeFileSync(file, '#EXTM3U\n#EXTINF:1,\nfilm.mp4\n'), /no picture or video/],
      ['that names others', (file: string) => writeFileSync(file, 'ffconcat version 1.0\nfile film.mp4\n'), /no picture or video/],
    ])('one %s', async (name, make, why) => {
      const file = at(name.replaceAll(' ', '-'));
      make(file);
      await expect(probeFile(file)).rejects.toThrow(why);
    });

    test('one of sound', async () => {
      const samples = Buffer.alloc(44 + 8000);
      samples.write('RIFF', 0);
      samples.writeUInt32LE(36 + 8000, 4);
      samples.write('WAVEfmt ', 8);
      for (const [offset, value] of [
        [16, 16],
        [24, 8000],
        [28, 8000],
        [40, 8000],
      ] as const)
        samples.writeUInt32LE(value, offset);
      for (const [offset, value] of [
        [20, 1],
        [22, 1],
        [32, 1],
        [34, 8],
      ] as const)
        samples.writeUInt16LE(value, offset);
      samples.write('data', 36);
      writeFileSync(at('sound.wav'), samples);
      await expect(probeFile(at('sound.wav'))).rejects.toThrow(/no picture/);
    });

    test('one whose beginning is all there is', async () => {
      writeFilm(av, at('whole.mp4'));
      const whole = readFileSync(at('whole.mp4'));
      writeFileSync(at('cut.mp4'), whole.subarray(0, whole.length / 2));
      await expect(probeFile(at('cut.mp4'))).rejects.toThrow(/no picture or video/);
      writeStill(av, at('whole.png'), 'png', av.AV_PIX_FMT_RGB24, 61, 47);
      writeFileSync(at('cut.png'), readFileSync(at('whole.png')).subarray(0, 60));
      await expect(probeFile(at('cut.png'))).rejects.toThrow(/no picture/);
    });

    test('one that is too large', async () => {
      writeContent(av, at('large.png'), { encoder: 'png', format: av.AV_PIX_FMT_RGB24, width: 8193, height: 2, pictures: 1, draw() {} });
      await expect(probeFile(at('large.png'))).rejects.toThrow(/8193x2 pixels are too many: a side has 8192/);
    });
  });

  test('of a film that is damaged what can be decoded is shown, and the damage told once', async () => {
    writeFilm(av, at('good.mp4'), { pictures: 10, width: 320, height: 240 });
    const bytes = readFileSync(at('good.mp4'));
    // Pictures lie before the index, which is at the end.
    bytes.fill(0xff, Math.floor(bytes.length * 0.4), Math.floor(bytes.length * 0.5));
    writeFileSync(at('damaged.mp4'), bytes);
    let seen = 0;
    const damages = await watch(at('damaged.mp4'), { width: 64, height: 48 }, () => ++seen < 60);
    expect(damages.length).toBe(1);
  });

  test('what has become a pipe since it was looked into is not waited for', () => {
    const pipe = at('pipe');
    execFileSync('mkfifo', [pipe]);
    writeFilm(av, at('piped.ts'));
    // It ends the wait of who opens it all the same.
    const writer = spawn('sh', ['-c', 'exec cat "$0" >"$1"', at('piped.ts'), pipe], { stdio: 'ignore' });
    try {
      expect(() => new ContentFile(av, pipe)).toThrow('it is no file');
    } finally {
      writer.kill();
    }
  });

  test('a film that has gone from where it was ends its thread with why', async () => {
    writeFilm(av, at('gone.mp4'));
    const content = await contentOf(at('gone.mp4'));
    const share = planContent(content, { width: 64, height: 48 });
    const thread = await ContentThread.start(content, share, false, monotonicNowNs());
    rmSync(at('gone.mp4'));
    const taker = new PictureTaker(share, false);
    const now = new Float64Array(1);
    const timer = setInterval(() => taker.take(now), 1);
    expect(await thread.failed).toMatch(/No such file/);
    clearInterval(timer);
    await thread.stop();
    // The pictures that were there stay.
    expect(taker.number).toBeGreaterThan(0);
  });
});
