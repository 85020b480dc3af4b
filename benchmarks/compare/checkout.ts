/** The two sides of a live comparison: directories that can run, made from git revisions where they are not there yet. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { plain } from '../../reports/format.ts';
import { InputError } from '../../reports/index.ts';

const execute = promisify(execFile);

export interface Checkout {
  /** What it was called on the command line, with the commit of a revision. */
  readonly label: string;
  /** Holds bin/scanout.js. */
  readonly root: string;
  /** Where Node may keep compiled code from one process to the next; undefined: nowhere. */
  readonly compileCache?: string;
}

/**
 * A directory with bin/scanout.js as it is, or a revision of the git repository in the working directory, unpacked into `place`.
 * The repository is only read. Packages are those installed beside the repository if its lock file is the revision's, else they
 * are installed into `place` (npm ci).
 * @throws InputError neither, or it cannot be unpacked
 */
export async function checkOut(name: string, place: string, signal: AbortSignal, say: (text: string) => void): Promise<Checkout> {
  if (isDirectory(name)) {
    if (!existsSync(join(name, 'bin/scanout.js'))) throw new InputError(`${name}: no bin/scanout.js is in that directory`);
    return { label: name, root: realpathSync(name) };
  }
  if (existsSync(name))
    throw new InputError(`${name}: a file; --live compares directories or git revisions, without it run.json files are read`);
  const git = async (...args: string[]): Promise<string> => (await execute('git', args, { signal, maxBuffer: 1 << 20 })).stdout.trim();
  let commit: string;
  let top: string;
  try {
    top = await git('rev-parse', '--show-toplevel');
    commit = await git('rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`);
  } catch {
    signal.throwIfAborted();
    throw new InputError(`${name}: neither a directory nor a revision of a git repository here`);
  }
  const label = commit.startsWith(name) ? commit.slice(0, 12) : `${name} (${commit.slice(0, 12)})`;
  say(`unpacking ${label}`);
  try {
    mkdirSync(place, { recursive: true });
    const archive = `${place}.tar`;
    await execute('git', ['archive', '--format=tar', '-o', archive, commit], { signal, cwd: top });
    await execute('tar', ['-xf', archive, '-C', place], { signal });
    rmSync(archive);
    if (!existsSync(join(place, 'bin/scanout.js'))) throw new InputError('it has no bin/scanout.js');
    if (await sameLock(git, commit, top)) symlinkSync(join(top, 'node_modules'), join(place, 'node_modules'));
    else {
      say(`installing the packages of ${label}, which locks others than are installed here`);
      await execute('npm', ['ci', '--ignore-scripts', '--omit=dev', '--no-audit', '--no-fund'], { signal, cwd: place, maxBuffer: 1 << 24 });
    }
  } catch (error) {
    signal.throwIfAborted();
    throw new InputError(`${label}: cannot be unpacked: ${plain(lastLine(error))}`);
  }
  return { label, root: place };
}

async function sameLock(git: (...args: string[]) => Promise<string>, commit: string, top: string): Promise<boolean> {
  const lock = join(top, 'package-lock.json');
  if (!existsSync(join(top, 'node_modules')) || !existsSync(lock)) return false;
  const theirs = await git('rev-parse', `${commit}:package-lock.json`).catch(() => '');
  return theirs === (await git('hash-object', lock));
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function lastLine(error: unknown): string {
  const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  return (stderr === '' && error instanceof Error ? error.message : stderr).split('\n').pop() ?? '';
}
