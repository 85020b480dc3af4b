import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { difference } from '../../benchmarks/profile/diff.ts';
import { renderProfile } from '../../benchmarks/profile/page.ts';
import type { ScenarioProfile, ThreadName, ThreadProfile } from '../../benchmarks/profile/record.ts';
import { CONTRASTS, type Contrast, launchChromium, type Opened, type OpenOptions, openPage, TEXTS_OUTSIDE } from '../support/browser.ts';
import { buildProfile, inTurns, type Tree } from '../support/cpu-profile.ts';

const SIDES: Record<ThreadName, Tree> = {
  guest: {
    'runGuest file:///x/scanout/workers/guest-side.ts:15': {
      'runLoop file:///x/scanout/workers/loop.ts:30': {
        'spin file:///x/scanout/workers/loop.ts:87': {},
        'submit file:///x/scanout/core/guest/driver.ts:30': {},
        'blockUntilDeadline file:///x/scanout/core/ring/doorbell.ts:119': {},
      },
    },
    '(program)': {},
  },
  host: {
    'runHost file:///x/scanout/workers/host-side.ts:15': {
      'runLoop file:///x/scanout/workers/loop.ts:30': {
        'spin file:///x/scanout/workers/loop.ts:87': {},
        'execute file:///x/scanout/core/host/dispatch.ts:30': { 'wasm-function[0] wasm://wasm/ab12:1': {} },
        'blockUntilDeadline file:///x/scanout/core/ring/doorbell.ts:119': {},
      },
    },
    '(garbage collector)': {},
  },
};
const COUNTS: Record<ThreadName, Record<string, number>> = {
  guest: { spin: 20, submit: 40, blockUntilDeadline: 100, '(program)': 40 },
  host: { spin: 20, execute: 30, 'wasm-function[0]': 100, blockUntilDeadline: 45, '(garbage collector)': 5 },
};
/** The root, how the side is entered, its loop, what that calls; beside it what is outside. */
const BOXES = 7 + 8;

function threadOf(thread: ThreadName): ThreadProfile {
  const cpu = buildProfile(SIDES[thread], inTurns(COUNTS[thread]), { scenario: 'copy-4k-60hz', thread, frames: 100, node: '26.0.0' });
  const heapSites = [{ name: 'publish', place: 'core/ring/split/driver.ts:185', bytes: 4096 }];
  const times = { wallUs: 200_000, spinUs: 20_000, sleepUs: 100_000, cpuUs: 100_000, runQueueWaitUs: null };
  return { thread, cpu, heap: null, heapSites, ...times, collections: 1, allocatedBytes: null };
}

const profile: ScenarioProfile = { scenario: 'copy-4k-60hz', frames: 100, guest: threadOf('guest'), host: threadOf('host') };
const before = buildProfile(SIDES.host, inTurns({ ...COUNTS.host, execute: 5 }), profile.host.cpu.scanout);

let browser: Browser | undefined;
let folder = '';
let address = '';

beforeAll(async () => {
  browser = await launchChromium();
  folder = mkdtempSync(join(tmpdir(), 'scanout-profile-page-'));
  const file = join(folder, 'profile.html');
  writeFileSync(file, renderProfile(profile, difference([before], '/tmp/<base>', profile), 'npx scanout profile copy-4k-60hz'));
  address = pathToFileURL(file).href;
}, 60_000);

afterAll(async () => {
  await browser?.close();
  if (folder !== '') rmSync(folder, { recursive: true, force: true });
});

const open = (options: OpenOptions = {}): Promise<Opened> => openPage(browser, address, options);

describe("the profile's page in a browser", () => {
  it('opens without a complaint, and no request leaves the file', async () => {
    const { page, requests, complaints } = await open();
    expect(await page.title()).toBe('scanout profile: copy-4k-60hz');
    expect(requests).toEqual([address]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  it('has a box a call, each as wide as its time and inside its caller, and texts inside the drawing', async () => {
    const { page } = await open();
    const boxes = await page
      .locator('svg[data-chart="flame"] .mark')
      .evaluateAll((all) => all.map((box) => ({ kind: box.getAttribute('class'), width: Number(box.getAttribute('width')) })));
    expect(boxes).toHaveLength(BOXES);
    const widths = (kind: string): number[] => boxes.filter((box) => box.kind === `mark ${kind}`).map(({ width }) => width);
    const [asleepGuest, asleepHost] = widths('sleep');
    expect(asleepGuest / asleepHost).toBeCloseTo(100 / 45, 1);
    expect(widths('copy')[0] / widths('collection')[0]).toBeCloseTo(20, 0);
    expect(await page.evaluate<string[]>(TEXTS_OUTSIDE)).toEqual([]);
    await page.close();
  });

  it('boxes of different kinds differ by texture, not by colour alone', async () => {
    const { page } = await open();
    const kinds = await page.evaluate<[string, string][]>(`[...document.querySelectorAll('svg.flame g > rect.mark')].map((box) => {
      const name = box.nextElementSibling?.getAttribute('fill')?.match(/#[a-z-]+/)?.[0];
      return [box.getAttribute('class'), name === undefined ? '' : document.querySelector(name + ' path').getAttribute('d')];
    })`);
    const textures = new Map(kinds);
    for (const plain of ['mark work', 'mark other']) textures.delete(plain);
    expect([...textures.keys()].sort()).toEqual(['mark collection', 'mark copy', 'mark sleep', 'mark spin']);
    expect(new Set([...textures.values(), '']).size).toBe(5);
    await page.close();
  });

  it('names what changed before all else, and each table has its rows', async () => {
    const { page } = await open();
    expect(await page.locator('main h2').first().textContent()).toBe('What changed');
    expect(await page.locator('main table').first().textContent()).toContain('host: execute');
    const rows = await page.locator('main table').evaluateAll((tables) => tables.map((table) => table.querySelectorAll('tbody tr').length));
    // Changes; the split; functions and allocations of each thread.
    expect(rows).toEqual([1, 4, 4, 1, 5, 1]);
    await page.close();
  });

  it.each(['light', 'dark'] as const)('text and boxes stand out from what is behind them, %s', async (colorScheme) => {
    const { page } = await open({ colorScheme });
    const found = await page.evaluate<Contrast[]>(CONTRASTS);
    expect(found.filter(({ least }) => least === 4.5).length).toBeGreaterThan(80);
    expect(found.filter(({ least }) => least === 3)).toHaveLength(BOXES);
    expect(found.filter(({ ratio, least }) => ratio < least).map(({ what, ratio }) => `${what} ${ratio.toFixed(2)}`)).toEqual([]);
    await page.close();
  });

  it('needs no script; a phone scrolls tables and the drawing, not the page, and reaches them by keyboard', async () => {
    const { page } = await open({ width: 390, javaScriptEnabled: false });
    expect(await page.locator('svg[data-chart="flame"]').isVisible()).toBe(true);
    await page.close();
    const { page: narrow } = await open({ width: 390 });
    expect(await narrow.evaluate('document.documentElement.scrollWidth')).toBe(390);
    const unreachable = await narrow.evaluate<string[]>(`[...document.querySelectorAll('*')]
      .filter((e) => e.scrollWidth > e.clientWidth + 1 && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX) && e.tabIndex < 0)
      .map((e) => e.className)`);
    expect(unreachable).toEqual([]);
    await narrow.close();
  });
});
