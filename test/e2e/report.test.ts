import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { renderHtml } from '../../reports/index.ts';
import { buildRun } from '../support/run-document.ts';

const CHROMIUM = '/usr/bin/chromium';
const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let browser: Browser | undefined;
let folder = '';
let address = '';

beforeAll(async () => {
  if (!existsSync(CHROMIUM)) {
    throw new Error(
      `${CHROMIUM} is missing: this test opens the report in a real browser. Install it: apt-get update && apt-get install -y chromium`,
    );
  }
  folder = mkdtempSync(join(tmpdir(), 'scanout-report-'));
  const run = buildRun({ partial: true, partialReason: 'stopped by <b>Ctrl-C</b>' });
  run.scenarios[0].results.disturbed = true;
  writeFileSync(join(folder, 'report.html'), renderHtml(run));
  address = pathToFileURL(join(folder, 'report.html')).href;
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
}, 60_000);

afterAll(async () => {
  await browser?.close();
  if (folder !== '') rmSync(folder, { recursive: true, force: true });
});

interface Opened {
  page: Page;
  requests: string[];
  complaints: string[];
}

async function open(options: { colorScheme?: 'light' | 'dark'; width?: number; javaScriptEnabled?: boolean } = {}): Promise<Opened> {
  if (browser === undefined) throw new Error('no browser');
  const { colorScheme = 'light', width = 1280, javaScriptEnabled = true } = options;
  const page = await browser.newPage({ colorScheme, javaScriptEnabled, viewport: { width, height: 900 } });
  const requests: string[] = [];
  const complaints: string[] = [];
  page.on('request', (request) => requests.push(request.url()));
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(address);
  return { page, requests, complaints };
}

describe('the report in a browser', () => {
  test('opens without a complaint, and no request leaves the file', async () => {
    const { page, requests, complaints } = await open();
    expect(await page.title()).toContain('scanout');
    expect(requests).toEqual([address]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('each chart has one mark for each figure', async () => {
    const { page } = await open();
    const marks: Record<string, number> = {};
    for (const svg of await page.locator('svg').all())
      marks[(await svg.getAttribute('data-chart')) ?? ''] = await svg.locator('.mark').count();
    // Ten rows each: p50 and p99; host and guest; bytes; seven stages, of which the copying paths lack the fence.
    const of = (rate: string): Record<string, number> => ({
      [`${rate}-latency`]: 20,
      [`${rate}-cpu`]: 20,
      [`${rate}-bytes`]: 10,
      [`${rate}-stages`]: 6 * 7 + 4 * 6,
    });
    expect(marks).toEqual({ ...of('hz60'), ...of('max') });
    await page.close();
  });

  test('bars are as long as their figures, and lie inside the drawing', async () => {
    const { page } = await open();
    const widths = await page
      .locator('svg[data-chart="hz60-bytes"] .mark')
      .evaluateAll((bars) => bars.map((bar) => Number(bar.getAttribute('width'))));
    expect(widths.slice(0, 2)).toEqual([0, 0]);
    expect(widths[4] / widths[3]).toBeCloseTo(2, 1);
    expect(widths[3] / widths[8]).toBeCloseTo(4, 1);
    for (const svg of await page.locator('svg').all()) {
      const frame = await svg.boundingBox();
      for (const text of await svg.locator('text').all()) {
        const box = await text.boundingBox();
        if (frame === null || box === null) throw new Error('not drawn');
        expect(box.x, (await text.textContent()) ?? '').toBeGreaterThanOrEqual(frame.x - 1);
        expect(box.x + box.width, (await text.textContent()) ?? '').toBeLessThanOrEqual(frame.x + frame.width + 1);
      }
    }
    await page.close();
  }, 30_000);

  test('follows the dark setting', async () => {
    const background = async (colorScheme: 'light' | 'dark'): Promise<string> => {
      const { page } = await open({ colorScheme });
      const colour = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
      await page.close();
      return colour;
    };
    expect(await background('light')).toBe('rgb(249, 249, 247)');
    expect(await background('dark')).toBe('rgb(13, 13, 13)');
  });

  test('says that the run is partial and what was disturbed, as text', async () => {
    const { page } = await open();
    expect(await page.locator('#partial').textContent()).toContain('stopped by <b>Ctrl-C</b>');
    expect(await page.locator('#warnings').textContent()).toContain('times not to be trusted: vfio at 1080p 60 Hz.');
    await page.close();
  });

  test('the data tables open without scripts, and a phone needs no sideways scrolling', async () => {
    const { page } = await open({ javaScriptEnabled: false, width: 390 });
    const data = page.locator('figure details').first();
    expect(await data.locator('table').isVisible()).toBe(false);
    await data.locator('summary').click();
    expect(await data.locator('table').isVisible()).toBe(true);
    await page.close();
    const { page: narrow } = await open({ width: 390 });
    expect(await narrow.evaluate('document.documentElement.scrollWidth')).toBe(390);
    const hints = narrow.locator('.hint.usual:visible');
    expect(await hints.first().textContent()).toContain('Scroll sideways');
    const overflow = "(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)(document.querySelector('.scroll.table'))";
    expect(await narrow.evaluate(overflow)).toBe(true);
    await narrow.close();
    const { page: broad } = await open({ width: 1280 });
    expect(await broad.locator('.hint.usual:visible').count()).toBe(0);
    expect(await broad.evaluate(overflow)).toBe(false);
    await broad.close();
  });
});
