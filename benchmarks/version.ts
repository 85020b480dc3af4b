import { existsSync, readFileSync } from 'node:fs';

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
