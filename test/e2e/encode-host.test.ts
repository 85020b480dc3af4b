import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EXIT_INTERRUPTED, EXIT_INVALID } from '../../benchmarks/commands/command.ts';
import { loadNodeAv } from '../../workers/encode/node-av.ts';
import { Libc } from '../../workers/native/libc.ts';
import { decodeH264 } from '../support/h264.ts';
import { Running } from '../support/running-command.ts';

const loaded = typeof loadNodeAv() === 'string' ? 'no node-av' : Libc.load();

describe.skipIf(typeof loaded === 'string')('scanout host --sink encode', () => {
  let folder: string;
  let socket: string;
  let running: Running[];
  const start = (...argv: string[]): Running => {
    const command = new Running(argv);
    running.push(command);
    return command;
  };
  const files = (): number => readdirSync('/proc/self/fd').length;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'scanout-encode-'));
    socket = join(folder, 'gpu.sock');
    running = [];
  });
  afterEach(async () => {
    for (const command of running) command.stop();
    await Promise.all(running.map(({ ended }) => ended));
    rmSync(folder, { recursive: true });
  });

  test.each(['udmabuf', 'copy'])(
    'encodes what a guest of another end shows by %s, session after session, and leaves no file open',
    async (path) => {
      const output = join(folder, 'stream.h264');
      const before = files();
      const host = start('host', '--vhost-user', socket, '--sink', 'encode', '--max-refresh', 'max', '--encoded', output);
      await host.says('listening');
      for (const session of [1, 2]) {
        const from = host.text.length;
        const guest = start('guest', '--vhost-user', socket, '--resolution', '320x200', '--path', path, '--frames', '30', '--rate', '120');
        expect([session, await guest.ended]).toEqual([session, 0]);
        await host.says('answered with an error', from);
        expect(host.text.slice(from)).toContain(' 0 answered with an error');
      }
      host.stop();
      await host.ended;
      const encoded = Number(/(\d+) frames encoded/.exec(host.text)?.[1]);
      expect(encoded).toBeGreaterThan(2);
      let decoded = 0;
      for await (const { width, height } of decodeH264(output)) {
        expect([width, height]).toEqual([320, 200]);
        decoded++;
      }
      expect(decoded).toBe(encoded);
      expect(files()).toBeLessThanOrEqual(before);
    },
  );

  test('a session whose packets no disk has room for is one that failed', async () => {
    const host = start('host', '--vhost-user', socket, '--sink', 'encode', '--once', '--encoded', '/dev/full');
    await host.says('listening');
    const guest = start('guest', '--vhost-user', socket, '--resolution', '640x360', '--rate', '60', '--seconds', '0');
    await host.says('the encoder has ended: /dev/full: ENOSPC');
    guest.stop();
    expect([await guest.ended, await host.ended]).toEqual([EXIT_INTERRUPTED, EXIT_INVALID]);
  });

  test('a file for packets is refused of another sink', async () => {
    const host = start('host', '--vhost-user', socket, '--encoded', join(folder, 'x.h264'));
    expect([await host.ended, host.text]).toEqual([2, expect.stringContaining('--encoded is for --sink encode')]);
  });
});
