import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InputError, reasonOf } from '../errors.ts';
import { readRun } from '../read.ts';
import type { RunDocument } from '../run-document.ts';
import { formatRun, TEMPORARY, writeFileAtomically } from '../write.ts';
import { runId } from './run-index.ts';

/** What a killed process left half-written is not looked at, and removed once it is that old, ms. */
const STALE_MS = 3_600_000;

/** The kept run documents: one file each, named by its id, written whole or not at all. */
export class Documents {
  readonly folder: string;

  /** @param folder the history's; the documents lie in its `runs` */
  constructor(folder: string) {
    this.folder = join(folder, 'runs');
  }

  /** Writes a document unless it is there. @returns its file, and whether it is new @throws InputError */
  write(document: RunDocument): { file: string; added: boolean } {
    const file = join(this.folder, `${runId(document)}.json`);
    const added = !existsSync(file);
    if (added) writeFileAtomically(file, formatRun(document));
    return { file, added };
  }

  /** Paths of all documents, by name. @throws InputError the folder cannot be read */
  files(): string[] {
    const names = this.#names().filter((name) => name.endsWith('.json'));
    return names.sort().map((name) => join(this.folder, name));
  }

  /** @throws InputError */
  #names(): string[] {
    if (!existsSync(this.folder)) return [];
    try {
      return readdirSync(this.folder);
    } catch (error) {
      throw new InputError(`${this.folder}: cannot be read: ${reasonOf(error)}`);
    }
  }

  /** @throws InputError the document is missing or damaged */
  read(file: string): RunDocument {
    return readRun(file);
  }

  /** Removes what killed processes left of documents that they were writing. @throws InputError the folder cannot be read */
  removeStale(): void {
    for (const name of this.#names()) {
      if (!name.includes('.json.') || !TEMPORARY.test(name)) continue;
      const path = join(this.folder, name);
      try {
        if (Date.now() - statSync(path).mtimeMs > STALE_MS) rmSync(path, { force: true });
      } catch {
        // Another process may have removed it.
      }
    }
  }
}
