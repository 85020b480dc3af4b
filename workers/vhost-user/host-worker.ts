/** The thread of a vhost-user host: a worker's entry file. */
import { statSync, unlinkSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { SessionWord } from '../../core/machine/plan.ts';
import { MonotonicClock } from '../../core/measure/clock.ts';
import { Counter, Counters } from '../../core/measure/counters.ts';
import { DeviceRegisters } from '../../core/ring/registers.ts';
import { openEncodeSink } from '../encode/host-end.ts';
import { Libc, NativeError, SOCK_DGRAM } from '../native/libc.ts';
import { FileMappings } from '../native/mapping.ts';
import { PollSet } from '../native/poll.ts';
import { socketAddress } from '../native/socket.ts';
import { ownTask } from '../thread-usage.ts';
import { HostSession } from './host-session.ts';
import type { HostNews, HostStart, HostTask } from './host-task.ts';

const NEVER_NS = 3600e9;
/** Between two tries to connect, and why another one may do better. */
const RETRY_NS = 100e6;
const NOT_YET = new Set(['ENOENT', 'ECONNREFUSED', 'EAGAIN']);

const tell = (news: HostNews): void => parentPort?.postMessage(news);

try {
  serve(workerData as HostStart);
  tell({ kind: 'ended' });
} catch (error) {
  tell({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
}

/** Session after session, until a stop is asked for. */
function serve({ task, wakeFd, remote, watched, encode }: HostStart): void {
  const libc = Libc.load();
  if (typeof libc === 'string') throw new Error(libc);
  const cells = new Int32Array(task.plan.control);
  const registers = new DeviceRegisters(cells);
  Atomics.store(cells, SessionWord.hostTask, ownTask());
  const counters = new Counters(task.plan.hostCounters);
  const clock = new MonotonicClock(task.plan.originNs);
  const mappings = new FileMappings(libc);
  const isStopped = (): boolean => registers.stopRequested;
  const encoder = encode === null ? null : openEncodeSink(encode, false);
  const next = task.connect ? connecting(libc, task.socket, wakeFd, isStopped) : listening(libc, task.socket, wakeFd, isStopped);
  try {
    next.begin();
    tell({ kind: task.connect ? 'connecting' : 'listening' });
    let sessions = 0;
    for (let fd = next.socket(); fd >= 0; fd = task.once ? -1 : next.socket()) {
      tell({ kind: 'connected', process: libc.peerProcess(fd) });
      const before = { commands: counters.get(Counter.commands), errors: counters.get(Counter.errorResponses) };
      const say = (text: string): void => tell({ kind: 'line', text });
      const session = new HostSession(
        libc,
        mappings,
        ofSession(task, ++sessions),
        clock,
        fd,
        wakeFd,
        remote,
        watched,
        isStopped,
        say,
        encoder,
      );
      const why = session.run();
      const commands = counters.get(Counter.commands) - before.commands;
      const errors = counters.get(Counter.errorResponses) - before.errors;
      tell({ kind: 'disconnected', why, commands, errors });
    }
  } finally {
    next.end();
    encoder?.close();
  }
}

/** Each session's record and frames are files of their own: FILE, FILE.2, … */
function ofSession(task: HostTask, session: number): HostTask {
  const named = (path: string | null): string | null => (path === null || session === 1 ? path : `${path}.${session}`);
  return { ...task, record: named(task.record), frames: named(task.frames) };
}

/** Where front ends come from. */
interface FrontEnds {
  begin(): void;
  /** Waits for the next one. @returns its socket; −1: a stop was asked for */
  socket(): number;
  end(): void;
}

/** Front ends that connect. */
function listening(libc: Libc, path: string, wakeFd: number, isStopped: () => boolean): FrontEnds {
  let fd = -1;
  const polls = new PollSet(libc, 2);
  const drain = new Uint8Array(8);
  polls.set(1, wakeFd);
  return {
    begin() {
      fd = listenAt(libc, path);
      polls.set(0, fd);
    },
    socket() {
      while (!isStopped()) {
        if (polls.wait(NEVER_NS) === 0) continue;
        // A display that changed: the next session begins with it.
        if (polls.isReady(1)) libc.read(wakeFd, drain);
        if (!polls.isReady(0)) continue;
        const accepted = libc.accept(fd);
        if (accepted >= 0) return accepted;
      }
      return -1;
    },
    end() {
      if (fd < 0) return;
      // In this order: a socket that nobody listens to may be another host's to replace.
      unlink(path);
      libc.close(fd);
    },
  };
}

/** A front end that listens, such as a QEMU whose chardev is a server: one that is not there yet is waited for. */
function connecting(libc: Libc, path: string, wakeFd: number, isStopped: () => boolean): FrontEnds {
  const polls = new PollSet(libc, 1);
  const drain = new Uint8Array(8);
  polls.set(0, wakeFd);
  let tried = false;
  return {
    begin: () => void socketAddress(path),
    socket() {
      while (!isStopped()) {
        // Also after a session: one that ends each at once is not connected to without a pause.
        if (tried && polls.wait(RETRY_NS) > 0) libc.read(wakeFd, drain);
        tried = true;
        const fd = libc.socket();
        try {
          libc.connect(fd, socketAddress(path));
          return fd;
        } catch (error) {
          libc.close(fd);
          if (!(error instanceof NativeError && NOT_YET.has(error.code))) throw error;
        }
      }
      return -1;
    },
    end() {},
  };
}

/** A listening socket at `path`, in the place of one that nobody listens to any more. */
function listenAt(libc: Libc, path: string): number {
  const address = socketAddress(path);
  const fd = libc.socket();
  try {
    try {
      libc.bind(fd, address);
    } catch (error) {
      if (!(error instanceof NativeError && error.code === 'EADDRINUSE')) throw error;
      const holder = holderOf(libc, path);
      if (holder !== null) throw new Error(holder);
      unlink(path);
      libc.bind(fd, address);
    }
    libc.listen(fd);
  } catch (error) {
    libc.close(fd);
    throw new Error(`cannot listen at ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return fd;
}

/** Whose a path is, for people; null: a socket's that nobody listens to any more. */
function holderOf(libc: Libc, path: string): string | null {
  if (statSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return 'it is there and no socket; name another path';
  // Of another type than the listener's: told apart from one that is gone without becoming its next front end.
  const fd = libc.socket(SOCK_DGRAM);
  try {
    libc.connect(fd, socketAddress(path));
  } catch (error) {
    if (error instanceof NativeError && error.code === 'ECONNREFUSED') return null;
  } finally {
    libc.close(fd);
  }
  return 'another program uses it; end that one or name another path';
}

function unlink(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Gone already.
  }
}
