import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { EXIT_USAGE, runCommand } from '../../../../benchmarks/commands/command.ts';
import { soakCommand } from '../../../../benchmarks/commands/soak.ts';

const folder = mkdtempSync(join(tmpdir(), 'scanout-soak-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a soak does not begin where its document has no place', async () => {
  mkdirSync(join(folder, 'soak.json'));
  let said = '';
  const write = (text: string): void => {
    said += text;
  };
  const code = await runCommand(soakCommand, ['--out', folder], { stdout: write, stderr: write, signal: AbortSignal.abort() });
  expect(said).toBe(`scanout soak: ${join(folder, 'soak.json')}: a folder, but the document is to have that name\n`);
  expect(code).toBe(EXIT_USAGE);
});
