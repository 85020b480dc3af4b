import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { whyNoStream } from '../../workers/stream/stream.ts';
import { launchChromium, openPage } from '../support/browser.ts';
import { until } from '../support/stream-machine.ts';
import { expectGoodGuest, expectGoodSession } from './flow.ts';
import { cache, Room } from './guest.ts';

describe.skipIf(cache === null || whyNoStream() !== null)('a browser that shows a real guest', () => {
  let room: Room;
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());
  beforeEach(() => {
    room = new Room();
  });
  afterEach(() => room.close());

  test('draws what the guest flips from its own pages, and its cursor where the guest moves it', async () => {
    const host = await room.host('--once', '--list-limit', '8192', '--sink', 'encode', '--max-refresh', 'max', '--stream', '0');
    await host.process.until(/^shown at /);
    const url = /^shown at (http:\S+)/m.exec(host.process.lines.join('\n'))?.[1] ?? '';
    const { page, complaints } = await openPage(browser, url);
    await page.evaluate(`{
      window.frames = 0;
      window.places = new Set();
      document.addEventListener('shown', ({ target: { width, height } }) => {
        if (width === 1920 && height === 1080) window.frames++;
      });
      new MutationObserver((changes) => {
        for (const { target } of changes) if (!target.hidden && target.width === 64) window.places.add(target.dataset.at);
      }).observe(document, { subtree: true, attributeFilter: ['data-at'] });
    }`);
    const guest = room.guest(host, { commands: 'import 60;cursor 3000' });
    await expectGoodGuest(guest, ['import', 'cursor']);
    await expectGoodSession(host);
    expect(await host.process.ended).toBe(0);
    expect(await page.evaluate('window.frames')).toBeGreaterThan(10);
    const places: string[] = await page.evaluate('[...window.places]');
    expect(places.length).toBeGreaterThan(5);
    // Move i goes to 7 i, 5 i.
    for (const place of places) {
      const [x, y] = place.split(',').map(Number);
      expect(x / 7).toBe(y / 5);
    }
    // Not the browser's own waiting, which the page's security policy lets evaluate nothing twice.
    await until(() => page.evaluate(`document.querySelector('#state').textContent === 'The stream has ended.'`));
    expect(complaints).toEqual([]);
  });
});
