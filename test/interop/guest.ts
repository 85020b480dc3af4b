import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { parseTrace, type Trace } from '../../core/trace/trace.ts';
import { Process } from './process.ts';

/** Where prepare.sh has put all; null: the tests are skipped. */
export const cache = inject('interopCache');

const SOCKET = 'gpu.sock';
const LAUNCHER = join(import.meta.dirname, '../../bin/scanout.js');
const LIBRARIES = ['usr/lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu/pulseaudio', 'lib/x86_64-linux-gnu'];

/** A line of `scanout host --frames`. */
export interface Frame {
  readonly head: number;
  readonly width: number;
  readonly height: number;
  readonly resource: number;
  readonly imported: boolean;
  readonly segments: number;
  /** The first one, `0x…`. */
  readonly pixel: string;
  /** Different ones of 256 pixels all over the frame, and their hash. */
  readonly colours: number;
  readonly hash: string;
}

/** What a host says of a session at its end. */
export interface Total {
  readonly commands: number;
  readonly errors: number;
  /** Since the host's start, as the next. */
  readonly frames: number;
  readonly copiedMB: number;
}

/** `scanout host`, as a user starts it. */
export class Host {
  readonly process: Process;
  readonly socket: string;
  readonly #record: string;
  readonly #frames: string;

  constructor(folder: string, flags: readonly string[]) {
    this.socket = join(folder, SOCKET);
    this.#record = join(folder, 'guest.jsonl');
    this.#frames = join(folder, 'frames.jsonl');
    const own = ['host', '--vhost-user', this.socket, '--record', this.#record, '--frames', this.#frames];
    this.process = new Process('the host', process.execPath, [LAUNCHER, ...own, ...flags], {}, true);
  }

  /** The end of session `number`, from 0; its trace and frames are written then. */
  async session(number = 0): Promise<Total> {
    let from = 0;
    for (let i = 0; ; i++) {
      await this.process.until(/answered with an error/, from);
      const at = this.process.lines.findIndex((line, index) => index >= from && /answered with an error/.test(line));
      const numbers = /^(\d+) commands, (\d+) answered with an error; (\d+) frames shown, ([\d.]+) MB copied in all$/.exec(
        this.process.lines[at],
      );
      if (numbers === null) throw new Error(`the host's total reads: ${this.process.lines[at]}`);
      const [commands, errors, frames, copiedMB] = numbers.slice(1).map(Number);
      if (i === number) return { commands, errors, frames, copiedMB };
      from = at + 1;
    }
  }

  trace(session = 0): Trace {
    return parseTrace(readFileSync(fileOf(this.#record, session), 'utf8'));
  }

  frames(session = 0): Frame[] {
    const lines = readFileSync(fileOf(this.#frames, session), 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Frame);
  }

  /** Open file descriptors, and mappings of files in memory. */
  holds(): { files: number; mappings: number } {
    const { pid } = this.process;
    const maps = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n');
    return { files: readdirSync(`/proc/${pid}/fd`).length, mappings: maps.filter((line) => line.includes('/memfd:')).length };
  }
}

/** Whether there is an older kernel. */
export const hasOldKernel = cache !== null && existsSync(join(cache, 'vmlinuz-old'));

export interface GuestOptions {
  /** What the guest does (guest/init), separated by semicolons. */
  readonly commands: string;
  /** Flags for QEMU that replace the plain PC, and the bus that its virtio-gpu is then plugged into. */
  readonly machine?: readonly string[];
  readonly bus?: string;
  /** Whether it is the older kernel, whose driver cannot import. */
  readonly old?: boolean;
  /** More of the kernel's command line. */
  readonly kernel?: string;
  /** Whether QEMU listens at the socket, and the host connects; absent: the other way round. */
  readonly listens?: boolean;
  readonly memoryMB?: number;
}

const PC = ['-machine', 'pc,memory-backend=mem', '-cpu', 'max'];

/** The prepared QEMU with an emulated CPU, no devices but the machine's own, and its guest's serial console for its lines. */
export function startQemu(flags: readonly string[]): Process {
  if (cache === null) throw new Error('nothing is prepared');
  const root = join(cache, 'root');
  const own = [
    ['--library-path', LIBRARIES.map((library) => join(root, library)).join(':'), join(root, 'usr/bin/qemu-system-x86_64')],
    ['-L', join(root, 'usr/share/qemu'), '-L', join(root, 'usr/share/seabios')],
    ['-accel', 'tcg', '-nodefaults', '-vga', 'none', '-display', 'none', '-serial', 'stdio', '-no-reboot'],
  ];
  const loader = join(root, 'lib64/ld-linux-x86-64.so.2');
  return new Process('the guest', loader, [...own.flat(), ...flags], { QEMU_MODULE_DIR: join(root, LIBRARIES[0], 'qemu') });
}

/** QEMU with a Linux guest whose virtio-gpu device is at the end of a socket. The lines are those of its serial console. */
export function startGuest(
  socket: string,
  { commands, machine = PC, bus, old = false, kernel = '', listens = false, memoryMB = 512 }: GuestOptions,
): Process {
  if (cache === null) throw new Error('nothing is prepared');
  const suffix = old ? '-old' : '';
  const append = `console=ttyS0 quiet panic=-1 ${kernel} scanout="${commands}"`;
  const device = 'vhost-user-test-device-pci,chardev=gpu,virtio-id=16,num_vqs=2,vq_size=64,config_size=16';
  const qemu = [
    ['-m', `${memoryMB}`, '-object', `memory-backend-memfd,id=mem,size=${memoryMB}M,share=on`],
    machine,
    ['-kernel', join(cache, `vmlinuz${suffix}`), '-initrd', join(cache, `initrd${suffix}.gz`), '-append', append],
    ['-chardev', `socket,id=gpu,path=${socket}${listens ? ',server=on,wait=on' : ''}`],
    ['-device', bus === undefined ? device : `${device},bus=${bus}`],
  ];
  return startQemu(qemu.flat());
}

/** What one test has started, and its folder. */
export class Room {
  readonly folder = mkdtempSync(join(tmpdir(), 'scanout-interop-'));
  readonly #started: Process[] = [];

  /** Starts a host that listens. */
  async host(...flags: string[]): Promise<Host> {
    const host = new Host(this.folder, flags);
    this.#started.push(host.process);
    await host.process.until(/^(listening at|connecting to) /);
    return host;
  }

  guest(host: Host, options: GuestOptions): Process {
    const guest = startGuest(host.socket, options);
    this.#started.push(guest);
    return guest;
  }

  /** Ends what still runs. */
  async close(): Promise<void> {
    for (const one of this.#started.toReversed()) {
      one.kill('SIGKILL');
      await one.ended;
    }
    rmSync(this.folder, { recursive: true });
  }
}

/** The host's file of one session. */
const fileOf = (path: string, session: number): string => (session === 0 ? path : `${path}.${session + 1}`);
