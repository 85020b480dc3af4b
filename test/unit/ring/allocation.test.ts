import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('in steady state both ring sides, the doorbell and the registers allocate nothing', async () => {
  const script = fileURLToPath(new URL('../../support/ring-allocation.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', script]);
  const bytesPerRound = JSON.parse(stdout) as Record<string, number>;
  expect(Object.keys(bytesPerRound).length).toBe(18);
  // One boxed number a round would be 16.
  for (const [name, bytes] of Object.entries(bytesPerRound)) expect(bytes, name).toBeLessThan(1);
}, 30_000);
