import { request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FrameLog } from '../../../core/measure/frame-log.ts';
import { GlassMeter } from '../../../workers/stream/glass.ts';
import { StreamHub } from '../../../workers/stream/hub.ts';
import { isLoopback, StreamServer } from '../../../workers/stream/stream-server.ts';
import { MOST_CLIENT_BYTES } from '../../../workers/stream/wire.ts';
import { loadWs } from '../../../workers/stream/ws-library.ts';

const ws = loadWs();

interface Answer {
  status: number;
  headers: NodeJS.Dict<string | string[]>;
  body: string;
}

describe.skipIf(typeof ws === 'string')('the server of a stream', () => {
  let hub: StreamHub;
  let server: StreamServer;
  let origin: string;
  beforeEach(async () => {
    const log = new FrameLog(new SharedArrayBuffer(FrameLog.bytes(1, 64)), 1, 64);
    hub = new StreamHub({ heads: 1, glass: new GlassMeter(log), nowMs: () => performance.now() });
    server = await StreamServer.open('127.0.0.1', 0, hub);
    origin = `http://127.0.0.1:${server.port}`;
  });
  afterEach(async () => {
    hub.close();
    await server.close();
  });

  /** @param path as it is, without being made a proper one */
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port: server.port, path, headers, method }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      });
      asked.on('error', reject);
      asked.end();
    });
  const session = async (): Promise<string> => {
    const { headers } = await ask(server.url.slice(origin.length));
    return String(headers['set-cookie']).split(';')[0];
  };
  const open = (headers: Record<string, string>, path = '/stream') => {
    if (typeof ws === 'string') throw new Error(ws);
    const socket = new ws.WebSocket(`${origin.replace('http', 'ws')}${path}`, { headers });
    return new Promise<{ socket: InstanceType<typeof ws.WebSocket>; status: number; body: string }>((resolve, reject) => {
      socket.on('open', () => resolve({ socket, status: 101, body: '' }));
      socket.on('unexpected-response', (_, response) => {
        let body = '';
        response.on('data', (bytes) => {
          body += String(bytes);
        });
        response.on('end', () => resolve({ socket, status: response.statusCode ?? 0, body }));
      });
      socket.on('error', reject);
    });
  };

  test.each([
    ['no token for a file', '/main.js', {}],
    ['no token for the WebSocket', '/stream', {}],
    ['what is not there', '/etc/passwd', {}],
    ['a foreign Origin', null, { origin: 'http://evil.example' }],
    ['a foreign Origin and no token', '/', { origin: 'http://evil.example' }],
    ['a foreign Host', null, { host: 'evil.example' }],
    ['a foreign Host and no token', '/', { host: 'evil.example' }],
    ['a foreign Host of the same Origin', '/', { host: 'evil.example', origin: 'http://evil.example' }],
  ])('a request with %s gets 403 and nothing else', async (_, path, headers) => {
    const { status, body, headers: told } = await ask(path ?? server.url.slice(origin.length), headers);
    expect([status, body, told['set-cookie'], told['content-length']]).toEqual([403, '', undefined, '0']);
    // The token is not used up by that.
    expect((await ask(server.url.slice(origin.length))).status).toBe(200);
  });

  test('who opens the address without token or session gets 403, and words that are the same whatever was asked', async () => {
    const used = server.url.slice(origin.length);
    await ask(used);
    const answers: Answer[] = [];
    for (const path of ['/', used, '/?token=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', '/?token=', '/?token=%3Cscript%3E', '/?a=<b>'])
      answers.push(await ask(path));
    answers.push(await ask('/', { cookie: `scanout-${server.port}=x` }));
    const [{ body }] = answers;
    expect(body).toContain('It prints a new address whenever one was used. Open the newest.');
    for (const { status, body: told, headers } of answers) {
      expect([status, told, headers['set-cookie'], headers['content-type']]).toEqual([403, body, undefined, 'text/html; charset=utf-8']);
      expect([headers['connection'], Number(headers['content-length'])]).toEqual(['close', Buffer.byteLength(body)]);
    }
    expect(body).not.toMatch(/token=|script|href|src/);
    expect(await ask('/', {}, 'HEAD')).toMatchObject({ status: 403, body: '' });
    expect(await ask('/', {}, 'POST')).toMatchObject({ status: 403, body: '' });
    expect((await ask(server.url.slice(origin.length))).status).toBe(200);
  });

  test('a token opens a session once; the session reads the files, by a cookie that scripts and other sites have not', async () => {
    const path = server.url.slice(origin.length);
    const { status, headers, body } = await ask(path);
    expect([status, body.startsWith('<!doctype html>')]).toEqual([200, true]);
    expect(String(headers['set-cookie'])).toMatch(/; HttpOnly; SameSite=Strict; Path=\/$/);
    expect((await ask(path)).status).toBe(403);
    const cookie = String(headers['set-cookie']).split(';')[0];
    for (const file of ['/', '/main.js', '/stream.css', '/wire.js', '/head-view.js', '/server-clock.js', '/block-code.js', '/icon.svg'])
      expect((await ask(file, { cookie })).status, file).toBe(200);
    expect((await ask('/', { cookie, origin: 'http://evil.example' })).status).toBe(403);
  });

  test('each answer forbids all but the page itself, guessing types, and being shown in another page', async () => {
    for (const path of ['/', '/main.js', server.url.slice(origin.length)]) {
      const { headers } = await ask(path);
      expect(headers['content-security-policy']).toBe(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      );
      expect([headers['x-content-type-options'], headers['referrer-policy'], headers['cache-control']]).toEqual([
        'nosniff',
        'no-referrer',
        'no-store',
      ]);
    }
  });

  test.each([
    ['/page/', 404],
    ['/../wire.ts', 404],
    ['/%2e%2e/wire.ts', 404],
    ['//main.js', 404],
    ['/stream', 404],
    ['*', 403],
  ])('with a session %s is answered %i: nothing is listed, and no other file is to be had', async (path, expected) => {
    const cookie = await session();
    const { status, body } = await ask(path, { cookie });
    expect([status, body]).toEqual([expected, '']);
  });

  test('with a session nothing can be written', async () => {
    const cookie = await session();
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) expect((await ask('/', { cookie }, method)).status, method).toBe(405);
    expect(await ask('/', { cookie }, 'HEAD')).toMatchObject({ status: 200, body: '' });
  });

  test('a WebSocket without a session, with a foreign Origin, without one or at another path gets 403 and nothing else', async () => {
    const cookie = await session();
    for (const [headers, path] of [
      [{ origin }, '/stream'],
      [{ cookie }, '/stream'],
      [{ cookie, origin: 'http://evil.example' }, '/stream'],
      [{ cookie, origin, host: 'evil.example' }, '/stream'],
      [{ cookie, origin }, '/'],
    ] as const) {
      const { status, body } = await open(headers, path);
      expect([status, body], JSON.stringify(headers)).toEqual([403, '']);
    }
    expect(hub.clients).toBe(0);
    const { status, socket } = await open({ cookie, origin });
    expect([status, hub.clients]).toEqual([101, 1]);
    socket.terminate();
  });

  test('a message longer than a client sends ends its connection', async () => {
    const { socket } = await open({ cookie: await session(), origin });
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.send('x'.repeat(MOST_CLIENT_BYTES + 1));
    expect(await closed).toBe(1009);
    expect(hub.clients).toBe(0);
  });

  test('bytes that are no HTTP, and no WebSocket frames, end that connection alone', async () => {
    const { socket: good } = await open({ cookie: await session(), origin });
    const cookie = await session();
    const upgrade = `GET /stream HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nOrigin: ${origin}\r\nCookie: ${cookie}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
    for (const text of ['\x16\x03\x01\x02\x00', `${upgrade}\xff\xff\xff\xff\xff\xff\xff\xff`]) {
      const raw = connect(server.port, '127.0.0.1');
      await new Promise((resolve) =>
        raw
          .on('close', resolve)
          .on('error', () => {})
          .on('data', () => {})
          .end(Buffer.from(text, 'latin1')),
      );
    }
    const pong = new Promise((resolve) => good.on('message', (text) => String(text).includes('pong') && resolve(true)));
    good.send('{"type":"ping","t":1}');
    expect(await pong).toBe(true);
    good.terminate();
  });

  test('an end takes those along who are connected and say nothing', async () => {
    const cookie = await session();
    const { socket } = await open({ cookie, origin });
    // It reads nothing, so it answers no goodbye.
    socket.pause();
    const gone = new Promise((resolve) => socket.on('close', resolve));
    hub.close();
    await server.close();
    socket.resume();
    await gone;
    await expect(ask('/')).rejects.toThrow('ECONNREFUSED');
  });
});

test('addresses of this computer alone are told from others', () => {
  for (const own of ['127.0.0.1', '127.9.9.9', '::1', 'localhost']) expect(isLoopback(own), own).toBe(true);
  for (const other of ['0.0.0.0', '::', '192.168.1.5', '127.0.0.1.evil.example', 'evil.example'])
    expect(isLoopback(other), other).toBe(false);
});
