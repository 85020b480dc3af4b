import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cache } from './guest.ts';
import { startNodeGuest } from './node-guest.ts';
import type { Process } from './process.ts';

const IMPORTS = 1000;
const CYCLES = 10_000;
/** Against a hang only: it takes a minute where nothing else runs. */
const PATIENCE_MS = 300_000;

/** What the guest's script says of a rule: what the kernel answered, in the model's words where that refuses as well. */
const RULES: [rule: string, answer: string][] = [
  ['two pages', 'taken'],
  ['1024 items', 'taken'],
  ['1025 items', 'EINVAL: 1025 items, list_limit is 1024'],
  ['64 MiB', 'taken'],
  ['65 MiB', 'EINVAL: 68157440 bytes or more, size_limit_mb is 64'],
  ['offset inside a page', 'EINVAL: item 0: offset 512 is not page-aligned'],
  ['size of a part of a page', 'EINVAL: item 0: size 512 is not page-aligned'],
  ['no item', 'EINVAL: no pages'],
  ['an empty item', 'EINVAL: item 1: size 0'],
  ['past the end', 'EINVAL: item 0: past the end of its file'],
  ['behind the end', 'EINVAL: item 0: past the end of its file'],
  ['not sealed against shrinking', 'EINVAL: item 0: F_SEAL_SHRINK is not set'],
  ['sealed against writing', 'EINVAL: item 0: sealed against writing'],
  ['sealed against writing from now on', 'EINVAL: item 0: sealed against writing'],
  ['no memory file', 'EBADFD: item 0: neither shmem nor hugetlbfs'],
  ['no file', 'EBADFD: item 0: bad file descriptor'],
  // The model has no such limits.
  ['no descriptor left', 'EMFILE: UDMABUF_CREATE_LIST answers EMFILE to 2 items, 8192 bytes'],
  ['another device', 'EOPNOTSUPP: UDMABUF_CREATE_LIST answers ENOTTY to 2 items, 8192 bytes'],
  ['1025 items, list_limit 8192', 'taken'],
  ['8193 items, list_limit 8192', 'EINVAL: 8193 items, list_limit is 8192'],
];

describe.skipIf(cache === null)("a guest's own /dev/udmabuf", () => {
  let folder = '';
  let guest: Process;
  /** Lines that begin with a word, without it. */
  const said = (word: string): string[] =>
    guest.lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1).trimEnd());

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'scanout-udmabuf-'));
    const scripts = [`udmabuf.ts ${IMPORTS} ${CYCLES}`, 'udmabuf-host.ts', 'udmabuf-run.ts'];
    guest = startNodeGuest(
      join(folder, 'initrd'),
      scripts.map((script) => `test/interop/guest/${script}`),
    );
    await guest.until(/^GUEST ENDS$/);
  }, PATIENCE_MS);
  afterAll(async () => {
    guest?.kill('SIGKILL');
    await guest?.ended;
    rmSync(folder, { recursive: true });
  });

  test('is used to the end, and its kernel warns of nothing', () => {
    expect(said('KERNEL'), guest.lines.slice(-10).join('\n')).toEqual([]);
    expect(said('ENDED'), guest.lines.slice(-10).join('\n')).toEqual(['0', '0', '0']);
  });

  test('is what doctor says imports come about by', () => {
    const doctor = said('DOCTOR').join('\n');
    expect(doctor).toMatch(/^udmabuf +\/dev\/udmabuf usable \(list_limit 1024, size_limit_mb 64\)/m);
    expect(doctor).toMatch(/^imports +by udmabuf,/m);
  });

  test(`shows the scattered pages of ${IMPORTS} imports as the list of segments has them, byte for byte, also what is written later`, () => {
    expect(said('IMPORTS')).toEqual([expect.stringMatching(`^${IMPORTS} of ${IMPORTS} equal, \\d{8,} bytes`)]);
  });

  test(`after ${CYCLES} imports and closes holds no file and no mapping more`, () => {
    expect(said('ONE')).toEqual([expect.stringMatching(/ 1 dma-bufs mapped$/)]);
    const [flat] = said('FLAT');
    const found =
      /^(\d+) imports and closes; before (\d+) files, 0 dma-bufs mapped; after (\d+) files, 0 dma-bufs mapped; (-?\d+) maps/.exec(flat);
    const [cycles, before, after, maps] = (found ?? []).slice(1).map(Number);
    expect(cycles, flat).toBe(CYCLES);
    expect(after).toBe(before);
    // The heap's.
    expect(maps).toBeLessThanOrEqual(16);
  });

  test.each(RULES)('%s: %s', (rule, answer) => {
    expect(said('RULE').filter((line) => line.startsWith(`${rule}: `))).toEqual([`${rule}: ${answer}`]);
  });

  test.each([
    ['auto, list_limit 1024', 'imported, 1 pieces, 0xff123456; 1 dma-bufs mapped, then 0'],
    ['udmabuf, list_limit 1024', 'imported, 1 pieces, 0xff123456; 1 dma-bufs mapped, then 0'],
    ['remap, list_limit 1024', 'imported, 1 pieces, 0xff123456; 0 dma-bufs mapped, then 0'],
    ['list, list_limit 1024', 'imported, 4 pieces, 0xff123456; 0 dma-bufs mapped, then 0'],
    // The driver takes fewer than there are.
    ['auto, list_limit 3', 'imported, 1 pieces, 0xff123456; 0 dma-bufs mapped, then 0'],
    ['udmabuf, list_limit 3', 'copied, 1 pieces, 0xff123456; 0 dma-bufs mapped, then 0'],
  ])("shows a front end's four scattered pages by %s: %s", (way, seen) => {
    expect(said('HOST').filter((line) => line.startsWith(way))).toEqual([`${way}: ${seen}`]);
    expect(said('HOSTS')).toEqual(['0 files more']);
  });

  test('shows the frames of two threads whose memory is files, whole, and is let go at their end', () => {
    expect(said('RUN')).toEqual(['done: 200 frames or more verified, 0 torn; 2 dma-bufs mapped, then 0; 0 files more']);
  });

  test('has no rule that is not looked at here, and what was refused left nothing open', () => {
    expect(said('RULE')).toHaveLength(RULES.length);
    const [at] = said('FLAT').map((line) => Number(/after (\d+) files/.exec(line)?.[1]));
    // The two files that it was asked about.
    expect(said('AFTER')).toEqual([`${at + 2} files, 0 dma-bufs mapped`]);
  });
});
