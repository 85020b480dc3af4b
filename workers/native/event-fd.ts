import { readlinkSync } from 'node:fs';
import { type Libc, NativeError } from './libc.ts';

/** What is written to an eventfd: one event. */
export const ONE_EVENT = new Uint8Array(new BigUint64Array([1n]).buffer);

/**
 * Why a descriptor that came from elsewhere is no eventfd, or null: it is one, and makes nobody wait. Other files may wait for
 * ever for their reader, or be readable for ever.
 */
export function eventFault(libc: Libc, fd: number): string | null {
  const what = readlinkSync(`/proc/self/fd/${fd}`);
  if (what !== 'anon_inode:[eventfd]') return `${what} is no eventfd`;
  libc.nonBlocking(fd);
  return null;
}

/** Words of what a `SignalWatch` looks at: the descriptor that is written to or read + 1 (0: none), and how many were. */
const Watched = { fd: 0, count: 1 } as const;
const WATCHED_WORDS = 2;
/** Between two looks, ms: a call that takes from one to the next waits for somebody else. */
const LOOK_MS = 100;

/**
 * Signals eventfds of others, and takes their signals back. They are made not to wait (`eventFault`), but whoever shares them can undo
 * that and make one full, or empty right before it is read: then the call waits, until the process's `SignalWatch` ends that. Asking
 * before each write would cost a system call a signal.
 */
export class EventSignals {
  readonly #libc: Libc;
  readonly #watched: Int32Array;
  readonly #drain = new Uint8Array(8);

  /** @param watched a `SignalWatch`'s */
  constructor(libc: Libc, watched: SharedArrayBuffer) {
    this.#libc = libc;
    this.#watched = new Int32Array(watched);
  }

  signal(fd: number): void {
    Atomics.store(this.#watched, Watched.fd, fd + 1);
    this.#libc.write(fd, ONE_EVENT);
    Atomics.store(this.#watched, Watched.fd, 0);
    Atomics.add(this.#watched, Watched.count, 1);
  }

  /** Takes back all that one was signalled. */
  take(fd: number): void {
    Atomics.store(this.#watched, Watched.fd, fd + 1);
    this.#libc.read(fd, this.#drain);
    Atomics.store(this.#watched, Watched.fd, 0);
    Atomics.add(this.#watched, Watched.count, 1);
  }
}

/** Lets a thread go on whose signal, or reading of one, waits: on another thread of the process. */
export class SignalWatch {
  readonly watched = new SharedArrayBuffer(WATCHED_WORDS * 4);
  readonly #libc: Libc;
  readonly #words = new Int32Array(this.watched);
  readonly #drain = new Uint8Array(8);
  readonly #timer: NodeJS.Timeout;
  #fd = 0;
  #count = 0;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const fd = Atomics.load(this.#words, Watched.fd);
    const count = Atomics.load(this.#words, Watched.count);
    const waits = fd !== 0 && fd === this.#fd && count === this.#count;
    this.#fd = fd;
    this.#count = count;
    if (!waits) return;
    let own = -1;
    try {
      own = this.#libc.duplicate(fd - 1);
      // The thread may have gone on meanwhile, and the number be another file's: what was duplicated while it waits, it waits for.
      if (Atomics.load(this.#words, Watched.fd) !== fd || Atomics.load(this.#words, Watched.count) !== count) return;
      // In this order: neither must wait in its turn. A full one is emptied for who writes, an empty one signalled for who reads.
      this.#libc.nonBlocking(own);
      this.#libc.read(own, this.#drain);
      this.#libc.write(own, ONE_EVENT);
    } catch (error) {
      // It is closed, or there is no room for another descriptor: the next look does it.
      if (!(error instanceof NativeError)) throw error;
    } finally {
      if (own >= 0) this.#libc.close(own);
    }
  }
}
