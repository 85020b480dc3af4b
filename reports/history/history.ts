import { existsSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { InputError } from '../errors.ts';
import { readRun } from '../read.ts';
import type { RunDocument } from '../run-document.ts';
import { checkWritable } from '../write.ts';
import { DamagedIndexError } from './database.ts';
import { Documents } from './documents.ts';
import type { IndexedRun } from './run-index.ts';
import { indexRun } from './run-index.ts';
import { HistoryStore, type OnRun } from './store.ts';

export interface HistoryPlace {
  /** Holds `runs/`, the documents, and `index.sqlite`. */
  readonly folder: string;
  /** Of the PostgreSQL database that has the index instead; null: the file has it. */
  readonly databaseUrl: string | null;
}

/** Documents that are read before their rows are written, in one transaction. */
const BATCH = 50;

/** Says how much is written, and where. */
export type OnWrite = (done: number, total: number, where: string) => void;

/** The kept runs: their documents, which are the truth, and an index of their figures, which can be made anew from them. */
export class History {
  readonly documents: Documents;
  readonly store: HistoryStore;
  readonly #place: HistoryPlace;

  private constructor(place: HistoryPlace, store: HistoryStore) {
    this.#place = place;
    this.documents = new Documents(place.folder);
    this.store = store;
  }

  /** Opens the history and makes its index where there is none. @throws InputError locked, full, damaged, newer, out of reach */
  static async open(place: HistoryPlace): Promise<History> {
    if (place.databaseUrl === null) {
      checkWritable(place.folder);
      return new History(place, await openIndex(place.folder));
    }
    const { openPostgres } = await import('./postgres.ts');
    const database = await openPostgres(place.databaseUrl);
    return new History(place, await closing(database, () => HistoryStore.open(database)));
  }

  /** Whether there is a history to read. */
  static exists({ folder, databaseUrl }: HistoryPlace): boolean {
    return databaseUrl !== null || existsSync(indexPath(folder)) || existsSync(new Documents(folder).folder);
  }

  /**
   * Adds documents, after all of them were read: one that cannot be used leaves everything as it is.
   * @param onFile called before each is read; what it throws ends it @param onWrite called before some are written
   * @throws InputError
   */
  async import(
    paths: readonly string[],
    onFile: (done: number, path: string) => Promise<void> = async () => undefined,
    onWrite: OnWrite = () => undefined,
  ): Promise<{ added: number; known: number }> {
    const read: { document: RunDocument; run: IndexedRun }[] = [];
    for (const [i, path] of paths.entries()) {
      await onFile(i, path);
      const document = readRun(path);
      read.push({ document, run: indexRun(document, path) });
    }
    let added = 0;
    try {
      for (const [i, { document }] of read.entries()) {
        if (i % BATCH === 0) onWrite(i, read.length, this.documents.folder);
        if (this.documents.write(document).added) added++;
      }
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      const kept = added === 0 ? 'no run was added' : `${added} of ${read.length} runs are kept, and indexed by the next 'scanout history'`;
      throw new InputError(`${error.message}; ${kept}`);
    }
    const runs = read.map(({ run }) => run);
    await lostNothing(this.documents.folder, () => this.store.add(runs, this.#someOf(onWrite)));
    return { added, known: read.length - added };
  }

  /**
   * Indexes the documents that the index does not know: of a process that was killed, or copied here by hand.
   * @param onFile called before each of many; what it throws ends it, with what was indexed until then
   * @throws InputError naming the first document that cannot be read, after the others were added
   */
  async sync(onFile: (done: number, total: number, file: string) => Promise<void> = async () => undefined): Promise<void> {
    const known = await this.store.ids();
    const missing = this.documents.files().filter((file) => !known.has(basename(file, '.json')));
    let fault: unknown = null;
    let batch: IndexedRun[] = [];
    for (const [i, file] of missing.entries()) {
      if (missing.length > BATCH) await onFile(i, missing.length, file);
      try {
        batch.push(indexRun(this.documents.read(file), file));
      } catch (error) {
        fault ??= error;
      }
      if (batch.length === BATCH || i === missing.length - 1) {
        await this.store.add(batch);
        batch = [];
      }
    }
    if (fault !== null) throw fault instanceof InputError ? new InputError(`${fault.message}; mend it or move it away`) : fault;
  }

  /** Makes the index anew from the documents. On a shared server the runs of others stay. @returns how many runs it has of these */
  async rebuild(
    onFile: (done: number, total: number, file: string) => Promise<void> = async () => undefined,
    onWrite: OnWrite = () => undefined,
  ): Promise<number> {
    this.documents.removeStale();
    const files = this.documents.files();
    const runs: IndexedRun[] = [];
    for (const [i, file] of files.entries()) {
      await onFile(i, files.length, file);
      runs.push(indexRun(this.documents.read(file), file));
    }
    await this.store.replace(runs, this.#place.databaseUrl === null, this.#someOf(onWrite));
    return new Set(runs.map(({ id }) => id)).size;
  }

  #someOf(onWrite: OnWrite): OnRun {
    return (done, total) => {
      if (done % BATCH === 0) onWrite(done, total, this.store.name);
    };
  }

  async close(): Promise<void> {
    await this.store.close();
  }
}

/** Keeps a run: first its document, then its figures. @returns the document's file @throws InputError */
export async function keepRun(document: RunDocument, place: HistoryPlace): Promise<string> {
  const { file } = new Documents(place.folder).write(document);
  await lostNothing(file, async () => {
    const history = await History.open(place);
    try {
      await history.store.add([indexRun(document, file)]);
    } finally {
      await history.close();
    }
  });
  return file;
}

/** Fills the index; where that fails, says that the documents are there all the same. */
async function lostNothing(where: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`${error.message}; nothing is lost: ${where} is kept, and indexed by the next 'scanout history'`);
  }
}

/** Moves a damaged index aside, so that the next opening makes a new one. @returns where it is now; null: it was sound */
export async function setAsideDamaged({ folder, databaseUrl }: HistoryPlace): Promise<string | null> {
  if (databaseUrl !== null || !existsSync(indexPath(folder))) return null;
  try {
    const { openSqlite } = await import('./sqlite.ts');
    const database = openSqlite(indexPath(folder));
    await closing(database, async () => {
      await HistoryStore.open(database);
      // What opens may still have broken pages further in.
      await database.check();
    });
    await database.close();
    return null;
  } catch (error) {
    if (!(error instanceof DamagedIndexError)) throw error;
  }
  const aside = `${indexPath(folder)}.damaged`;
  renameSync(indexPath(folder), aside);
  // Its journal would be applied to the new file.
  rmSync(`${indexPath(folder)}-journal`, { force: true });
  return aside;
}

function indexPath(folder: string): string {
  return join(folder, 'index.sqlite');
}

async function openIndex(folder: string): Promise<HistoryStore> {
  // Loaded where it is asked for: Node 24 warns of its SQLite, which no other command has to say.
  const { openSqlite } = await import('./sqlite.ts');
  const database = openSqlite(indexPath(folder));
  return await closing(database, () => HistoryStore.open(database));
}

/** Closes the database when it cannot be used. */
async function closing<T>(database: { close(): Promise<void> }, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await database.close();
    throw error;
  }
}
