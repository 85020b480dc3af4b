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
    throw new InputError(`${origin}: not JSON: ${jsonFault(text, error)}`);
  }
  return checkRunDocument(value, origin);
}

function jsonFault(text: string, error: unknown): string {
  if (text.trim() === '') return 'it is empty';
  const message = error instanceof Error ? error.message : String(error);
  const position = /at position (\d+)/.exec(message)?.[1];
  // An error at the very end is a file that was cut off.
  if (position === undefined || Number(position) >= text.trimEnd().length) return 'it is cut off before its end';
  return message.replaceAll(/\s+/g, ' ');
}

/** Node's reason without the system call and the path, on one line. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/, (open|stat|read|mkdir|rename|scandir|write)\b.*$/s, '').replaceAll(/\s+/g, ' ');
}
