import { InputError } from '../errors.ts';
import type { Database, SqlRow, SqlValue } from './database.ts';
import type { HistoryEnvironment, IndexedRun } from './run-index.ts';

/** Of the tables below. Another number is another set of tables. */
export const INDEX_SCHEMA = 1;

const NAMES = ['scanout_environments', 'scanout_runs', 'scanout_scenarios', 'scanout_metrics', 'scanout_values'];
const TABLES = [
  `CREATE TABLE IF NOT EXISTS scanout_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS scanout_environments (
    id TEXT PRIMARY KEY, cpu TEXT NOT NULL, cores INTEGER NOT NULL, kernel TEXT NOT NULL, node TEXT NOT NULL, v8 TEXT NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS scanout_runs (
    id TEXT PRIMARY KEY, started_at TEXT NOT NULL, suite TEXT NOT NULL, version TEXT NOT NULL, commit_id TEXT, dirty INTEGER NOT NULL,
    environment TEXT NOT NULL REFERENCES scanout_environments (id))`,
  `CREATE TABLE IF NOT EXISTS scanout_scenarios (
    number INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES scanout_runs (id) ON DELETE CASCADE, scenario TEXT NOT NULL,
    options TEXT NOT NULL, excluded TEXT, UNIQUE (run, scenario))`,
  `CREATE TABLE IF NOT EXISTS scanout_metrics (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)`,
  `CREATE TABLE IF NOT EXISTS scanout_values (
    metric INTEGER NOT NULL REFERENCES scanout_metrics (number), scenario INTEGER NOT NULL REFERENCES scanout_scenarios (number) ON DELETE CASCADE,
    value DOUBLE PRECISION NOT NULL, PRIMARY KEY (metric, scenario))`,
  `CREATE INDEX IF NOT EXISTS scanout_values_by_scenario ON scanout_values (scenario)`,
];

/** Rows that one INSERT takes: SQLite takes 32,766 values, PostgreSQL 65,535. */
const ROWS = 500;

/** One run's value of one metric of one scenario. */
export interface Observation {
  readonly run: string;
  readonly startedAt: string;
  readonly commit: string | null;
  readonly dirty: boolean;
  readonly environment: string;
  readonly scenario: string;
  readonly options: string;
  readonly excluded: string | null;
  readonly value: number;
}

export type OnRun = (done: number, total: number) => void;

export interface KeptScenario {
  readonly scenario: string;
  readonly runs: number;
}

/** The index of all runs in a database. It holds nothing that the run documents do not have. */
export class HistoryStore {
  readonly #database: Database;

  private constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Makes the tables where there are none.
   * @throws InputError of the database; its tables are of another schema, or some are gone (it is then left as it is)
   */
  static async open(database: Database): Promise<HistoryStore> {
    if (!(await database.hasTable('scanout_meta'))) {
      await database.transaction(async () => {
        for (const table of TABLES) await database.run(table);
        await database.run(`INSERT INTO scanout_meta (name, value) VALUES ('schema', ?) ON CONFLICT DO NOTHING`, [String(INDEX_SCHEMA)]);
      });
    }
    const [row] = await database.all(`SELECT value FROM scanout_meta WHERE name = 'schema'`);
    const found = Number(row?.['value']);
    if (found > INDEX_SCHEMA) {
      throw new InputError(
        `${database.name}: schema ${found} is newer than this scanout's ${INDEX_SCHEMA}: use a newer scanout, or another folder or database`,
      );
    }
    if (found !== INDEX_SCHEMA)
      throw new InputError(`${database.name}: schema ${row?.['value'] ?? 'missing'} is unknown: use another folder or database`);
    for (const name of NAMES) if (!(await database.hasTable(name))) throw database.damaged(`it has no table ${name}`);
    return new HistoryStore(database);
  }

  get name(): string {
    return this.#database.name;
  }

  async ids(): Promise<Set<string>> {
    return new Set((await this.#database.all('SELECT id FROM scanout_runs')).map((row) => text(row, 'id')));
  }

  /** Adds runs, all or none; those that are there are left as they are. @param onRun called before each of the new ones */
  async add(runs: readonly IndexedRun[], onRun?: OnRun): Promise<void> {
    await this.#database.transaction(() => this.#insert(runs, onRun));
  }

  /** Puts runs in place of those that are there: `all` removes every other one too. All or none. @param onRun called before each */
  async replace(runs: readonly IndexedRun[], all: boolean, onRun?: OnRun): Promise<void> {
    await this.#database.transaction(async () => {
      if (all) await this.#database.run('DELETE FROM scanout_runs');
      else for (const { id } of runs) await this.#database.run('DELETE FROM scanout_runs WHERE id = ?', [id]);
      await this.#insert(runs, onRun);
    });
  }

  async #insert(runs: readonly IndexedRun[], onRun: OnRun = () => undefined): Promise<void> {
    const known = await this.ids();
    const fresh = new Map(runs.filter(({ id }) => !known.has(id)).map((run) => [run.id, run]));
    let done = 0;
    for (const run of fresh.values()) {
      onRun(done++, fresh.size);
      const { id, cpu, cores, kernel, node, v8 } = run.environment;
      await this.#rows('scanout_environments (id, cpu, cores, kernel, node, v8)', [[id, cpu, cores, kernel, node, v8]]);
      await this.#rows('scanout_runs (id, started_at, suite, version, commit_id, dirty, environment)', [
        [run.id, run.startedAt, run.suite, run.version, run.commit, run.dirty ? 1 : 0, id],
      ]);
      // Numbered by hand: only one process writes at a time.
      const first = (await this.#most('scanout_scenarios')) + 1;
      await this.#rows(
        'scanout_scenarios (number, run, scenario, options, excluded)',
        run.scenarios.map((scenario, i) => [first + i, run.id, scenario.id, scenario.options, scenario.excluded]),
      );
      const numbers = await this.#metricNumbers(run);
      await this.#rows(
        'scanout_values (metric, scenario, value)',
        run.scenarios.flatMap(({ metrics }, i) => [...metrics].map(([name, value]) => [numbers.get(name) ?? 0, first + i, value])),
      );
    }
  }

  /** The numbers of all metrics; a run's new ones get theirs. */
  async #metricNumbers(run: IndexedRun): Promise<Map<string, number>> {
    const rows = await this.#database.all('SELECT number, name FROM scanout_metrics');
    const numbers = new Map(rows.map((row) => [text(row, 'name'), Number(row['number'])]));
    const names = new Set(run.scenarios.flatMap(({ metrics }) => [...metrics.keys()]));
    let next = (await this.#most('scanout_metrics')) + 1;
    const fresh = [...names].filter((name) => !numbers.has(name)).map((name): [number, string] => [next++, name]);
    await this.#rows('scanout_metrics (number, name)', fresh);
    for (const [number, name] of fresh) numbers.set(name, number);
    return numbers;
  }

  async #most(table: string): Promise<number> {
    return Number((await this.#database.all(`SELECT COALESCE(max(number), 0) AS most FROM ${table}`))[0]?.['most']);
  }

  async #rows(into: string, rows: readonly (readonly SqlValue[])[]): Promise<void> {
    for (let from = 0; from < rows.length; from += ROWS) {
      const some = rows.slice(from, from + ROWS);
      const places = some.map((row) => `(${row.map(() => '?').join(', ')})`).join(', ');
      await this.#database.run(`INSERT INTO ${into} VALUES ${places} ON CONFLICT DO NOTHING`, some.flat());
    }
  }

  /** All scenarios, by name. */
  async scenarios(): Promise<KeptScenario[]> {
    const rows = await this.#database.all(
      'SELECT scenario, CAST(count(*) AS INTEGER) AS runs FROM scanout_scenarios GROUP BY scenario ORDER BY scenario',
    );
    return rows.map((row) => ({ scenario: text(row, 'scenario'), runs: Number(row['runs']) }));
  }

  /** Names of all metrics, sorted. */
  async metrics(): Promise<string[]> {
    return (await this.#database.all('SELECT name FROM scanout_metrics ORDER BY name')).map((row) => text(row, 'name'));
  }

  async environments(): Promise<HistoryEnvironment[]> {
    const rows = await this.#database.all('SELECT id, cpu, cores, kernel, node, v8 FROM scanout_environments ORDER BY id');
    return rows.map((row) => ({
      id: text(row, 'id'),
      cpu: text(row, 'cpu'),
      cores: Number(row['cores']),
      kernel: text(row, 'kernel'),
      node: text(row, 'node'),
      v8: text(row, 'v8'),
    }));
  }

  /** A metric's values in the order of time, as far as they are numbers: PostgreSQL's need not be. */
  async observations(metric: string): Promise<Observation[]> {
    const rows = await this.#database.all(
      `SELECT r.id AS run, r.started_at, r.commit_id, r.dirty, r.environment, s.scenario, s.options, s.excluded, v.value
       FROM scanout_values v
       JOIN scanout_metrics m ON m.number = v.metric
       JOIN scanout_scenarios s ON s.number = v.scenario
       JOIN scanout_runs r ON r.id = s.run
       WHERE m.name = ? ORDER BY r.started_at, r.id`,
      [metric],
    );
    const observations = rows.map((row) => ({
      run: text(row, 'run'),
      startedAt: text(row, 'started_at'),
      commit: row['commit_id'] === null ? null : text(row, 'commit_id'),
      dirty: row['dirty'] === 1,
      environment: text(row, 'environment'),
      scenario: text(row, 'scenario'),
      options: text(row, 'options'),
      excluded: row['excluded'] === null ? null : text(row, 'excluded'),
      value: Number(row['value']),
    }));
    return observations.filter(({ value }) => Number.isFinite(value));
  }

  async close(): Promise<void> {
    await this.#database.close();
  }
}

function text(row: SqlRow, column: string): string {
  return String(row[column]);
}
