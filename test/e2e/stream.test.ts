import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CardRenderer, clockArea } from '../../core/guest/card-renderer.ts';
import { VirtualClock } from '../../core/measure/clock.ts';
import { createSharedMemory, MemoryRegion } from '../../core/memory/region.ts';
import { SegmentList } from '../../core/memory/segments.ts';
import { whyNoStream } from '../../workers/stream/stream.ts';
import { CONTRASTS, type Contrast, launchChromium, openPage } from '../support/browser.ts';
import { type StreamMachine, startStreamMachine, until } from '../support/stream-machine.ts';

const FRAMES = 300;
const SLOW = 120_000;

/** Keeps what the page shows in `window.shown`, each [head, code]; and the picture of head 0 when the first of a head was asked for. */
const WATCH = `(() => {
  window.shown = [];
  window.picture = null;
  document.addEventListener('shown', ({ target, detail: { head, code } }) => {
    window.shown.push([head, code]);
    if (window.wanted && code !== null && head === 0) {
      window.wanted = false;
      const { width, height } = target;
      const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
      copy.drawImage(target, 0, 0);
      const { data } = copy.getImageData(0, 0, width, height);
      let text = '';
      for (let i = 0; i < data.length; i += 32768) text += String.fromCharCode(...data.subarray(i, i + 32768));
      window.picture = { code, width, height, data: btoa(text) };
    }
  });
})()`;

interface Picture {
  code: number;
  width: number;
  height: number;
  data: string;
}

/** dB, of all but the clock, between a picture and the card of its number as the guest draws it. */
function likeness({ code, width, height, data }: Picture): number {
  const size = width * 4 * height;
  const memory = createSharedMemory(Math.ceil(size / 4096) * 4096);
  const region = new MemoryRegion({
    id: 0,
    name: 'c',
    kind: 'ram',
    gpa: 0,
    size: memory.buffer.byteLength,
    device: null,
    bar: null,
    memory,
  });
  const pages = new SegmentList();
  pages.append(region, 0, size);
  new CardRenderer(new VirtualClock()).render({ pages, width, height, stride: width * 4 }, code);
  const decoded = Buffer.from(data, 'base64');
  const clock = clockArea(width, height);
  let squares = 0;
  let count = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (x < clock.left + clock.width && y >= clock.top && y < clock.top + clock.height) continue;
      const drawn = region.u32[y * width + x];
      const at = (y * width + x) * 4;
      squares +=
        (decoded[at] - ((drawn >>> 16) & 0xff)) ** 2 +
        (decoded[at + 1] - ((drawn >>> 8) & 0xff)) ** 2 +
        (decoded[at + 2] - (drawn & 0xff)) ** 2;
      count += 3;
    }
  }
  return 10 * Math.log10(255 ** 2 / (squares / count));
}

describe.skipIf(whyNoStream() !== null)('a stream in Chromium', () => {
  let browser: Browser;
  let machine: StreamMachine | null = null;
  beforeAll(async () => {
    browser = await launchChromium();
  }, SLOW);
  afterAll(() => browser?.close());
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    await machine?.stop();
    machine = null;
  });

  const open = async (from: StreamMachine, size: { width?: number; colorScheme?: 'light' | 'dark' } = {}) => {
    const opened = await openPage(browser, from.stream.server.url, size);
    await opened.page.evaluate(WATCH);
    return opened;
  };
  const shown = (page: Page): Promise<[number, number | null][]> => page.evaluate('window.shown');
  const showsSize = (page: Page, head: number, size: string): Promise<void> =>
    until(() => page.evaluate(`document.querySelectorAll('figcaption')[${head}]?.textContent.endsWith(${JSON.stringify(size)}) === true`));
  const picture = async (page: Page): Promise<Picture> => {
    await page.evaluate('window.picture = null; window.wanted = true');
    await until(() => page.evaluate('window.picture !== null'));
    return await page.evaluate('window.picture');
  };

  test(
    `${FRAMES} frames are shown with their right numbers, in order, each picture as the guest drew it within 35 dB`,
    async () => {
      machine = await startStreamMachine();
      const { page, complaints, requests } = await open(machine);
      const pictures = [await picture(page)];
      await until(async () => (await shown(page)).length >= FRAMES / 2);
      pictures.push(await picture(page));
      await until(async () => (await shown(page)).length >= FRAMES);
      pictures.push(await picture(page));
      const numbers = (await shown(page)).map(([, code]) => code ?? Number.NaN);
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      expect(new Set(numbers).size).toBeGreaterThan(numbers.length - 10);
      for (const one of pictures) expect(likeness(one)).toBeGreaterThan(35);
      // What the page has read from the pixels is what the host has sent, or no latency would be known.
      const { p50, samples } = machine.stream.glass.figures();
      expect(samples).toBeGreaterThan(FRAMES * 0.8);
      console.log(`glass to glass p50 ${p50?.toFixed(1)} ms`);
      expect(await page.evaluate(`document.querySelector('#p50').textContent`)).toMatch(/^[0-9.]+ ms$/);
      expect(await page.evaluate(`document.querySelector('#offset').textContent`)).toMatch(/^-?[0-9.]+ ms$/);
      expect(complaints).toEqual([]);
      expect(new Set(requests.map((address) => new URL(address).origin))).toEqual(new Set([new URL(machine.stream.server.url).origin]));
      // The token is in the address no more, and a reload is let in by the session.
      expect(new URL(page.url()).search).toBe('');
      await page.reload();
      await page.evaluate(WATCH);
      await until(async () => (await shown(page)).length > 5);
    },
    SLOW,
  );

  test(
    'another size, a head that goes and one that comes back are shown without another connection',
    async () => {
      machine = await startStreamMachine({ heads: 2 });
      const { page, requests } = await open(machine);
      await showsSize(page, 0, '640 × 360');
      await showsSize(page, 1, '640 × 360');
      machine.remote.setDisplay(0, { width: 480, height: 272, refreshHz: 60 });
      await showsSize(page, 0, '480 × 272');
      const one = await picture(page);
      expect([one.width, one.height]).toEqual([480, 272]);
      expect(likeness(one)).toBeGreaterThan(35);
      const isHidden = (head: number): Promise<boolean> => page.evaluate(`document.querySelectorAll('figure')[${head}].hidden`);
      machine.remote.setDisplay(1, null);
      await until(() => isHidden(1));
      expect(await isHidden(0)).toBe(false);
      machine.remote.setDisplay(1, { width: 640, height: 360, refreshHz: 60 });
      await until(async () => !(await isHidden(1)));
      await page.evaluate('window.shown.length = 0');
      await until(async () => (await shown(page)).filter(([head]) => head === 1).length > 5);
      expect(requests.filter((address) => address.endsWith('/')).length).toBeLessThan(2);
      expect(machine.stream.hub.clients).toBe(1);
    },
    SLOW,
  );

  test(
    'the cursor is drawn above the picture, where the guest has it, and moves by itself',
    async () => {
      machine = await startStreamMachine();
      const { page } = await open(machine);
      const pointer = (what: string): Promise<string> => page.evaluate(`document.querySelector('.pointer').${what}`);
      await until(async () => Number(await pointer('width')) === 64);
      await until(async () => String(await pointer('hidden')) === 'false');
      const first = await pointer('dataset.at');
      await until(async () => (await pointer('dataset.at')) !== first);
      // The tip, where it points, is the arrow's white; the picture beneath has no arrow.
      const spot = await page.evaluate(`[...document.querySelector('.pointer').getContext('2d').getImageData(1, 3, 1, 1).data]`);
      expect(spot).toEqual([255, 255, 255, 255]);
      expect(likeness(await picture(page))).toBeGreaterThan(35);
      const [left, width] = [await pointer('style.left'), await page.evaluate(`document.querySelector('.picture').width`)];
      expect(Number.parseFloat(left)).toBeGreaterThan(0);
      expect(width).toBe(640);
    },
    SLOW,
  );

  test(
    'a page that loses its decoder goes on with a key frame',
    async () => {
      machine = await startStreamMachine();
      const { page, complaints } = await openPage(browser, machine.stream.server.url);
      // What is no H.264 ends a decoder.
      await page.evaluate(WATCH);
      await until(async () => (await shown(page)).length > 5);
      await page.evaluate(`{
        const decode = VideoDecoder.prototype.decode;
        VideoDecoder.prototype.decode = function (chunk) {
          VideoDecoder.prototype.decode = decode;
          decode.call(this, new EncodedVideoChunk({ type: 'delta', timestamp: chunk.timestamp, data: new Uint8Array([0, 0, 1, 0x61, 255, 255, 255]) }));
        };
        window.shown.length = 0;
      }`);
      await until(async () => (await shown(page)).length > 30);
      const numbers = (await shown(page)).map(([, code]) => code ?? Number.NaN);
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      expect(complaints).toEqual([]);
    },
    SLOW,
  );

  test(
    'who opens a used address reads what to do, and so does a page that is let in no more, which then asks no more',
    async () => {
      machine = await startStreamMachine();
      const { hub, server } = machine.stream;
      const ends: (() => void)[] = [];
      const join = hub.join.bind(hub);
      hub.join = (socket) => {
        ends.push(() => socket.terminate());
        join(socket);
      };
      const used = server.url;
      const { page } = await open(machine);
      const late = await openPage(browser, used, { width: 390, colorScheme: 'dark' });
      const words = await late.page.evaluate('document.body.innerText');
      expect(words).toContain('It prints a new address whenever one was used. Open the newest.');
      expect(await late.page.content()).not.toContain(new URL(used).searchParams.get('token'));
      expect(await late.page.evaluate('document.documentElement.scrollWidth')).toBe(390);
      const state = (): Promise<string> => page.evaluate(`document.querySelector('#state').textContent`);
      await until(async () => (await state()) === 'connected');
      // Its connection is lost: it comes back by itself.
      ends.splice(0)[0]();
      await until(() => ends.length > 0);
      await until(async () => (await state()) === 'connected');
      // As in a browser that was started anew, or after the program was.
      await page.context().clearCookies();
      let asked = 0;
      page.on('request', () => asked++);
      ends.splice(0)[0]();
      await until(async () => (await state()).startsWith('This browser is let in no more: open the newest address'));
      expect([asked, ends.length, hub.clients]).toEqual([1, 0, 0]);
    },
    SLOW,
  );

  test.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 390],
    ['dark', 390],
  ] as const)(
    'in %s, %i pixels wide, all is readable, nothing reaches beyond the side, and the keys work',
    async (colorScheme, width) => {
      machine = await startStreamMachine();
      const { page } = await open(machine, { colorScheme, width });
      await showsSize(page, 0, '640 × 360');
      await until(() => page.evaluate(`document.querySelector('#p50').textContent !== '–'`));
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
      const contrasts: Contrast[] = await page.evaluate(CONTRASTS);
      expect(contrasts.filter(({ ratio, least }) => ratio < least)).toEqual([]);
      await page.keyboard.press('Tab');
      expect(await page.evaluate('document.activeElement.id')).toBe('fit');
      await page.keyboard.press('Enter');
      expect(await page.evaluate(`document.querySelector('.picture').getBoundingClientRect().width`)).toBe(640);
      await page.keyboard.press('a');
      expect(await page.evaluate(`document.querySelector('#fit').getAttribute('aria-pressed')`)).toBe('false');
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
    },
    SLOW,
  );
});
