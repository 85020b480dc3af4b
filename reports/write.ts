import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { InputError, reasonOf } from './errors.ts';
import { renderHtml } from './html/page.ts';
import { renderMarkdown } from './markdown.ts';
import type { RunDocument } from './run-document.ts';
import { checkRunDocument } from './validate.ts';

/** A file to be written. */
export interface NewFile {
  readonly path: string;
  readonly text: string;
}

/** What is written until it is renamed; a killed process leaves it behind. */
export const TEMPORARY = /\.\d+-[0-9a-f]{8}\.tmp$/;

/**
 * Writes files so that each name always holds either the old content or the whole new one: temporary files beside them, synced,
 * and renamed only when all of them are there. Of files that belong together a full disk replaces none.
 * @throws InputError a folder cannot be made or written
 */
export function writeFilesAtomically(files: readonly NewFile[]): void {
  const made: { path: string; target: string; temporary: string }[] = [];
  let path = '';
  try {
    for (const file of files) {
      path = file.path;
      const target = targetOf(path);
      // Of a pipe or a device nothing can be renamed over: it is written as a shell would.
      if (target === null) writeFileSync(path, file.text);
      else made.push({ path, target, temporary: written(target, file.text) });
    }
    for (const each of made) {
      path = each.path;
      renameSync(each.temporary, each.target);
    }
  } catch (error) {
    for (const { temporary } of made) rmSync(temporary, { force: true });
    throw new InputError(`${path}: cannot be written: ${notWritten(error)}`);
  }
}

/** @throws InputError as `writeFilesAtomically` */
export function writeFileAtomically(path: string, text: string): void {
  writeFilesAtomically([{ path, text }]);
}

/** The file that a name stands for, links followed; null: it is neither a file nor a folder, and there already. */
function targetOf(path: string): string | null {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return path;
  return found.isFile() || found.isDirectory() ? realpathSync(path) : null;
}

/** A synced file beside `target` that has the text. It is made by this call: whoever else writes there, no link is followed. */
function written(target: string, text: string): string {
  makeFolder(dirname(target));
  const temporary = temporaryName(target);
  const handle = openSync(temporary, 'wx');
  try {
    const bytes = Buffer.from(text, 'utf8');
    for (let at = 0; at < bytes.length; ) at += writeSync(handle, bytes, at);
    fsyncSync(handle);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(handle);
  }
  return temporary;
}

/** Not the process's id alone: two containers that share a folder may have the same. */
function temporaryName(path: string): string {
  return `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
}

/** The system's words for a name of the wrong kind say neither what is there nor what is wanted. */
function notWritten(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'EEXIST') return 'a file stands where a folder is needed; name another';
  if (code === 'EISDIR') return 'it is a folder; name a file';
  return reasonOf(error);
}

/** `mkdir -p`. Node's own never returns where the system answers ENOENT for a folder whose parent exists, as in /proc. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    if (code !== 'ENOENT' || existsSync(dirname(path))) throw error;
    makeFolder(dirname(path));
    mkdirSync(path);
  }
}

/**
 * Proves before a long run that its results will have a place: makes `directory` and writes and removes a file in it.
 * @throws InputError
 */
export function checkWritable(directory: string): void {
  const probe = temporaryName(join(directory, '.scanout'));
  try {
    makeFolder(directory);
    closeSync(openSync(probe, 'wx'));
    rmSync(probe, { force: true });
  } catch (error) {
    throw new InputError(`${directory}: cannot be written: ${notWritten(error)}`);
  }
}

/** run.json's text. @throws InputError the document breaks the schema (nothing may be written then) */
export function formatRun(document: RunDocument): string {
  const text = JSON.stringify(checkRunDocument(document, 'run.json'), null, 2);
  // Lists of numbers on one line: a frame trace would be thousands. No string of JSON's holds a line break.
  return `${text.replaceAll(/\[\n[\s\d.,eE+-]+\]/g, (list) => list.replaceAll(/\n\s*/g, '').replaceAll(',', ', '))}\n`;
}

/** Writes run.json, report.md and report.html into `directory`, all or none, and returns their paths. @throws InputError */
export function writeReports(document: RunDocument, directory: string): { json: string; markdown: string; html: string } {
  const paths = { json: join(directory, 'run.json'), markdown: join(directory, 'report.md'), html: join(directory, 'report.html') };
  // Everything is rendered before anything is written.
  writeFilesAtomically([
    { path: paths.json, text: formatRun(document) },
    { path: paths.markdown, text: renderMarkdown(document) },
    { path: paths.html, text: renderHtml(document) },
  ]);
  return paths;
}
