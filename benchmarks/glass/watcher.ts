import { Libc } from '../../workers/native/libc.ts';
import { whyNoStream } from '../../workers/stream/stream.ts';
import { isWatched, type Scenario } from '../scenarios.ts';
import { Browser } from './browser.ts';
import { findBrowser, noBrowser } from './find-browser.ts';

/** Why nobody can watch a scenario here, and what to do; null: somebody can, or nobody is to. */
export function whyNoWatcher(scenario: Scenario): string | null {
  if (!isWatched(scenario)) return null;
  const missing = whyNoStream();
  if (missing !== null) return missing;
  if (findBrowser() === null) return noBrowser();
  const libc = scenario.options.memory === 'memfd' ? Libc.load() : null;
  return typeof libc === 'string' ? libc : null;
}

/** The browser of a run: started when it is needed, one for all repetitions; one that has ended is followed by another. */
export class Watcher {
  #browser: Browser | null = null;
  #name = '';

  /** @throws Error why there is none */
  async browser(): Promise<Browser> {
    const open = this.#browser;
    if (open !== null && !open.isOver) return open;
    const program = findBrowser();
    if (program === null) throw new Error(noBrowser());
    const fresh = new Browser(program);
    this.#browser = fresh;
    this.#name = await fresh.name();
    return fresh;
  }

  /** What a watched scenario's record says of where it was shown. */
  settings(scenario: Scenario): Record<string, string> {
    return isWatched(scenario) ? { browser: this.#name } : {};
  }

  async close(): Promise<void> {
    await this.#browser?.close();
    this.#browser = null;
  }
}
