import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { History, type HistoryPlace, keepRun, setAsideDamaged } from '../../../../reports/history/history.ts';
import { runId } from '../../../../reports/history/run-index.ts';
import { openSqlite } from '../../../../reports/history/sqlite.ts';
import { InputError, type RunDocument, readRun } from '../../../../reports/index.ts';
import { buildRun } from '../../../support/run-document.ts';

let scratch = '';
let places = 0;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'scanout-history-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function newPlace(): HistoryPlace {
  return { folder: join(scratch, String(places++)), databaseUrl: null };
}

function document(day: number): RunDocument {
  return buildRun({ startedAt: new Date(Date.UTC(2026, 0, day)).toISOString() });
}

function written(name: string, text: string): string {
  const path = join(scratch, `${places++}-${name}`);
  writeFileSync(path, text);
  return path;
}

async function kept(place: HistoryPlace): Promise<Set<string>> {
  const history = await History.open(place);
  try {
    await history.sync();
    return await history.store.ids();
  } finally {
    await history.close();
  }
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(InputError);
  expect((error as InputError).message).not.toContain('\n');
  return (error as InputError).message;
}

describe('keeping runs', () => {
  it('a kept run is a whole document in the folder, and its figures in the index', async () => {
    const place = newPlace();
    const file = await keepRun(document(1), place);
    expect(readRun(file)).toEqual(document(1));
    expect(file).toBe(join(place.folder, 'runs', `${runId(document(1))}.json`));
    expect(await kept(place)).toEqual(new Set([runId(document(1))]));
  });

  it('the same run is kept once, however it was written down', async () => {
    const place = newPlace();
    const pretty = written('run.json', JSON.stringify(document(1), null, 7));
    await keepRun(document(1), place);
    const history = await History.open(place);
    expect(await history.import([pretty, pretty])).toEqual({ added: 0, known: 2 });
    await history.close();
    expect(readdirSync(join(place.folder, 'runs'))).toHaveLength(1);
  });

  it('a run whose index is locked is kept all the same, and the next opening finds it', async () => {
    const place = newPlace();
    await keepRun(document(1), place);
    const other = openSqlite(join(place.folder, 'index.sqlite'));
    await other.transaction(async () => {
      const message = await refusal(keepRun(document(2), place));
      expect(message).toMatch(/index\.sqlite: locked by another process: .*nothing is lost: .*\.json is kept/);
    });
    await other.close();
    expect(await kept(place)).toEqual(new Set([runId(document(1)), runId(document(2))]));
  }, 30_000);

  it('a folder that cannot be one is refused in one line', async () => {
    const file = written('file', '');
    expect(await refusal(History.open({ folder: join(file, 'history'), databaseUrl: null }))).toMatch(/cannot be written/);
  });
});

describe('importing', () => {
  it('one document that cannot be used leaves everything as it was, and is named', async () => {
    const place = newPlace();
    const good = written('good.json', JSON.stringify(document(1)));
    const bad: [text: string, words: RegExp][] = [
      [JSON.stringify(document(2)).slice(0, -100), /cut off before its end/],
      ['', /it is empty/],
      [JSON.stringify({ ...document(2), schemaVersion: 2 }), /schemaVersion 2 is unknown/],
      ['{}', /schemaVersion is missing/],
      [JSON.stringify(document(2)).replace('2026-01-02', '2026-13-02'), /startedAt "2026-13-02.*" is no time/],
      // Whatever the index could not take: it would be refused at every later opening.
      [JSON.stringify({ ...document(2), scenarios: [...document(2).scenarios, ...document(2).scenarios] }), /id is that of scenarios\[0\]/],
      [JSON.stringify(document(2)).replace('"id":"', `"id":"${'x'.repeat(600)}`), /scenarios\[0\]\.id has more than 512 characters/],
      [`${JSON.stringify(document(2)).slice(0, -1)},"later":${'['.repeat(5000)}${']'.repeat(5000)}}`, /nested more than 64 levels deep/],
    ];
    const history = await History.open(place);
    for (const [text, words] of bad) {
      const path = written('bad.json', text);
      const message = await refusal(history.import([good, path]));
      expect(message).toMatch(words);
      expect(message).toContain(path);
    }
    expect(await refusal(history.import([good, join(scratch, 'none.json')]))).toMatch(/none\.json: cannot be read/);
    expect(existsSync(join(place.folder, 'runs'))).toBe(false);
    expect((await history.store.ids()).size).toBe(0);
    await history.close();
  });
});

describe('an index that lost touch with the documents', () => {
  it('takes up documents that were copied into the folder, under any name', async () => {
    const place = newPlace();
    await keepRun(document(1), place);
    writeFileSync(join(place.folder, 'runs', 'by-hand.json'), JSON.stringify(document(2)));
    expect(await kept(place)).toEqual(new Set([runId(document(1)), runId(document(2))]));
  });

  it('takes up the sound ones, and names one that is damaged', async () => {
    const place = newPlace();
    const file = await keepRun(document(1), place);
    rmSync(join(place.folder, 'index.sqlite'));
    const damaged = join(place.folder, 'runs', '0.json');
    writeFileSync(damaged, readFileSync(file, 'utf8').slice(0, 1000));
    const history = await History.open(place);
    expect(await refusal(history.sync())).toBe(`${damaged}: not JSON: it is cut off before its end; mend it or move it away`);
    expect((await history.store.ids()).size).toBe(1);
    expect(existsSync(damaged)).toBe(true);
    await history.close();
  });

  it('is made anew from the documents, without the runs whose documents are gone', async () => {
    const place = newPlace();
    const first = await keepRun(document(1), place);
    await keepRun(document(2), place);
    rmSync(first);
    const history = await History.open(place);
    expect(await history.rebuild()).toBe(1);
    expect(await history.store.ids()).toEqual(new Set([runId(document(2))]));
    await history.close();
  });

  it('is left as it is when a document cannot be read', async () => {
    const place = newPlace();
    await keepRun(document(1), place);
    writeFileSync(join(place.folder, 'runs', 'x.json'), '{');
    const history = await History.open(place);
    expect(await refusal(history.rebuild())).toMatch(/x\.json: not JSON/);
    expect((await history.store.ids()).size).toBe(1);
    await history.close();
  });

  it('that is damaged is refused in one line, set aside, and made anew', async () => {
    for (const text of ['this is no database at all, but it is a long enough text to be taken for one', 'SQLite format 3\0garbage']) {
      const place = newPlace();
      await keepRun(document(1), place);
      const index = join(place.folder, 'index.sqlite');
      writeFileSync(index, text.padEnd(8192, 'x'));
      expect(await refusal(History.open(place))).toMatch(/index\.sqlite: damaged: .*'scanout history rebuild' makes it anew/);
      expect(await setAsideDamaged(place)).toBe(`${index}.damaged`);
      expect(await setAsideDamaged(place)).toBe(null);
      expect(await kept(place)).toEqual(new Set([runId(document(1))]));
    }
  });

  it('that opens but has broken pages further in, or lacks a table, is set aside, and made anew', async () => {
    const breakages: ((index: string) => void)[] = [
      (index) => {
        const bytes = readFileSync(index);
        bytes.fill(0xa5, 3 * 4096);
        writeFileSync(index, bytes);
      },
      (index) => {
        const database = new DatabaseSync(index);
        database.exec('DROP TABLE scanout_values');
        database.close();
      },
    ];
    for (const breakIt of breakages) {
      const place = newPlace();
      for (const day of [1, 2, 3]) await keepRun(document(day), place);
      const index = join(place.folder, 'index.sqlite');
      breakIt(index);
      expect(await setAsideDamaged(place)).toBe(`${index}.damaged`);
      expect(await kept(place)).toEqual(new Set([1, 2, 3].map((day) => runId(document(day)))));
    }
    const sound = newPlace();
    await keepRun(document(1), sound);
    expect(await setAsideDamaged(sound)).toBe(null);
  });

  it('ignores what a killed process left half-written, and rebuilding removes it once it is an hour old', async () => {
    const place = newPlace();
    await keepRun(document(1), place);
    const half = join(place.folder, 'runs', `${runId(document(2))}.json.4711-0123abcd.tmp`);
    const young = join(place.folder, 'runs', `${runId(document(3))}.json.4712-0123abcd.tmp`);
    mkdirSync(join(place.folder, 'runs'), { recursive: true });
    for (const path of [half, young]) writeFileSync(path, '{"half":');
    utimesSync(half, new Date(2026, 0, 1), new Date(2026, 0, 1));
    expect((await kept(place)).size).toBe(1);
    const history = await History.open(place);
    await history.rebuild();
    await history.close();
    expect(existsSync(half)).toBe(false);
    expect(existsSync(young)).toBe(true);
  });

  it('of a copy of the folder elsewhere is the same', async () => {
    const place = newPlace();
    const file = await keepRun(document(1), place);
    const copy = newPlace();
    mkdirSync(join(copy.folder, 'runs'), { recursive: true });
    copyFileSync(file, join(copy.folder, 'runs', 'run.json'));
    expect(await kept(copy)).toEqual(await kept(place));
  });
});
