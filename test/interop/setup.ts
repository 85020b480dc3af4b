import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { whyNoVhostUser } from '../../workers/vhost-user/host.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder with QEMU, the kernels and the guest's file system; null: they cannot be had here. */
    interopCache: string | null;
  }
}

/** prepare.sh's exit code where the machine lacks what the tests need. */
const CANNOT = 3;

/** Prepares the guest before the first test, or says in one line why the tests are skipped. */
export default function setup(project: TestProject): void {
  const missing = whyNoVhostUser();
  let cache: string | null = null;
  let why = missing ?? '';
  if (missing === null) {
    const script = join(import.meta.dirname, 'prepare.sh');
    const { status, stdout, error } = spawnSync('sh', [script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    if (error !== undefined) throw error;
    if (status === 0) cache = stdout.trim();
    else if (status === CANNOT) why = stdout.trim();
    else throw new Error(`prepare.sh ended with ${status}`);
  }
  if (cache === null) process.stderr.write(`\n*** THE TESTS WITH A REAL GUEST ARE SKIPPED: ${why} ***\n\n`);
  project.provide('interopCache', cache);
}
