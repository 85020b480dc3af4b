import type { Sink } from '../../core/sink/sink.ts';

/** A sink whose display is at the other end of a GPU socket. Never waits: the outer loop polls the socket for it. */
export interface SendingSink extends Sink {
  /** The socket from now on, or −1: nobody is there, and frames are released at once. It stays the caller's. */
  setSocket(fd: number): void;
  /** The socket that it waits for; −1: none. */
  readonly pollFd: number;
  /** POLLIN, POLLOUT: for what. */
  readonly pollEvents: number;
  /** The socket is ready: goes on. Frames that are done then are released by the next `pollReleases`. */
  ready(now: Float64Array): void;
  /** Why the session cannot go on; null: it can. */
  readonly fault: string | null;
}
