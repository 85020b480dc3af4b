import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Libc } from '../../workers/native/libc.ts';
import { Running } from '../support/running-command.ts';

/** Frames at the end of what was shown that are looked at. */
const TAIL = 200;

describe.skipIf(typeof Libc.load() === 'string')('displays that scanout host changes under a guest in another session', () => {
  let folder: string;
  let running: Running[];
  let host: Running;

  const start = (...argv: string[]): Running => {
    const command = new Running(argv);
    running.push(command);
    return command;
  };
  /** @returns what the host answers */
  const say = async (line: string): Promise<string> => {
    const from = host.text.length;
    host.stdin.write(`${line}\n`);
    await host.says('\n', from);
    return host.text.slice(from).split('\n')[0];
  };
  const shown = (): { head: number; width: number; height: number; pixel: string }[] => {
    const text = readFileSync(join(folder, 'frames'), 'utf8');
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    return lines.slice(0, -1).map((line) => JSON.parse(line) as ReturnType<typeof shown>[number]);
  };
  /** Waits until the frames shown last are of these heads and sizes, and no other. */
  const until = async (...sizes: string[]): Promise<void> => {
    for (;;) {
      const tail = shown().slice(-TAIL);
      const seen = new Set(tail.map(({ head, width, height }) => `${head}: ${width}x${height}`));
      if (tail.length === TAIL && [...seen].sort().join() === sizes.join()) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'scanout-displays-'));
    running = [];
  });
  afterEach(async () => {
    for (const command of running.toReversed()) {
      command.stop();
      await command.ended;
    }
    rmSync(folder, { recursive: true });
  });

  test.each(['split', 'packed'])('are followed: another size, off, on again (%s ring)', async (ring) => {
    const socket = join(folder, 'gpu.sock');
    const frames = join(folder, 'frames');
    writeFileSync(frames, '');
    const flags = ['--rate', 'max', '--heads', '2', '--ring', ring, '--frames', frames, '--control', '--once'];
    host = start('host', '--vhost-user', socket, ...flags);
    await host.says('listening');
    const size = ['--resolution', '320x200', '--heads', '2', '--ring', ring];
    const guest = start('guest', '--vhost-user', socket, ...size, '--seconds', '0', '--json');
    await until('0: 320x200', '1: 320x200');

    expect(await say('display 1 160x120')).toBe('ok');
    // The other keeps what was asked for, whatever its display prefers.
    await until('0: 320x200', '1: 160x120');
    expect(await say('display 0 200x150')).toBe('ok');
    await until('0: 200x150', '1: 160x120');
    expect(await say('display 1 off')).toBe('ok');
    await until('0: 200x150');
    expect(await say('display 1 100x80')).toBe('ok');
    await until('0: 200x150', '1: 100x80');
    expect(await say('display 0 640x480')).toBe('ok');
    expect(await say('display 1 160x120')).toBe('ok');
    await until('0: 200x150', '1: 160x120');

    expect(await say('display 2 160x120')).toBe('error: there is no head "2"; there are 2, from 0');
    expect(await say('display 0 big')).toMatch(/^error: unknown resolution 'big': use 720p, .*, or off$/);
    expect(await say('resize 0')).toMatch(/^error: there is no "resize"; say display HEAD WxH/);
    expect(await say('display 0')).toMatch(/^error: say display HEAD WxH/);

    // No more lines are to come: it goes on.
    host.stdin.end('\n');
    await until('0: 200x150', '1: 160x120');
    guest.stop();
    expect(await guest.ended, guest.text).toBe(130);
    const { displays, ...figures } = JSON.parse(guest.text) as Record<string, unknown> & { displays: Record<string, number> };
    expect(figures).toMatchObject({ failedFrames: 0, errorResponses: 0, timedOutFrames: 0 });
    expect(displays).toMatchObject({ modeSets: 5, refused: 1 });
    // Two changes that come at once may be seen as one.
    expect(displays['changes']).toBeGreaterThanOrEqual(5);
    expect(await host.ended, host.text).toBe(0);
    // Frames of a head are shown in the order in which they were drawn, none twice.
    for (const one of [0, 1]) {
      const pixels = shown().flatMap(({ head, pixel }) => (head === one ? [Number(pixel)] : []));
      expect(pixels.every((pixel, i) => i === 0 || pixel > pixels[i - 1])).toBe(true);
    }
  });
});
