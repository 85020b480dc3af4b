import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFailed } from 'vitest';
import type { Database } from '../../../../reports/history/database.ts';
import { openPostgres } from '../../../../reports/history/postgres.ts';
import { type IndexedRun, indexRun } from '../../../../reports/history/run-index.ts';
import { openSqlite } from '../../../../reports/history/sqlite.ts';
import { HistoryStore, INDEX_SCHEMA } from '../../../../reports/history/store.ts';
import { InputError, parseRun } from '../../../../reports/index.ts';
import { type PostgresServer, startPostgres } from '../../../support/postgres.ts';
import { buildRun } from '../../../support/run-document.ts';

const METRIC = 'hostServiceUs.p50';
const writer = join(import.meta.dirname, '../../../support/history-writer.ts');
let folder = '';
let server: PostgresServer | undefined;
let databases = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'scanout-history-'));
  server = await startPostgres();
}, 120_000);

afterAll(async () => {
  await server?.stop();
  if (folder !== '') rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** A run on day `day`. */
function run(day: number, cores = 2): IndexedRun {
  const document = buildRun({ startedAt: new Date(Date.UTC(2026, 0, day)).toISOString() });
  document.environment.cores = cores;
  return indexRun(document, 'run.json');
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(InputError);
  const { message } = error as InputError;
  expect(message).not.toContain('\n');
  return message;
}

const kinds: [kind: string, place: () => string, open: (place: string, waitMs?: number) => Promise<Database>][] = [
  ['SQLite', () => join(folder, `index-${databases++}.sqlite`), async (path, waitMs) => openSqlite(path, waitMs)],
  ['PostgreSQL', () => server?.database(`history${databases++}`) ?? '', openPostgres],
];

describe.each(kinds)('the index in %s', (_kind, place, open) => {
  it('gives back the figures of runs in the order of time, whatever the order they came in', async () => {
    const store = await HistoryStore.open(await open(place()));
    await store.add([run(3), run(1)]);
    await store.add([run(2, 4)]);
    const found = (await store.observations(METRIC)).filter(({ scenario }) => scenario === 'udmabuf-2160p-60hz');
    expect(found.map(({ startedAt }) => startedAt.slice(0, 10))).toEqual(['2026-01-01', '2026-01-02', '2026-01-03']);
    expect(found[0].value).toBe(buildRun().scenarios.find(({ id }) => id === 'udmabuf-2160p-60hz')?.results.hostServiceUs?.p50);
    expect(new Set(found.map(({ environment }) => environment)).size).toBe(2);
    expect((await store.environments()).map(({ cores }) => cores).sort()).toEqual([2, 4]);
    expect(await store.scenarios()).toHaveLength(20);
    expect((await store.scenarios())[0]).toEqual({ scenario: 'copy-1080p-60hz', runs: 3 });
    expect(await store.metrics()).toContain('latencyUs.submitToPresent.p99');
    await store.close();
  });

  it('adds a run once, and is there again when it is opened again', async () => {
    const where = place();
    const store = await HistoryStore.open(await open(where));
    await store.add([run(1), run(1)]);
    await store.add([run(1), run(2)]);
    await store.close();
    const again = await HistoryStore.open(await open(where));
    expect(await again.ids()).toEqual(new Set([run(1).id, run(2).id]));
    expect(await again.observations(METRIC)).toHaveLength(40);
    await again.close();
  });

  it('adds all runs or none', async () => {
    const where = place();
    const store = await HistoryStore.open(await open(where));
    await store.add([run(1)]);
    const broken = { ...run(3), startedAt: null } as unknown as IndexedRun;
    await expect(store.add([run(2), broken])).rejects.toThrow();
    expect(await store.ids()).toEqual(new Set([run(1).id]));
    await store.add([run(2)]);
    expect((await store.ids()).size).toBe(2);
    await store.close();
  });

  it('takes whatever texts and figures a document may hold, again and again, and leaves out what is no name or figure', async () => {
    const odd = 'a\u0000b \ud800\u001b[2J ü 漢 \u{1f600}';
    const oddRun = (day: number): IndexedRun => {
      const document = buildRun({ startedAt: new Date(Date.UTC(2026, 0, day)).toISOString(), suite: odd, scanoutVersion: odd });
      Object.assign(document.environment, { cpu: odd, kernel: odd, node: odd, v8: odd });
      const [scenario] = document.scenarios;
      Object.assign(scenario, { id: odd, host: odd, settings: { [odd]: odd } });
      const deep = { a: { b: { c: { d: { e: { f: 1 } } } } } };
      const more = { [odd]: 1, '\ud800': 2, '\udfff': 3, huge: 1e300, tiny: 5e-324, zero: -0, list: [1, 2], deep, ['x'.repeat(3000)]: 5 };
      Object.assign(scenario.results, more);
      return indexRun(parseRun(JSON.stringify(document), 'run.json'), 'run.json');
    };
    const store = await HistoryStore.open(await open(place()));
    await store.add([oddRun(1)]);
    await store.add([oddRun(2)]);
    const clean = 'a b \ufffd [2J ü 漢 \u{1f600}';
    const found = (await store.observations(METRIC)).filter(({ scenario }) => scenario === clean);
    expect(found).toHaveLength(2);
    expect(found[0].options).toContain(`host in ${clean}`);
    expect((await store.environments()).map(({ cpu, v8 }) => [cpu, v8])).toEqual([[clean, clean]]);
    for (const none of ['tiny', 'zero']) expect((await store.observations(none)).map(({ value }) => value)).toEqual([0, 0]);
    const usual = run(1).scenarios.flatMap(({ metrics }) => [...metrics.keys()]);
    expect((await store.metrics()).filter((name) => !usual.includes(name))).toEqual(['tiny', 'zero']);
    await store.close();
  });

  it('is replaced as a whole, or run by run', async () => {
    const store = await HistoryStore.open(await open(place()));
    await store.add([run(1), run(2)]);
    await store.replace([run(2), run(3)], false);
    expect(await store.ids()).toEqual(new Set([run(1).id, run(2).id, run(3).id]));
    await store.replace([run(3)], true);
    expect(await store.ids()).toEqual(new Set([run(3).id]));
    expect(await store.observations(METRIC)).toHaveLength(20);
    await store.close();
  });

  it('is refused in one line while another process writes, and then takes the same run', async () => {
    const where = place();
    const store = await HistoryStore.open(await open(where, 50));
    const other = await open(where);
    await other.transaction(async () => {
      await other.run(`INSERT INTO scanout_metrics VALUES (1, 'held')`);
      expect(await refusal(store.add([run(1)]))).toMatch(/locked by another process: try again/);
    });
    await store.add([run(1)]);
    expect((await store.ids()).size).toBe(1);
    await other.close();
    await store.close();
  });

  it('of a newer schema is refused in one line and left as it is', async () => {
    const where = place();
    const database = await open(where);
    await (await HistoryStore.open(database)).add([run(1)]);
    await database.run(`UPDATE scanout_meta SET value = '${INDEX_SCHEMA + 1}' WHERE name = 'schema'`);
    expect(await refusal(HistoryStore.open(database))).toMatch(/schema 2 is newer than this scanout's 1/);
    expect(await database.all('SELECT id FROM scanout_runs')).toHaveLength(1);
    await database.close();
  });

  it('that lacks a table is refused in one line, and left as it is', async () => {
    const database = await open(place());
    await (await HistoryStore.open(database)).add([run(1)]);
    await database.run('DROP TABLE scanout_values');
    expect(await refusal(HistoryStore.open(database))).toMatch(/it has no table scanout_values: .*'scanout history rebuild'/);
    expect(await database.all('SELECT id FROM scanout_runs')).toHaveLength(1);
    await database.close();
  });

  it('that three processes make and fill at the same time is made once, with the runs of all', async () => {
    const where = place();
    const children = [2, 3, 4].map((day) => spawn(process.execPath, [writer, 'add', where, '1', String(day)], { stdio: 'inherit' }));
    const codes = await Promise.all(children.map(async (child) => (await once(child, 'exit'))[0]));
    expect(codes).toEqual([0, 0, 0]);
    const store = await HistoryStore.open(await open(where));
    expect(await store.ids()).toEqual(new Set([1, 2, 3, 4].map((day) => run(day).id)));
    expect(await store.observations(METRIC)).toHaveLength(80);
    await store.close();
  });

  it('has nothing of a transaction whose process was killed, and all that was there before', async () => {
    const where = place();
    const store = await HistoryStore.open(await open(where));
    await store.add([run(1), run(2)]);
    await store.close();
    const child = spawn(process.execPath, [writer, 'inside', where], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exit = once(child, 'exit');
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await exit;
    const again = await HistoryStore.open(await open(where));
    expect(await again.ids()).toEqual(new Set([run(1).id, run(2).id]));
    expect(await again.observations(METRIC)).toHaveLength(40);
    await again.add([run(3)]);
    expect((await again.ids()).size).toBe(3);
    await again.close();
  });

  it('that is full is refused in one line and loses nothing', async () => {
    const where = place();
    const database = await open(where);
    const store = await HistoryStore.open(database);
    await store.add([run(1)]);
    const postgres = where.startsWith('postgres');
    if (postgres) {
      // As the server says it when it cannot extend a file.
      await database.run(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$`);
      await database.run('CREATE TRIGGER full_disk BEFORE INSERT ON scanout_values EXECUTE FUNCTION full_disk()');
    } else {
      const [{ page_count: pages } = {}] = await database.all('PRAGMA page_count');
      await database.run(`PRAGMA max_page_count = ${Number(pages) + 2}`);
    }
    expect(await refusal(store.add([run(2)]))).toMatch(/full: .*: make room and try again/);
    expect(await store.ids()).toEqual(new Set([run(1).id]));
    await database.run(postgres ? 'DROP TRIGGER full_disk ON scanout_values' : 'PRAGMA max_page_count = 100000');
    await store.add([run(2)]);
    expect(await store.observations(METRIC)).toHaveLength(40);
    await store.close();
  });
});

describe('a PostgreSQL server', () => {
  it('out of reach is named in one line without its password', async () => {
    const message = await refusal(openPostgres(`postgres://me:secret@localhost:1/history`, 2000));
    expect(message).toMatch(/^PostgreSQL at localhost:1\/history: .*is DATABASE_URL right/);
    expect(message).not.toContain('secret');
  });

  it('that refuses the password says so without it', async () => {
    const guarded = await startPostgres('right-secret');
    try {
      const url = guarded.database('there');
      await (await openPostgres(url)).close();
      const message = await refusal(openPostgres(url.replace('right-secret', 'wrong-secret')));
      expect(message).toMatch(/^PostgreSQL at \/.*\/there: password authentication failed for user "scanout": is DATABASE_URL right/);
      expect(message).not.toContain('secret');
      expect(await refusal(openPostgres(url.replace(/&password=.*/, '')))).toMatch(/^PostgreSQL at .*password/);
    } finally {
      await guarded.stop();
    }
  }, 60_000);

  it('whose URL a password tears apart is refused without a part of it, and how to write it is said', async () => {
    const torn = ['12/34secret', '12?34secret', '12#34secret', 'p@12/34secret', '12/34@secret', '12?x=1&34secret'];
    for (const password of torn) {
      const message = await refusal(openPostgres(`postgres://me:${password}@localhost:1/history`, 100));
      expect(message, password).toMatch(/^DATABASE_URL has an @ after its host: .*%40/);
      expect(message, password).not.toMatch(/secret|12|34/);
    }
    const whole = 'postgres://me%40here:p%40%2F%3F%23@localhost:1/history?user=me@here&options=-c%20a=b@c';
    expect(await refusal(openPostgres(whole, 100))).toMatch(/^PostgreSQL at localhost:1\/history: /);
  });

  it('that stops answering is refused at a bound, says goodbye at one, and has nothing of what was begun', async () => {
    const url = server?.database(`history${databases++}`) ?? '';
    await (await HistoryStore.open(await openPostgres(url))).close();
    const database = await openPostgres(url, 500, 300);
    const [{ pid } = {}] = await database.all('SELECT pg_backend_pid() AS pid');
    const goOn = (): void => {
      process.kill(Number(pid), 'SIGCONT');
    };
    // Also where the test's own time is over: the server could not end.
    onTestFailed(goOn);
    const work = database.transaction(async () => {
      await database.run(`INSERT INTO scanout_metrics VALUES (1, 'half')`);
      process.kill(Number(pid), 'SIGSTOP');
      await database.run(`INSERT INTO scanout_metrics VALUES (2, 'half')`);
    });
    expect(await refusal(work)).toMatch(/^PostgreSQL at .*: the server does not answer: try again when it does$/);
    await database.close();
    goOn();
    const other = await openPostgres(url);
    expect(await other.all('SELECT name FROM scanout_metrics')).toEqual([]);
    await other.close();
  });

  it('whose transactions see one moment only, unless told otherwise, takes a run while another is written', async () => {
    const url = server?.database(`history${databases++}`) ?? '';
    const first = await openPostgres(url);
    await first.run(`ALTER DATABASE history${databases - 1} SET default_transaction_isolation = 'repeatable read'`);
    const store = await HistoryStore.open(await openPostgres(url));
    const writer = await openPostgres(url);
    const watcher = await openPostgres(url);
    let adding: Promise<void> | undefined;
    await writer.transaction(async () => {
      adding = store.add([run(1)]);
      await expect.poll(async () => await watcher.all('SELECT 1 FROM pg_locks WHERE NOT granted'), { timeout: 10_000 }).toHaveLength(1);
      await writer.run(`INSERT INTO scanout_metrics VALUES (1, '${METRIC}')`);
    });
    await adding;
    expect(await store.observations(METRIC)).toHaveLength(20);
    for (const each of [first, writer, watcher, store]) await each.close();
  });

  it('that does not have the database, or is none, is refused in one line', async () => {
    const url = (server?.database(`there${databases++}`) ?? '').replace(/there\d+/, 'missing');
    expect(await refusal(openPostgres(url))).toMatch(/database "missing" does not exist/);
    expect(await refusal(openPostgres('mysql://host/database'))).toMatch(/names no PostgreSQL database: use postgres:/);
    expect(await refusal(openPostgres('postgres://:::', 500))).toMatch(/is DATABASE_URL right/);
  });

  it('that ends the connection in the middle leaves nothing behind, and says so in one line', async () => {
    const url = server?.database(`history${databases++}`) ?? '';
    const database = await openPostgres(url);
    const store = await HistoryStore.open(database);
    const other = await openPostgres(url);
    const work = database.transaction(async () => {
      await database.run(`INSERT INTO scanout_metrics VALUES (1, 'half')`);
      await other.all(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
      );
      await database.run(`INSERT INTO scanout_metrics VALUES (2, 'half')`);
    });
    expect(await refusal(work)).toMatch(/^PostgreSQL at /);
    expect(await other.all('SELECT name FROM scanout_metrics')).toEqual([]);
    await store.close();
    await other.close();
  });
});
