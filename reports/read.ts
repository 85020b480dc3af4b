import { statSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson, readText } from './json.ts';
import type { RunDocument } from './run-document.ts';
import { checkRunDocument } from './validate.ts';

/**
 * Reads a run: a run.json, or the folder that has one.
 * @throws InputError the file is missing, unreadable, too large, truncated, of another schema version or breaks the schema
 */
export function readRun(path: string): RunDocument {
  const file = isFolder(path) ? join(path, 'run.json') : path;
  return parseRun(readText(file), file);
}

/** False, too, of what cannot be looked at: reading it says why. */
function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** @param origin what the text is called in error messages @throws InputError as `readRun` */
export function parseRun(text: string, origin: string): RunDocument {
  return checkRunDocument(parseJson(text, origin), origin);
}
