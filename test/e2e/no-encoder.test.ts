import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const SAID = 'node-av is not installed: npm install node-av';
let folder: string;
let hooks: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'scanout-no-encoder-'));
  hooks = join(folder, 'hooks.mjs');
  // As a machine without the package finds it.
  writeFileSync(
    hooks,
    `import { registerHooks } from 'node:module';
registerHooks({
  resolve(specifier, context, next) {
    if (!specifier.startsWith('node-av')) return next(specifier, context);
    throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' });
  },
});
`,
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

const scanout = (...argv: string[]): { status: number | null; text: string } => {
  const options = { encoding: 'utf8', cwd: folder, timeout: 60_000 } as const;
  const ran = spawnSync(process.execPath, ['--import', pathToFileURL(hooks).href, join(root, 'bin/scanout.js'), ...argv], options);
  return { status: ran.status, text: ran.stdout + ran.stderr };
};

test.each([
  ['run', '--path', 'vfio', '--resolution', '720p', '--sink', 'encode'],
  ['run', '--suite', 'encode'],
  ['stream'],
  ['host', '--vhost-user', 'gpu.sock', '--sink', 'encode'],
  ['view', '--seconds', '1'],
  // Any file: it is not looked into.
  ['run', '--path', 'vfio', '--content', 'hooks.mjs'],
])('without node-av %s %s … says in a line what is missing and how to get it', (...argv) => {
  const { status, text } = scanout(...argv);
  expect([status, text]).toEqual([2, expect.stringContaining(SAID)]);
});

test('without node-av the doctor says so, and everything else runs', () => {
  expect(scanout('doctor').text.replaceAll(/\s+/g, ' ')).toContain(SAID);
  const { status, text } = scanout('run', '--path', 'vfio', '--resolution', '64x64', '--repetitions', '1', '--bare');
  expect([status, text]).toEqual([0, expect.stringContaining('vfio')]);
});
