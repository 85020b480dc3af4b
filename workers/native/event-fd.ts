import { readlinkSync } from 'node:fs';
import type { Libc } from './libc.ts';

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

/** Words of what a `SignalWatch` looks at: the descriptor that is written to + 1 (0: none), and how many were. */
const Watched = { fd: 0, count: 1 } as const;
const WATCHED_WORDS = 2;
/** Between two looks, ms: a write that takes from one to the next waits for somebody who does not read. */
const LOOK_MS = 100;

/**
 * Signals eventfds of others. They are made not to wait (`eventFault`), but whoever shares them can undo that and make one full: then
 * the write waits, until the process's `SignalWatch` empties it. Asking before each write would cost a system call a signal.
 */
export class EventSignals {
  readonly #libc: Libc;
  readonly #watched: Int32Array;

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
}

/** Lets a thread go on whose signal waits: on another thread of the process. */
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
    // In this order: the read must not wait in its turn.
    this.#libc.nonBlocking(fd - 1);
    this.#libc.read(fd - 1, this.#drain);
  }
}
