import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { dispatch } from '../../benchmarks/cli.ts';
import type { SoakDocument } from '../../benchmarks/soak/document.ts';
import { runSoak } from '../../benchmarks/soak/soak.ts';
import { soakText } from '../../benchmarks/soak/table.ts';

const folder = mkdtempSync(join(tmpdir(), 'scanout-soak-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const entryOf = (name: string): string => new URL(`../support/${name}`, import.meta.url).href;

const soak = (options: Partial<Parameters<typeof runSoak>[0]>): Promise<SoakDocument> =>
  runSoak({ minutes: 0.05, seed: 1, command: 'test', signal: new AbortController().signal, onProgress: () => {}, ...options });

const status = (document: SoakDocument, name: string): string | undefined => document.checks.find((check) => check.name === name)?.status;

/** Runs the command line. */
async function cli(argv: string[], signal = new AbortController().signal): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const code = await dispatch(argv, { stdout: (text) => (out += text), stderr: (text) => (err += text), signal });
  return { code, out, err };
}

describe('scanout soak', { timeout: 60_000 }, () => {
  it('six seconds of changing machines: no check fails, the document is written, all output fits 80 columns', async () => {
    const { code, out, err } = await cli(['soak', '--minutes', '0.1', '--seed', '7', '--out', folder]);
    expect(err).toContain('seed 7');
    expect(code, out).toBe(0);
    for (const line of `${out}\n${err}`.split('\n')) if (!line.startsWith('Document: ')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(readdirSync(folder)).toEqual(['soak.json']);
    const document = JSON.parse(readFileSync(join(folder, 'soak.json'), 'utf8')) as SoakDocument;
    expect(document).toMatchObject({ schemaVersion: 1, seed: 7, partial: false });
    expect(document.rounds.length).toBeGreaterThan(0);
    expect(document.rounds.reduce((sum, { verified }) => sum + verified, 0)).toBeGreaterThan(0);
  });

  it('a guest that forgets the old place of one buffer in two that it moves is found out', async () => {
    const document = await soak({
      entry: entryOf('leaky-entry.ts'),
      maxRounds: 2,
      warmUpRounds: 0,
      machine: { path: 'vfio', width: 640, height: 360, heads: 1, rateHz: null, migrateEvery: 1, faults: [] },
    });
    expect(status(document, 'nothing was left when a machine ended')).toBe('fail');
    const { detail } = document.checks.find(({ status: of }) => of === 'fail') ?? {};
    expect(detail).toMatch(/bytes of guest memory not given back/);
    expect(status(document, 'no frame was torn')).toBe('pass');
  });

  it('workers that keep 4 MiB of each machine are found out by their heap, and by nothing else', async () => {
    const document = await soak({
      entry: entryOf('hoarding-entry.ts'),
      minutes: 2,
      maxRounds: 11,
      warmUpRounds: 0,
      roundSeconds: 0.1,
      machine: { faults: [] },
    });
    expect(document.samples).toHaveLength(11);
    expect(document.checks.filter((check) => check.status === 'fail').map(({ name }) => name)).toEqual(['flat: heap, workers']);
  });

  it('of a machine that has ended no memory stays: after each the address space is the same', async () => {
    const document = await soak({
      minutes: 2,
      maxRounds: 6,
      warmUpRounds: 1,
      roundSeconds: 0.3,
      machine: { width: 640, height: 360, heads: 2, rateHz: null, migrateEvery: 4, faults: [] },
    });
    const mapped = document.samples.map(({ mappedBytes }) => mappedBytes ?? 0);
    expect(mapped).toHaveLength(5);
    // A shared memory takes more than 8 GiB; stacks and heaps come and go.
    expect(Math.max(...mapped) - Math.min(...mapped)).toBeLessThan(2 ** 30);
  });

  it('a guest and a host that die in the middle of it: the machine goes on, follows its displays and leaves nothing', async () => {
    const faults = [
      { name: 'guest-dies-scanning', frame: 10 },
      { name: 'host-dies-holding', frame: 40 },
    ] as const;
    const document = await soak({
      maxRounds: 1,
      warmUpRounds: 0,
      machine: { path: 'udmabuf', width: 640, height: 360, heads: 2, rateHz: null, scanoutUs: 500, faults },
    });
    expect(document.checks.filter((check) => check.status === 'fail')).toEqual([]);
    expect(document.rounds[0].faults).toEqual(['guest-dies-scanning', 'host-dies-holding']);
    expect(document.rounds[0].compared).toBeGreaterThan(0);
  });

  it('stopped: it ends at once, prints what it has, marks it partial and exits with 130', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 1200);
    const { code, out } = await cli(['soak', '--minutes', '60', '--json'], controller.signal);
    const document = JSON.parse(out) as SoakDocument;
    expect(code).toBe(130);
    expect(document.partial).toBe(true);
    expect(document.elapsed).toBeLessThan(60);
    expect(document.checks.filter((check) => check.status === 'fail')).toEqual([]);
    for (const line of soakText(document).split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  it.each([
    ['0', /takes a number from 0.1/],
    ['1e3', /takes a number from 0.1/],
    ['x', /takes a number from 0.1/],
  ])('--minutes %s is refused', async (minutes, message) => {
    const { code, out, err } = await cli(['soak', '--minutes', minutes]);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toMatch(message);
  });
});
