import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Libc } from '../../workers/native/libc.ts';
import { whyNoStream } from '../../workers/stream/stream.ts';
import { loadWs } from '../../workers/stream/ws-library.ts';
import { CONTRASTS, type Contrast, launchChromium, TEXTS_OUTSIDE } from '../support/browser.ts';
import { Running } from '../support/running-command.ts';
import { until } from '../support/stream-machine.ts';
import { copied, isVisible, litNow, openView, says, textOf } from '../support/view-page.ts';

const SLOW = 120_000;
const missing = whyNoStream() ?? Libc.load();

describe.skipIf(typeof missing === 'string')("a view of another program's guest in Chromium", () => {
  let browser: Browser;
  let folder: string;
  let socket: string;
  let running: Running[];
  beforeAll(async () => {
    browser = await launchChromium();
  }, SLOW);
  afterAll(() => browser?.close());
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'scanout-view-host-'));
    socket = join(folder, 'gpu.sock');
    running = [];
  });
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    for (const command of running.toReversed()) command.stop();
    await Promise.all(running.map(({ ended }) => ended));
    rmSync(folder, { recursive: true });
  });

  const start = (...argv: string[]): Running => {
    const command = new Running(argv);
    running.push(command);
    return command;
  };
  const startHost = async (...flags: string[]): Promise<Running> => {
    const host = start('host', '--vhost-user', socket, '--sink', 'encode', '--view', '0', ...flags);
    await host.says('listening');
    await host.says('token=');
    return host;
  };
  const startGuest = (flags: readonly string[] = [], size = '640x360'): Running =>
    start('guest', '--vhost-user', socket, '--resolution', size, '--rate', '60', '--seconds', '0', ...flags);
  const shows = async (page: Page, frames: number): Promise<void> => {
    await page.evaluate('window.shown.length = 0');
    await until(() => page.evaluate(`window.shown.length >= ${frames}`));
  };
  const stateIs = (page: Page, words: string): Promise<void> => until(async () => (await textOf(page, '#state')) === words);
  const pathIs = (page: Page, words: string): Promise<void> => until(async () => (await textOf(page, '#path')) === words);

  test.each([
    { what: 'imports its RAM', host: [], guest: [], edge: 'ram', path: 'udmabuf' },
    {
      what: "imports a device's memory",
      host: ['--device-region', 'gpu0=0x4000000000'],
      guest: ['--path', 'vfio'],
      edge: 'gpu',
      path: 'vfio',
    },
  ])(
    'of a guest that $what the frames are shown, that arrow alone is lit, and nothing is copied',
    async ({ host, guest, edge, path }) => {
      const { page, complaints } = await openView(browser, (await startHost(...host)).text);
      startGuest(guest);
      await shows(page, 20);
      await pathIs(page, path);
      await until(async () => (await litNow(page, edge)) === 'edge read');
      for (const other of ['ram', 'gpu', 'transfer', 'host']) if (other !== edge) expect(await litNow(page, other)).toBe('edge');
      expect([await textOf(page, '#copied'), await textOf(page, '#refused')]).toEqual(['0 GB/s', '0']);
      expect(await textOf(page, '#story')).toMatch(/Nothing is copied before the encoder\.$/);
      await until(async () => /ms$/.test(await textOf(page, '#p50')) && /ms$/.test(await textOf(page, '#p99')));
      await until(async () => /\d %$/.test(await textOf(page, '#cpu-host')) && /\d %$/.test(await textOf(page, '#cpu-encoder')));
      expect(complaints).toEqual([]);
    },
    SLOW,
  );

  test.each([
    { what: 'is offered no blobs', host: ['--no-blob'], guest: [], path: 'copy', words: / transfer$/, refused: /^0$/ },
    {
      what: 'has buffers of too many pieces',
      host: ['--list-limit', '1'],
      guest: ['--layout', '4k'],
      path: 'copy, import refused',
      words: / fallback$/,
      refused: /^[1-9]\d*$/,
    },
  ])(
    'of a guest that $what the copies are lit with what they copy',
    async ({ host, guest, path, words, refused }) => {
      const { page } = await openView(browser, (await startHost(...host)).text);
      startGuest(guest);
      await shows(page, 20);
      await pathIs(page, path);
      await until(async () => (await litNow(page, 'transfer')) === 'edge copy' && (await litNow(page, 'host')) === 'edge read');
      await until(async () => (await copied(page)) > 0);
      expect(await textOf(page, '#edge-transfer text')).toMatch(words);
      expect(await litNow(page, 'ram')).toBe('edge');
      expect(await textOf(page, '#refused')).toMatch(refused);
    },
    SLOW,
  );

  test(
    'the page says that no guest is there, that one is gone, and goes on with the next, over one connection',
    async () => {
      const host = await startHost();
      const { page, complaints, requests } = await openView(browser, host.text);
      await stateIs(page, 'no guest yet');
      expect(await isVisible(page, '#empty')).toBe(true);
      expect(await textOf(page, '#guest-fps')).toBe('–');
      const sockets: string[] = [];
      page.on('websocket', (opened) => sockets.push(opened.url()));
      for (const { guest, size, path } of [
        { guest: [], size: '640x360', path: 'udmabuf' },
        { guest: ['--path', 'copy'], size: '480x272', path: 'copy' },
      ]) {
        const from = host.text.length;
        const one = startGuest(guest, size);
        await stateIs(page, 'running');
        await shows(page, 10);
        await pathIs(page, path);
        expect([await isVisible(page, '#empty'), (await textOf(page, 'figcaption')).endsWith(size.replace('x', ' × '))]).toEqual([
          false,
          true,
        ]);
        one.stop();
        expect(await one.ended).toBe(130);
        await host.says('answered with an error', from);
        await stateIs(page, 'the guest is gone');
        await until(() => isVisible(page, '#empty'));
        for (const id of ['path', 'guest-fps', 'copied', 'p50']) expect(await textOf(page, `#${id}`)).toBe('–');
        expect(await page.evaluate(`document.querySelectorAll('.edge.read, .edge.copy').length`)).toBe(0);
      }
      expect(sockets).toEqual([]);
      expect(requests.filter((address) => address.includes('token'))).toHaveLength(1);
      expect(complaints).toEqual([]);
      host.stop();
      expect(await host.ended).toBe(130);
      await stateIs(page, 'The stream has ended.');
      expect(host.text).toMatch(/\d+ frames encoded\n$/);
    },
    SLOW,
  );

  test(
    'what cannot be known of it is said to be so, and what is its own to choose is not offered',
    async () => {
      const { page } = await openView(browser, (await startHost()).text);
      startGuest();
      await shows(page, 20);
      await until(async () => /ms$/.test(await textOf(page, '#stage-answer b')));
      for (const own of ['#wishes', '#evict', '#seen', '#moves', '#edge-readback']) expect(await isVisible(page, own)).toBe(false);
      expect(await isVisible(page, '#offers select[name=size]')).toBe(true);
      expect(await isVisible(page, '#offers select[name=head]')).toBe(false);
      // The front end is of this very process: its processor time is not told apart.
      const unknown = ['#glass50', '#glass99', '#cpu-guest', '#stage-draw b', '#stage-pickup b', '#stage-glass b'];
      for (const cell of unknown) expect([cell, await textOf(page, cell)]).toEqual([cell, 'not known']);
      expect(await page.evaluate(`[...document.querySelectorAll('dt')].map((term) => term.textContent)`)).toContain('Taken to shown, p50');
    },
    SLOW,
  );

  test(
    'another display is offered to it, which it takes up; whatever else is wished for is refused with a word, and changes nothing',
    async () => {
      const host = await startHost();
      const { page } = await openView(browser, host.text);
      // Its memory has room for what it begins with.
      startGuest([], '1280x720');
      await shows(page, 5);
      await page.selectOption('[name=size]', '800x600');
      await says(page, /Head 0 is offered 800x600/);
      await until(async () => (await textOf(page, 'figcaption')).endsWith('800 × 600'));
      const ws = loadWs();
      if (typeof ws === 'string') throw new Error(ws);
      await host.says('another browser:\nhttp://');
      const url = new URL(/another browser:\n(\S+)/.exec(host.text)?.[1] ?? '');
      const cookie = ((await fetch(url)).headers.get('set-cookie') ?? '').split(';')[0];
      const client = new ws.WebSocket(`ws://${url.host}/stream`, { headers: { cookie, origin: url.origin } });
      const told: { type: string; why?: string }[] = [];
      let heard: () => void = () => {};
      client.on('message', (data, isBinary) => {
        if (isBinary) return;
        const message: { type: string; why?: string } = JSON.parse(String(data));
        if (message.type === 'guest' || message.type === 'refused') told.push(message);
        heard();
      });
      await new Promise((resolve, reject) => client.on('open', resolve).on('error', reject));
      const refused = async (wish: unknown): Promise<string> => {
        const before = told.length;
        client.send(JSON.stringify({ type: 'control', wish }));
        while (told.length === before) await new Promise<void>((resolve) => (heard = resolve));
        return told[before].why ?? '';
      };
      while (told.length === 0) await new Promise<void>((resolve) => (heard = resolve));
      for (const set of [{ path: 'copy' }, { rate: '15' }, { layout: '4k' }, { resolution: '720p' }])
        expect(await refused({ set })).toMatch(/are its own/);
      expect(await refused({ evict: true })).toMatch(/are its own/);
      expect(await refused({ display: { head: 0, size: '800x600' }, evict: true })).toMatch(/are its own/);
      expect(await refused({ display: { head: 1, size: '800x600' } })).toMatch(/1 heads/);
      expect(await refused({ display: { head: -1, size: '800x600' } })).toMatch(/heads/);
      expect(await refused({ display: { head: 0.5, size: '800x600' } })).toMatch(/heads/);
      expect(await refused({ display: { head: '0', size: '800x600' } })).toMatch(/heads/);
      expect(await refused({ display: { head: 0, size: 800 } })).toMatch(/size is a word/);
      for (const size of ['99999x1', '0x0', 'off', '__proto__', '800x600 off', '800x600\ndisplay 0 off'])
        expect(await refused({ display: { head: 0, size } })).toMatch(/resolution/);
      expect(await refused({ display: 'off' })).toMatch(/display is an object/);
      expect(await refused({ reboot: true })).toMatch(/no 'reboot'/);
      expect(await refused(null)).toMatch(/object/);
      const closed = new Promise((resolve) => client.on('close', resolve));
      client.send('{"type":"control"');
      expect(await closed).toBe(1008);
      expect(told.filter(({ type }) => type === 'guest')).toEqual([
        { type: 'guest', connected: true, sessions: 1, displays: ['800x600'], hasDevices: false },
      ]);
      await shows(page, 5);
      expect((await textOf(page, 'figcaption')).endsWith('800 × 600')).toBe(true);
    },
    SLOW,
  );

  test.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 390],
    ['dark', 390],
  ] as const)(
    'in %s, %i pixels wide, all is readable with a guest and without, and nothing reaches beyond the side',
    async (colorScheme, width) => {
      const host = await startHost('--heads', '2', '--no-blob');
      const { page } = await openView(browser, host.text, { colorScheme, width });
      const looksRight = async (): Promise<void> => {
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
        expect(await page.evaluate(TEXTS_OUTSIDE)).toEqual([]);
        const contrasts: Contrast[] = await page.evaluate(CONTRASTS);
        expect(contrasts.filter(({ ratio, least }) => ratio < least)).toEqual([]);
      };
      await stateIs(page, 'no guest yet');
      await looksRight();
      startGuest(['--heads', '2']);
      await shows(page, 5);
      await until(async () => (await litNow(page, 'transfer')) === 'edge copy' && (await litNow(page, 'packets')) === 'edge read');
      await looksRight();
      const order: string[] = [];
      for (let i = 0; i < 2; i++) {
        await page.keyboard.press('Tab');
        order.push(await page.evaluate('document.activeElement.name'));
      }
      expect(order).toEqual(['head', 'size']);
    },
    SLOW,
  );

  test('a view is refused of another sink, and beside a stream', async () => {
    const alone = start('host', '--vhost-user', socket, '--view', '0');
    expect([await alone.ended, alone.text]).toEqual([2, expect.stringContaining('--view is for --sink encode')]);
    const both = start('host', '--vhost-user', socket, '--sink', 'encode', '--view', '0', '--stream', '0');
    expect([await both.ended, both.text]).toEqual([2, expect.stringContaining('--stream and --view: take one')]);
  });

  test.each(['--view', '--stream'])('a port that is taken is named in a line: %s', async (flag) => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', () => resolve()));
    const address = taken.address();
    const port = typeof address === 'object' && address !== null ? String(address.port) : '';
    const busy = start('host', '--vhost-user', socket, '--sink', 'encode', flag, port);
    expect([await busy.ended, busy.text]).toEqual([
      2,
      expect.stringContaining(`${flag} ${port}: another program listens there; take another`),
    ]);
    taken.close();
  });
});
