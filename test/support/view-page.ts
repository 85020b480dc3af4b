/** A view's page in a browser: what was on it since it was opened, for tests that come to look later. */
import type { Browser, Page } from 'playwright-core';
import { type Opened, type OpenOptions, openPage } from './browser.ts';
import { until } from './stream-machine.ts';

/** What lasts two seconds may be over when a busy computer looks: the page keeps it. */
const KEEP = `{
  window.shown = [];
  window.states = [];
  window.said = [];
  window.lit = [];
  const keep = (id, into) => new MutationObserver((records) => {
    for (const { addedNodes } of records) into.push(...[...addedNodes].map(({ data }) => data));
  }).observe(document.querySelector(id), { childList: true });
  keep('#state', window.states);
  keep('#said', window.said);
  const light = (records) => records.forEach(({ target }) => window.lit.push(target.id + ' ' + target.getAttribute('class')));
  for (const edge of document.querySelectorAll('.edge')) new MutationObserver(light).observe(edge, { attributeFilter: ['class'] });
  document.addEventListener('shown', ({ detail: { head, code } }) => window.shown.push([head, code]));
}`;

/** Opens the page at an address that a command has printed. */
export async function openView(browser: Browser, said: string, options: OpenOptions = {}): Promise<Opened> {
  const opened = await openPage(browser, /http:\S+/.exec(said)?.[0] ?? '', options);
  await opened.page.evaluate(KEEP);
  return opened;
}

export const textOf = (page: Page, selector: string): Promise<string> => page.evaluate(`document.querySelector('${selector}').textContent`);

/** Since it was opened. */
export const says = (page: Page, words: RegExp): Promise<void> =>
  until(() => page.evaluate(`window.said.some((said) => ${words}.test(said))`));

export const wasLit = (page: Page, edge: string): Promise<void> => until(() => page.evaluate(`window.lit.includes('edge-${edge}')`));

/** The classes of an arrow of the diagram. */
export const litNow = (page: Page, edge: string): Promise<string> =>
  page.evaluate(`document.querySelector('#edge-${edge}').getAttribute('class')`);

/** What the page says is copied before the encoder a second, in whatever unit. */
export const copied = async (page: Page): Promise<number> => Number.parseFloat(await textOf(page, '#copied'));

export const isVisible = (page: Page, selector: string): Promise<boolean> =>
  page.evaluate(`document.querySelector('${selector}').getClientRects().length > 0`);
