/** Other programs, run to their end: none is left behind, whatever ends this one but SIGKILL. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plain } from '../../reports/format.ts';

export interface Ended {
  /** Null: a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  /** Its last 20,000 characters. */
  readonly stderr: string;
}

export interface Surroundings {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** A process that was told to stop is killed after so long, ms. */
const PATIENCE_MS = 3000;
const KEPT = 20_000;

/**
 * Stopped by `stop` it returns when the program has ended, not before: what it still writes would be in the way of tidying up.
 * @throws Error it cannot be started; `stop`'s reason
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  stop: AbortSignal,
  surroundings: Surroundings = {},
): Promise<Ended> {
  stop.throwIfAborted();
  const child = spawn(file, args, { ...surroundings, stdio: ['ignore', 'pipe', 'pipe'] });
  let killer: NodeJS.Timeout | undefined;
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  const onStop = (): void => {
    child.kill('SIGTERM');
    killer = setTimeout(() => {
      kill();
      // Children of its own may hold them open.
      child.stdout.destroy();
      child.stderr.destroy();
    }, PATIENCE_MS);
  };
  stop.addEventListener('abort', onStop, { once: true });
  process.once('exit', kill);
  const said = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr = (said.stderr + text).slice(-KEPT);
  });
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    stop.throwIfAborted();
    return { code, signal, ...said };
  } finally {
    stop.removeEventListener('abort', onStop);
    process.off('exit', kill);
    clearTimeout(killer);
  }
}

/** Lines that say why a program failed, as Node, git and npm write them; what follows them is advice and stacks. */
const TELLING = /^(?:Uncaught )?\w*Error\b.*:|^(?:fatal|error): |^npm (?:error|ERR!) (?!code |A complete log|errno |syscall |path )\S/;

/** Of what a program said on stderr the line that says why it failed: this program's own, else one that looks it, else the last one. */
export function tellingLine(stderr: string): string {
  const lines = stderr.split('\n').map(plain);
  const own = lines.findLast((line) => line.startsWith('scanout'));
  return own ?? lines.find((line) => TELLING.test(line)) ?? lines.findLast((line) => line !== '') ?? '';
}

/** A temporary folder for as long as `use` takes, removed even when this process is told to exit at once. */
export async function withFolder<T>(prefix: string, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  const remove = (): void => {
    try {
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    } catch {
      // What was measured must not be lost for it.
    }
  };
  process.once('exit', remove);
  try {
    return await use(folder);
  } finally {
    process.off('exit', remove);
    remove();
  }
}
