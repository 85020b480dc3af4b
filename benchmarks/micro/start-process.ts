import { execFile } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { reasonOf } from '../limits/available.ts';
import type { ProcessPlan, ProcessResult } from './measure-process.ts';

const run = promisify(execFile);
const ENTRY = fileURLToPath(new URL(`./measure-process${extname(import.meta.url)}`, import.meta.url));
/** Beyond the measured time, its warm-up and the start of the process on a busy machine. */
const GRACE_SECONDS = 20;

/** A measurement whose process died or did not end. */
export interface ProcessFailure {
  readonly failed: string;
}

/** Measures one benchmark in a process of its own. Rejects with the signal's reason only. */
export async function measureInProcess(plan: ProcessPlan, signal: AbortSignal): Promise<ProcessResult | ProcessFailure> {
  const { SCANOUT_REEXECUTED: _, NODE_OPTIONS: __, ...env } = process.env;
  try {
    const { stdout } = await run(process.execPath, [ENTRY, JSON.stringify(plan)], {
      env,
      signal,
      killSignal: 'SIGKILL',
      timeout: (plan.seconds * 4 + GRACE_SECONDS) * 1000,
    });
    return JSON.parse(stdout) as ProcessResult;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error && 'killed' in error && error.killed === true) return { failed: 'did not end in time' };
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
    // The line that says what was thrown, not the one that says where.
    return { failed: /^\w*Error.*$/m.exec(stderr)?.[0] ?? reasonOf(error) };
  }
}
