import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mutant, mutate } from './mutant.ts';

export const ROOT = realpathSync(join(import.meta.dirname, '..', '..'));

const WITH_PARENT = join(import.meta.dirname, 'with-parent.ts');

/** What the tests import or read. */
const PARTS = ['core', 'workers', 'benchmarks', 'reports', 'bin', 'test', 'docs', 'package.json', 'tsconfig.json'];

/** One thread, no projects; the cache beside the copy, for node_modules is a link to the original's. */
const CONFIG = `export default {
  cacheDir: '.vite',
  test: {
    include: ['test/**/*.test.ts'], pool: 'forks', maxWorkers: 1, bail: 1, testTimeout: 30_000,
    reporters: ['json'], outputFile: 'result.json',
  },
};
`;

/** What became of a run of tests; `by`: the first test that failed, or what was wrong. */
export interface Outcome {
  /** `failed`: a test did; `hung`: the run passed its time bound; `faulty`: it ended, but not by a test's judgement. */
  readonly end: 'passed' | 'failed' | 'hung' | 'faulty' | 'aborted';
  readonly by: string;
  readonly seconds: number;
}

/** A copy of the tree in which one mutant at a time is tried. */
export class Workshop {
  readonly root: string;
  #child: ChildProcess | null = null;
  #aborted = false;

  constructor() {
    this.root = realpathSync(mkdtempSync(join(tmpdir(), 'scanout-mutant-')));
    for (const part of PARTS) cpSync(join(ROOT, part), join(this.root, part), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(this.root, 'node_modules'));
    writeFileSync(join(this.root, 'vitest.config.mjs'), CONFIG);
  }

  /** Puts the mutant in, runs its tests until one fails, takes it out. @param boundMs after which the run counts as hung */
  async try(mutant: Mutant, boundMs: number): Promise<Outcome> {
    const path = join(this.root, mutant.file);
    const original = readFileSync(path, 'utf8');
    try {
      writeFileSync(path, mutate(mutant, original));
    } catch (error) {
      return { end: 'faulty', by: error instanceof Error ? error.message : String(error), seconds: 0 };
    }
    try {
      return await this.run(mutant.tests, boundMs);
    } finally {
      writeFileSync(path, original);
    }
  }

  /** Runs test files on the copy as it is now. */
  async run(tests: readonly string[], boundMs: number): Promise<Outcome> {
    const start = performance.now();
    const result = join(this.root, 'result.json');
    rmSync(result, { force: true });
    const hung = await this.#spawn(['node_modules/vitest/vitest.mjs', 'run', ...tests], boundMs);
    const seconds = (performance.now() - start) / 1000;
    if (this.#aborted) return { end: 'aborted', by: '', seconds };
    if (hung) return { end: 'hung', by: `not done after ${boundMs / 1000} s`, seconds };
    return { ...verdict(result), seconds };
  }

  /** Ends what is running; `run` then answers `aborted`. */
  abort(): void {
    this.#aborted = true;
    this.#kill();
  }

  /** Removes the copy. */
  close(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  #spawn(args: readonly string[], boundMs: number): Promise<boolean> {
    if (this.#aborted) return Promise.resolve(false);
    return new Promise((resolve, reject) => {
      let hung = false;
      // A group of its own: the test runner's forks end with it, also one in an endless loop, and when this process is killed.
      const child = spawn(process.execPath, [WITH_PARENT, ...args], {
        cwd: this.root,
        stdio: ['pipe', 'ignore', 'ignore'],
        detached: true,
        env: environment(),
      });
      this.#child = child;
      const timer = setTimeout(() => {
        hung = true;
        this.#kill();
      }, boundMs);
      child.on('error', reject);
      child.on('exit', () => {
        clearTimeout(timer);
        this.#kill();
        this.#child = null;
        resolve(hung);
      });
    });
  }

  #kill(): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // The group has ended.
    }
  }
}

/** Without what an outer vitest tells its workers: this one is nobody's worker. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(VITEST|TEST$|NODE_OPTIONS$|NODE_V8_COVERAGE$)/.test(name));
  return Object.fromEntries(kept);
}

interface Report {
  readonly success: boolean;
  readonly numTotalTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly message?: string;
    readonly status: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[] | null;
    }[];
  }[];
}

/** An error of the edit itself, which any test would meet: it says nothing about the tests. */
const BROKEN = /SyntaxError|ReferenceError|Transform failed|PARSE_ERROR|Cannot find module/;

function verdict(path: string): Pick<Outcome, 'end' | 'by'> {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(path, 'utf8')) as Report;
  } catch {
    return { end: 'faulty', by: 'the test runner ended without a report' };
  }
  for (const file of report.testResults) {
    for (const { fullName, status, failureMessages } of file.assertionResults) {
      if (status !== 'failed') continue;
      const message = failureMessages?.join('\n') ?? '';
      return BROKEN.test(message) ? { end: 'faulty', by: message.split('\n')[0] } : { end: 'failed', by: fullName };
    }
  }
  const file = report.testResults.find(({ status }) => status === 'failed');
  if (file !== undefined) {
    const message = (file.message ?? '').split('\n')[0];
    // A file that throws while it is loaded: its rig could not be built.
    return { end: BROKEN.test(message) ? 'faulty' : 'failed', by: message };
  }
  if (!report.success) return { end: 'failed', by: 'an error outside any test' };
  return report.numTotalTests > 0 ? { end: 'passed', by: '' } : { end: 'faulty', by: 'no test ran' };
}
