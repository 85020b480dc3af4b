import { createHash } from 'node:crypto';
import { closeSync, constants, openSync, readSync, type Stats, statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { Content } from '../../core/machine/content.ts';
import { probeFile } from '../../workers/content/content-thread.ts';
import { loadNodeAv } from '../../workers/encode/node-av.ts';
import { UsageError } from './command.ts';

/** Of a file's beginning and of its end: with its length enough to tell it from another one. */
const DIGESTED_BYTES = 2 ** 20;
const DIGEST_DIGITS = 8;

/** The file that --content names, looked into; nothing without one. @throws UsageError why it cannot be shown */
export async function contentFlag(text: string | undefined): Promise<{ readonly content?: Content }> {
  if (text === undefined) return {};
  const file = resolve(text);
  const size = sizeOf(text, file);
  const av = loadNodeAv();
  if (typeof av === 'string') throw new UsageError(`--content is decoded by node-av: ${av}`);
  try {
    const found = await probeFile(file);
    return { content: { ...found, file, name: basename(file), digest: digestOf(file, size) } };
  } catch (error) {
    throw new UsageError(`--content ${text}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Bytes of a file that can be read. @throws UsageError */
function sizeOf(text: string, file: string): number {
  const say = (why: string): UsageError => new UsageError(`--content ${text}: ${why}`);
  if (text === '') throw new UsageError('--content needs the name of a picture or a video');
  let stat: Stats | undefined;
  try {
    stat = statSync(file, { throwIfNoEntry: false });
  } catch (error) {
    throw say(error instanceof Error && 'code' in error && error.code === 'EACCES' ? 'it may not be read' : 'there is no such file');
  }
  if (stat === undefined) throw say('there is no such file');
  if (stat.isDirectory()) throw say('a folder, not a picture or a video');
  // A pipe or a device may never end, or begin.
  if (!stat.isFile()) throw say('not a file that can be read again and again');
  try {
    closeSync(openSync(file, constants.O_RDONLY));
  } catch {
    throw say('it may not be read');
  }
  return stat.size;
}

function digestOf(file: string, size: number): string {
  const hash = createHash('sha256').update(`${size} `);
  const bytes = Buffer.alloc(Math.min(size, DIGESTED_BYTES));
  const fd = openSync(file, constants.O_RDONLY);
  try {
    for (const at of [0, size - bytes.length]) hash.update(bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, at)));
  } finally {
    closeSync(fd);
  }
  return hash.digest('hex').slice(0, DIGEST_DIGITS);
}
