import { type Libc, NativeError } from '../native/libc.ts';
import { FdSocket } from '../native/socket.ts';
import { HEADER_WORDS, MemoryRequest, SHOW_WORDS } from './shown-memory.ts';

const FIRST_BYTES = 65536;
const SHOW_BYTES = (HEADER_WORDS + SHOW_WORDS) * 4;
/** Room for the one message that brings a file descriptor. */
const FD_MESSAGE = 64;

/** Messages on their way to a socket that does not wait. */
export class OutBytes {
  readonly #libc: Libc;
  #bytes = new Uint8Array(FIRST_BYTES);
  #words = new Uint32Array(this.#bytes.buffer);
  /** Of a frame alone, the usual case: a view of it is made once. */
  #frame = this.#bytes.subarray(0, SHOW_BYTES);
  #filled = 0;
  #sent = 0;
  /** Where messages with a descriptor begin. */
  #fds: { readonly at: number; readonly bytes: number; readonly fd: number }[] = [];
  #socket: FdSocket | null = null;

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  /** @param fd −1: what is said is dropped */
  begin(fd: number): void {
    this.#socket = fd < 0 ? null : new FdSocket(this.#libc, fd, FD_MESSAGE);
    this.#empty();
  }

  get isEmpty(): boolean {
    return this.#sent === this.#filled;
  }

  /** Bytes that are not sent yet. */
  get waiting(): number {
    return this.#filled - this.#sent;
  }

  /** A message. @param fd goes with it, and is closed then */
  words(message: readonly number[], fd = -1): void {
    if (this.#socket === null) {
      if (fd >= 0) this.#libc.close(fd);
      return;
    }
    this.#reserve(message.length * 4);
    if (fd >= 0) this.#fds.push({ at: this.#filled, bytes: message.length * 4, fd });
    for (const word of message) {
      this.#words[this.#filled / 4] = word;
      this.#filled += 4;
    }
  }

  /** SHOW, without an allocation. */
  show(scanout: number, buffer: number, frame: number): void {
    if (this.#socket === null) return;
    this.#reserve(SHOW_BYTES);
    const at = this.#filled / 4;
    const words = this.#words;
    words[at] = MemoryRequest.SHOW;
    words[at + 1] = 0;
    words[at + 2] = SHOW_WORDS * 4;
    words[at + 3] = scanout;
    words[at + 4] = buffer;
    words[at + 5] = frame;
    this.#filled += SHOW_BYTES;
  }

  /** Sends what the socket takes. @returns false: nobody is there */
  send(): boolean {
    const socket = this.#socket;
    while (socket !== null && this.#sent < this.#filled) {
      const [next] = this.#fds;
      if (next !== undefined && next.at === this.#sent) {
        try {
          // Whole or not at all: it is less than a socket ever has room for.
          socket.send(this.#bytes.subarray(next.at, next.at + next.bytes), [next.fd]);
        } catch (error) {
          if (error instanceof NativeError) return error.code === 'EAGAIN';
          throw error;
        }
        this.#fds.shift();
        this.#libc.close(next.fd);
        this.#sent += next.bytes;
        continue;
      }
      const end = next?.at ?? this.#filled;
      const whole = this.#sent === 0 && end === SHOW_BYTES;
      const sent = this.#libc.send(socket.fd, whole ? this.#frame : this.#bytes.subarray(this.#sent, end));
      if (typeof sent === 'string') return sent === 'EAGAIN' || sent === 'EINTR';
      this.#sent += sent;
    }
    this.#empty();
    return true;
  }

  #empty(): void {
    this.#filled = 0;
    this.#sent = 0;
    for (const { fd } of this.#fds) this.#libc.close(fd);
    this.#fds = [];
  }

  #reserve(bytes: number): void {
    if (this.#filled + bytes <= this.#bytes.length) return;
    // Whole words that are sent make room, where they are worth moving the others.
    const gone = this.#sent - (this.#sent % 4);
    if (2 * gone >= this.#bytes.length) {
      this.#bytes.copyWithin(0, gone, this.#filled);
      this.#filled -= gone;
      this.#sent -= gone;
      this.#fds = this.#fds.map((one) => ({ ...one, at: one.at - gone }));
    }
    if (this.#filled + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(2 * Math.max(this.#bytes.length, this.#filled + bytes));
    grown.set(this.#bytes.subarray(0, this.#filled));
    this.#bytes = grown;
    this.#words = new Uint32Array(grown.buffer);
    this.#frame = grown.subarray(0, SHOW_BYTES);
  }
}
