import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { InputError, reasonOf } from '../errors.ts';
import { plain } from '../format.ts';
import type { Database, SqlRow, SqlValue } from './database.ts';
import { DamagedIndexError } from './database.ts';

/** How long another process may hold the file before it counts as locked, ms. */
const BUSY_MS = 5000;

/** Result codes of SQLite (sqlite3.h), without their extensions. */
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;

/** A file that can be looked through. */
export interface SqliteDatabase extends Database {
  /** Reads every page. @throws DamagedIndexError */
  check(): Promise<void>;
}

/**
 * The index in one file. A rollback journal beside it undoes what a killed process left half-written, at the next opening.
 * @param busyMs how long to wait for another process
 * @throws InputError
 */
export function openSqlite(path: string, busyMs = BUSY_MS): SqliteDatabase {
  const told = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw inOneLine(error, path);
    }
  };
  const database = told(() => {
    const opened = new DatabaseSync(path, { timeout: busyMs });
    try {
      // Opening alone does not look at the file.
      opened.prepare('SELECT count(*) FROM sqlite_master').get();
      return opened;
    } catch (error) {
      opened.close();
      throw error;
    }
  });
  const run = (sql: string, values: readonly SqlValue[] = []): void => {
    told(() => database.prepare(sql).run(...(values as SQLInputValue[])));
  };
  return {
    name: path,
    hasTable: async (table) =>
      told(() => database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?").get(table) !== undefined),
    all: async (sql, values = []) => told(() => database.prepare(sql).all(...(values as SQLInputValue[])) as SqlRow[]),
    run: async (sql, values) => run(sql, values),
    async transaction(work) {
      run('BEGIN IMMEDIATE');
      try {
        await work();
        run('COMMIT');
      } catch (error) {
        try {
          // SQLite has rolled back by itself after some errors, a full disk for one.
          if (database.isTransaction) database.exec('ROLLBACK');
        } catch {
          // Then the journal undoes it at the next opening.
        }
        throw error;
      }
    },
    damaged: (words) => damaged(path, words),
    async check() {
      const [row] = told(() => database.prepare('PRAGMA integrity_check(1)').all());
      if (row?.['integrity_check'] !== 'ok') throw damaged(path, String(row?.['integrity_check']));
    },
    close: async () => database.close(),
  };
}

function inOneLine(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !('errcode' in error)) return error;
  const code = Number(error.errcode) & 0xff;
  const words = reasonOf(error);
  if (code === BUSY || code === LOCKED) return new InputError(`${path}: locked by another process: try again when it has ended`);
  if (code === FULL) return new InputError(`${path}: full: ${words}: make room and try again`);
  if (code === IOERR) return new InputError(`${path}: cannot be read or written: ${words}: look at the disk and try again`);
  if (code === READONLY) return new InputError(`${path}: cannot be written: ${words}`);
  if (code === CANTOPEN) return new InputError(`${path}: cannot be opened: ${words}`);
  if (code === CORRUPT || code === NOTADB) return damaged(path, words);
  return error;
}

function damaged(path: string, words: string): DamagedIndexError {
  return new DamagedIndexError(`${path}: damaged: ${plain(words)}: 'scanout history rebuild' makes it anew from the documents`);
}
