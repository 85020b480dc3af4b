import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { FrameLog } from '../../../core/measure/frame-log.ts';
import { PACKET_ROOM } from '../../../workers/encode/encode-task.ts';
import { MOST_MESSAGES_A_SECOND, MOST_WAITING_BYTES } from '../../../workers/stream/client.ts';
import { GlassMeter } from '../../../workers/stream/glass.ts';
import { StreamHub } from '../../../workers/stream/hub.ts';
import { HEADERS_MS, MOST_OF_A_SESSION, StreamServer } from '../../../workers/stream/stream-server.ts';
import { loadWs } from '../../../workers/stream/ws-library.ts';
import { until } from '../../support/stream-machine.ts';

const ws = loadWs();
const PACKET_BYTES = 256 * 1024;
const SLOW = 60_000;

describe.skipIf(typeof ws === 'string')('the server of a stream, attacked', () => {
  let hub: StreamHub;
  let server: StreamServer;
  let origin: string;
  const sockets: (WebSocket | Socket)[] = [];
  beforeEach(async () => {
    const log = new FrameLog(new SharedArrayBuffer(FrameLog.bytes(1, 64)), 1, 64);
    hub = new StreamHub({ heads: 1, glass: new GlassMeter(log), nowMs: () => performance.now() });
    hub.begin({ requestKey: () => {}, isShown: () => true, cursors: null });
    server = await StreamServer.open('127.0.0.1', 0, hub);
    origin = `http://127.0.0.1:${server.port}`;
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) 'terminate' in socket ? socket.terminate() : socket.destroy();
    hub.close();
    await server.close();
  });

  const session = async (): Promise<string> => String((await fetch(server.url)).headers.get('set-cookie')).split(';')[0];
  /** @returns the client, or the status that it was refused with */
  const watch = (cookie: string): Promise<WebSocket | number> => {
    if (typeof ws === 'string') throw new Error(ws);
    const socket = new ws.WebSocket(`${origin.replace('http', 'ws')}/stream`, { headers: { cookie, origin } });
    sockets.push(socket);
    return new Promise((resolve, reject) => {
      socket.on('open', () => resolve(socket));
      socket.on('unexpected-response', (_, { statusCode }) => resolve(statusCode ?? 0));
      socket.on('error', reject);
    });
  };
  const joined = async (): Promise<WebSocket> => {
    const socket = await watch(await session());
    if (typeof socket === 'number') throw new Error(`refused with ${socket}`);
    return socket;
  };
  /** A connection that sends this and keeps its own end open. */
  const raw = async (text: string): Promise<Socket> => {
    const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
    sockets.push(socket);
    socket.on('error', () => {});
    await new Promise((resolve) => socket.on('connect', resolve));
    socket.write(text);
    return socket;
  };
  const said = (socket: Socket): Promise<string> =>
    new Promise((resolve) => {
      let text = '';
      socket.on('data', (bytes) => {
        text += bytes.toString('latin1');
      });
      socket.on('end', () => resolve(text));
      socket.on('close', () => resolve(text));
    });
  const upgradeOf = (cookie: string, more = ''): string =>
    `GET /stream HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nOrigin: ${origin}\r\nCookie: ${cookie}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`;
  const packet = (frame: number): void => {
    const bytes = new Uint8Array(PACKET_ROOM + PACKET_BYTES);
    bytes.set([0, 0, 0, 1, 0x67, 0x42, 0xc0, 31, 9, 9, 0, 0, 1, 0x65], PACKET_ROOM);
    hub.packet({ head: 0, frame, key: true, width: 640, height: 360, bytes });
  };

  test('who is refused a WebSocket keeps no connection by keeping its own end open, however many try', async () => {
    for (let i = 0; i < 300; i++) expect(await said(await raw(upgradeOf('a=b')))).toMatch(/^HTTP\/1.1 403 Forbidden\r\n/);
    expect(typeof (await watch(await session()))).toBe('object');
  });

  test(
    'a request that never ends, and a connection that says nothing, are ended before a browser would give up',
    async () => {
      const half = [await raw(''), await raw('GET / HTTP/1.1\r\nHost: x\r\nA: '), await raw('G')];
      const dripping = setInterval(() => half[1].write('a'), 500);
      const began = performance.now();
      await Promise.all(
        half.map(
          (socket) =>
            new Promise((resolve) =>
              socket
                .on('close', resolve)
                .on('end', () => socket.end())
                .resume(),
            ),
        ),
      );
      clearInterval(dripping);
      // Not before: a slow browser has its time.
      expect(performance.now() - began).toBeGreaterThan(HEADERS_MS - 1000);
    },
    SLOW,
  );

  test(
    'thousands of connections are closed at once or in a few seconds; who watches meanwhile is heard, and after them there is room',
    async () => {
      const good = await joined();
      const pong = (): Promise<unknown> => {
        const heard = new Promise((resolve) => good.on('message', (text) => String(text).includes('pong') && resolve(true)));
        good.send('{"type":"ping","t":1}');
        return heard;
      };
      const ends: Promise<unknown>[] = [];
      for (let i = 0; i < 2000; i++) {
        const socket = await raw('GET / HTTP/1.1\r\n');
        ends.push(
          new Promise((resolve) =>
            socket
              .on('close', resolve)
              .on('end', () => socket.end())
              .resume(),
          ),
        );
      }
      await pong();
      await Promise.all(ends);
      await pong();
      expect(hub.clients).toBe(1);
      expect(typeof (await watch(await session()))).toBe('object');
    },
    SLOW,
  );

  test('requests behind one that was refused are not answered', async () => {
    const cookie = await session();
    const inner = `GET /main.js HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nCookie: ${cookie}\r\n\r\n`;
    const upgrade = await said(await raw(`${upgradeOf('a=b', `Content-Length: ${inner.length}\r\n`)}${inner}`));
    expect(upgrade).toBe('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    const plain = await said(await raw(`GET /main.js HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n${inner}`));
    expect(plain.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 403']);
  });

  test('headers beyond what a browser sends are refused', async () => {
    const answer = await said(await raw(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nCookie: ${'a'.repeat(9000)}\r\n\r\n`));
    expect(answer).toMatch(/^HTTP\/1.1 431 /);
  });

  test('two Hosts, and one that is not the first, are no way around the Host', async () => {
    const cookie = await session();
    const request = (hosts: string): string => `GET / HTTP/1.1\r\n${hosts}Cookie: ${cookie}\r\nConnection: close\r\n\r\n`;
    const own = `Host: 127.0.0.1:${server.port}\r\n`;
    expect(await said(await raw(request(`Host: evil.example\r\n${own}`)))).not.toMatch(/^HTTP\/1.1 200/);
    expect(await said(await raw(`GET http://evil.example/ HTTP/1.1\r\n${own}Cookie: ${cookie}\r\nConnection: close\r\n\r\n`))).not.toMatch(
      /^HTTP\/1.1 200/,
    );
    expect(await said(await raw(request(own)))).toMatch(/^HTTP\/1.1 200/);
  });

  test('one session has its share of the connections; what it leaves is free again', async () => {
    const cookie = await session();
    const all = await Promise.all(Array.from({ length: MOST_OF_A_SESSION }, () => watch(cookie)));
    expect(all.filter((one) => typeof one === 'number')).toEqual([]);
    expect(await watch(cookie)).toBe(503);
    expect(typeof (await watch(await session()))).toBe('object');
    const [first] = all;
    if (typeof first === 'object') first.terminate();
    await until(() => hub.clients === MOST_OF_A_SESSION);
    expect(typeof (await watch(cookie))).toBe('object');
    expect(await watch(cookie)).toBe(503);
  });

  test('compression is not agreed to: no small message can become a large one', async () => {
    const head = await raw(upgradeOf(await session(), 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n'));
    const answer = await new Promise<string>((resolve) => head.once('data', (bytes) => resolve(bytes.toString('latin1'))));
    expect(answer).toMatch(/^HTTP\/1.1 101 /);
    expect(answer).not.toContain('Extensions');
  });

  test.each([
    ['pings', (socket: WebSocket) => socket.ping()],
    ['pongs', (socket: WebSocket) => socket.pong()],
    ['messages', (socket: WebSocket) => socket.send('{"type":"ping","t":1}')],
    ['wishes for key frames', (socket: WebSocket) => socket.send('{"type":"key","head":0}')],
    ['empty parts of a message', (socket: WebSocket) => socket.send('', { fin: false })],
  ])('a client that sends %s without end is let go, and another one is heard meanwhile', async (_, send) => {
    const [bad, good] = [await joined(), await joined()];
    const closed = new Promise((resolve) => bad.on('close', resolve));
    for (let i = 0; i < 2 * MOST_MESSAGES_A_SECOND + 10; i++) send(bad);
    const pong = new Promise((resolve) => good.on('message', (text) => String(text).includes('pong') && resolve(true)));
    good.send('{"type":"ping","t":1}');
    // ws has a bound of its own on pings that come at once.
    expect([1006, 1008]).toContain(await closed);
    expect(await pong).toBe(true);
    expect([hub.clients, hub.refused <= 1]).toEqual([1, true]);
  });

  test('a client that was let go and says no goodbye is heard no more, and is ended', async () => {
    const bad = await raw(upgradeOf(await session()));
    await until(() => hub.clients === 1);
    // Text, masked with 0: what is no message, then wishes without end.
    const frame = (text: string): Buffer => Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
    bad.write(frame('nonsense'));
    await until(() => hub.clients === 0);
    for (let i = 0; i < 50; i++) bad.write(frame('more nonsense'));
    await new Promise((resolve) =>
      bad
        .on('close', resolve)
        .on('end', () => bad.end())
        .resume(),
    );
    expect(hub.refused).toBe(1);
  });

  test('for a client that lies about what it has drawn, and reads nothing, no more waits here than the bound and a frame', async () => {
    const liar = await joined();
    const texts: string[] = [];
    liar.on('message', (data, isBinary) => isBinary || texts.push(String(data)));
    await until(() => texts.length > 0);
    liar.pause();
    let most = 0;
    for (let frame = 0; frame < 200; frame++) {
      packet(frame);
      liar.send(JSON.stringify({ type: 'shown', head: 0, seq: frame + 1, code: null, at: null }));
      await new Promise((resolve) => setImmediate(resolve));
      most = Math.max(most, hub.mostWaiting);
    }
    await until(() => {
      most = Math.max(most, hub.mostWaiting);
      return hub.lostBy(0) > 0;
    });
    expect(most).toBeGreaterThan(PACKET_BYTES);
    expect(most).toBeLessThanOrEqual(MOST_WAITING_BYTES + PACKET_BYTES + 4096);
  });
});
