import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** What to do where `findBrowser` finds none. */
export function howToGetBrowser(): string {
  const named = process.env['SCANOUT_CHROMIUM'] ?? '';
  if (named !== '') return `SCANOUT_CHROMIUM is ${named}, which cannot be run: name Chromium or Chrome there, or unset it`;
  return 'install Chromium (Debian: apt-get install chromium), or name it or Chrome in SCANOUT_CHROMIUM';
}

export function noBrowser(): string {
  return `no Chromium to show the stream: ${howToGetBrowser()}`;
}

/** The program that SCANOUT_CHROMIUM names, else the first Chromium or Chrome in PATH; null: there is none. */
export function findBrowser(): string | null {
  const named = process.env['SCANOUT_CHROMIUM'];
  if (named !== undefined && named !== '') return isProgram(named) ? named : null;
  for (const name of NAMES) {
    for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
      if (folder !== '' && isProgram(join(folder, name))) return join(folder, name);
    }
  }
  return null;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
