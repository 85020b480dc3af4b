import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { loadNodeAv } from '../../workers/encode/node-av.ts';
import { whyNoStream } from '../../workers/stream/stream.ts';
import { MessageType } from '../../workers/stream/wire.ts';
import { loadWs } from '../../workers/stream/ws-library.ts';
import { Running } from '../support/running-command.ts';

const root = join(import.meta.dirname, '../..');
const SMALL = ['--resolution', '320x192'];

/** The program where a package is not installed, run to its end. */
function scanoutWithout(missing: string, ...argv: string[]): ReturnType<typeof spawnSync> {
  const folder = mkdtempSync(join(tmpdir(), `scanout-no-${missing}-`));
  try {
    const hooks = join(folder, 'hooks.mjs');
    writeFileSync(
      hooks,
      `import { registerHooks } from 'node:module';
registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== '${missing}') return next(specifier, context);
    throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' });
  },
});
`,
    );
    const flags = ['--import', pathToFileURL(hooks).href, join(root, 'bin/scanout.js')];
    return spawnSync(process.execPath, [...flags, ...argv], { encoding: 'utf8' });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('without ws the stream says in a line what is missing and how to get it, exit code 2, and the doctor says it too', () => {
  const says = 'ws is not installed: npm install ws';
  expect(scanoutWithout('ws', 'stream')).toMatchObject({ status: 2, stdout: '', stderr: `scanout stream: ${says}\n` });
  const { stdout } = scanoutWithout('ws', 'doctor');
  expect(String(stdout).replaceAll(/\s+/g, ' ')).toContain(`${says}; until then no scanout stream or view`);
});

test.skipIf(typeof loadNodeAv() === 'string')('without koffi the suite encode is refused in a line before it begins', () => {
  expect(scanoutWithout('koffi', 'run', '--suite', 'encode')).toMatchObject({
    status: 2,
    stdout: '',
    stderr: 'scanout run: vfio-720p-max-encode-refreshmax-memfd needs memory that is files: koffi is not installed: npm install koffi\n',
  });
});

describe.skipIf(whyNoStream() !== null)('scanout stream', () => {
  const urlOf = (text: string): URL => new URL(/http:\S+/.exec(text)?.[0] ?? '');

  test('serves until Ctrl-C, which lets all who watch go; a used address is followed by the next', async () => {
    const running = new Running(['stream', ...SMALL]);
    await running.says('token=');
    const url = urlOf(running.text);
    expect([url.hostname, running.text.includes('warning')]).toEqual(['127.0.0.1', false]);
    // What to do stands above the address, which has a line of its own.
    expect(running.text).toMatch(/^open in a browser \(.*Ctrl-C ends the stream\):\nhttp:\S+\n/m);
    const refused = await fetch(url.origin);
    expect([refused.status, await refused.text()]).toEqual([403, expect.stringContaining('prints a new address')]);
    const answer = await fetch(url);
    expect(answer.status).toBe(200);
    await running.says('for another browser:\nhttp://');
    const ws = loadWs();
    if (typeof ws === 'string') throw new Error(ws);
    const cookie = (answer.headers.get('set-cookie') ?? '').split(';')[0];
    const socket = new ws.WebSocket(`ws://${url.host}/stream`, { headers: { cookie, origin: url.origin } });
    const said: string[] = [];
    // A cursor's image is binary as well, and may come before the first frame.
    const framed = new Promise((resolve) => {
      socket.on('message', (data: Buffer, isBinary) => {
        if (!isBinary) said.push(String(data));
        else if (data[0] === MessageType.frame) resolve(true);
      });
    });
    await framed;
    const closed = new Promise((resolve) => socket.on('close', resolve));
    running.stop();
    expect([await closed, await running.ended, said.at(-1)]).toEqual([1001, 130, '{"type":"bye"}']);
    const end = [
      /frames {10}\d+ of the guest, [1-9]\d* encoded\n/,
      /clients {9}1 joined; [1-9]\d* frames sent, \d+ dropped for slow clients\n/,
      /glass to glass {2}no client reported any\n$/,
    ];
    expect(running.text).toMatch(new RegExp(end.map(({ source }) => source).join('')));
    for (const line of running.text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    await expect(fetch(url.origin)).rejects.toThrow();
  });

  test('ends by itself, its figures as JSON; displays are changed by lines', async () => {
    const running = new Running(['stream', ...SMALL, '--seconds', '1', '--json', '--control']);
    running.stdin.write('display 0 160x96\ndisplay 3 off\n');
    await running.says('error: there is no head "3"');
    expect(await running.ended).toBe(0);
    const figures = JSON.parse(running.text.slice(running.text.indexOf('{')));
    expect(figures).toMatchObject({ clients: 0, sent: 0, lost: 0, glassP50Ms: null, samples: 0 });
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
