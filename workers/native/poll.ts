import type { Libc } from './libc.ts';

const POLLFD = 8;
export const POLLIN = 1;
export const POLLOUT = 4;
/** Error or hang-up: reported whether asked for or not. */
const POLLERR_HUP = 0x18;

/** A set of file descriptors to wait for, by ppoll(2). */
export class PollSet {
  readonly #libc: Libc;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #halves: Int16Array;
  readonly #timeout = new Uint8Array(16);
  readonly #timeoutWords = new Uint32Array(this.#timeout.buffer);

  /** @param places file descriptors at most; each has a place, and −1 in a place is passed over */
  constructor(libc: Libc, places: number) {
    this.#libc = libc;
    this.#bytes = new Uint8Array(places * POLLFD);
    this.#words = new Int32Array(this.#bytes.buffer);
    this.#halves = new Int16Array(this.#bytes.buffer);
    for (let i = 0; i < places; i++) this.set(i, -1);
  }

  /** @param events what is waited for; without them to read */
  set(place: number, fd: number, events = POLLIN): void {
    this.#words[2 * place] = fd;
    this.#halves[4 * place + 2] = events;
    this.#halves[4 * place + 3] = 0;
  }

  /** Waits until one of them is ready or gone, at most `ns` (below 2^31 s). @returns how many are */
  wait(ns: number): number {
    const timeout = this.#timeoutWords;
    const whole = Math.floor(ns / 1e9);
    // The low halves of tv_sec and tv_nsec.
    timeout[0] = whole;
    timeout[2] = ns - whole * 1e9;
    return this.#libc.ppoll(this.#bytes, this.#words.length / 2, this.#timeout);
  }

  /** Of the last `wait`. */
  isReady(place: number): boolean {
    return (this.#halves[4 * place + 3] & (POLLIN | POLLOUT | POLLERR_HUP)) !== 0;
  }
}
