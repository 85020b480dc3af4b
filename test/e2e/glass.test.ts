import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { findBrowser } from '../../benchmarks/glass/find-browser.ts';
import { runScenarios } from '../../benchmarks/runner.ts';
import { scenario } from '../../benchmarks/scenarios.ts';
import { QUICK } from '../../benchmarks/timing.ts';
import type { MachineOptions } from '../../core/machine/options.ts';
import { runDocumentError } from '../../reports/index.ts';
import type { RunDocument } from '../../reports/run-document.ts';
import { Libc } from '../../workers/native/libc.ts';
import { whyNoStream } from '../../workers/stream/stream.ts';

const SMALL: Partial<MachineOptions> = { width: 640, height: 360, rateHz: 30, sink: 'encode', maxRefreshHz: null, memory: 'memfd' };
const TIMING = { ...QUICK, repetitions: 2, warmupMs: 20, measureMs: 100, pacedFrames: 30, maxRepeated: 0, maxSeconds: 90 };
const SLOW = 180_000;
const GONE_MS = 20_000;

const imported = scenario({ ...SMALL, path: 'udmabuf' }, 'glass');
const copied = scenario({ ...SMALL, path: 'readback-copy' }, 'glass');

const run = async (options: Partial<Parameters<typeof runScenarios>[0]> = {}): Promise<RunDocument> =>
  await runScenarios({
    suite: 'custom',
    scenarios: [imported],
    timing: TIMING,
    seed: 1,
    bare: true,
    command: 'test',
    signal: new AbortController().signal,
    progress: () => {},
    ...options,
  });

/** Programs that live whose command line names a browser's folder of a process, and such folders. */
const left = (pid: number): string[] => {
  const name = `scanout-glass-${pid}-`;
  const folders = readdirSync(tmpdir()).filter((one) => one.startsWith(name));
  return [...folders, ...readdirSync('/proc').filter((one) => /^\d+$/.test(one) && commandOf(one).includes(name))];
};

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

const until = async (done: () => boolean): Promise<void> => {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 10));
};

/** Nothing is left once the killed have left the system, which takes a moment on a busy machine. */
async function gone(pid: number): Promise<void> {
  const end = performance.now() + GONE_MS;
  await until(() => left(pid).length === 0 || performance.now() > end);
  expect(left(pid)).toEqual([]);
}

describe.skipIf(whyNoStream() !== null || typeof Libc.load() === 'string')('a stream that Chromium shows', () => {
  afterEach(async () => {
    vi.unstubAllEnvs();
    await gone(process.pid);
  });

  test(
    'is measured from glass to glass, by each path, and the encoder by itself beside it',
    async () => {
      expect(findBrowser()).not.toBe(null);
      const document = await run({
        scenarios: [imported, copied],
        bare: false,
        timing: { ...TIMING, limitsSeconds: 0.2 },
        pairs: [
          {
            name: 'imported over copied',
            measure: 'glass to glass, p50',
            of: imported.id,
            to: copied.id,
            goal: null,
            figure: ({ glass }) => glass?.p50Us ?? 0,
          },
        ],
      });
      expect(runDocumentError(document)).toBe(null);
      expect(document.skipped).toEqual([]);
      expect(document.checks.filter(({ name, status }) => status === 'fail' && name.includes('glass'))).toEqual([]);
      // What other programs disturb may be left out of the pairs: which are, is theirs.
      expect(document.pairs?.map(({ of, to }) => [of, to])).toEqual([[imported.id, copied.id]]);
      for (const { host, sink, renderer, settings, results, repetitions } of document.scenarios) {
        expect([host, sink, renderer, settings?.['browser']]).toEqual(['threads', 'encode', 'card', expect.stringMatching(/^Chrome \d+$/)]);
        // A machine that is busy shows fewer; never more than were drawn.
        expect(results.glass?.shown).toBeGreaterThan(0);
        expect(results.glass?.shown).toBeLessThanOrEqual(2 * TIMING.pacedFrames);
        expect(results.glass?.backwards).toBe(0);
        expect(results.glass?.p50Us).toBeGreaterThan(0);
        expect(results.glass?.p99Us).toBeGreaterThanOrEqual(results.glass?.p50Us ?? Number.NaN);
        expect(results.glass?.offsetErrorUs).toBeGreaterThan(0);
        expect(results.encode?.aloneFps).toBeGreaterThan(0);
        expect(repetitions.map(({ kind, glass }) => [kind, glass !== undefined])).toEqual([
          ['timed', true],
          ['timed', true],
        ]);
      }
    },
    SLOW,
  );

  test(
    'without a browser the run says so and how to get one, and goes on',
    async () => {
      vi.stubEnv('SCANOUT_CHROMIUM', '/nowhere');
      const plain = scenario({ path: 'udmabuf', width: 320, height: 200, rateHz: null });
      const document = await run({ scenarios: [imported, plain] });
      expect(document.skipped).toEqual([
        { id: imported.id, reason: expect.stringContaining('SCANOUT_CHROMIUM is /nowhere, which cannot be run: name Chromium') },
      ]);
      expect(document.scenarios.map(({ id }) => id)).toEqual([plain.id]);
      expect(document.checks.filter(({ status }) => status === 'fail')).toEqual([]);
    },
    SLOW,
  );

  test(
    'a browser that does not start is a failure with its reason',
    async () => {
      vi.stubEnv('SCANOUT_CHROMIUM', '/bin/false');
      const document = await run({ timing: { ...TIMING, repetitions: 1 } });
      expect(document.skipped).toEqual([{ id: imported.id, reason: expect.stringContaining('Chromium ended') }]);
    },
    SLOW,
  );

  test(
    'ends with the run that is stopped, and with one that is killed: neither browser nor folder stays',
    async () => {
      const stop = new AbortController();
      const stopped = run({ timing: { ...TIMING, pacedFrames: 3000 }, signal: stop.signal });
      await until(() => left(process.pid).length > 2);
      stop.abort(new Error('stopped'));
      expect((await stopped).partial).toBe(true);
      await gone(process.pid);
      const bin = join(import.meta.dirname, '../../bin/scanout.js');
      const args = [bin, 'run', '--suite', 'glass', '--path', 'udmabuf', '--rate', '30', '--bare'];
      const child = spawn(process.execPath, args, { stdio: 'ignore', detached: true });
      const pid = child.pid ?? 0;
      await until(() => left(pid).length > 2);
      child.kill('SIGKILL');
      await gone(pid);
    },
    SLOW,
  );

  test(
    'a browser that is ended leaves nothing where temporary files are, a folder of its own making neither',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'glass-left-'));
      const entry = join(import.meta.dirname, '../../benchmarks/glass/browser-process.ts');
      const keeper = spawn(process.execPath, [entry, findBrowser() ?? '', '1'], {
        stdio: ['pipe', 'ignore', 'ignore'],
        env: { ...process.env, TMPDIR: folder },
      });
      const ended = new Promise((resolve) => keeper.on('exit', resolve));
      // The link to its socket, in its own folder, comes last.
      await until(() => readdirSync(folder, { recursive: true }).filter((name) => `${name}`.endsWith('SingletonSocket')).length === 2);
      keeper.stdin.end();
      await ended;
      expect(readdirSync(folder)).toEqual([]);
      rmSync(folder, { recursive: true });
    },
    SLOW,
  );
});
