import { InputError } from '../errors.ts';

/** What a column holds. */
export type SqlValue = string | number | null;
export type SqlRow = Readonly<Record<string, SqlValue>>;

/**
 * A database that the index can lie in. The SQL is what SQLite and PostgreSQL have in common, with `?` for values.
 * @throws InputError in each method: locked, full, damaged, out of reach; one line that says what to do
 */
export interface Database {
  /** In messages: a file's name, or a server's address without its password. */
  readonly name: string;
  hasTable(table: string): Promise<boolean>;
  all(sql: string, values?: readonly SqlValue[]): Promise<SqlRow[]>;
  run(sql: string, values?: readonly SqlValue[]): Promise<void>;
  /** All of `work` or nothing; one transaction at a time, over all processes that use the database. */
  transaction(work: () => Promise<void>): Promise<void>;
  /** What is thrown where the tables are not as they were made: it says how to make them anew. */
  damaged(words: string): InputError;
  close(): Promise<void>;
}

/** The file is no database, or one with broken pages: it can be made anew from the documents. */
export class DamagedIndexError extends InputError {
  override name = 'DamagedIndexError';
}
