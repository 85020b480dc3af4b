import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { InputError } from './errors.ts';
import { renderHtml } from './html/page.ts';
import { renderMarkdown } from './markdown.ts';
import { reasonOf } from './read.ts';
import type { RunDocument } from './run-document.ts';
import { checkRunDocument } from './validate.ts';

/**
 * Writes a file so that its name always holds either the old content or the whole new one: a temporary
 * file beside it, synced, then renamed.
 * @throws InputError the folder cannot be made or written
 */
export function writeFileAtomically(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  let made = false;
  try {
    makeFolder(dirname(path));
    const handle = openSync(temporary, 'w');
    made = true;
    try {
      const bytes = Buffer.from(text, 'utf8');
      for (let at = 0; at < bytes.length; ) at += writeSync(handle, bytes, at);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(temporary, path);
  } catch (error) {
    if (made) rmSync(temporary, { force: true });
    throw new InputError(`${path}: cannot be written: ${reasonOf(error)}`);
  }
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
  const probe = join(directory, `.scanout-${process.pid}.tmp`);
  try {
    makeFolder(directory);
    closeSync(openSync(probe, 'w'));
    rmSync(probe, { force: true });
  } catch (error) {
    throw new InputError(`${directory}: cannot be written: ${reasonOf(error)}`);
  }
}

/** run.json's text. @throws InputError the document breaks the schema (nothing may be written then) */
export function formatRun(document: RunDocument): string {
  const text = JSON.stringify(checkRunDocument(document, 'run.json'), null, 2);
  // Lists of numbers on one line: a frame trace would be thousands. No string of JSON's holds a line break.
  return `${text.replaceAll(/\[\n[\s\d.,eE+-]+\]/g, (list) => list.replaceAll(/\n\s*/g, '').replaceAll(',', ', '))}\n`;
}

/** Writes run.json, report.md and report.html into `directory` and returns their paths. @throws InputError */
export function writeReports(document: RunDocument, directory: string): { json: string; markdown: string; html: string } {
  const paths = { json: join(directory, 'run.json'), markdown: join(directory, 'report.md'), html: join(directory, 'report.html') };
  // Everything is rendered before anything is written.
  const texts = { json: formatRun(document), markdown: renderMarkdown(document), html: renderHtml(document) };
  writeFileAtomically(paths.json, texts.json);
  writeFileAtomically(paths.markdown, texts.markdown);
  writeFileAtomically(paths.html, texts.html);
  return paths;
}
