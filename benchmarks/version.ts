import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** This package's version, from the nearest package.json above (a clone or an installed package). */
export function packageVersion(): string {
  return manifest()?.version ?? 'unknown';
}

/** The folder of this package, a clone's or an installed one's; null: it has none. */
export function packageRoot(): string | null {
  return manifest()?.root ?? null;
}

function manifest(): { root: string; version: string } | null {
  for (const up of ['../package.json', '../../package.json']) {
    const url = new URL(up, import.meta.url);
    if (!existsSync(url)) continue;
    const { name, version } = JSON.parse(readFileSync(url, 'utf8')) as { name?: string; version?: string };
    if (name === 'scanout' && version !== undefined) return { root: dirname(fileURLToPath(url)), version };
  }
  return null;
}
