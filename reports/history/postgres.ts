import type { Client } from 'pg';
import { InputError } from '../errors.ts';
import { plain } from '../format.ts';
import type { Database, SqlRow, SqlValue } from './database.ts';

/** How long to wait for the server, and for another process that writes, ms. */
const WAIT_MS = 5000;
/** How long the server works on one statement at most, ms. */
const STATEMENT_MS = 12 * WAIT_MS;
/** How long the answer takes at most, ms: a server that stands still, or is out of reach, ends no statement itself. */
const ANSWER_MS = STATEMENT_MS + WAIT_MS;
/** How long a goodbye may take, ms. */
const GOODBYE_MS = 1000;
/** Of the advisory lock that lets one process write at a time; any number that nothing else uses. */
const WRITER_LOCK = 0x5ca_0007;

/** SQLSTATE codes of PostgreSQL (appendix A of its manual). */
const LOCK_NOT_AVAILABLE = '55P03';
const DISK_FULL = '53100';
const QUERY_CANCELED = '57014';
/** What pg says when `query_timeout` is over. */
const NO_ANSWER = 'Query read timeout';

/**
 * The index on a server that a team shares.
 * @param url as DATABASE_URL has it: postgres://USER:PASSWORD@HOST:PORT/DATABASE
 * @param waitMs how long to wait for another process that writes
 * @param answerMs how long to wait for an answer
 * @throws InputError
 */
export async function openPostgres(url: string, waitMs = WAIT_MS, answerMs = ANSWER_MS): Promise<Database> {
  checkUrl(url);
  const name = nameOf(url);
  const client = await connect(url, name, waitMs, answerMs);
  let broken: Error | null = null;
  // Without a listener a connection that breaks while idle ends the program.
  client.on('error', (error: Error) => {
    broken ??= error;
  });
  const query = async (sql: string, values: readonly SqlValue[] = []): Promise<SqlRow[]> => {
    try {
      return (await client.query<Record<string, SqlValue>>(numbered(sql), [...values])).rows;
    } catch (error) {
      // The statement would be in the way of all that follow. Without its connection the server takes everything back.
      if (error instanceof Error && error.message === NO_ANSWER) client.connection.stream.destroy();
      throw inOneLine(broken ?? error, name);
    }
  };
  return {
    name,
    hasTable: async (table) => (await query('SELECT to_regclass(?)::text AS found', [table]))[0]?.['found'] !== null,
    all: query,
    run: async (sql, values) => void (await query(sql, values)),
    async transaction(work) {
      // What was written while the lock was waited for has to be seen, whatever the database's own default is.
      await query('BEGIN ISOLATION LEVEL READ COMMITTED');
      try {
        await query(`SELECT pg_advisory_xact_lock(${WRITER_LOCK})`);
        await work();
        await query('COMMIT');
      } catch (error) {
        // The server rolls back by itself when the connection is gone.
        await client.query('ROLLBACK').catch(() => undefined);
        throw error;
      }
    },
    damaged: (words) => new InputError(`${name}: ${words}: drop what it has of scanout's tables, then use 'scanout history rebuild'`),
    close: async () => await goodbye(client),
  };
}

/** A character of the URL's own in a password makes a part of it the host or the path, which messages name. @throws InputError */
function checkUrl(url: string): void {
  if (!/^postgres(ql)?:/.test(url))
    throw new InputError('DATABASE_URL names no PostgreSQL database: use postgres://USER:PASSWORD@HOST:PORT/DATABASE');
  const [, path = '', query = '', fragment = ''] = /^\w+:(?:\/\/[^/?#]*)?([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(url) ?? [];
  if (![path, fragment, ...new URLSearchParams(query).keys()].some((part) => part.includes('@'))) return;
  throw new InputError('DATABASE_URL has an @ after its host: in a user or password write @ as %40, / as %2F, ? as %3F and # as %23');
}

/** Host and database, without user and password. */
function nameOf(url: string): string {
  try {
    const { hostname, port, pathname, searchParams } = new URL(url);
    const host = searchParams.get('host') ?? decodeURIComponent(hostname);
    return plain(`PostgreSQL at ${host}${port === '' ? '' : `:${port}`}${decodeURIComponent(pathname)}`);
  } catch {
    // Forms that pg takes and URL does not, as a socket's folder for a host.
    return 'PostgreSQL of DATABASE_URL';
  }
}

async function connect(url: string, name: string, waitMs: number, answerMs: number): Promise<Client> {
  // Loaded where it is asked for: everything else works without it.
  const { default: pg } = await import('pg');
  let client: Client | undefined;
  try {
    client = new pg.Client({
      connectionString: url,
      application_name: 'scanout',
      connectionTimeoutMillis: WAIT_MS,
      lock_timeout: waitMs,
      statement_timeout: STATEMENT_MS,
      query_timeout: answerMs,
    });
    await client.connect();
    return client;
  } catch (error) {
    if (client !== undefined) await goodbye(client);
    throw inOneLine(error, name);
  }
}

/** Ends the connection, without a word where the server does not answer: an open one keeps the program alive. */
async function goodbye(client: Client): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, GOODBYE_MS);
  });
  await Promise.race([client.end().catch(() => undefined), late]);
  clearTimeout(timer);
  client.connection.stream.destroy();
}

/** `?` becomes `$1`, `$2`, … No text of ours has a question mark. */
function numbered(sql: string): string {
  let count = 0;
  return sql.replaceAll('?', () => `$${++count}`);
}

function inOneLine(error: unknown, name: string): unknown {
  if (!(error instanceof Error)) return error;
  const code = 'code' in error ? String(error.code) : '';
  // Several addresses tried in turn fail with an AggregateError, whose own message is empty.
  const first = error instanceof AggregateError && error.errors[0] instanceof Error ? error.errors[0] : error;
  const words = plain(first.message);
  if (code === LOCK_NOT_AVAILABLE || code === QUERY_CANCELED)
    return new InputError(`${name}: locked by another process: try again when it has ended`);
  if (words === NO_ANSWER) return new InputError(`${name}: the server does not answer: try again when it does`);
  if (code === DISK_FULL) return new InputError(`${name}: full: ${words}: make room and try again`);
  return new InputError(`${name}: ${words}: is DATABASE_URL right, and does the server run?`);
}
