import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const ROOT = realpathSync(join(import.meta.dirname, '..', '..'));

/** What a scenario program imports. */
const PARTS = ['core', 'workers', 'test/support', 'test/unit/guest', 'test/unit/dmabuf'];

/** One piece of text that makes a fix, and what stood there before. */
export interface Replacement {
  /** From the project's root. */
  readonly file: string;
  readonly fixed: string;
  readonly broken: string;
}

export interface ScenarioOutcome {
  readonly passed: boolean;
  readonly stderr: string;
}

/** Runs `script` (from the project's root) with arguments in the tree at `root`, in a process of its own. */
export function runScenario(root: string, script: string, ...args: string[]): ScenarioOutcome {
  const { status, stderr, error } = spawnSync(process.execPath, [join(root, script), ...args], {
    cwd: root,
    encoding: 'utf8',
    timeout: 20_000,
  });
  if (error !== undefined) throw error;
  return { passed: status === 0, stderr };
}

/**
 * Calls `use` with a copy of the tree in which the fixes are undone, and removes the copy.
 * @param parts folders that are copied; packages are those of the project
 * @throws Error when a piece of text is not there exactly once: the test has to be brought up to date
 */
export function withFixUndone<T>(replacements: readonly Replacement[], use: (root: string) => T, parts: readonly string[] = PARTS): T {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'scanout-undo-')));
  try {
    for (const part of parts) cpSync(join(ROOT, part), join(root, part), { recursive: true });
    writeFileSync(join(root, 'package.json'), '{"type":"module"}\n');
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    for (const { file, fixed, broken } of replacements) {
      const path = join(root, file);
      const text = readFileSync(path, 'utf8');
      const found = text.split(fixed).length - 1;
      if (found !== 1) throw new Error(`${file}: the text to replace was found ${found} times, not once:\n${fixed}`);
      writeFileSync(
        path,
        text.replace(fixed, () => broken),
      );
    }
    return use(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
