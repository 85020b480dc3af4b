import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');

/** As `… | head -0`: whoever was to read is gone before the first line. */
async function unread(...argv: string[]): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, argv, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_OPTIONS: '' } });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stderr };
}

const COMMANDS = [
  ['bin/scanout.js', 'list'],
  ['bin/scanout.js', 'list', '--json'],
  ['bin/scanout.js', 'micro', '--list'],
  ['bin/scanout.js', 'run', '--help'],
  ['test/mutants/run.ts', '--list'],
  ['test/mutants/run.ts', '--help'],
  ['test/schedules/run.ts', '--list'],
  ['test/schedules/run.ts', '--help'],
];

it.each(COMMANDS.map((argv) => [argv.join(' '), argv] as const))('%s ends without a word when nobody reads it', async (_words, argv) => {
  expect(await unread(...argv)).toEqual({ code: 0, stderr: '' });
});
