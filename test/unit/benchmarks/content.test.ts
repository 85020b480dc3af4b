import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contentFlag } from '../../../benchmarks/commands/content-flag.ts';
import { contentId, contentWords } from '../../../benchmarks/content.ts';
import { isCrowded } from '../../../benchmarks/metrics.ts';
import { onHost } from '../../../benchmarks/realguest/recorded.ts';
import {
  checkScenario,
  type HostKind,
  matrix,
  parseResolution,
  type Scenario,
  scenario,
  scenarioOfId,
} from '../../../benchmarks/scenarios.ts';
import { unusualSettings } from '../../../benchmarks/unusual-settings.ts';
import { type Content, contentBytes } from '../../../core/machine/content.ts';
import type { MachineOptions } from '../../../core/machine/options.ts';
import { encodeAlone } from '../../../workers/encode/encode-thread.ts';
import { loadNodeAv } from '../../../workers/encode/node-av.ts';
import { writeFilm, writeStill } from '../../support/content-files.ts';

const MIB = 2 ** 20;
const FILM: Content = {
  ...{ file: '/films/film.mp4', name: 'film.mp4', codec: 'h264', width: 1920, height: 1080 },
  ...{ aspect: 16 / 9, isStill: false, digest: '1a2b3c4d' },
};
const shown = (options: Partial<MachineOptions> = {}, host?: HostKind): Scenario => scenario({ content: FILM, ...options }, host);

test('a scenario with a file is another one than without, or with another file of that name', () => {
  expect(shown().id).toBe('udmabuf-1080p-max-content-film.mp4-1a2b3c4d');
  expect(shown({ content: { ...FILM, digest: '5e6f7a8b' } }).id).toBe('udmabuf-1080p-max-content-film.mp4-5e6f7a8b');
  expect(shown().options).toMatchObject({ renderer: 'content', card: false });
  expect(scenario({}).options.renderer).toBe('stamp');
  expect(unusualSettings(shown().options)).toMatchObject({ content: contentWords(FILM) });
  // What the id names is not where the file lies: nobody can make a scenario of it.
  expect(scenarioOfId(shown().id)).toBe(null);
});

test('a name of any characters makes an id of those that ids have', () => {
  expect(contentId({ ...FILM, name: 'Mein Film, 2\n(–).mp4' })).toBe('content-Mein_Film__2____.mp4-1a2b3c4d');
  expect(contentId({ ...FILM, name: `${'x'.repeat(200)}.mp4` })).toBe(`content-${'x'.repeat(28)}.mp4-1a2b3c4d`);
});

test('every scenario of a suite can show a file; with a browser it takes the place of the card', () => {
  const all = matrix({ paths: ['vfio', 'copy'], resolutions: [parseResolution('4k')], rates: [60, null], base: { content: FILM } });
  expect(new Set(all.map(({ options }) => options.renderer))).toEqual(new Set(['content']));
  expect(shown({ sink: 'encode' }, 'glass').options).toMatchObject({ renderer: 'content', card: false });
});

test('threads that wait for each other because a decoder is one of them do not disturb a run', () => {
  const still = { ...FILM, isStill: true };
  expect([2, 3].map((cpus) => isCrowded(shown().options, cpus))).toEqual([true, false]);
  expect([3, 4].map((cpus) => isCrowded(shown({ sink: 'encode' }).options, cpus))).toEqual([true, false]);
  expect([1, 2].map((cpus) => isCrowded(shown({ content: still }).options, cpus))).toEqual([false, false]);
  expect([2, 3].map((cpus) => isCrowded(scenario({ sink: 'encode' }).options, cpus))).toEqual([true, false]);
});

describe('refused before anything is started', () => {
  test('a file whose pictures take more memory than there is', () => {
    const plain = scenario({ path: 'vfio', ...parseResolution('4k') });
    const budget = 150 * MIB;
    expect(() => checkScenario(plain, budget)).not.toThrow();
    expect(() => checkScenario(shown({ path: 'vfio', ...parseResolution('4k') }), budget)).toThrow(/memory budget is 150 MiB/);
    const still = { ...FILM, isStill: true };
    expect(contentBytes(shown({ content: still }).options)).toBeLessThan(contentBytes(shown().options) / 3);
    expect(contentBytes(shown({ ...parseResolution('8k') }).options)).toBeLessThanOrEqual(3 * (7680 * 4320 * 4));
    expect(contentBytes(shown({ ...parseResolution('720p') }).options)).toBeLessThanOrEqual(128 * MIB);
  });

  test.each([
    ['with a rectangle of its own', shown({ damage: { x: 0, y: 0, width: 8, height: 8 }, buffers: 1 }), /leave out --damage/],
    ['beside another program', shown({}, 'qemu'), /leave out --content/],
  ])('%s', (_name, one, why) => {
    expect(() => checkScenario(one, 8192 * MIB)).toThrow(why);
  });

  test('in the place of what was recorded', () => {
    expect(() => onHost(scenario({}), { content: FILM })).toThrow(/--content does not go with a recorded guest/);
  });
});

const loaded = loadNodeAv();
describe.skipIf(typeof loaded === 'string')('of a file', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'scanout-named-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('its name, codec, size and digest are known, and the digest is of what is in it', async () => {
    if (typeof loaded === 'string') return;
    const [a, b] = [join(folder, 'a.png'), join(folder, 'b.png')];
    writeStill(loaded, a, 'png', loaded.AV_PIX_FMT_RGB24, 40, 30);
    writeStill(loaded, b, 'png', loaded.AV_PIX_FMT_RGB24, 40, 30);
    const first = await contentFlag(a);
    const second = await contentFlag(b);
    expect(first.content).toEqual({
      ...{ file: a, name: 'a.png', codec: 'png', width: 40, height: 30, aspect: 4 / 3, isStill: true },
      digest: expect.stringMatching(/^[0-9a-f]{8}$/),
    });
    expect(second.content?.digest).toBe(first.content?.digest);
    writeStill(loaded, b, 'png', loaded.AV_PIX_FMT_RGB24, 40, 31);
    expect((await contentFlag(b)).content?.digest).not.toBe(first.content?.digest);
    expect(await contentFlag(undefined)).toEqual({});
  });

  test('the encoder alone is given its first picture', async () => {
    if (typeof loaded === 'string') return;
    const file = join(folder, 'film.mp4');
    writeFilm(loaded, file);
    const { content } = await contentFlag(file);
    if (content === undefined) throw new Error('nothing was named');
    const { options } = scenario({ width: 320, height: 192, sink: 'encode', content });
    expect((await encodeAlone(options, 50)).frames).toBeGreaterThan(0);
    writeFileSync(file, '');
    await expect(encodeAlone(options, 50)).rejects.toThrow(/no picture or video/);
  });
});
