/** Front ends of a vhost-user host, one after the other: what they send, why their sessions end, and that nothing of them stays. */
import { readdirSync } from 'node:fs';
import { expect } from 'vitest';
import type { Libc } from '../../workers/native/libc.ts';
import { FdSocket, socketAddress } from '../../workers/native/socket.ts';
import { FrontEnd } from '../../workers/vhost-user/front-end.ts';
import { TestHost } from './vhost-guest.ts';

/** The most that one `send` takes. */
const ROOM = 65536;

export const openFiles = (): number => readdirSync('/proc/self/fd').length;

export class Peers {
  readonly host: TestHost;
  /** Those that have connected; a test that connects by itself counts its own. */
  sessions = 0;
  readonly #libc: Libc;
  readonly #files: number;

  /** A host without a front end. @param rest what it is started with */
  static async begin(libc: Libc, ...rest: ConstructorParameters<typeof TestHost>): Promise<Peers> {
    return new Peers(libc, await new TestHost(...rest).listening());
  }

  constructor(libc: Libc, host: TestHost) {
    this.#libc = libc;
    this.host = host;
    this.#files = openFiles();
  }

  connect(): FdSocket {
    const fd = this.#libc.socket();
    this.#libc.connect(fd, socketAddress(this.host.socket));
    this.sessions++;
    return new FdSocket(this.#libc, fd, ROOM);
  }

  /** Sends, hangs up. @returns why the session ended */
  async attack(send: (socket: FdSocket) => void): Promise<string | null> {
    const socket = this.connect();
    try {
      send(socket);
    } finally {
      socket.close();
    }
    return await this.ending();
  }

  /** Why the last session ended. */
  ending(): Promise<string | null> {
    return this.host.ending(this.sessions);
  }

  /** One more front end is served; no file of those before it is left; then the host ends. */
  async end(): Promise<void> {
    const front = FrontEnd.connect(this.#libc, this.host.socket);
    this.sessions++;
    expect(front.features().hi).toBe(1);
    front.close();
    await this.ending();
    expect(openFiles()).toBe(this.#files);
    await this.host.end();
  }
}
