import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { pathUsesBlob } from '../../core/machine/options.ts';
import type { Libc } from '../../workers/native/libc.ts';
import type { HostFigures } from '../host-figures.ts';
import { resolutionName, type Scenario } from '../scenarios.ts';
import { onOneCpu } from './one-cpu.ts';
import { dmaBufDevice, fetchedQemu, HOW_TO_GET_QEMU, installedQemu, type QemuBuild } from './qemu.ts';

const ENTRY = fileURLToPath(new URL(`./host-process${extname(import.meta.url)}`, import.meta.url));
const START_MS = 20_000;
const LOOK_MS = 5;
/** How long a back end may take to end its session once its guest has gone, ms. */
const END_MS = 10_000;
const KEPT = 2000;
/** __SO_ACCEPTCON (include/uapi/linux/net.h). */
const ACCEPTS = 0x10000;

/** A device in a process of its own, which waits for a guest at a socket. */
export interface BackEnd {
  readonly socket: string;
  readonly pid: number;
  /** What it did, once the guest has gone; null: it does not say. @throws Error when it does not end its session */
  readonly sessionEnd: () => Promise<HostFigures | null>;
}

/** Why a scenario's host cannot be had here, and what to do; null: it can. */
export function whyNoHost({ host }: Scenario): string | null {
  if (host !== 'qemu' && host !== 'qemu-current') return null;
  if (buildOf(host) === null) return HOW_TO_GET_QEMU;
  const device = dmaBufDevice();
  return device === null ? null : `QEMU's vhost-user-gpu sends dma-bufs in the place of frames here: run where ${device} cannot be opened`;
}

/** What a scenario's record says of its host beside its kind. */
export function peerSettings(scenario: Scenario): Record<string, string | number> {
  const { host } = scenario;
  if (isChain(scenario)) return { cpus: 1 };
  if (host !== 'qemu' && host !== 'qemu-current') return {};
  return { qemu: /^[\d.]*\d/.exec(buildOf(host)?.version ?? '')?.[0] ?? 'unknown version' };
}

/** Whether guest, host and display, processes all, do nothing but wait for one another: they are given one CPU. */
export const isChain = ({ host, options }: Scenario): boolean => host === 'process' && pathUsesBlob(options.path);

const buildOf = (host: 'qemu' | 'qemu-current'): QemuBuild | null => (host === 'qemu' ? installedQemu() : fetchedQemu());

/** The back ends of a run. Ours serve one guest after the other, as in use; QEMU's end with theirs. */
export class BackEnds {
  readonly #folder = mkdtempSync(join(tmpdir(), `scanout-peers-${process.pid}-`));
  readonly #hosts = new Map<string, HostProcess>();
  readonly #running = new Set<Started>();
  #count = 0;

  /** @throws Error why it does not start */
  async open(libc: Libc, scenario: Scenario, signal: AbortSignal): Promise<BackEnd> {
    const { host, options } = scenario;
    const socket = join(this.#folder, `${++this.#count}.sock`);
    if (host === 'qemu' || host === 'qemu-current') {
      const build = buildOf(host);
      if (build === null) throw new Error(HOW_TO_GET_QEMU);
      return await this.#openQemu(build, socket, signal);
    }
    const flags = hostFlags(scenario);
    const key = flags.join(' ');
    const open = this.#hosts.get(key);
    if (open !== undefined && !open.started.over) return open;
    const start = (): Started => this.#start(process.execPath, [ENTRY, '--vhost-user', socket, ...flags], true);
    const started = isChain(scenario) ? onOneCpu(libc, start) : start();
    const fresh = new HostProcess(socket, started);
    await ready(started, socket, `scanout host at ${resolutionName(options.width, options.height)}`, signal);
    this.#hosts.set(key, fresh);
    return fresh;
  }

  /** Ends one that did not do its part: the next scenario gets another. */
  discard(backEnd: BackEnd): void {
    for (const [key, host] of this.#hosts) if (host === backEnd) this.#hosts.delete(key);
    for (const one of this.#running) if (one.pid === backEnd.pid) one.kill();
  }

  /** Ends them all. */
  async close(): Promise<void> {
    this.#hosts.clear();
    for (const one of this.#running) one.kill();
    await Promise.all([...this.#running].map(({ ended }) => ended));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #openQemu({ command, args }: QemuBuild, socket: string, signal: AbortSignal): Promise<BackEnd> {
    const started = this.#start(command, [...args, `--socket-path=${socket}`], false);
    await ready(started, socket, "QEMU's vhost-user-gpu", signal);
    return {
      socket,
      pid: started.pid,
      sessionEnd: async () => {
        await inTime(started.ended, "QEMU's vhost-user-gpu does not end");
        return null;
      },
    };
  }

  #start(command: string, args: readonly string[], leads: boolean): Started {
    const { SCANOUT_REEXECUTED: _, NODE_OPTIONS: __, ...env } = process.env;
    // Out of reach of a terminal's Ctrl-C: this process ends it, after what is under way.
    const child = spawn(command, args, { env, detached: true, stdio: leads ? ['pipe', 'pipe', 'pipe'] : ['ignore', 'ignore', 'pipe'] });
    const started = new Started(child as Child);
    this.#running.add(started);
    void started.ended.then(() => this.#running.delete(started));
    return started;
  }
}

type Child = ChildProcessByStdio<Writable | null, Readable | null, Readable>;

/** A process that was started, and what it says. */
class Started {
  readonly child: Child;
  readonly ended: Promise<void>;
  readonly lines: string[] = [];
  said = '';
  over = false;
  #how = 'it says nothing';
  #onLine: (line: string) => void = () => {};

  constructor(child: Child) {
    this.child = child;
    let rest = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      for (const line of parts) this.#onLine(line);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.said = (this.said + text).slice(-KEPT);
    });
    this.ended = new Promise((resolve) => {
      child.on('error', (error) => {
        this.said += error.message;
        this.over = true;
        resolve();
      });
      child.on('close', (code, signal) => {
        this.#how = signal ?? `exit code ${code}`;
        this.over = true;
        resolve();
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** With what it has started, of a script the program itself: it leads a group of its own. */
  kill(): void {
    if (this.pid === 0) return;
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // All of it has ended.
    }
  }

  /** The next line on stdout. */
  line(): Promise<string> {
    return new Promise((resolve) => {
      this.#onLine = resolve;
    });
  }

  /** Its last words, for people, or how it ended without any. */
  get words(): string {
    const last = this.said.trim().split('\n').at(-1) ?? '';
    return last === '' ? this.#how : last;
  }
}

/** `scanout host`, session after session. */
class HostProcess implements BackEnd {
  readonly socket: string;
  readonly started: Started;

  constructor(socket: string, started: Started) {
    this.socket = socket;
    this.started = started;
  }

  get pid(): number {
    return this.started.pid;
  }

  /** To be called before the guest goes. */
  async sessionEnd(): Promise<HostFigures> {
    const over = this.started.ended.then(() => {
      throw new Error(`scanout host ended: ${this.started.words}`);
    });
    const line = await inTime(Promise.race([this.started.line(), over]), 'scanout host does not end its session');
    return JSON.parse(line) as HostFigures;
  }
}

function hostFlags({ options }: Scenario): string[] {
  const { width, height, path, listLimit } = options;
  const blob = path === 'copy' ? ['--no-blob', '--sink', 'socket'] : ['--sink', 'memory', '--list-limit', String(listLimit)];
  return ['--rate', 'max', '--resolution', `${width}x${height}`, '--json', ...blob];
}

/** Waits until a back end listens. @throws Error why it does not */
async function ready(started: Started, socket: string, what: string, signal: AbortSignal): Promise<void> {
  const until = performance.now() + START_MS;
  while (!listens(socket)) {
    if (started.over) throw new Error(`${what} did not start: ${started.words}`);
    if (signal.aborted) throw new Error('stopped');
    if (performance.now() > until) throw new Error(`${what} does not listen`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Whether somebody listens at a socket: it is there before. */
function listens(socket: string): boolean {
  // {address: count protocol flags type state inode path}; __SO_ACCEPTCON is what listen(2) sets.
  const line = readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .find((one) => one.endsWith(` ${socket}`));
  return line !== undefined && (Number.parseInt(line.split(/ +/)[3], 16) & ACCEPTS) !== 0;
}

async function inTime<T>(what: Promise<T>, else_: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(else_)), END_MS);
  });
  try {
    return await Promise.race([what, late]);
  } finally {
    clearTimeout(timer);
  }
}
