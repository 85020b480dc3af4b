import type { Libc } from './libc.ts';

const POLLFD = 8;
const POLLIN = 1;
/** Error or hang-up: reported whether asked for or not. */
const POLLERR_HUP = 0x18;

/** A set of file descriptors to wait for, by ppoll(2). */
export class PollSet {
  readonly #libc: Libc;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #halves: Int16Array;
  readonly #timeout = new Uint8Array(16);
  readonly #timeoutWords = new BigInt64Array(this.#timeout.buffer);

  /** @param places file descriptors at most; each has a place, and −1 in a place is passed over */
  constructor(libc: Libc, places: number) {
    this.#libc = libc;
    this.#bytes = new Uint8Array(places * POLLFD);
    this.#words = new Int32Array(this.#bytes.buffer);
    this.#halves = new Int16Array(this.#bytes.buffer);
    for (let i = 0; i < places; i++) this.set(i, -1);
  }

  set(place: number, fd: number): void {
    this.#words[2 * place] = fd;
    this.#halves[4 * place + 2] = POLLIN;
    this.#halves[4 * place + 3] = 0;
  }

  /** Waits until one of them is readable or gone, at most `ns`. @returns how many are */
  wait(ns: number): number {
    const timeout = this.#timeoutWords;
    const whole = Math.floor(ns / 1e9);
    timeout[0] = BigInt(whole);
    timeout[1] = BigInt(Math.floor(ns - whole * 1e9));
    return this.#libc.ppoll(this.#bytes, this.#words.length / 2, this.#timeout);
  }

  /** Of the last `wait`. */
  isReady(place: number): boolean {
    return (this.#halves[4 * place + 3] & (POLLIN | POLLERR_HUP)) !== 0;
  }
}
