import { MAX_PAYLOAD, type MessageRules, REQUESTS, SHAPES, VHOST_HEADER } from '../../core/protocol/vhost-user.ts';
import { NativeError } from '../native/libc.ts';
import type { FdSocket } from '../native/socket.ts';
import { PeerError } from './peer-error.ts';

/** A PeerError's message where the other end has closed the socket between two messages. */
export const HUNG_UP = 'hung up';
const GONE = new Set(['EPIPE', 'ECONNRESET']);

/** A whole message. Its file descriptors are the taker's. */
export interface Message {
  readonly request: number;
  readonly flags: number;
  readonly payload: DataView;
  readonly fds: number[];
}

/** The framing of vhost-user on a socket: messages come whole or not yet, and what cannot be one ends the session. */
export class Connection {
  readonly #socket: FdSocket;
  readonly #bytes = new Uint8Array(VHOST_HEADER + MAX_PAYLOAD);
  readonly #view = new DataView(this.#bytes.buffer);
  #filled = 0;
  readonly #rules: MessageRules;
  #fds: number[] = [];

  /** @param rules of what comes: a front end's requests, their answers, or a back end's own requests */
  constructor(socket: FdSocket, rules: MessageRules = REQUESTS) {
    this.#socket = socket;
    this.#rules = rules;
  }

  get fd(): number {
    return this.#socket.fd;
  }

  /**
   * @returns the next message, or null while it has not come whole
   * @throws PeerError when the other end has gone or what it sends is no message
   */
  receive(): Message | null {
    for (;;) {
      const need = this.#filled < VHOST_HEADER ? VHOST_HEADER : VHOST_HEADER + this.#view.getUint32(8, true);
      if (this.#filled === need && need >= VHOST_HEADER && this.#filled > 0) return this.#take();
      let got: number;
      try {
        got = this.#socket.receive(this.#bytes, this.#filled, need - this.#filled, this.#fds);
      } catch (error) {
        if (error instanceof NativeError) throw new PeerError(error.message);
        throw error;
      }
      if (got < 0) return null;
      if (got === 0) throw new PeerError(this.#filled === 0 ? HUNG_UP : `hung up in the middle of a message (${this.#filled} bytes)`);
      this.#filled += got;
      if (this.#filled === VHOST_HEADER) {
        const fault = this.#rules.fault(this.#view.getUint32(0, true), this.#view.getUint32(4, true), this.#view.getUint32(8, true));
        if (fault !== null) throw new PeerError(fault);
      }
    }
  }

  /** @throws PeerError when the other end takes nothing any more */
  send(bytes: Uint8Array, fds: readonly number[] = []): void {
    try {
      this.#socket.send(bytes, fds);
    } catch (error) {
      // Gone before the answer: no other end than that of one who is gone before asking.
      if (error instanceof NativeError) throw new PeerError(GONE.has(error.code) ? HUNG_UP : error.message);
      throw error;
    }
  }

  /** Closes the socket and what came of a message that never came whole. */
  close(): void {
    this.#socket.closeAll(this.#fds);
    this.#fds = [];
    this.#socket.close();
  }

  #take(): Message {
    const request = this.#view.getUint32(0, true);
    const fds = this.#fds;
    this.#fds = [];
    const payload = new DataView(this.#bytes.slice(VHOST_HEADER, this.#filled).buffer);
    this.#filled = 0;
    const { leastFds, mostFds } = this.#rules.fds(request);
    if (fds.length < leastFds || fds.length > mostFds) {
      this.#socket.closeAll(fds);
      throw new PeerError(`${SHAPES.get(request)?.name ?? `message ${request}`} brings ${fds.length} file descriptors`);
    }
    return { request, flags: this.#view.getUint32(4, true), payload, fds };
  }
}
