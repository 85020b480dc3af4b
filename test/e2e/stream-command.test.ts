import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { whyNoStream } from '../../workers/stream/stream.ts';
import { loadWs } from '../../workers/stream/ws-library.ts';
import { Running } from '../support/running-command.ts';

const root = join(import.meta.dirname, '../..');
const SMALL = ['--resolution', '320x192'];

test('without ws the stream says in a line what is missing and how to get it, exit code 2, and the doctor says it too', () => {
  const folder = mkdtempSync(join(tmpdir(), 'scanout-no-ws-'));
  try {
    const hooks = join(folder, 'hooks.mjs');
    writeFileSync(
      hooks,
      `import { registerHooks } from 'node:module';
registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== 'ws') return next(specifier, context);
    throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' });
  },
});
`,
    );
    const scanout = (command: string) =>
      spawnSync(process.execPath, ['--import', pathToFileURL(hooks).href, join(root, 'bin/scanout.js'), command], { encoding: 'utf8' });
    expect(scanout('stream')).toMatchObject({ status: 2, stdout: '', stderr: 'scanout stream: ws is not installed: npm install ws\n' });
    expect(scanout('doctor').stdout.replaceAll(/\s+/g, ' ')).toContain('ws is not installed: npm install ws: no scanout stream');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe.skipIf(whyNoStream() !== null)('scanout stream', () => {
  const urlOf = (text: string): URL => new URL(/http:\S+/.exec(text)?.[0] ?? '');

  test('serves until Ctrl-C, which lets all who watch go; a used address is followed by the next', async () => {
    const running = new Running(['stream', ...SMALL]);
    await running.says('token=');
    const url = urlOf(running.text);
    expect([url.hostname, running.text.includes('warning')]).toEqual(['127.0.0.1', false]);
    expect((await fetch(url.origin)).status).toBe(403);
    const answer = await fetch(url);
    expect(answer.status).toBe(200);
    await running.says('for another browser: http://');
    const ws = loadWs();
    if (typeof ws === 'string') throw new Error(ws);
    const cookie = (answer.headers.get('set-cookie') ?? '').split(';')[0];
    const socket = new ws.WebSocket(`ws://${url.host}/stream`, { headers: { cookie, origin: url.origin } });
    const said: string[] = [];
    const framed = new Promise((resolve) => {
      socket.on('message', (data, isBinary) => (isBinary ? resolve(true) : said.push(String(data))));
    });
    await framed;
    const closed = new Promise((resolve) => socket.on('close', resolve));
    running.stop();
    expect([await closed, await running.ended, said.at(-1)]).toEqual([1001, 130, '{"type":"bye"}']);
    expect(running.text).toMatch(/frames {10}\d+ of the guest; \d+ sent, \d+ lost by clients\nglass to glass {2}nobody watched\n$/);
    await expect(fetch(url.origin)).rejects.toThrow();
  });

  test('ends by itself, its figures as JSON; displays are changed by lines', async () => {
    const running = new Running(['stream', ...SMALL, '--seconds', '1', '--json', '--control']);
    running.stdin.write('display 0 160x96\ndisplay 3 off\n');
    await running.says('error: there is no head "3"');
    expect(await running.ended).toBe(0);
    const figures = JSON.parse(running.text.slice(running.text.indexOf('{')));
    expect(figures).toMatchObject({ sent: 0, lost: 0, glassP50Ms: null, samples: 0 });
    expect(figures.frames).toBeGreaterThan(0);
  });

  test('with another address it warns of who may watch, and of what browsers need', async () => {
    const running = new Running(['stream', ...SMALL, '--listen', '0.0.0.0']);
    await running.says('token=');
    expect(running.text).toMatch(/^warning: 0\.0\.0\.0 serves others than this computer, unencrypted/);
    expect(running.text).toMatch(/ssh -L \d+:127\.0\.0\.1:\d+/);
    const { port, search } = urlOf(running.text);
    // Whatever name it is asked by has to be one of this computer's.
    expect((await fetch(`http://127.0.0.1:${port}/${search}`)).status).toBe(200);
    running.stop();
    expect(await running.ended).toBe(130);
  });

  test('a port that is taken and an address that is not here are named in a line', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', () => resolve()));
    const address = taken.address();
    const port = typeof address === 'object' && address !== null ? String(address.port) : '';
    const busy = new Running(['stream', ...SMALL, '--port', port]);
    expect([await busy.ended, busy.text]).toEqual([
      2,
      `scanout stream: --port ${port}: another program listens there; take another, or 0 for any that is free\n`,
    ]);
    taken.close();
    const away = new Running(['stream', ...SMALL, '--listen', '192.0.2.1']);
    expect([await away.ended, away.text]).toEqual([
      2,
      'scanout stream: --listen 192.0.2.1: this computer has no such address; 0.0.0.0 stands for all that it has\n',
    ]);
  });
});
