import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** Exit code of a script where the machine lacks what the tests need. */
const CANNOT = 3;

/**
 * Runs one of this folder's scripts that prepare something.
 * @param skipped the tests that are skipped without it
 * @returns the path that it names; null: it cannot be had here, and one line has said why
 */
export async function prepared(script: string, args: readonly string[], skipped: string): Promise<string | null> {
  const child = spawn('sh', [join(import.meta.dirname, script), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [status]: unknown[] = await once(child, 'close');
  if (status === 0) return said.trim();
  if (status !== CANNOT) throw new Error(`${script} ended with ${status}`);
  saySkipped(skipped, said.trim());
  return null;
}

/** Loud: nobody should take tests that did not run for tests that passed. */
export function saySkipped(skipped: string, why: string): void {
  process.stderr.write(`\n*** ${skipped} SKIPPED: ${why} ***\n\n`);
}
