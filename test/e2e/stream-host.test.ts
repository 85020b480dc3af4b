import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Libc } from '../../workers/native/libc.ts';
import { whyNoStream } from '../../workers/stream/stream.ts';
import { loadWs } from '../../workers/stream/ws-library.ts';
import { Running } from '../support/running-command.ts';

const missing = whyNoStream() ?? Libc.load();

describe.skipIf(typeof missing === 'string')('scanout host --sink encode --stream', () => {
  let folder: string;
  let socket: string;
  let running: Running[];
  const start = (...argv: string[]): Running => {
    const command = new Running(argv);
    running.push(command);
    return command;
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'scanout-stream-'));
    socket = join(folder, 'gpu.sock');
    running = [];
  });
  afterEach(async () => {
    for (const command of running) command.stop();
    await Promise.all(running.map(({ ended }) => ended));
    rmSync(folder, { recursive: true });
  });

  test('shows what guests of another end show, one after the other, over one connection', async () => {
    const ws = loadWs();
    if (typeof ws === 'string') throw new Error(ws);
    const host = start('host', '--vhost-user', socket, '--sink', 'encode', '--max-refresh', 'max', '--stream', '0');
    await host.says('listening');
    await host.says('shown at http://127.0.0.1:');
    const url = new URL(/http:\S+/.exec(host.text)?.[0] ?? '');
    const cookie = ((await fetch(url)).headers.get('set-cookie') ?? '').split(';')[0];
    const client = new ws.WebSocket(`ws://${url.host}/stream`, { headers: { cookie, origin: url.origin } });
    const sizes: string[] = [];
    let frames = 0;
    client.on('message', (data: Buffer, isBinary) => {
      if (!isBinary) {
        const { type, width, height } = JSON.parse(String(data));
        if (type === 'config' && sizes.at(-1) !== `${width}x${height}`) sizes.push(`${width}x${height}`);
      } else if (data[0] === 1) {
        frames++;
        client.send(JSON.stringify({ type: 'shown', head: data[1], seq: data.readUInt32LE(4), code: null, at: null }));
      }
    });
    for (const size of ['320x200', '480x272']) {
      frames = 0;
      const guest = start('guest', '--vhost-user', socket, '--resolution', size, '--seconds', '0', '--rate', '60');
      while (frames < 20 || sizes.at(-1) !== size) await new Promise((resolve) => setTimeout(resolve, 5));
      const from = host.text.length;
      guest.stop();
      expect(await guest.ended).toBe(130);
      await host.says('answered with an error', from);
      expect(host.text.slice(from)).toContain(' 0 answered with an error');
    }
    expect(sizes).toEqual(['320x200', '480x272']);
    const closed = new Promise((resolve) => client.on('close', resolve));
    host.stop();
    expect([await closed, await host.ended]).toEqual([1001, 130]);
  });

  test('a stream is refused of another sink', async () => {
    const host = start('host', '--vhost-user', socket, '--stream', '0');
    expect([await host.ended, host.text]).toEqual([2, expect.stringContaining('--stream is for --sink encode')]);
  });
});
