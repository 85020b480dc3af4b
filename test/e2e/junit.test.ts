import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { exportRun } from '../../reports/export/index.ts';
import { plain } from '../../reports/format.ts';
import { buildRun } from '../support/run-document.ts';

const CHROMIUM = '/usr/bin/chromium';
let browser: Browser | undefined;

beforeAll(async () => {
  if (!existsSync(CHROMIUM)) throw new Error(`${CHROMIUM} is missing: apt-get update && apt-get install -y chromium`);
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic'] });
}, 60_000);
afterAll(async () => browser?.close());

interface Read {
  readonly error: string | null;
  readonly names: readonly (string | null)[];
  readonly out: string | null;
  readonly message: string | null;
}

/** Every character of the basic plane, halves of others among them, and what XML is made of. */
const EVERY = `${Array.from({ length: 0x10000 }, (_, code) => String.fromCharCode(code)).join('')}]]><!-- -- --><?xml ?><![CDATA[&#0;&x;"'`;

it('JUnit XML is well-formed to a parser of XML, whatever a document says, and says it', async () => {
  const checks = [
    { name: EVERY, status: 'pass', detail: EVERY },
    { name: 'b', status: 'fail', detail: EVERY },
  ] as const;
  const xml = exportRun(buildRun({ suite: EVERY, command: EVERY, checks: [...checks], skipped: [{ id: EVERY, reason: EVERY }] }), 'junit');
  const page = await browser?.newPage();
  if (page === undefined) throw new Error('no browser');
  const read = await page.evaluate<Read>(`(() => {
    const parsed = new DOMParser().parseFromString(${JSON.stringify(xml)}, 'application/xml');
    const texts = (selector, attribute) => [...parsed.querySelectorAll(selector)].map((each) => each.getAttribute(attribute));
    return {
      error: parsed.querySelector('parsererror')?.textContent ?? null,
      names: texts('testcase', 'name'),
      out: parsed.querySelector('system-out')?.textContent ?? null,
      message: texts('failure', 'message')[0] ?? null,
    };
  })()`);
  expect(read.error).toBe(null);
  const said = plain(EVERY).replaceAll(/[\ufffe\uffff]/g, '\ufffd');
  // Not both texts in the words of a failure.
  expect([read.out === said, read.message === said]).toEqual([true, true]);
  expect(read.names.map((name) => name === said)).toEqual([true, false, false]);
});
