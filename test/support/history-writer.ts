/**
 * Writes to a history until it is killed: `node history-writer.ts inside DATABASE` stops in the middle of a transaction,
 * `node history-writer.ts keep FOLDER` keeps one run after the other. `add DATABASE DAY…` adds runs to an index and ends. A line on stdout says that it is there.
 */
import type { Database } from '../../reports/history/database.ts';
import { keepRun } from '../../reports/history/history.ts';
import { openPostgres } from '../../reports/history/postgres.ts';
import { indexRun } from '../../reports/history/run-index.ts';
import { openSqlite } from '../../reports/history/sqlite.ts';
import { HistoryStore } from '../../reports/history/store.ts';
import { buildRun } from './run-document.ts';

const [what, where = '', ...days] = process.argv.slice(2);
const open = async (): Promise<Database> => (where.startsWith('postgres') ? await openPostgres(where, 30_000) : openSqlite(where, 30_000));

if (what === 'add') {
  const store = await HistoryStore.open(await open());
  for (const day of days)
    await store.add([indexRun(buildRun({ startedAt: new Date(Date.UTC(2026, 0, Number(day))).toISOString() }), 'run.json')]);
  await store.close();
} else if (what === 'inside') {
  const database = await open();
  await database.transaction(async () => {
    // So that pages reach the file before the transaction ends.
    if (!where.startsWith('postgres')) await database.run('PRAGMA cache_size = 1');
    await database.run('DELETE FROM scanout_runs');
    await database.run(`INSERT INTO scanout_environments VALUES ('half', 'cpu', 1, 'kernel', 'node', 'v8')`);
    for (let i = 0; i < 2000; i++) {
      await database.run(`INSERT INTO scanout_runs VALUES (?, '2026', ?, 'version', NULL, 0, 'half')`, [`half-${i}`, 'suite'.repeat(500)]);
    }
    process.stdout.write('inside\n');
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  });
} else {
  for (let i = 0; i < 10_000; i++) {
    process.stdout.write('writing\n');
    const startedAt = new Date(Date.UTC(2026, 0, 1) + (process.pid * 10_000 + i) * 1000).toISOString();
    await keepRun(buildRun({ startedAt }), { folder: where, databaseUrl: null });
  }
}
