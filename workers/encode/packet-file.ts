import { closeSync, constants, openSync, writeSync } from 'node:fs';

/** Until a pipe that is full is tried again, ms. */
const FULL_MS = 5;
const { O_WRONLY, O_CREAT, O_TRUNC, O_NONBLOCK } = constants;

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : null);

/** A file, or a pipe, that packets are written to one after the other, each whole. No call blocks for longer than a stop takes. */
export class PacketFile {
  readonly #path: string;
  readonly #fd: number;
  readonly #stopRequested: () => boolean;
  readonly #never = new Int32Array(new SharedArrayBuffer(4));

  /**
   * @param stopRequested looked at while a pipe is full: what is left of a packet is then left out
   * @throws Error why nothing can be written there, with its name
   */
  constructor(path: string, stopRequested: () => boolean) {
    this.#path = path;
    this.#stopRequested = stopRequested;
    try {
      // A pipe that nobody reads would else block this thread in a call that no stop ends.
      this.#fd = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, 0o666);
    } catch (error) {
      if (codeOf(error) === 'ENXIO') throw new Error(`${path}: nobody reads this pipe: start what reads it first`);
      throw error;
    }
  }

  /** @throws Error why it cannot be written any more, with its name */
  write(packet: Uint8Array): void {
    for (let at = 0; at < packet.length; ) {
      try {
        at += writeSync(this.#fd, packet, at);
      } catch (error) {
        if (codeOf(error) !== 'EAGAIN') throw new Error(`${this.#path}: ${error instanceof Error ? error.message : String(error)}`);
        if (this.#stopRequested()) return;
        Atomics.wait(this.#never, 0, 0, FULL_MS);
      }
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
