/** One side of a live comparison, measured once in a fresh process by its own command line. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { plain } from '../../reports/format.ts';
import { InputError, parseRun, type RunDocument } from '../../reports/index.ts';
import type { Checkout } from './checkout.ts';

/** The run came to an end but is not to be believed, or its process died: nothing can be compared. */
export class InvalidRunError extends Error {
  override name = 'InvalidRunError';
}

/** `scanout run` of one side with these arguments. @throws InputError, InvalidRunError, or the signal's reason */
export type MeasureSide = (side: Checkout, args: readonly string[], signal: AbortSignal) => Promise<RunDocument>;

/** A process that was told to stop is killed after so long, ms. */
const PATIENCE_MS = 3000;

export const measureSide: MeasureSide = async (side, args, signal) => {
  const { code, stdout, stderr } = await runCli(side, ['run', ...args, '--json'], signal);
  const said = plain(stderr.trim().split('\n').pop() ?? '');
  if (code === 2) throw new InputError(`${side.label}: ${said}`);
  if (code !== 0 && code !== 4) throw new InvalidRunError(`${side.label}: the run ended with exit code ${code}: ${said}`);
  const run = parseRun(stdout, side.label);
  // Exit code 4 without a failed check: too much was disturbed to decide one.
  const failed = run.checks.find(({ status }) => status === 'fail' || (code === 4 && status === 'inconclusive'));
  if (failed !== undefined) throw new InvalidRunError(`${side.label}: ${failed.name}: ${failed.detail}`);
  return run;
};

/** Whether the side's `scanout run` knows a flag. */
export async function knowsFlag(side: Checkout, flag: string, signal: AbortSignal): Promise<boolean> {
  const { stdout } = await runCli(side, ['run', '--help'], signal);
  return stdout.includes(`  ${flag} `);
}

/** The side's command line with these arguments, to its end. @throws the signal's reason */
export async function runCli(
  side: Checkout,
  args: readonly string[],
  signal: AbortSignal,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  signal.throwIfAborted();
  const { SCANOUT_REEXECUTED: _, NODE_OPTIONS: __, ...env } = process.env;
  const child = spawn(process.execPath, [join(side.root, 'bin/scanout.js'), ...args], {
    // Types are stripped once, not in each process.
    env: side.compileCache === undefined ? env : { ...env, NODE_COMPILE_CACHE: side.compileCache },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let killer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    child.kill('SIGTERM');
    killer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  };
  signal.addEventListener('abort', stop, { once: true });
  const said = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr = (said.stderr + text).slice(-4000);
  });
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    signal.throwIfAborted();
    return { code, ...said };
  } finally {
    signal.removeEventListener('abort', stop);
    clearTimeout(killer);
  }
}
