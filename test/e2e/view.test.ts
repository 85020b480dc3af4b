import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { whyNoStream } from '../../workers/stream/stream.ts';
import { loadWs } from '../../workers/stream/ws-library.ts';
import { CONTRASTS, type Contrast, launchChromium, TEXTS_OUTSIDE } from '../support/browser.ts';
import { Running } from '../support/running-command.ts';
import { until } from '../support/stream-machine.ts';
import { copied, litNow as lit, openView, says, textOf as text, wasLit } from '../support/view-page.ts';

const SLOW = 120_000;
const SMALL = ['--resolution', '640x360'];

describe.skipIf(whyNoStream() !== null)('a view in Chromium', () => {
  let browser: Browser;
  let running: Running | null = null;
  beforeAll(async () => {
    browser = await launchChromium();
  }, SLOW);
  afterAll(() => browser?.close());
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    running?.stop();
    await running?.ended;
    running = null;
  });

  const open = async (flags: string[] = [], size: { width?: number; colorScheme?: 'light' | 'dark' } = {}) => {
    running = new Running(['view', ...SMALL, ...flags]);
    await running.says('token=');
    return await openView(browser, running.text, size);
  };
  const shows = async (page: Page, frames: number): Promise<void> => {
    await page.evaluate('window.shown.length = 0');
    await until(() => page.evaluate(`window.shown.filter(([, code]) => code !== null).length >= ${frames}`));
  };
  /** Until another machine runs. */
  const select = async (page: Page, name: string, value: string): Promise<void> => {
    await page.evaluate('window.states.length = 0');
    await page.selectOption(`[name=${name}]`, value);
    const hasStarted = `window.states.some((state, at) => state.includes('starts') && window.states.indexOf('running', at) > at)`;
    await until(() => page.evaluate(hasStarted));
  };

  test(
    'frames are shown; udmabuf copies nothing, and with the path copy the figure goes up and its arrow is lit, on the same connection',
    async () => {
      const { page, complaints, requests } = await open();
      await shows(page, 30);
      await until(async () => (await lit(page, 'ram')) === 'edge read');
      expect(await copied(page)).toBe(0);
      expect(await lit(page, 'transfer')).toBe('edge');
      // A path is listed once it has run for as long as its figures are means of.
      await until(async () => (await page.evaluate(`document.querySelectorAll('#seen tr').length`)) === 1);
      await select(page, 'path', 'copy');
      await until(async () => (await copied(page)) > 0);
      await until(async () => (await lit(page, 'transfer')) === 'edge copy');
      expect(await lit(page, 'ram')).toBe('edge');
      await until(async () => (await lit(page, 'host')) === 'edge read');
      await shows(page, 30);
      await until(async () => /^copy at 640x360: \d+ frames a second, [\d.]+ [kMG]?B\/s copied/.test(await text(page, '#said')));
      await until(async () => (await page.evaluate(`document.querySelectorAll('#seen tr').length`)) === 2);
      await until(async () => /ms$/.test(await text(page, '#glass50')) && /ms$/.test(await text(page, '#p99')));
      await until(async () => /\d %$/.test(await text(page, '#cpu-guest')) && /\d %$/.test(await text(page, '#cpu-host')));
      expect(complaints).toEqual([]);
      expect(requests.filter((address) => address.includes('token'))).toHaveLength(1);
      expect(running?.text).toContain('for another browser');
    },
    SLOW,
  );

  test(
    'another size, rate and layout of the pages run under the same page',
    async () => {
      const { page } = await open();
      await shows(page, 5);
      await select(page, 'resolution', '720p');
      await until(async () => (await text(page, 'figcaption')).endsWith('1280 × 720'));
      await select(page, 'rate', '15');
      await until(async () => Math.abs(Number.parseFloat(await text(page, '#guest-fps')) - 15) < 3);
      await select(page, 'layout', '4k');
      await shows(page, 5);
      expect(await page.evaluate(`[...document.querySelectorAll('#wishes select')].map(({ value }) => value)`)).toEqual([
        'udmabuf',
        '720p',
        '15',
        '4k',
      ]);
    },
    SLOW,
  );

  test(
    'a buffer that is evicted is moved, which the page shows, and comes back, while frames go on',
    async () => {
      const { page, complaints } = await open(['--path', 'vfio']);
      await shows(page, 10);
      await page.click('#evict');
      await says(page, /moved to guest RAM/);
      await wasLit(page, 'migrate edge copy');
      await wasLit(page, 'ram edge read');
      await shows(page, 10);
      await says(page, /back in the GPU/);
      await until(async () => (await text(page, '#moves')) === '2');
      await shows(page, 10);
      expect(await copied(page)).toBe(0);
      await select(page, 'path', 'copy');
      await page.press('#evict', 'Enter');
      expect(await text(page, '#said')).toMatch(/no buffer/);
      expect(complaints).toEqual([]);
    },
    SLOW,
  );

  test(
    'what cannot be done is refused with a word, nothing else happens, and what is no message of a client ends its connection',
    async () => {
      const { page } = await open();
      await shows(page, 5);
      const ws = loadWs();
      if (typeof ws === 'string') throw new Error(ws);
      await until(() => running?.text.includes('another browser:\nhttp://') === true);
      const url = new URL(/another browser:\n(\S+)/.exec(running?.text ?? '')?.[1] ?? '');
      const answer = await fetch(url);
      const headers = { cookie: (answer.headers.get('set-cookie') ?? '').split(';')[0], origin: url.origin };
      const socket = new ws.WebSocket(`${url.origin.replace('http', 'ws')}/stream`, { headers });
      const machines: unknown[] = [];
      let heard: (why: string) => void = () => {};
      socket.on('message', (data, isBinary) => {
        if (isBinary) return;
        const message: { type: string; why?: string } = JSON.parse(String(data));
        if (message.type === 'refused') heard(message.why ?? '');
        if (message.type === 'machine') machines.push(message);
      });
      await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
      const refused = (wish: unknown): Promise<string> =>
        new Promise((resolve) => {
          heard = resolve;
          socket.send(JSON.stringify({ type: 'control', wish }));
        });
      expect(await refused({ set: { path: 'teleport' } })).toMatch(/unknown path 'teleport'/);
      expect(await refused({ set: { resolution: '99999x1' } })).toMatch(/resolution/);
      expect(await refused({ set: { resolution: '__proto__' } })).toMatch(/resolution/);
      expect(await refused({ set: { rate: '-1' } })).toMatch(/rate/);
      expect(await refused({ set: { layout: '3m' } })).toMatch(/layout/);
      expect(await refused({ set: { heads: '2' } })).toMatch(/no 'heads'/);
      expect(await refused({ set: { path: 7 } })).toMatch(/path is a word/);
      expect(await refused({ set: 'copy' })).toMatch(/set is an object/);
      expect(await refused({ evict: 1 })).toMatch(/evict is true/);
      expect(await refused({ evict: true, set: {} })).toMatch(/one of/);
      expect(await refused({ reboot: true })).toMatch(/no 'reboot'/);
      expect(await refused(null)).toMatch(/object/);
      await until(() => machines.length > 0);
      expect(machines).toHaveLength(1);
      expect(machines[0]).toMatchObject({ wish: { path: 'udmabuf', resolution: '640x360', rate: '60', layout: '64k' }, phase: 'running' });
      const closed = new Promise((resolve) => socket.on('close', resolve));
      socket.send('{"type":"control"');
      expect(await closed).toBe(1008);
      await shows(page, 10);
      expect(await text(page, '#state')).toBe('running');
    },
    SLOW,
  );

  test(
    'Ctrl-C ends it cleanly, also while another machine starts, and the page says that it has ended',
    async () => {
      const { page } = await open();
      await shows(page, 5);
      await page.selectOption('[name=path]', 'readback-copy');
      running?.stop();
      expect(await running?.ended).toBe(130);
      await until(async () => (await text(page, '#state')) === 'The stream has ended.');
      expect(running?.text).toMatch(/\n\d+ frames shown in [\d.]+ s, [\d.]+ fps\nby udmabuf \d+ frames, 0\.0 MB copied\n/);
    },
    SLOW,
  );

  test(
    'many wishes at once end with the last of them',
    async () => {
      const { page } = await open();
      await shows(page, 5);
      for (const path of ['copy', 'vfio', 'readback-blob', 'readback-copy', 'vfio']) await page.selectOption('[name=path]', path);
      await says(page, /^vfio at 640x360/);
      expect(await page.evaluate(`document.querySelector('[name=path]').value`)).toBe('vfio');
      await shows(page, 10);
    },
    SLOW,
  );

  test.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 390],
    ['dark', 390],
  ] as const)(
    'in %s, %i pixels wide, all is readable, nothing reaches beyond the side, and the keys reach everything in order',
    async (colorScheme, width) => {
      const { page } = await open(['--path', 'readback-copy'], { colorScheme, width });
      await shows(page, 5);
      await until(async () => (await lit(page, 'transfer')) === 'edge copy' && (await lit(page, 'packets')) === 'edge read');
      await until(async () => (await page.evaluate(`document.querySelectorAll('#seen tr').length`)) === 1);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
      expect(await page.evaluate(TEXTS_OUTSIDE)).toEqual([]);
      const contrasts: Contrast[] = await page.evaluate(CONTRASTS);
      expect(contrasts.filter(({ ratio, least }) => ratio < least)).toEqual([]);
      const order: string[] = [];
      for (let i = 0; i < 6; i++) {
        await page.keyboard.press('Tab');
        order.push(await page.evaluate(`document.activeElement.name || document.activeElement.id || document.activeElement.className`));
      }
      expect(order).toEqual(['path', 'resolution', 'rate', 'layout', 'evict', 'seen-scroll']);
      const unnamed = `[...document.querySelectorAll('select, button')].filter((one) => (one.labels?.length ?? 0) === 0 && one.textContent.trim() === '').length`;
      expect(await page.evaluate(unnamed)).toBe(0);
      // A key press is all that it takes.
      await page.focus('#evict');
      await page.keyboard.press('Enter');
      await says(page, /[Mm]ov/);
    },
    SLOW,
  );
});
