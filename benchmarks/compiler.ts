import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Compiler {
  readonly command: string;
  /** First line of `--version`. */
  readonly version: string;
}

/** The first C compiler found on PATH, or null. */
export async function findCompiler(): Promise<Compiler | null> {
  for (const command of ['cc', 'gcc', 'clang']) {
    try {
      const { stdout } = await run(command, ['--version'], { timeout: 5000 });
      return { command, version: stdout.split('\n', 1)[0].trim() };
    } catch {
      // not this one
    }
  }
  return null;
}
