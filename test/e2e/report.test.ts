import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { renderHtml, type Study } from '../../reports/index.ts';
import { buildRun, withTraces } from '../support/run-document.ts';

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

const STUDY: Study = {
  question: 'What does importing a fragmented buffer cost?',
  axis: 'segments',
  measure: 'one import',
  unit: 'µs',
  series: [
    { name: 'vfio', points: [1, 16, 507].map((at) => ({ at, label: String(at), value: 20 + at, scenarios: [], disturbed: false })) },
    {
      name: 'udmabuf',
      points: [1, 507].map((at) => ({ at, label: String(at), value: at === 1 ? null : 40, scenarios: [], disturbed: true })),
    },
  ],
  answers: ['Most of it is the list: 507 segments cost 26 times one.'],
};

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
  const run = withTraces(buildRun({ partial: true, partialReason: 'stopped by <b>Ctrl-C</b>', study: STUDY }));
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
    // Ten rows each: five percentiles; host and guest; bytes; seven stages, of which the copying paths lack the fence.
    const of = (rate: string): Record<string, number> => ({
      [`${rate}-latency`]: 50,
      [`${rate}-cpu`]: 20,
      [`${rate}-bytes`]: 10,
      [`${rate}-stages`]: 6 * 7 + 4 * 6,
    });
    // Copies of the five paths: 0, 0, 1, 1, 2. Two sizes: of two imports and two savings, of five paths. A trace a path.
    const traces = Object.fromEntries([0, 1, 2, 3].map((i) => [`trace-${i}`, 5]));
    expect(marks).toEqual({
      paths: 4,
      study: 4,
      'break-even': 8,
      'by-size-0': 10,
      'by-size-1': 10,
      ...of('hz60'),
      ...of('max'),
      ...traces,
    });
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
    const outside = await page.evaluate<string[]>(`[...document.querySelectorAll('svg')].flatMap((svg) => {
      const frame = svg.getBoundingClientRect();
      return [...svg.querySelectorAll('text')]
        .filter((text) => { const box = text.getBoundingClientRect(); return box.left < frame.left - 1 || box.right > frame.right + 1; })
        .map((text) => svg.dataset.chart + ': ' + text.textContent);
    })`);
    expect(outside).toEqual([]);
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
    const overflow =
      "(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)([...document.querySelectorAll('.scroll.table')].find((each) => each.checkVisibility()))";
    expect(await narrow.evaluate(overflow)).toBe(true);
    await narrow.close();
    const { page: broad } = await open({ width: 1280 });
    expect(await broad.locator('.hint.usual:visible').count()).toBe(0);
    expect(await broad.evaluate(overflow)).toBe(false);
    await broad.close();
  });

  test('the verdict comes first, and a saving that needs no knowledge of the paths is near', async () => {
    const { page } = await open();
    const text = (await page.locator('main').textContent()) ?? '';
    expect(text.trim().slice(0, 100)).toMatch(
      /^△ To be read with care: it ended early; disturbed: 1 of 20 scenarios\. 3 of 3 checks passed\./,
    );
    const tiles = await page.locator('#savings li').allTextContents();
    expect(tiles).toHaveLength(4);
    expect(tiles[0]).toMatch(/^CPU, 4K at 60 Hz\d+\.\d% of a core free\d+\.\d+% busy instead of \d+\.\d%$/);
    expect(tiles[2]).toMatch(/^Memory traffic, 4K at 60 Hz3\.98 GB\/s less0 copies of a frame instead of 1/);
    expect(tiles[3]).toMatch(/times as many/);
    await page.close();
  });

  test('a trace zooms by drag, key and button, and comes back; without scripts it is a drawing', async () => {
    const { page, complaints } = await open();
    const zoom = page.locator('#trace-0 .zoom');
    const shown = async (): Promise<number> => Number(await zoom.getAttribute('data-to')) - Number(await zoom.getAttribute('data-from'));
    const whole = await shown();
    expect(whole).toBeGreaterThan(1000);
    expect(await page.locator('#trace-0 svg').isVisible()).toBe(false);
    await zoom.focus();
    await page.keyboard.press('+');
    expect(await shown()).toBeCloseTo(whole / 2, 3);
    const from = Number(await zoom.getAttribute('data-from'));
    await page.keyboard.press('ArrowRight');
    expect(Number(await zoom.getAttribute('data-from'))).toBeGreaterThan(from);
    await page.keyboard.press('0');
    expect(await shown()).toBeCloseTo(whole, 3);
    await zoom.getByRole('button', { name: 'Zoom in' }).click();
    expect(await shown()).toBeCloseTo(whole / 2, 3);
    await zoom.getByRole('button', { name: 'Whole run' }).click();
    const box = await zoom.locator('.u-over').boundingBox();
    if (box === null) throw new Error('not drawn');
    await page.mouse.move(box.x + box.width * 0.25, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 40, { steps: 4 });
    await page.mouse.up();
    expect(await shown()).toBeGreaterThan(whole * 0.2);
    expect(await shown()).toBeLessThan(whole * 0.3);
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await shown()).toBeLessThan(whole * 0.3);
    expect(complaints).toEqual([]);
    await page.close();
    const { page: still } = await open({ javaScriptEnabled: false });
    expect(await still.locator('#trace-0 svg').isVisible()).toBe(true);
    expect(await still.locator('.zoom').count()).toBe(0);
    await still.close();
  }, 30_000);

  test('a script that is not of the report itself does not run', async () => {
    const { page } = await open();
    const ran = await page.evaluate<boolean>(`new Promise((resolve) => {
      const script = document.createElement('script');
      script.textContent = 'window.strange = true';
      document.body.append(script);
      resolve(window.strange === true);
    })`);
    expect(ran).toBe(false);
    await page.close();
  });

  test.each(['light', 'dark'] as const)('text and marks stand out from what is behind them, %s', async (colorScheme) => {
    const { page } = await open({ colorScheme });
    const found = await page.evaluate<{ what: string; ratio: number; least: number }[]>(CONTRASTS);
    expect(found.filter(({ least }) => least === 4.5).length).toBeGreaterThan(300);
    expect(found.filter(({ least }) => least === 3).length).toBeGreaterThan(50);
    const weak = found.filter(({ ratio, least }) => ratio < least).map(({ what, ratio }) => `${what} ${ratio.toFixed(2)}`);
    expect([...new Set(weak)]).toEqual([]);
    await page.close();
  });

  test('everything that scrolls or opens can be reached by keyboard', async () => {
    const { page } = await open({ width: 390 });
    const unreachable = await page.evaluate<string[]>(`[...document.querySelectorAll('*')]
      .filter((e) => e.scrollWidth > e.clientWidth + 1 && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX) && e.tabIndex < 0)
      .map((e) => e.className)`);
    expect(unreachable).toEqual([]);
    await page.close();
  });

  test('printed, it has drawings and no controls', async () => {
    const { page } = await open();
    await page.emulateMedia({ media: 'print' });
    expect(await page.locator('#trace-0 svg').isVisible()).toBe(true);
    expect(await page.locator('.zoom:visible').count()).toBe(0);
    expect(await page.evaluate('getComputedStyle(document.body).color')).toBe('rgb(0, 0, 0)');
    await page.close();
  });
});

/**
 * Contrast (WCAG 2.2, 1.4.3 and 1.4.11) of each element with text of its own, and of each colour that a mark is filled
 * or drawn with, against the backgrounds behind it; colours are mixed by a canvas, as the browser would.
 */
const CONTRASTS = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const paint = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const colours = [];
    for (let e = element; e !== null; e = e.parentElement) colours.unshift(getComputedStyle(e).backgroundColor);
    return ['white', ...colours];
  };
  const ratio = (element, colour) => {
    const back = behind(element);
    const [a, b] = [light(paint(back)), light(paint([...back, colour]))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
    if (!own || ['SCRIPT', 'STYLE', 'title', 'desc'].includes(e.tagName) || e.getClientRects().length === 0) continue;
    const style = getComputedStyle(e);
    const colour = e instanceof SVGElement ? style.fill : style.color;
    found.push({ what: e.tagName + '.' + e.getAttribute('class') + ' ' + e.textContent.slice(0, 20), ratio: ratio(e, colour), least: 4.5 });
  }
  for (const e of document.querySelectorAll('.p0, .p2, .p4, pattern rect, .copy-head')) found.push({ what: e.getAttribute('class'), ratio: ratio(e, getComputedStyle(e).fill), least: 3 });
  for (const e of document.querySelectorAll('.p1, .p3, .line, .copy-line, .read-line')) found.push({ what: e.getAttribute('class'), ratio: ratio(e, getComputedStyle(e).stroke), least: 3 });
  return found;
})()`;
