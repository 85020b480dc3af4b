import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { dispatch } from '../../benchmarks/cli.ts';
import { History } from '../../reports/history/history.ts';
import { runId } from '../../reports/history/run-index.ts';
import type { HistoryDocument } from '../../reports/history/trend.ts';
import { readRun } from '../../reports/index.ts';
import { seededRandom } from '../../reports/random.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { buildRun, hostWork } from '../support/run-document.ts';

const CHROMIUM = '/usr/bin/chromium';
const writer = join(import.meta.dirname, '../support/history-writer.ts');
const SCENARIO = 'udmabuf-2160p-60hz';
let scratch = '';
let documents: string[] = [];
const children = new Set<ChildProcess>();

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'scanout-history-'));
  documents = thirtyRuns();
});
beforeEach(() => {
  vi.stubEnv('DATABASE_URL', '');
  vi.stubEnv('SCANOUT_HISTORY', '');
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
  vi.unstubAllEnvs();
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const at = (name: string): string => join(scratch, name);

/** A run a day; from the 19th on udmabuf's host takes 16% longer. The 8th was disturbed. */
function thirtyRuns(): string[] {
  const random = seededRandom(3);
  return Array.from({ length: 30 }, (_, day) => {
    const commit = (0xabc000 + day).toString(16).padEnd(40, '0');
    const run = buildRun({ startedAt: new Date(Date.UTC(2026, 9, 1 + day)).toISOString(), revision: { commit, dirty: day % 9 === 0 } });
    for (const { path, results } of run.scenarios) {
      hostWork(results).p50 *= (1 + 0.02 * (random() + random() - 1)) * (day >= 18 && path === 'udmabuf' ? 1.16 : 1);
      if (day === 7) results.disturbed = true;
    }
    const path = at(`run-${day}.json`);
    writeFileSync(path, JSON.stringify(run));
    return path;
  });
}

async function say(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const said = { stdout: '', stderr: '' };
  const code = await dispatch(argv, {
    stdout: (text) => {
      said.stdout += text;
    },
    stderr: (text) => {
      said.stderr += text;
    },
    signal: new AbortController().signal,
  });
  return { code, ...said };
}

/** One line on stderr, exit code 2, nothing on stdout. */
async function refused(...argv: string[]): Promise<string> {
  const { code, stdout, stderr } = await say('history', ...argv);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^scanout history: .*\n$/);
  return stderr;
}

describe('scanout history', () => {
  it('imports runs, and names the level that changed, its commit and its size, in 80 columns', async () => {
    const folder = at('imported');
    const { code, stdout, stderr } = await say('history', 'import', '--history', folder, ...documents);
    expect([code, stdout]).toEqual([0, `30 runs added: ${join(folder, 'runs')}\n`]);
    // What takes long is said: 30 are read, then written in two places.
    expect(stderr.split('\n').filter((line) => /^\[ ?\d+\/30\] \S/.test(line))).toHaveLength(32);
    expect((await say('history', 'import', '--history', folder, documents[0])).stdout).toContain('0 runs added, 1 kept before');
    const all = await say('history', '--history', folder);
    expect(all.code).toBe(0);
    expect(all.stdout).toMatch(/^hostServiceUs\.p50 \(lower is better\): 4 of 20 trends changed\.\n/);
    expect(all.stdout).toMatch(/udmabuf-2160p-60hz +30 +6\.\d \+1[56]\.\d% ▲ regressed 2026-10-19 abc01200\+\n/);
    const one = await say('history', '--history', folder, '--scenario', SCENARIO);
    expect(one.stdout).toContain('near abc01200, after abc01100; 12 runs since');
    expect(one.stdout).toContain('30 runs, 1 left out');
    for (const line of `${all.stdout}${one.stdout}`.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  }, 60_000);

  it('--json has the runs and the changes of each trend, for the metric asked for', async () => {
    const folder = at('imported');
    const { stdout } = await say('history', '--history', folder, '--scenario', SCENARIO, '--json', '--last', '20');
    const { metric, better, trends, environments } = JSON.parse(stdout) as HistoryDocument;
    expect([metric, better, trends.length, environments.length]).toEqual(['hostServiceUs.p50', 'lower', 1, 1]);
    expect(trends[0].runs).toHaveLength(20);
    expect(trends[0].changes.map(({ at, verdict }) => [at, verdict])).toEqual([[8, 'regressed']]);
    const fps = JSON.parse((await say('history', '--history', folder, '--metric', 'fps', '--json')).stdout) as HistoryDocument;
    expect([fps.better, fps.trends.length]).toEqual(['higher', 20]);
    const strict = await say('history', '--history', folder, '--magnitude', '20');
    expect(strict.stdout).toMatch(/: no change\.\n/);
  });

  it('what cannot be answered is one line that says what can', async () => {
    const folder = at('imported');
    expect(await refused('--history', at('none'))).toMatch(/no run is kept there: 'scanout run --keep' keeps one/);
    expect(existsSync(at('none'))).toBe(false);
    expect(await refused('--history', folder, '--scenario', 'x')).toMatch(
      /no kept run has the scenario "x": there are copy-1080p-60hz, .* and 12 more/,
    );
    expect(await refused('--history', folder, '--metric', 'hostServiceUs.p95')).toMatch(
      /no metric "hostServiceUs.p95": use hostServiceUs\.mean/,
    );
    expect(await refused('--history', folder, '--environment', 'zz')).toMatch(/no kept run has an environment "zz": there are [0-9a-f]{8}/);
    expect(await refused('--history', folder, '--magnitude', 'x')).toMatch(/--magnitude takes percent/);
    expect(await refused('--history', folder, '--last', '0')).toMatch(/--last takes a whole number/);
    expect(await refused('export')).toMatch(/there is no "export": use import FILES or rebuild/);
    expect(await refused('import')).toMatch(/import needs run documents/);
    expect(await refused('rebuild', '--json')).toMatch(/rebuild does not take --json/);
    expect(await refused('rebuild', '--history', at('none'))).toMatch(/no run is kept there/);
  });

  it('a corrupt document is named, and nothing is imported', async () => {
    const broken = at('broken.json');
    writeFileSync(broken, readFileSync(documents[0], 'utf8').slice(0, -5));
    const { code, stdout, stderr } = await say('history', 'import', '--history', at('corrupt'), documents[1], broken);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr.split('\n').at(-2)).toBe(`scanout history: ${broken}: not JSON: it is cut off before its end`);
    expect(existsSync(at('corrupt/runs'))).toBe(false);
  });

  it('an import that is stopped has written nothing, says so, and exits with 130', async () => {
    let said = '';
    const stderr = (text: string): void => {
      said += text;
    };
    const signal = AbortSignal.abort(new Error('stopped'));
    expect(await dispatch(['history', 'import', '--history', at('stopped'), ...documents], { stdout: stderr, stderr, signal })).toBe(130);
    expect(said).toMatch(/scanout history: stopped before anything was written\n$/);
    expect(existsSync(at('stopped/runs'))).toBe(false);
  });

  it('a damaged index is refused in one line; rebuild sets it aside and makes it anew', async () => {
    const folder = at('damaged');
    await say('history', 'import', '--history', folder, ...documents.slice(0, 3));
    const index = join(folder, 'index.sqlite');
    writeFileSync(index, 'x'.repeat(10_000));
    expect(await refused('--history', folder)).toMatch(/damaged: .*'scanout history rebuild' makes it anew/);
    const { code, stdout } = await say('history', 'rebuild', '--history', folder);
    expect([code, stdout]).toEqual([0, `The damaged index is now ${index}.damaged\n${index}: made anew from 3 runs\n`]);
    expect((await say('history', '--history', folder)).code).toBe(0);
  });

  it('an index of a newer scanout is refused in one line and left as it is', async () => {
    const folder = at('newer');
    await say('history', 'import', '--history', folder, documents[0]);
    const index = join(folder, 'index.sqlite');
    const database = new DatabaseSync(index);
    database.exec(`UPDATE scanout_meta SET value = '99'`);
    database.close();
    const before = readFileSync(index);
    expect(await refused('--history', folder)).toMatch(/schema 99 is newer than this scanout's 1: use a newer scanout/);
    for (const action of ['import', 'rebuild']) {
      const { code, stderr } = await say('history', action, '--history', folder, ...(action === 'import' ? [documents[1]] : []));
      expect([code, stderr.split('\n').length]).toEqual([2, 2]);
    }
    expect(readFileSync(index).equals(before)).toBe(true);
    expect(readdirSync(join(folder, 'runs'))).toHaveLength(1);
  });

  it('a locked index is refused in one line, and nothing is lost', async () => {
    const folder = at('locked');
    await say('history', 'import', '--history', folder, documents[0]);
    const database = new DatabaseSync(join(folder, 'index.sqlite'));
    database.exec('BEGIN IMMEDIATE');
    const { code, stderr } = await say('history', 'import', '--history', folder, documents[1]);
    database.exec('ROLLBACK');
    database.close();
    expect(code).toBe(2);
    expect(stderr.split('\n').at(-2)).toMatch(/locked by another process: .*; nothing is lost: .* is kept, and indexed by the next/);
    expect((await say('history', '--history', folder, '--json')).stdout).toContain(runId(readRun(documents[1])));
  }, 30_000);
});

describe('a kept run', () => {
  const tiny = ['run', '--path', 'udmabuf', '--resolution', '64x64', '--rate', 'max', '--repetitions', '1'];

  it('is in the history once it is measured, with the commit that it was made from', async () => {
    const folder = at('kept');
    const { stdout } = await say(...tiny, '--keep', '--history', folder);
    const [name = ''] = readdirSync(join(folder, 'runs'));
    expect(stdout).toContain(`\nKept: ${join(folder, 'runs', name)}\n`);
    const run = readRun(join(folder, 'runs', name));
    expect(run.scenarios.map(({ id }) => id)).toEqual(['udmabuf-64x64-max']);
    if (existsSync(join(import.meta.dirname, '../../.git'))) expect(run.revision?.commit).toMatch(/^[0-9a-f]{40}$/);
    const trend = (JSON.parse((await say('history', '--history', folder, '--json')).stdout) as HistoryDocument).trends[0];
    expect(trend.runs.map(({ run: id, commit }) => [`${id}.json`, commit])).toEqual([[name, run.revision?.commit ?? null]]);
  }, 120_000);

  it('is kept though its reports lost their place while it was measured', async () => {
    const [folder, out] = [at('kept-alone'), at('vanishing')];
    let said = '';
    const stderr = (text: string): void => {
      said += text;
      // It was looked at before: now there is a file of that name.
      if (!existsSync(`${out}.gone`)) {
        rmSync(out, { recursive: true, force: true });
        writeFileSync(out, '');
        writeFileSync(`${out}.gone`, '');
      }
    };
    const argv = [...tiny, '--out', out, '--keep', '--history', folder];
    expect(await dispatch(argv, { stdout: () => undefined, stderr, signal: new AbortController().signal })).toBe(2);
    expect(said).toMatch(/scanout run: .*vanishing.*: cannot be written: /);
    expect(readdirSync(join(folder, 'runs'))).toHaveLength(1);
  }, 120_000);

  it('is refused before anything is measured where it could not be kept', async () => {
    const file = at('file');
    writeFileSync(file, '');
    const { code, stdout, stderr } = await say(...tiny, '--history', join(file, 'x'));
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^scanout run: .*cannot be written.*\n$/);
  });

  it('survives kill -9 in the middle of keeping, whole or not at all, eight times', async () => {
    const folder = at('killed');
    const seed = 99;
    const random = seededRandom(seed);
    console.log(`kill -9: seed ${seed}`);
    let least = 0;
    for (let round = 0; round < 8; round++) {
      const child = spawn(process.execPath, [writer, 'keep', folder], { stdio: ['ignore', 'pipe', 'inherit'] });
      children.add(child);
      const exit = once(child, 'exit');
      // Somewhere in the writing of the second to the fourth run.
      const lines = 2 + Math.floor(random() * 3);
      let seen = 0;
      const delay = Math.floor(random() * 20);
      await new Promise<void>((resolve) => {
        child.stdout.on('data', (text: Buffer) => {
          seen += text.toString().split('writing').length - 1;
          if (seen >= lines) resolve();
        });
      });
      await new Promise((resolve) => setTimeout(resolve, delay));
      child.kill('SIGKILL');
      await exit;
      least += lines - 1;
      for (const name of readdirSync(join(folder, 'runs'))) if (name.endsWith('.json')) readRun(join(folder, 'runs', name));
      const history = await History.open({ folder, databaseUrl: null });
      await history.sync();
      const ids = await history.store.ids();
      expect(ids.size).toBe(history.documents.files().length);
      expect(ids.size).toBeGreaterThanOrEqual(least);
      least = ids.size;
      expect(await history.store.observations('fps')).toHaveLength(20 * ids.size);
      await history.close();
    }
  }, 120_000);
});

describe('a history that a team shares by DATABASE_URL', () => {
  let server: PostgresServer | undefined;
  beforeAll(async () => {
    server = await startPostgres();
  }, 120_000);
  afterAll(async () => server?.stop(), 60_000);

  it('has the runs of all, from whatever folder; each keeps its own documents', async () => {
    vi.stubEnv('DATABASE_URL', server?.database('shared') ?? '');
    const [mine, yours] = [at('mine'), at('yours')];
    expect((await say('history', 'import', '--history', mine, ...documents.slice(0, 15))).code).toBe(0);
    expect((await say('history', 'import', '--history', yours, ...documents.slice(15))).code).toBe(0);
    expect(existsSync(join(mine, 'index.sqlite'))).toBe(false);
    for (const folder of [mine, yours]) {
      const { stdout } = await say('history', '--history', folder, '--scenario', SCENARIO, '--json');
      const { index, trends } = JSON.parse(stdout) as HistoryDocument;
      expect(index).toMatch(/^PostgreSQL at .*\/shared$/);
      expect(trends[0].runs).toHaveLength(30);
      expect(trends[0].changes.map(({ at: place }) => place)).toEqual([18]);
    }
    expect((await say('history', 'rebuild', '--history', mine)).stdout).toMatch(/made anew from 15 runs\n$/);
    expect(JSON.parse((await say('history', '--history', mine, '--json')).stdout).trends[0].runs).toHaveLength(30);
    expect((await say('history', '--history', at('nowhere'))).code).toBe(0);
    expect(existsSync(at('nowhere'))).toBe(false);
  }, 60_000);

  it('out of reach is one line, exit code 2', async () => {
    vi.stubEnv('DATABASE_URL', 'postgres://me:secret@localhost:1/history');
    const words = await refused('--history', at('imported'));
    expect(words).toMatch(/PostgreSQL at localhost:1\/history: /);
    expect(words).not.toContain('secret');
  });
});

describe("the history's page in a browser", () => {
  let browser: Browser | undefined;
  let address = '';
  beforeAll(async () => {
    if (!existsSync(CHROMIUM)) throw new Error(`${CHROMIUM} is missing: apt-get update && apt-get install -y chromium`);
    const html = at('history.html');
    const folder = at('page');
    await say('history', 'import', '--history', folder, ...documents);
    const { code, stdout } = await say('history', '--history', folder, '--html', html);
    expect([code, stdout.endsWith(`\nPage: ${html}\n`)]).toEqual([0, true]);
    address = pathToFileURL(html).href;
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic'] });
  }, 120_000);
  afterAll(async () => browser?.close());

  it.each(['light', 'dark'] as const)(
    'opens without a complaint or a request, has all marks, and texts that can be read: %s',
    async (colorScheme) => {
      const page = await browser?.newPage({ colorScheme, viewport: { width: 1280, height: 900 } });
      if (page === undefined) throw new Error('no browser');
      const requests: string[] = [];
      const complaints: string[] = [];
      page.on('request', (request) => requests.push(request.url()));
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      await page.goto(address);
      expect(requests).toEqual([address]);
      expect(complaints).toEqual([]);
      expect(await page.locator('svg').count()).toBe(20);
      expect(await page.locator('svg[aria-labelledby] > title').count()).toBe(20);
      expect(await page.locator('svg .mark').count()).toBe(600);
      expect(await page.locator('svg .mark.p1').count()).toBe(20);
      expect(await page.locator('svg .way.regressed').count()).toBe(4);
      expect(await page.locator('.verdict li').first().textContent()).toMatch(/udmabuf.*▲ regressed \+1[56]/);
      const outside = await page.evaluate<string[]>(`[...document.querySelectorAll('svg')].flatMap((svg) => {
      const frame = svg.getBoundingClientRect();
      return [...svg.querySelectorAll('text, .mark, .way')]
        .map((each) => [each, each.getBoundingClientRect()])
        .filter(([, box]) => box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        .map(([each]) => svg.dataset.chart + ': ' + each.textContent);
    })`);
      expect(outside).toEqual([]);
      // WCAG 2.2, 1.4.3 and 1.4.11; the texts are on the page's, a card's or a table's plain colour.
      const weak = await page.evaluate<string[]>(CONTRASTS);
      expect(weak).toEqual([]);
      await page.close();
    },
    60_000,
  );

  it('a phone scrolls drawings, not the page, and its tables open without scripts', async () => {
    const page = await browser?.newPage({ viewport: { width: 390, height: 800 }, javaScriptEnabled: false });
    if (page === undefined) throw new Error('no browser');
    await page.goto(address);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    const data = page.locator('figure details').first();
    await data.locator('summary').click();
    expect(await data.locator('tbody tr').count()).toBe(30);
    expect(await data.locator('table').isVisible()).toBe(true);
    await page.close();
  });
});

const CONTRASTS = `(() => {
  const light = (colour) => {
    const rgb = colour.match(/[\\d.]+/g).slice(0, 3).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
  };
  const behind = (e) => {
    for (let each = e; each !== null; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (/^rgb\\(/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const weak = new Set();
  const look = (e, colour, least) => {
    const [a, b] = [light(colour), light(behind(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < least) weak.add(e.tagName + '.' + e.getAttribute('class') + ' ' + colour);
  };
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
    if (!own || ['STYLE', 'title', 'desc'].includes(e.tagName) || e.getClientRects().length === 0) continue;
    look(e, e instanceof SVGElement ? getComputedStyle(e).fill : getComputedStyle(e).color, 4.5);
  }
  for (const e of document.querySelectorAll('.mark.p0, .way')) look(e, getComputedStyle(e).fill, 3);
  for (const e of document.querySelectorAll('.mark.p1, .level, .change')) look(e, getComputedStyle(e).stroke, 3);
  return [...weak];
})()`;
