import { closeSync, openSync, readSync } from 'node:fs';
import { InputError, reasonOf } from './errors.ts';

/** Largest file that is read, bytes: a run of every suite has some 10 MB, and JSON takes up to 20 times its size when parsed. */
export const MOST_BYTES = 64 * 2 ** 20;
/** Deepest nesting: ours has 8 levels. What walks a document calls itself for each. */
const MOST_DEPTH = 64;
const CHUNK_BYTES = 64 * 2 ** 10;

/** A file's text; of a pipe or device, too, which may never end. @throws InputError it cannot be read, or is too large */
export function readText(file: string): string {
  try {
    return decoded(file);
  } catch (error) {
    throw error instanceof InputError ? error : new InputError(`${file}: cannot be read: ${reasonOf(error)}`);
  }
}

function decoded(file: string): string {
  const handle = openSync(file, 'r');
  try {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for (;;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const length = readSync(handle, chunk);
      if (length === 0) return Buffer.concat(chunks, bytes).toString('utf8');
      bytes += length;
      if (bytes > MOST_BYTES) throw new InputError(`${file}: cannot be read: it is larger than ${MOST_BYTES / 2 ** 20} MiB`);
      chunks.push(chunk.subarray(0, length));
    }
  } finally {
    closeSync(handle);
  }
}

/** @param origin what the text is called in messages @throws InputError it is cut off, no JSON, or nested too deeply */
export function parseJson(text: string, origin: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${origin}: not JSON: ${faultOf(text, error)}`);
  }
  if (isDeeper(value, MOST_DEPTH)) throw new InputError(`${origin}: not used: its JSON is nested more than ${MOST_DEPTH} levels deep`);
  return value;
}

function faultOf(text: string, error: unknown): string {
  if (text.trim() === '') return 'it is empty';
  const message = error instanceof Error ? error.message : String(error);
  const position = /at position (\d+)/.exec(message)?.[1];
  // An error at the very end is a file that was cut off.
  if (position === undefined || Number(position) >= text.trimEnd().length) return 'it is cut off before its end';
  return message.replaceAll(/\s+/g, ' ');
}

/** Level by level: a walk that calls itself would break on what it looks for. */
function isDeeper(value: unknown, most: number): boolean {
  let level: object[] = [value].filter(isContainer);
  for (let depth = 0; level.length > 0; depth++) {
    if (depth === most) return true;
    level = level.flatMap((each) => Object.values(each).filter(isContainer));
  }
  return false;
}

const isContainer = (value: unknown): value is object => typeof value === 'object' && value !== null;
