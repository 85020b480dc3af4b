import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { runScenarios } from '../../benchmarks/runner.ts';
import { type Scenario, scenario } from '../../benchmarks/scenarios.ts';
import { QUICK } from '../../benchmarks/timing.ts';
import type { MachineOptions } from '../../core/machine/options.ts';
import { runDocumentError } from '../../reports/index.ts';
import type { RunDocument } from '../../reports/run-document.ts';
import { Libc } from '../../workers/native/libc.ts';

const QEMU = '/usr/lib/qemu/vhost-user-gpu';
const SMALL: Partial<MachineOptions> = { width: 320, height: 200, rateHz: null, logCapacity: 4096 };
const BYTES = 320 * 200 * 4;
const TIMING = { ...QUICK, repetitions: 2, warmupMs: 20, measureMs: 80, verifyMs: 80, maxRepeated: 0, maxSeconds: 60, limitsSeconds: 0.2 };

const copy = scenario({ ...SMALL, path: 'copy' }, 'process');
// Its log holds less than it transfers: what of that was presented must not be reckoned from all its frames.
const transfer = scenario({ ...SMALL, path: 'copy', buffers: 1, transferOnly: true, logCapacity: 64 }, 'process');
const imported = scenario({ ...SMALL, path: 'udmabuf', spinUs: 0 }, 'process');

const run = async (scenarios: readonly Scenario[], options: Partial<Parameters<typeof runScenarios>[0]> = {}): Promise<RunDocument> =>
  await runScenarios({
    suite: 'custom',
    scenarios,
    timing: TIMING,
    seed: 1,
    command: 'test',
    signal: new AbortController().signal,
    progress: () => {},
    ...options,
  });

/** Processes of a run's back ends and displays, and their folders. */
const left = (): string[] => [
  ...readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ');
        const parent = /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
        return Number(parent) === process.pid && /host-process|memory-display-process|vhost-user-gpu/.test(words) ? [words] : [];
      } catch {
        return [];
      }
    }),
  ...readdirSync(tmpdir()).filter((name) => name.startsWith(`scanout-peers-${process.pid}-`)),
];

describe.skipIf(typeof Libc.load() === 'string')('our host as a process', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    expect(left()).toEqual([]);
  });

  test('is measured as any other: its frames seen by a display, its copies by its own ledger, its CPU by its threads', async () => {
    const document = await run([copy, transfer, imported]);
    expect(runDocumentError(document)).toBe(null);
    expect(document.skipped).toEqual([]);
    expect(document.checks.filter(({ status }) => status === 'fail')).toEqual([]);
    const [copied, transferred, shown] = document.scenarios;
    expect(document.scenarios.map(({ host, sink }) => [host, sink])).toEqual([
      ['process', 'socket'],
      ['process', 'socket'],
      ['process', 'memory'],
    ]);
    for (const { results, repetitions } of document.scenarios) {
      expect(results.hostCpuUsPerFrame).toBeGreaterThan(0);
      expect(results.fps).toBeGreaterThan(0);
      expect(results.hostServiceUs).toBe(null);
      expect(results.errorResponses).toBe(0);
      expect(repetitions.map(({ kind }) => kind)).toEqual(['timed', 'timed', 'verify']);
    }
    // One transfer of each frame; of what is sent, all but those on their way at the end.
    expect(copied.results.bytesCopiedByStage.transfer % BYTES).toBe(0);
    expect(copied.results.bytesCopiedPerFrame / BYTES).toBeGreaterThan(1.5);
    expect(transferred.results.bytesCopiedPerFrame / BYTES).toBeCloseTo(1, 1);
    expect(shown.results.bytesCopiedPerFrame).toBe(0);
    expect(shown.settings).toMatchObject({ cpus: 1 });
    for (const { results } of [copied, shown]) {
      expect(results.framesVerified).toBeGreaterThan(0);
      expect(results.framesTorn).toBe(0);
      expect(results.latencyUs.submitToPresent?.p50).toBeGreaterThan(0);
    }
    expect(transferred.results.latencyUs.submitToPresent).toBe(null);
    expect(transferred.results.framesPresented).toBeLessThan(4);
  }, 120_000);

  test.skipIf(!existsSync(QEMU))(
    "beside QEMU's: the pairs' ratios are in the document",
    async () => {
      const theirs = scenario({ ...SMALL, path: 'copy' }, 'qemu');
      const document = await run([copy, theirs], {
        pairs: [{ name: 'frames', measure: 'frames a second', of: copy.id, to: theirs.id, goal: { atLeast: 1 }, figure: ({ fps }) => fps }],
      });
      expect(runDocumentError(document)).toBe(null);
      expect(document.checks.filter(({ status }) => status === 'fail')).toEqual([]);
      expect(document.pairs?.[0]?.ratio?.pairs).toBe(2);
      const { host, settings, results } = document.scenarios[1];
      expect([host, settings?.['qemu']]).toEqual(['qemu', expect.stringMatching(/^\d+\.\d+/)]);
      expect(results.copiesPerFrame).toBeGreaterThan(2.5);
      expect(results.framesTorn).toBe(0);
    },
    60_000,
  );

  test('where QEMU is not there, the run says so and how to get it, and goes on', async () => {
    vi.stubEnv('SCANOUT_VHOST_USER_GPU', '/nowhere');
    const theirs = scenario({ ...SMALL, path: 'copy' }, 'qemu');
    const document = await run([copy, theirs], { bare: true });
    expect(document.skipped).toEqual([{ id: theirs.id, reason: expect.stringContaining('apt-get install qemu-system-gui') }]);
    expect(document.scenarios.map(({ id }) => id)).toEqual([copy.id]);
    expect(document.checks.filter(({ status }) => status === 'fail')).toEqual([]);
  }, 120_000);

  test('where QEMU is started by a script, what the script started ends with the run', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'scanout-script-'));
    const script = join(folder, 'vhost-user-gpu');
    // Its child never listens, holds the script's standard output, and is not ended by the script.
    writeFileSync(script, `#!/bin/sh\nsleep 1000 &\necho $! > ${script}.pid\nwait\n`, { mode: 0o755 });
    vi.stubEnv('SCANOUT_VHOST_USER_GPU', script);
    const stop = new AbortController();
    const look = setInterval(() => {
      if (existsSync(`${script}.pid`)) stop.abort(new Error('stopped'));
    }, 5);
    const document = await run([scenario({ ...SMALL, path: 'copy' }, 'qemu')], { bare: true, signal: stop.signal });
    clearInterval(look);
    expect(document.partial).toBe(true);
    const pid = readFileSync(`${script}.pid`, 'utf8').trim();
    while (existsSync(`/proc/${pid}`) && !/^State:\s*Z/m.test(statusOf(pid))) await turn();
    rmSync(folder, { recursive: true });
  }, 120_000);

  test('that dies is a failure with its reason, and the next repetition gets another', async () => {
    let steps = 0;
    const document = await run([copy], {
      timing: { ...TIMING, repetitions: 4, measureMs: 400 },
      bare: true,
      progress: ({ text }) => {
        if (!text.startsWith(copy.id) || ++steps !== 2) return;
        // It is a child of this process, idle between two guests.
        const children = execFileSync('pgrep', ['-P', String(process.pid), '-f', 'host-process'], { encoding: 'utf8' })
          .trim()
          .split('\n');
        for (const pid of children) process.kill(Number(pid), 'SIGKILL');
      },
    });
    expect(document.scenarios[0]?.workerFailures.length).toBeLessThanOrEqual(1);
    expect(document.scenarios[0]?.repetitions.length).toBeGreaterThanOrEqual(3);
  }, 120_000);

  test('ends with the run that is stopped, and with one that is killed', async () => {
    const stop = new AbortController();
    const stopped = run([copy], {
      timing: { ...TIMING, measureMs: 20_000 },
      bare: true,
      signal: stop.signal,
      progress: ({ text }) => {
        if (text.startsWith(copy.id)) setTimeout(() => stop.abort(new Error('stopped')), 500);
      },
    });
    expect((await stopped).partial).toBe(true);
    expect(left()).toEqual([]);
    const bin = join(import.meta.dirname, '../../bin/scanout.js');
    const child = spawn(process.execPath, [bin, 'run', '--suite', 'peers', '--path', 'udmabuf', '--resolution', '1080p', '--bare'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    while (!/-process \(1 of/.test(said)) await turn();
    while (descendants(child.pid ?? 0).length < 1) await turn();
    const own = descendants(child.pid ?? 0);
    child.kill('SIGKILL');
    while (own.some((pid) => existsSync(`/proc/${pid}`) && !/^State:\s*Z/m.test(statusOf(pid)))) await turn();
  }, 120_000);
});

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

const statusOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return 'State: Z';
  }
};

/** Children of a process that are hosts. */
function descendants(pid: number): string[] {
  try {
    return execFileSync('pgrep', ['-P', String(pid), '-f', 'host-process'], { encoding: 'utf8' })
      .trim()
      .split('\n');
  } catch {
    return [];
  }
}
