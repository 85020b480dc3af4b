import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { checkWritable } from '../../reports/index.ts';
import { wrap } from '../../reports/terminal.ts';
import { EXIT_INTERRUPTED, EXIT_USAGE, type Io, UsageError } from '../commands/command.ts';
import type { Progress } from '../progress.ts';
import type { Scenario } from '../scenarios.ts';
import type { ClinicPlan } from './clinic-child.ts';

export const CLINIC_TOOLS = ['clinic-flame', 'clinic-bubbleprof', 'clinic-heap', 'clinic-doctor'] as const;
export type ClinicTool = (typeof CLINIC_TOOLS)[number];

const PACKAGES: Readonly<Record<ClinicTool, string>> = {
  'clinic-flame': '@clinic/flame',
  'clinic-bubbleprof': '@clinic/bubbleprof',
  'clinic-heap': '@clinic/heap-profiler',
  'clinic-doctor': '@clinic/doctor',
};

/** Installed with a clone only. */
const CLINIC: string = 'clinic';

/** What else a reader of the tool's page must know. */
const BLIND: Readonly<Record<ClinicTool, string>> = {
  'clinic-flame': "the copy shows as the C library's memcpy",
  'clinic-bubbleprof': 'it shows asynchronous calls, of which a machine has none: the bubbles are the timer that drives it',
  'clinic-heap': 'pixels and rings are shared memory, not JavaScript heap',
  'clinic-doctor': 'its advice is meant for servers; the event loop is busy on purpose',
};

/** clinic's doctor reads trace events that later versions do not write. */
const DOCTOR_NODE = 21;
/** The first that strips types by itself; below, sources are stripped for it. */
const STRIPPING_NODE = 24;
/** For collecting, analysing and drawing beyond the profiled time, s. */
const GRACE_SECONDS = 120;

export interface ClinicRun {
  readonly tool: ClinicTool;
  readonly scenario: Scenario;
  readonly seconds: number;
  readonly out: string;
  /** The Node that is profiled. */
  readonly node: string;
  readonly io: Io;
  readonly progress: Progress;
}

/** Runs the inline runner under a clinic tool and says what the tool cannot see. @returns the exit code @throws UsageError */
export async function runClinic({ tool, scenario, seconds, out, node, io, progress }: ClinicRun): Promise<number> {
  const major = await majorOf(node);
  if (tool === 'clinic-doctor' && major > DOCTOR_NODE) {
    throw new UsageError(
      `clinic-doctor gives no data on Node ${major}: name one of version ${DOCTOR_NODE} or older, as --node /usr/bin/node, or use another --tool`,
    );
  }
  const clinic = findClinic();
  checkWritable(out);
  // V8's own log lies there until the tool moves it: on the same file system, and gone with it when the run is stopped.
  const temporary = mkdtempSync(join(resolve(out), '.clinic-'));
  try {
    const own = fileURLToPath(new URL(`./inline-target${extname(import.meta.url)}`, import.meta.url));
    const root = fileURLToPath(new URL('../../', import.meta.url));
    const plan: ClinicPlan = {
      clinic,
      tool: PACKAGES[tool],
      dest: resolve(out),
      name: `${scenario.id}-${process.pid}`,
      node: node.includes('/') ? resolve(node) : node,
      target: own,
      args: [JSON.stringify(scenario.options), String(seconds)],
      strip: own.endsWith('.ts') && major < STRIPPING_NODE ? { root, into: temporary } : null,
    };
    progress.step(0, 1, `${scenario.id}: the inline runner under ${tool}`);
    const ended = await runGroup(plan, temporary, seconds + GRACE_SECONDS, io.signal);
    progress.end();
    if (io.signal.aborted) {
      io.stderr(`scanout profile: stopped: ${tool} wrote no page\n`);
      return EXIT_INTERRUPTED;
    }
    if (ended.html === null) {
      io.stderr(`scanout profile: ${tool} failed on Node ${major}: ${ended.reason}\n`);
      return EXIT_USAGE;
    }
    const blind = `${tool} cannot see worker threads: this is the inline runner, both sides on one thread under a virtual clock, not what scanout run measures; ${BLIND[tool]}. Without --tool both threads are profiled.`;
    io.stdout(`${wrap(blind, 2).join('\n')}\n\nProfile: ${ended.html}\n`);
    return 0;
  } finally {
    progress.end();
    rmSync(temporary, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** @throws UsageError */
async function majorOf(node: string): Promise<number> {
  try {
    const { stdout } = await promisify(execFile)(node, ['--version'], { timeout: 10_000 });
    const major = Number(/^v(\d+)\./.exec(stdout)?.[1]);
    if (Number.isInteger(major)) return major;
  } catch {
    // Said below: whatever it is, it is no Node.
  }
  throw new UsageError(`--node ${node}: not a Node that can be run`);
}

/** @throws UsageError */
function findClinic(): string {
  try {
    return createRequire(import.meta.url).resolve(`${CLINIC}/package.json`);
  } catch {
    throw new UsageError('clinic is not installed: use --tool in a clone of the repository, after npm install');
  }
}

/** Runs the plan in a process group of its own, which ends as a whole when it is stopped or takes too long. */
async function runGroup(
  plan: ClinicPlan,
  cwd: string,
  seconds: number,
  signal: AbortSignal,
): Promise<{ html: string | null; reason: string }> {
  const child = fileURLToPath(new URL(`./clinic-child${extname(import.meta.url)}`, import.meta.url));
  // Not a word to anyone, no question asked; of this process's flags none.
  const { NODE_OPTIONS: _, SCANOUT_REEXECUTED: __, ...env } = process.env;
  const running = spawn(process.execPath, [child, JSON.stringify(plan)], {
    cwd,
    detached: true,
    env: { ...env, NO_INSIGHT: '1', NO_UPDATE_NOTIFIER: '1' },
    // Its input closes with this process, be it killed: that ends the group.
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  running.stdout.on('data', (data: Buffer) => {
    stdout += data;
  });
  running.stderr.on('data', (data: Buffer) => {
    stderr += data;
  });
  const end = (): void => {
    try {
      if (running.pid !== undefined) process.kill(-running.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  };
  signal.addEventListener('abort', end, { once: true });
  const timer = setTimeout(end, seconds * 1000);
  try {
    await new Promise<void>((done) => {
      running.on('close', () => done());
      running.on('error', (error) => {
        stderr += error.message;
        done();
      });
      if (signal.aborted) end();
    });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
  const html = /^\{"html":(".*")\}$/m.exec(stdout)?.[1];
  if (html !== undefined) return { html: JSON.parse(html) as string, reason: '' };
  const said = /^.*\bError: .*$/m.exec(stderr)?.[0] ?? stderr.trim().split('\n').at(-1) ?? '';
  return { html: null, reason: said === '' ? 'it ended without a page' : said };
}
