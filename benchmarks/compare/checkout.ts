/** The two sides of a live comparison: directories that can run, made from git revisions where they are not there yet. */
import { existsSync, mkdirSync, realpathSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../../reports/index.ts';
import { runProgram, type Surroundings, tellingLine } from './process.ts';

export interface Checkout {
  /** What it was called on the command line, with the commit of a revision. */
  readonly label: string;
  /** Holds bin/scanout.js. */
  readonly root: string;
  /** Where Node may keep compiled code from one process to the next; undefined: nowhere. */
  readonly compileCache?: string;
  /** What a reader must know of it; undefined: nothing. */
  readonly warning?: string;
}

/** Runs a program to its end. @returns its stdout, trimmed. @throws Error with its words, or the signal's reason */
type Run = (file: string, args: readonly string[], surroundings?: Surroundings) => Promise<string>;

/**
 * A directory with bin/scanout.js as it is, or a revision of the git repository in the working directory, unpacked into `place`.
 * The repository is only read. Packages are those installed beside the repository if its lock file is the revision's, else they
 * are installed into `place` (npm ci).
 * @throws InputError neither, or it cannot be unpacked
 */
export async function checkOut(name: string, place: string, signal: AbortSignal, say: (text: string) => void): Promise<Checkout> {
  if (isDirectory(name)) {
    if (!existsSync(join(name, 'bin/scanout.js')))
      throw new InputError(`${name}: no bin/scanout.js is in that directory; a branch of that name is heads/${name}`);
    return { label: name, root: realpathSync(name) };
  }
  if (existsSync(name))
    throw new InputError(`${name}: a file; --live compares directories or git revisions, without it run.json files are read`);
  const run: Run = async (file, args, surroundings) => {
    const { code, signal: killed, stdout, stderr } = await runProgram(file, args, signal, surroundings);
    if (code === 0) return stdout.trim();
    throw new Error(tellingLine(stderr) || `${file} ended with ${code === null ? killed : `exit code ${code}`}`);
  };
  const git = async (...args: string[]): Promise<string> => await run('git', args);
  const { top, commit } = await lookUp(name, git, signal);
  const label = commit.startsWith(name) ? commit.slice(0, 12) : `${name} (${commit.slice(0, 12)})`;
  say(`unpacking ${label}`);
  try {
    mkdirSync(place, { recursive: true });
    const archive = `${place}.tar`;
    await run('git', ['archive', '--format=tar', '-o', archive, commit], { cwd: top });
    await run('tar', ['-xf', archive, '-C', place]);
    rmSync(archive);
    if (!existsSync(join(place, 'bin/scanout.js'))) throw new InputError('it has no bin/scanout.js');
    if (await sameLock(git, commit, top)) symlinkSync(join(top, 'node_modules'), join(place, 'node_modules'));
    else {
      say(`installing the packages of ${label}, which locks others than are installed here`);
      await run('npm', ['ci', '--ignore-scripts', '--omit=dev', '--no-audit', '--no-fund'], { cwd: place });
    }
    const left = await leftOut(git, commit);
    return left
      ? { label, root: place, warning: `${label} is what is committed: changes in the working tree are not measured` }
      : { label, root: place };
  } catch (error) {
    signal.throwIfAborted();
    throw new InputError(`${label}: cannot be unpacked: ${messageOf(error)}`);
  }
}

/** @throws InputError there is no repository, or no such revision in it */
async function lookUp(
  name: string,
  git: (...args: string[]) => Promise<string>,
  signal: AbortSignal,
): Promise<{ top: string; commit: string }> {
  let top: string;
  try {
    top = await git('rev-parse', '--show-toplevel');
  } catch (error) {
    signal.throwIfAborted();
    throw new InputError(`${name}: neither a directory nor a revision, for git says: ${messageOf(error)}`);
  }
  try {
    return { top, commit: await git('rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`) };
  } catch {
    signal.throwIfAborted();
    const shallow = await git('rev-parse', '--is-shallow-repository').catch(() => '');
    const hint =
      shallow === 'true' ? '; this clone is shallow: git fetch --unshallow brings the rest (fetch-depth: 0 of a checkout in CI)' : '';
    throw new InputError(`${name}: neither a directory nor a revision of the git repository here${hint}`);
  }
}

/** Whether the revision is the one at hand, and files of it are changed: whoever names HEAD may mean them. */
async function leftOut(git: (...args: string[]) => Promise<string>, commit: string): Promise<boolean> {
  if ((await git('rev-parse', '--verify', '--quiet', 'HEAD').catch(() => '')) !== commit) return false;
  // Without the lock: the repository is only read.
  return (await git('--no-optional-locks', 'status', '--porcelain', '--untracked-files=no')) !== '';
}

async function sameLock(git: (...args: string[]) => Promise<string>, commit: string, top: string): Promise<boolean> {
  const lock = join(top, 'package-lock.json');
  if (!existsSync(join(top, 'node_modules')) || !existsSync(lock)) return false;
  const theirs = await git('rev-parse', '--verify', '--quiet', `${commit}:package-lock.json`).catch(() => '');
  return theirs === (await git('hash-object', lock));
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
