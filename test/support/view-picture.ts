/**
 * Makes the README's picture of `scanout view`: Debian's Chromium, three paths one after the other.
 * `node test/support/view-picture.ts [docs/images/view.png]`
 */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { launchChromium } from './browser.ts';
import { Running } from './running-command.ts';
import { until } from './stream-machine.ts';
import { openView } from './view-page.ts';

const [path = 'docs/images/view.png'] = process.argv.slice(2);
const PATHS = ['vfio', 'copy', 'readback-copy'];
/** What a README may weigh, bytes. */
const MOST_BYTES = 200_000;

const view = new Running(['view', '--path', 'udmabuf']);
await view.says('token=');
const browser = await launchChromium();
try {
  const { page } = await openView(browser, view.text);
  const seen = async (name: string): Promise<void> => {
    await until(() => page.evaluate(`document.querySelector('#said').textContent.startsWith('${name} at')`));
    await until(() => page.evaluate(`document.querySelector('#seen [data-path="${name}"]') !== null`));
  };
  await seen('udmabuf');
  for (const name of PATHS) {
    await page.selectOption('[name=path]', name);
    await seen(name);
  }
  // Glass to glass, too, means something by then.
  await until(() => page.evaluate(`document.querySelector('#glass50').textContent !== '–'`));
  mkdirSync(dirname(path), { recursive: true });
  await page.screenshot({ path, animations: 'disabled', fullPage: true });
} finally {
  await browser.close();
  view.stop();
  await view.ended;
}
const { size } = statSync(path);
if (size > MOST_BYTES) throw new Error(`${path} has ${size} bytes, more than ${MOST_BYTES}`);
console.log(`${path}: ${size} bytes`);
// The threads' pool keeps the process for a while.
process.exit(0);
