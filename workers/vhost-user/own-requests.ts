import { NativeError } from '../native/libc.ts';
import type { FdSocket } from '../native/socket.ts';

/**
 * A back end's own requests, on the socket that the front end gave it with SET_BACKEND_REQ_FD. Nothing is waited for: neither for
 * answers, which are not asked for (VHOST_USER_NEED_REPLY is not set), nor for room. A front end that has not read the last
 * CONFIG_CHANGE yet learns from it what the next one would say. One that closed its end, or gave what is no socket, is told no more.
 */
export class OwnRequests {
  readonly #socket: FdSocket;
  readonly #say: (line: string) => void;
  #gone = false;

  constructor(socket: FdSocket, say: (line: string) => void) {
    this.#socket = socket;
    this.#say = say;
  }

  send(bytes: Uint8Array): void {
    if (this.#gone) return;
    try {
      this.#socket.send(bytes);
    } catch (error) {
      if (!(error instanceof NativeError)) throw error;
      if (error.code === 'EAGAIN') return;
      this.#gone = true;
      this.#say(`the front end is not told of changes any more: ${error.message}`);
    }
  }

  close(): void {
    this.#socket.close();
  }
}
