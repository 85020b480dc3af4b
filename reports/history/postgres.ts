import type { Client } from 'pg';
import { InputError } from '../errors.ts';
import { plain } from '../format.ts';
import type { Database, SqlRow, SqlValue } from './database.ts';

/** How long to wait for the server, and for another process that writes, ms. */
const WAIT_MS = 5000;
/** Of the advisory lock that lets one process write at a time; any number that nothing else uses. */
const WRITER_LOCK = 0x5ca_0007;

/** SQLSTATE codes of PostgreSQL (appendix A of its manual). */
const LOCK_NOT_AVAILABLE = '55P03';
const DISK_FULL = '53100';
const QUERY_CANCELED = '57014';

/**
 * The index on a server that a team shares.
 * @param url as DATABASE_URL has it: postgres://USER:PASSWORD@HOST:PORT/DATABASE
 * @param waitMs how long to wait for another process that writes
 * @throws InputError
 */
export async function openPostgres(url: string, waitMs = WAIT_MS): Promise<Database> {
  const name = nameOf(url);
  const client = await connect(url, name, waitMs);
  let broken: Error | null = null;
  // Without a listener a connection that breaks while idle ends the program.
  client.on('error', (error: Error) => {
    broken ??= error;
  });
  const query = async (sql: string, values: readonly SqlValue[] = []): Promise<SqlRow[]> => {
    try {
      return (await client.query<Record<string, SqlValue>>(numbered(sql), [...values])).rows;
    } catch (error) {
      throw inOneLine(broken ?? error, name);
    }
  };
  return {
    name,
    hasTable: async (table) => (await query('SELECT to_regclass(?)::text AS found', [table]))[0]?.['found'] !== null,
    all: query,
    run: async (sql, values) => void (await query(sql, values)),
    async transaction(work) {
      await query('BEGIN');
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
    close: async () => {
      await client.end().catch(() => undefined);
    },
  };
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

async function connect(url: string, name: string, waitMs: number): Promise<Client> {
  if (!/^postgres(ql)?:/.test(url))
    throw new InputError('DATABASE_URL names no PostgreSQL database: use postgres://USER:PASSWORD@HOST:PORT/DATABASE');
  // Loaded where it is asked for: everything else works without it.
  const { default: pg } = await import('pg');
  let client: Client | undefined;
  try {
    client = new pg.Client({
      connectionString: url,
      application_name: 'scanout',
      connectionTimeoutMillis: WAIT_MS,
      lock_timeout: waitMs,
      statement_timeout: 12 * WAIT_MS,
    });
    await client.connect();
    return client;
  } catch (error) {
    await client?.end().catch(() => undefined);
    throw inOneLine(error, name);
  }
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
  if (code === DISK_FULL) return new InputError(`${name}: full: ${words}: make room and try again`);
  return new InputError(`${name}: ${words}: is DATABASE_URL right, and does the server run?`);
}
