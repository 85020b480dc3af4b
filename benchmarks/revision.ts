import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Revision } from '../reports/run-document.ts';
import { packageRoot } from './version.ts';

/** What was checked out when the run was made; null: not a checkout of git's, or git cannot be asked. */
export async function readRevision(root = packageRoot()): Promise<Revision | null> {
  // A package installed somewhere below another project's checkout is not part of it.
  if (root === null || !existsSync(join(root, '.git'))) return null;
  const commit = (await git(root, ['rev-parse', 'HEAD']))?.trim();
  const changes = await git(root, ['status', '--porcelain', '--untracked-files=no']);
  if (commit === undefined || !/^[0-9a-f]{40,64}$/.test(commit) || changes === null) return null;
  return { commit, dirty: changes.trim() !== '' };
}

/** What git prints; null: it fails. It takes no lock: a measurement must not get in the way of a commit. */
function git(root: string, argv: readonly string[]): Promise<string | null> {
  return new Promise((resolve) => {
    execFile('git', ['--no-optional-locks', '-C', root, ...argv], { timeout: 10_000 }, (error, stdout) =>
      resolve(error === null ? stdout : null),
    );
  });
}
