import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { whyNoStream } from '../../workers/stream/stream.ts';
import { launchChromium } from '../support/browser.ts';
import { until } from '../support/stream-machine.ts';
import { openView, textOf } from '../support/view-page.ts';
import { expectGoodGuest } from './flow.ts';
import { cache, Room } from './guest.ts';

/** Keeps what the page says of a guest that is gone when the test comes to look. */
const KEEP = `{
  window.kept = {};
  const keep = () => {
    for (const id of ['state', 'path', 'copied', 'cpu-guest', 'p50', 'refused', 'stage-draw']) {
      const cell = document.querySelector('#' + id);
      (window.kept[id] ??= new Set()).add((cell.querySelector('b') ?? cell).textContent);
    }
  };
  new MutationObserver(keep).observe(document.body, { subtree: true, childList: true, characterData: true });
}`;

describe.skipIf(cache === null || whyNoStream() !== null)('a view of a real guest', () => {
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

  const kept = (page: Page, id: string): Promise<string[]> => page.evaluate(`[...window.kept['${id}']]`);

  test.each([
    {
      what: 'imports',
      host: ['--list-limit', '8192'],
      commands: 'import 60',
      client: 'import',
      path: 'udmabuf',
      edge: 'ram edge read',
      copies: false,
    },
    {
      what: 'is offered no blobs',
      host: ['--no-blob'],
      commands: 'dumb 60',
      client: 'dumb',
      path: 'copy',
      edge: 'transfer edge copy',
      copies: true,
    },
  ])('that $what shows the path that it takes, what is copied, and what QEMU uses; then that it is gone', async (scenario) => {
    const host = await room.host(...scenario.host, '--resolution', '720p', '--sink', 'encode', '--max-refresh', 'max', '--view', '0');
    await host.process.until(/token=/);
    const { page, complaints } = await openView(browser, host.process.lines.join('\n'));
    await page.evaluate(KEEP);
    const guest = room.guest(host, { commands: scenario.commands });
    await expectGoodGuest(guest, [scenario.client]);
    await until(async () => (await textOf(page, '#state')) === 'the guest is gone');
    expect(await kept(page, 'state')).toContain('running');
    expect(await page.evaluate('window.shown.length')).toBeGreaterThan(10);
    expect(await page.evaluate('window.lit')).toContain(`edge-${scenario.edge}`);
    expect(await kept(page, 'path')).toContain(scenario.path);
    const rates = (await kept(page, 'copied')).map((text) => Number.parseFloat(text)).filter((rate) => rate > 0);
    expect(rates.length > 0).toBe(scenario.copies);
    expect((await kept(page, 'cpu-guest')).some((text) => Number.parseFloat(text) > 0)).toBe(true);
    expect((await kept(page, 'p50')).some((text) => text.endsWith(' ms'))).toBe(true);
    expect((await kept(page, 'stage-draw')).filter((text) => text !== '–')).toEqual(['not known']);
    expect(await kept(page, 'refused')).not.toContain('1');
    expect(complaints).toEqual([]);
    host.process.kill('SIGTERM');
    expect(await host.process.ended).toBe(130);
    await until(async () => (await textOf(page, '#state')) === 'The stream has ended.');
  });
});
