/**
 * Makes the README's pictures of a report, light and dark: the first screen that Debian's Chromium shows of a run's report.html.
 * `node test/support/report-picture.ts out [docs/images/report.png]`: `out` is a run.json or its folder, as of `scanout run --out out`;
 * the dark one lies beside the other, report-dark.png.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readRun, renderHtml } from '../../reports/index.ts';
import { launchChromium, openPage } from './browser.ts';
import { smallPng } from './small-png.ts';

const [run, path = 'docs/images/report.png'] = process.argv.slice(2);
if (run === undefined) throw new Error('name a run.json, or the folder that has one');
/** What a README may weigh a picture, bytes. */
const MOST_BYTES = 150_000;
const HEIGHT = 800;

const folder = mkdtempSync(join(tmpdir(), 'scanout-picture-'));
const browser = await launchChromium();
try {
  const report = join(folder, 'report.html');
  writeFileSync(report, renderHtml(readRun(run)));
  mkdirSync(dirname(path), { recursive: true });
  for (const [colorScheme, file] of [
    ['light', path],
    ['dark', path.replace(/\.png$/, '-dark.png')],
  ] as const) {
    const { page } = await openPage(browser, pathToFileURL(report).href, { colorScheme });
    const picture = smallPng(await page.screenshot({ animations: 'disabled', clip: { x: 0, y: 0, width: 1280, height: HEIGHT } }));
    await page.close();
    if (picture.length > MOST_BYTES) throw new Error(`${file} would have ${picture.length} bytes, more than ${MOST_BYTES}`);
    writeFileSync(file, picture);
    console.log(`${file}: ${picture.length} bytes`);
  }
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}
