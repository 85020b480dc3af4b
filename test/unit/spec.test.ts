import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Parts, type Promised, promisesOf, wordsOf } from '../support/spec.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const isThere = (file: string): boolean => existsSync(join(ROOT, file));

const COMMENT = /^\s*(?:\/\/|\/?\*).*$/gm;
const LEFT_OUT = /\b(?:it|test|describe)\.(?:skip|todo|only)\(/;

/** What is wrong with the promises, a line each. */
function faultsOf(promises: readonly Promised[], exists = isThere, textOf = read): string[] {
  const faults: string[] = [];
  let letter = '';
  let number = 0;
  const letters: string[] = [];
  for (const { id, sentence, source, tests } of promises) {
    if (id[0] === letter) number++;
    else {
      letter = id[0];
      number = 1;
      if (letters.includes(letter)) faults.push(`${id}: the promises of ${letter} stand in two places`);
      letters.push(letter);
    }
    if (id !== `${letter}${number}`) faults.push(`${id} stands where ${letter}${number} belongs`);
    if (!sentence.endsWith('.')) faults.push(`${id} is no sentence: ${sentence}`);
    if (source === '') faults.push(`${id} names no source`);
    if (tests.length === 0) faults.push(`${id} names no test`);
    for (const { file, title } of tests) {
      if (!file.endsWith('.test.ts') || !exists(file)) faults.push(`${id}: there is no ${file}`);
      else {
        const text = textOf(file).replaceAll(COMMENT, '');
        if (!wordsOf(text).includes(title)) faults.push(`${id}: no test of ${file} is called "${title}"`);
        if (LEFT_OUT.test(text)) faults.push(`${id}: a test of ${file} is left out`);
      }
    }
  }
  return faults;
}

/** The sources that cannot be looked up: sections, cases, decisions, files that are not there. */
function badSources({ id, source }: Promised, parts: Parts): string[] {
  return source.split('; ').flatMap((one) => (parts.has(one) ? [] : [`${id}: no source is called "${one}"`]));
}

describe('SPEC.md', () => {
  const promises = promisesOf(read('SPEC.md'));
  const decisions = readdirSync(join(ROOT, 'docs/adr')).map((file) => file.slice(0, 4));
  const parts = new Parts(read('docs/reference/virtio-gpu.md'), read('docs/reference/hostile-guest.md'), decisions, isThere);

  test('has 60 promises and more', () => {
    expect(promises.length).toBeGreaterThanOrEqual(60);
  });

  test('each promise has its number, a sentence, a source and a test that exists', () => {
    expect(faultsOf(promises)).toEqual([]);
  });

  test('each source can be looked up', () => {
    expect(promises.flatMap((promised) => badSources(promised, parts))).toEqual([]);
  });

  test('every line of a list in it is a promise, its source or a test of it', () => {
    const lines = read('SPEC.md').split('\n');
    expect(lines.filter((line) => /^\s*- /.test(line)).length).toBe(promises.reduce((n, { tests }) => n + 1 + tests.length, 0));
  });
});

describe('the rules notice', () => {
  const good: Promised = { id: 'R1', sentence: 'It holds.', source: 'ADR 0001', tests: [{ file: 'test/a.test.ts', title: 'it holds' }] };
  const there = (file: string): boolean => file === 'test/a.test.ts';
  const text = (): string => "// 'it does'\ntest('it holds', () => {});";
  const faults = (...promises: Promised[]): string[] => faultsOf(promises, there, text);

  test('nothing where all is well', () => {
    expect(faults(good, { ...good, id: 'R2' }, { ...good, id: 'P1' })).toEqual([]);
  });

  test.each<[what: string, said: string, promises: Promised[]]>([
    ['a number twice', 'R1 stands where R2 belongs', [good, good]],
    ['a number left out', 'R3 stands where R2 belongs', [good, { ...good, id: 'R3' }]],
    ['a letter that comes back', 'stand in two places', [good, { ...good, id: 'P1' }, good]],
    ['a promise without a test', 'R1 names no test', [{ ...good, tests: [] }]],
    ['a file that is not there', 'there is no test/b.test.ts', [{ ...good, tests: [{ file: 'test/b.test.ts', title: 'it holds' }] }]],
    ['a title that is not there', 'is called "it does"', [{ ...good, tests: [{ file: 'test/a.test.ts', title: 'it does' }] }]],
    ['a promise without a source', 'names no source', [{ ...good, source: '' }]],
    ['what is no sentence', 'is no sentence', [{ ...good, sentence: 'holds' }]],
  ])('%s', (_what, said, promises) => {
    expect(faults(...promises)).toContainEqual(expect.stringContaining(said));
  });

  test('a test that is left out', () => {
    expect(faultsOf([good], there, () => "test.skip('it holds', () => {});")).toEqual(['R1: a test of test/a.test.ts is left out']);
  });

  test.each([
    ['hostile-guest 74', false],
    ['hostile-guest 1', true],
    ['hostile-guest 59–62', true],
    ['hostile-guest "Faults"', true],
    ['hostile-guest "Fault"', false],
    ['virtio-gpu §3', true],
    ['virtio-gpu §6', false],
    ['virtio 1.3 § 2.7.13', true],
    ['virtio 1.3', false],
    ['ADR 0001', true],
    ['ADR 9999', false],
    ['Linux drivers/dma-buf/udmabuf.c', true],
    ['README.md', true],
    ['READYOU.md', false],
  ])('whether there is a source %s: %s', (source, known) => {
    const parts = new Parts('## 3. The host\n', '1 avail … 59 blob … 62 unmap\n## Faults\n', ['0001'], (file) => file === 'README.md');
    expect(badSources({ ...good, source }, parts)).toHaveLength(known ? 0 : 1);
  });
});

test('what SECURITY.md names is there: files, scripts and commands', () => {
  const text = read('SECURITY.md');
  const quoted = [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1]);
  const scripts = JSON.parse(read('package.json')).scripts;
  const commands = read('benchmarks/cli.ts');
  const missing = quoted.filter((code) => {
    const [, script] = /^npm run ([a-z]+)/.exec(code) ?? [];
    if (script !== undefined) return !(script in scripts);
    const [, command] = /^(?:npx )?scanout ([a-z]+)/.exec(code) ?? [];
    if (command !== undefined) return !commands.includes(`${command}Command`);
    return /^[a-z]+\/[\w./-]+$/.test(code) && !isThere(code);
  });
  expect(quoted.length).toBeGreaterThan(10);
  expect(missing).toEqual([]);
  for (const [, target] of text.matchAll(/\]\(([^)#]+)\)/g)) if (!target.includes('://')) expect(isThere(target), target).toBe(true);
});

test.each([
  ['| 1,024 descriptors', 'core/ring/chain.ts', 'MAX_CHAIN = 1024;'],
  ['| 1,024 descriptors', 'core/ring/split/layout.ts', 'MAX_QUEUE_SIZE = 1024;'],
  ['| 16,384 |', 'core/machine/options.ts', 'maxEntries: 16384,'],
  ['| 16,384, those freed', 'core/host/resources.ts', 'MAX_RESOURCES = 16384;'],
  ['| 4,194,304 in all', 'core/host/resources.ts', 'MAX_SEGMENTS = 4 * 1024 * 1024;'],
  ['| 1 GiB in `run`', 'core/machine/options.ts', 'maxHostmem: 1024 * 1024 * 1024,'],
  ['256 MiB in `replay`', 'core/machine/replay-machine.ts', 'MAX_HOSTMEM = 256 * 2 ** 20;'],
  ['| 64, 512 MiB', 'core/machine/host-machine.ts', 'KEPT_REGIONS = 64; const KEPT_BYTES = 512 * 1024 * 1024;'],
  ['| 2,048 a head', 'core/host/flushes.ts', 'FRAMES = 2048;'],
  ['4,096 flushes', 'core/host/flushes.ts', 'SLOTS = 4096;'],
  ['| 16 to 16,384 px', 'core/host/commands-scanout.ts', 'MIN_SIDE = 16;'],
  ['| 16 to 16,384 px', 'core/host/commands-scanout.ts', 'MAX_SIDE = 16384;'],
  ['| 1 GiB |', 'core/sink/display.ts', 'MAX_TEXTURE_BYTES = 1024 * 1024 * 1024;'],
  ['4 ms are seen', 'core/host/control-queue.ts', 'SLICE_NS = 4e6;'],
  ['more than 256 MiB', 'benchmarks/replay.ts', 'MOST_BYTES = 256 * 2 ** 20;'],
  ['512 regions', 'core/machine/replay-plan.ts', 'MAX_REGIONS = 512;'],
  ['4 GiB a region', 'core/machine/replay-plan.ts', 'MAX_REGION_BYTES = 4 * 2 ** 30;'],
  ['64 MiB a chain', 'core/machine/replay-plan.ts', 'MAX_CHAIN_BYTES = 64 * 2 ** 20;'],
])('the bound "%s" of SECURITY.md is that of %s: %s', (said, file, code) => {
  expect(read('SECURITY.md')).toContain(said);
  // Of constants one after the other, without the comment between them.
  expect(wordsOf(read(file).replaceAll(COMMENT, ''))).toContain(code);
});
