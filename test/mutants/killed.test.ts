import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { descendants, isRunning, type Process } from '../support/processes.ts';

test('whoever tries mutants may be killed: no test runner goes on', { timeout: 120_000 }, async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../support/workshop-run.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const [folder] = (await once(child.stdout, 'data')) as [Buffer];
  let started: Process[] = [];
  try {
    // The one that starts the runner, the runner, and its fork, which has the test.
    await expect
      .poll(
        () => {
          started = descendants(child.pid ?? 0);
          return started.length;
        },
        { timeout: 60_000 },
      )
      .toBeGreaterThanOrEqual(3);
    child.kill('SIGKILL');
    await expect.poll(() => started.filter(({ pid }) => isRunning(pid)), { timeout: 20_000 }).toEqual([]);
  } finally {
    child.kill('SIGKILL');
    for (const { pid } of started) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
    rmSync(folder.toString().trim(), { recursive: true, force: true, maxRetries: 5 });
  }
});
