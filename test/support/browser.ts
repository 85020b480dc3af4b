import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';

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

/** Debian's Chromium. @throws Error it is not installed */
export async function launchChromium(): Promise<Browser> {
  if (!existsSync(CHROMIUM)) {
    throw new Error(
      `${CHROMIUM} is missing: this test opens the report in a real browser. Install it: apt-get update && apt-get install -y chromium`,
    );
  }
  return await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
}

export interface OpenOptions {
  colorScheme?: 'light' | 'dark';
  width?: number;
  javaScriptEnabled?: boolean;
}

export interface Opened {
  page: Page;
  /** All that the page asked for, itself first. */
  requests: string[];
  /** What it said on the console, and its errors. */
  complaints: string[];
}

export async function openPage(browser: Browser | undefined, address: string, options: OpenOptions = {}): Promise<Opened> {
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

/** Texts of drawings, but hidden ones, that reach beyond their drawing's sides, as an expression to evaluate. */
export const TEXTS_OUTSIDE = `[...document.querySelectorAll('svg')].flatMap((svg) => {
  const frame = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')]
    .filter((text) => { const box = text.getBoundingClientRect(); return text.getClientRects().length > 0 && (box.left < frame.left - 1 || box.right > frame.right + 1); })
    .map((text) => svg.dataset.chart + ': ' + text.textContent);
})`;

/** One of `CONTRASTS`. */
export interface Contrast {
  what: string;
  ratio: number;
  least: number;
}

/**
 * Contrast (WCAG 2.2, 1.4.3 and 1.4.11) of each element with text of its own, and of each colour that a mark is filled
 * or drawn with, against the backgrounds behind it; colours are mixed by a canvas, as the browser would. A text in a box
 * of a drawing stands on the box; a box that is outlined counts by its outline.
 */
export const CONTRASTS = `(() => {
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
    const box = element.matches('g > text') ? element.parentElement.querySelector(':scope > rect.mark') : null;
    return ['white', ...colours, ...(box === null ? [] : [getComputedStyle(box).fill])];
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
  for (const e of document.querySelectorAll('.p1, .p3, .line, .copy-line, .read-line, .flame .mark')) found.push({ what: e.getAttribute('class'), ratio: ratio(e, getComputedStyle(e).stroke), least: 3 });
  return found;
})()`;
