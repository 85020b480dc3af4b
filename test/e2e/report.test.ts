import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { renderHtml, type Study } from '../../reports/index.ts';
import { CONTRASTS, type Contrast, launchChromium, type Opened, type OpenOptions, openPage, TEXTS_OUTSIDE } from '../support/browser.ts';
import { buildRun, withHistograms, withTraces } from '../support/run-document.ts';

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
  browser = await launchChromium();
  folder = mkdtempSync(join(tmpdir(), 'scanout-report-'));
  const run = withHistograms(withTraces(buildRun({ partial: true, partialReason: 'stopped by <b>Ctrl-C</b>', study: STUDY })));
  run.scenarios[0].results.disturbed = true;
  writeFileSync(join(folder, 'report.html'), renderHtml(run));
  address = pathToFileURL(join(folder, 'report.html')).href;
}, 60_000);

afterAll(async () => {
  await browser?.close();
  if (folder !== '') rmSync(folder, { recursive: true, force: true });
});

const open = (options: OpenOptions = {}): Promise<Opened> => openPage(browser, address, options);

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
    // Of 120 frames median, p90, p99 and the longest; of 2,400 p99.9 too.
    const distributions = { 'distribution-0': 20, 'distribution-1': 20, 'distribution-2': 25, 'distribution-3': 25 };
    expect(marks).toEqual({
      paths: 4,
      study: 4,
      'break-even': 8,
      'by-size-0': 10,
      'by-size-1': 10,
      ...of('hz60'),
      ...of('max'),
      ...distributions,
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
    const outside = await page.evaluate<string[]>(TEXTS_OUTSIDE);
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

  test("the keys under a trace show each path's dashes, not its colour alone", async () => {
    const { page } = await open();
    const lines = await page
      .locator('#trace-0 .u-marker')
      .evaluateAll((keys) =>
        keys.slice(1).map((key) => (key.getAttribute('style') ?? '').replaceAll(/rgb\([^)]*\)|#[0-9a-f]+/g, 'colour')),
      );
    expect(lines).toHaveLength(5);
    for (const line of lines) expect(line).toContain('repeating-linear-gradient(90deg, colour 0px');
    expect(new Set(lines).size).toBe(5);
    await page.close();
  });

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
    const found = await page.evaluate<Contrast[]>(CONTRASTS);
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
