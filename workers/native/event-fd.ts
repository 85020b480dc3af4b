import { readlinkSync } from 'node:fs';
import type { Libc } from './libc.ts';
import { POLLOUT, PollSet } from './poll.ts';

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

/** Signals eventfds that others may have made full, and waiting again: who waits for a full one has been told already. */
export class EventSignals {
  readonly #libc: Libc;
  readonly #polls: PollSet;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#polls = new PollSet(libc, 1);
  }

  signal(fd: number): void {
    this.#polls.set(0, fd, POLLOUT);
    if (this.#polls.wait(0) > 0) this.#libc.write(fd, ONE_EVENT);
  }
}
