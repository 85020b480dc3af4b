import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** This package's version, from the nearest package.json above (a clone or an installed package). */
export function packageVersion(): string {
  for (const up of ['../package.json', '../../package.json']) {
    const url = new URL(up, import.meta.url);
    if (!existsSync(url)) continue;
    const { name, version } = JSON.parse(readFileSync(url, 'utf8')) as { name?: string; version?: string };
    if (name === 'scanout' && version !== undefined) return version;
  }
  return 'unknown';
}

/** The folder of this package: a clone's, or an installed package's. */
export function packageRoot(): string {
  const built = existsSync(new URL('../../package.json', import.meta.url)) && !existsSync(new URL('../package.json', import.meta.url));
  return fileURLToPath(new URL(built ? '../..' : '..', import.meta.url));
}
