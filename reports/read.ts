import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from './errors.ts';
import type { RunDocument } from './run-document.ts';
import { checkRunDocument } from './validate.ts';

/**
 * Reads a run: a run.json, or the folder that has one.
 * @throws InputError the file is missing, unreadable, truncated, of another schema version or breaks the schema
 */
export function readRun(path: string): RunDocument {
  let file = path;
  let text: string;
  try {
    if (statSync(path).isDirectory()) file = join(path, 'run.json');
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new InputError(`${file}: cannot be read: ${reasonOf(error)}`);
  }
  return parseRun(text, file);
}

/** @param origin what the text is called in error messages @throws InputError as `readRun` */
export function parseRun(text: string, origin: string): RunDocument {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const open = text.trim() === '' ? 'it is empty' : `${truncated(error) ? 'it ends in the middle' : reasonOf(error)}`;
    throw new InputError(`${origin}: not JSON: ${open}`);
  }
  return checkRunDocument(value, origin);
}

function truncated(error: unknown): boolean {
  return error instanceof SyntaxError && /end of JSON input|Unterminated string|after array element|after property/.test(error.message)
    && !/at position \d+.*Unexpected token/.test(error.message);
}

/** Node's reason without the system call and the path, on one line. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/, (open|stat|read|mkdir|rename|scandir|write)\b.*$/s, '').replaceAll(/\s+/g, ' ');
}
