import type { TestProject } from 'vitest/node';
import { whyNoVhostUser } from '../../workers/vhost-user/host.ts';
import { prepared, saySkipped } from './prepared.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder with QEMU, the kernels and the guest's file system; null: they cannot be had here. */
    interopCache: string | null;
  }
}

const SKIPPED = 'THE TESTS WITH A REAL GUEST ARE';

/** Prepares the guest before the first test, or says in one line why the tests are skipped. */
export default async function setup(project: TestProject): Promise<void> {
  const missing = whyNoVhostUser();
  if (missing !== null) saySkipped(SKIPPED, missing);
  project.provide('interopCache', missing === null ? await prepared('prepare.sh', [], SKIPPED) : null);
}
